"""Fleet of the demonstration: small, with each fault that the dashboard can show."""

from __future__ import annotations

from service.commands.simulate.fleet import DAY_S, Fleet, Measured

VEHICLES = 20
SEED = 7
FAULTY = {4: 0.74, 11: 0.78}
"""Vehicle -> efficiency of its charger, from the beginning."""
FAILING = 7
"""The vehicle with a charger that gets worse from day to day."""
HOT = 14
"""The vehicle with a battery that runs hot while it charges."""
SWAPPED = 2
"""The vehicle with another meter for the first days."""
SWAPPED_AFTER_S = 5 * DAY_S
OLD_METER = "M-old-2"
SILENT = 5
"""The vehicle with a meter that fell silent some hours ago."""
SILENT_S = 7 * 3600

_FAILS_IN_S = 14 * DAY_S


class DemoFleet(Fleet):
    """A fleet with a known fault for each vehicle."""

    def __init__(self, start: int, interval: int) -> None:
        super().__init__(VEHICLES, SEED, faulty=0, start=start, interval=interval)
        self._began = start
        for vehicle, efficiency in FAULTY.items():
            self._efficiency[vehicle] = efficiency

    def measure(self, vehicle: int, tick: int) -> Measured:
        """Measure interval number `tick` of a vehicle."""
        if vehicle == FAILING:
            share = min(1.0, (self.start + tick * self.interval - self._began) / _FAILS_IN_S)
            self._efficiency[vehicle] = 0.94 - 0.17 * share * share
        measured = super().measure(vehicle, tick)
        if vehicle == HOT and measured.kwh_dc > 0:
            return measured._replace(battery_temp=measured.battery_temp + 21)
        return measured


def meter_of(vehicle: int, since_start_s: float) -> str:
    """Return the id of a vehicle's meter, by the seconds since the first reading."""
    return OLD_METER if vehicle == SWAPPED and since_start_s < SWAPPED_AFTER_S else f"M{vehicle:06d}"
