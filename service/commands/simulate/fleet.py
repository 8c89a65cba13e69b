"""Physics of a fleet: measurements of its meters and vehicles, interval by interval.

A vehicle has a daily need of energy, and is plugged in and out at about the same hours every day. It charges at
constant current, so at full power, up to a knee. Above it, it charges at constant voltage, and current and power
fade. Its battery warms with the power and cools to the ambient temperature. Its meter sees the power divided by
the charger's efficiency, a constant loss while charging (so efficiency falls with the power), and standby all day.
"""

from __future__ import annotations

import math
import random
from array import array
from typing import NamedTuple

DAY_S = 86_400
FULL_SOC = 99.0
"""State of charge at which charging ends, percent: the current has faded to nothing."""
KNEE_SOC = 80.0
"""Constant current below, constant voltage above, percent."""
LOSS_KW = 0.04
"""Drawn by a charger while it charges, whatever the power."""
FAULTY_EFFICIENCY = 0.8
"""Efficiency of the charging itself; lower only with a fault."""
STANDBY_KW = 0.003
"""Drawn by a charger all day."""
WARMING_K = 14.0
"""Rise of a battery's temperature above ambient at full power, in the long run."""
TIME_CONSTANT_S = 2400.0
"""Time constant of a battery's warming and cooling."""
POWERS_KW = (7.4, 7.4, 11.0, 11.0, 11.0, 22.0, 50.0)
"""Chargers, weighted by their frequency."""

_NOISE_BITS = 10
_MASK = (1 << 48) - 1


class Measured(NamedTuple):
    """Measurements of a vehicle and its meter at the end of an interval, with the energy of the interval."""

    kwh_ac: float
    voltage: float
    soc: float
    kwh_dc: float
    battery_temp: float


class Fleet:
    """Vehicles 0 to `vehicles` - 1, each with its meter. Equal arguments make equal fleets.

    State and parameters are in arrays, 90 bytes a vehicle.

    Args:
        vehicles: number of vehicles.
        seed: seed of all random numbers.
        faulty: share of chargers with a fault. Their efficiency over a day is below 0.8, that of the others above 0.85.
        start: end of its first interval, seconds of Unix time.
        interval: seconds between two readings of a device.
    """

    def __init__(self, vehicles: int, seed: int, *, faulty: float, start: int, interval: int) -> None:
        chance = random.Random(seed)
        self.vehicles = vehicles
        self.start = start
        self.interval = interval
        self._noise = [chance.gauss(0, 1) for _ in range(1 << _NOISE_BITS)]
        self._cooling = 1 - math.exp(-interval / TIME_CONSTANT_S)
        empty = bytes(8 * vehicles)
        self._random = array("Q", empty)
        self._soc, self._temperature, self._power, self._capacity = (array("d", empty) for _ in range(4))
        self._efficiency, self._drain, self._plug_in, self._plug_out = (array("d", empty) for _ in range(4))
        for vehicle in range(vehicles):
            self._make(vehicle, chance, is_faulty=chance.random() < faulty)

    def go_on(self, start: int, interval: int) -> None:
        """Continue from `start` with other intervals (seconds) and the present state; interval 0 ends at `start`."""
        for vehicle in range(self.vehicles):
            self._drain[vehicle] *= interval / self.interval
        self.start = start
        self.interval = interval
        self._cooling = 1 - math.exp(-interval / TIME_CONSTANT_S)

    def is_faulty(self, vehicle: int) -> bool:
        """Return true if its charger has a fault."""
        return self._efficiency[vehicle] < FAULTY_EFFICIENCY

    def measure(self, vehicle: int, tick: int) -> Measured:
        """Measure interval `tick` of a vehicle, which ends `tick` intervals after the start; each once and in order."""
        time = self.start + tick * self.interval
        state = (self._random[vehicle] * 0x5DEECE66D + 0xB) & _MASK
        self._random[vehicle] = state
        noise = self._noise
        clock = time % DAY_S
        # habits differ by vehicle, deviations by day
        wobble = 1200 * noise[(int(time // DAY_S) * 31 + vehicle * 7) & 1023]
        soc = self._soc[vehicle]
        power = 0.0
        if self._is_plugged(vehicle, clock - wobble):
            if soc < FULL_SOC:
                power = self._power[vehicle]
                if soc > KNEE_SOC:
                    power *= (100 - soc) / (100 - KNEE_SOC)
        else:
            soc = max(5.0, soc - self._drain[vehicle])
        hours = self.interval / 3600
        kwh_dc = min(power * hours, self._capacity[vehicle] * (100 - soc) / 100)
        kwh_ac = STANDBY_KW * hours
        if kwh_dc > 0:
            soc += kwh_dc / self._capacity[vehicle] * 100
            kwh_ac += kwh_dc / self._efficiency[vehicle] + LOSS_KW * hours
        self._soc[vehicle] = soc

        swing = math.sin((clock - 32_400) * (2 * math.pi / DAY_S))  # warmest, and most used, in the afternoon
        temperature = self._temperature[vehicle]
        warm = 16 + 6 * swing + WARMING_K * power / self._power[vehicle]
        temperature += (warm - temperature) * self._cooling
        self._temperature[vehicle] = temperature
        voltage = 231 - 2 * swing - 0.05 * power + noise[state >> 38]
        return Measured(kwh_ac, voltage, soc, kwh_dc, temperature + 0.1 * noise[state >> 28 & 1023])

    def draw(self, vehicle: int) -> tuple[float, float]:
        """Return two random numbers from 0 to 1 for the last measured interval: for the meter and for the vehicle."""
        state = self._random[vehicle]
        return (state >> 8 & 0xFFFFF) / 0x100000, (state >> 28) / 0x100000

    def _is_plugged(self, vehicle: int, clock: float) -> bool:
        plug_in, plug_out = self._plug_in[vehicle], self._plug_out[vehicle]
        if plug_in < plug_out:
            return plug_in <= clock < plug_out
        return clock >= plug_in or clock < plug_out

    def _make(self, vehicle: int, chance: random.Random, *, is_faulty: bool) -> None:
        self._efficiency[vehicle] = chance.uniform(0.68, 0.79) if is_faulty else chance.uniform(0.9, 0.955)
        power = self._power[vehicle] = chance.choice(POWERS_KW)
        capacity = self._capacity[vehicle] = chance.uniform(38, 100)
        at_night = chance.random() < 0.7
        plug_in = self._plug_in[vehicle] = 3600 * (chance.gauss(18, 1.2) if at_night else chance.gauss(9, 0.4))
        plug_out = self._plug_out[vehicle] = 3600 * (chance.gauss(7, 0.7) if at_night else chance.gauss(16, 0.4))
        plugged = (plug_out - plug_in) % DAY_S
        need = chance.uniform(0.15, min(0.6, power * plugged / 3600 / capacity * 0.8))  # share of the battery, a day
        self._drain[vehicle] = need * 100 * self.interval / (DAY_S - plugged)
        self._soc[vehicle] = chance.uniform(100 - 100 * need, 100)
        self._temperature[vehicle] = 16 + chance.uniform(-4, 6)
        self._random[vehicle] = chance.getrandbits(48)
