"""The oracle: a fleet's telemetry in memory, asked as the database is asked.

Everything is worked out anew for each question from the readings that were stored, so nothing can go stale in it.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from tests.oracle.accounting import history_of, is_implausible
from tests.oracle.balance import Efficiency, FleetDay, Performance, fleet_day, ratio_of, rounded_mean, status_of, total
from tests.oracle.buckets import MeterBucket, VehicleBucket, bucket_length, bucket_start, summarize
from tests.oracle.feeding import default_meter, meter_at, meters_during
from tests.oracle.records import METER, VEHICLE, Device, HistoryRow, Link, Profile, Profiles, Reading


class World:
    """A fleet with its time zone, profiles and links, to which readings arrive."""

    def __init__(self, time_zone: str, profiles: Profiles, links: Iterable[Link]) -> None:
        self._zone = ZoneInfo(time_zone)
        self._profiles = profiles
        self._links = [Link(*link) for link in links]
        self._stored: dict[Device, dict[datetime, Reading]] = {}

    def arrive(self, batch: Iterable[Reading]) -> list[str]:
        """Take readings in the order given, and tell what became of each."""
        return [self._take(reading) for reading in batch]

    def _take(self, reading: Reading) -> str:
        first = self._stored.get(reading.device, {}).get(reading.recorded_at)
        if first is not None:
            return "duplicate" if reading.values == first.values else "conflict"
        if is_implausible(reading.kwh, self._profile(reading.device)):
            return "implausible_energy"
        self._stored.setdefault(reading.device, {})[reading.recorded_at] = reading
        return "stored"

    def _profile(self, device: Device) -> Profile:
        return self._profiles.get(device, Profile())

    def devices(self, stream: str) -> set[str]:
        """The devices of a stream which have a stored reading."""
        return {device.device_id for device in self._stored if device.stream == stream}

    def vehicles(self) -> set[str]:
        """The vehicles there are: those which have a stored reading, and those which a link names."""
        return self.devices(VEHICLE) | {link.vehicle_id for link in self._links}

    def history(self, stream: str, device_id: str) -> list[HistoryRow]:
        """The rows of a device in order of time, with their energies."""
        device = Device(stream, device_id)
        return history_of(self._stored.get(device, {}).values(), self._profile(device))

    def status(self, stream: str, device_id: str) -> HistoryRow | None:
        """The latest row of a device by its own clock, None where it has none."""
        return next(reversed(self.history(stream, device_id)), None)

    def meter_of(self, vehicle: str, moment: datetime) -> str | None:
        """The meter which feeds the vehicle at the moment."""
        return meter_at(vehicle, moment, self._links, default_meter(vehicle, self.devices(METER)))

    def aggregate(self, stream: str, resolution: str) -> dict[tuple[str, datetime], MeterBucket | VehicleBucket]:
        """Every bucket in which a device has rows; the resolution is '15min', 'hourly' or 'daily'."""
        rows: dict[tuple[str, datetime], list[HistoryRow]] = defaultdict(list)
        for device_id in self.devices(stream):
            for row in self.history(stream, device_id):
                rows[device_id, bucket_start(resolution, row.recorded_at, self._zone)].append(row)
        return {key: summarize(stream, within) for key, within in rows.items()}

    def performance(self, vehicle: str, start: datetime, end: datetime) -> Performance:
        """A vehicle from start up to, not including, end; each of a meter's rows counts while it feeds the vehicle."""
        charged = [row for row in self.history(VEHICLE, vehicle) if start <= row.recorded_at < end]
        default = default_meter(vehicle, self.devices(METER))
        given = [
            row.energy
            for meter in self.devices(METER)
            for row in self.history(METER, meter)
            if start <= row.recorded_at < end and meter_at(vehicle, row.recorded_at, self._links, default) == meter
        ]
        kwh_ac, kwh_dc = total(given), total([row.energy for row in charged])
        return Performance(
            kwh_ac,
            kwh_dc,
            ratio_of(kwh_ac, kwh_dc),
            status_of(kwh_ac, kwh_dc),
            meter_readings=len(given),
            vehicle_readings=len(charged),
            battery_temp=rounded_mean([row.battery_temp for row in charged if row.battery_temp is not None], 2),
            meter_ids=meters_during(vehicle, start, end, self._links, default),
        )

    def efficiency(self, resolution: str) -> dict[tuple[str, datetime], Efficiency]:
        """Every bucket in which a vehicle, or the meter that feeds it as the bucket starts, has rows."""
        given, charged = self.aggregate(METER, resolution), self.aggregate(VEHICLE, resolution)
        starts = {bucket for _, bucket in (*given, *charged)}
        rows = {}
        for vehicle, bucket in ((vehicle, bucket) for vehicle in self.vehicles() for bucket in starts):
            meter = self.meter_of(vehicle, bucket)
            from_meter = given.get((meter, bucket)) if meter is not None else None
            in_vehicle = charged.get((vehicle, bucket))
            if from_meter or in_vehicle:
                rows[vehicle, bucket] = self._efficiency(resolution, vehicle, meter, bucket, from_meter, in_vehicle)
        return rows

    def _efficiency(
        self,
        resolution: str,
        vehicle: str,
        meter: str | None,
        bucket: datetime,
        from_meter: MeterBucket | VehicleBucket | None,
        in_vehicle: MeterBucket | VehicleBucket | None,
    ) -> Efficiency:
        kwh_ac = from_meter.kwh if from_meter else None
        kwh_dc = in_vehicle.kwh if in_vehicle else None
        length = bucket_length(resolution, bucket, self._zone)
        heard = (from_meter.readings if from_meter else 0, in_vehicle.readings if in_vehicle else 0)
        # At least one reading of each is expected, of a vehicle without a meter too.
        of_meter = self._profile(Device(METER, meter)) if meter is not None else Profile()
        of_vehicle = self._profile(Device(VEHICLE, vehicle))
        expected = [max(1, length // profile.expected_interval - 1) for profile in (of_meter, of_vehicle)]
        return Efficiency(
            kwh_ac,
            kwh_dc,
            ratio_of(kwh_ac, kwh_dc),
            status_of(kwh_ac, kwh_dc),
            meter_id=meter,
            meter_readings=heard[0],
            vehicle_readings=heard[1],
            is_complete=heard[0] >= expected[0] and heard[1] >= expected[1],
        )

    def fleet_daily(self) -> dict[datetime, FleetDay]:
        """Every local day on which there is a vehicle's row."""
        days: dict[datetime, list[Efficiency]] = defaultdict(list)
        for (_, bucket), row in self.efficiency("daily").items():
            days[bucket].append(row)
        return {bucket: fleet_day(rows) for bucket, rows in days.items()}


__all__ = ["Device", "Link", "Profile", "Reading", "World"]
