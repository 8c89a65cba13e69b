"""The oracle: a fleet's telemetry in memory, asked as the database is asked.

Every answer is worked out anew from the readings that were stored, so nothing can go stale in it.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.oracle.accounting import MINUTE, history_of, is_implausible, observed_after
from tests.oracle.balance import (
    STANDBY_KW,
    Balance,
    Efficiency,
    FleetBalance,
    Performance,
    fleet_balance,
    rounded_mean,
    shown_ratio,
    status_of,
    total,
)
from tests.oracle.buckets import QUARTER, Bucket, bucket_end, bucket_of, merge, summarize
from tests.oracle.feeding import default_meter, link_from, meter_after, meter_of, periods
from tests.oracle.records import METER, VEHICLE, Device, Exchange, HistoryRow, Link, Profile, Profiles, Reading
from tests.oracle.retention import Retention
from tests.oracle.sessions import MeterRow, Session, sessions_of


class World:
    """A fleet with its time zone, profiles and links, to which readings arrive."""

    def __init__(
        self, time_zone: str, profiles: Profiles, links: Iterable[Link], standby_kw: float = STANDBY_KW
    ) -> None:
        self._zone = ZoneInfo(time_zone)
        self._profiles = profiles
        self._links = [Link(*link) for link in links]
        self._standby_kw = standby_kw
        self._stored: dict[Device, dict[datetime, Reading]] = {}
        self._gone: dict[Device, dict[datetime, Reading]] = defaultdict(dict)
        self._observed: dict[Device, timedelta | None] = {}
        self._exchanges: dict[Device, list[Exchange]] = defaultdict(list)
        self._rows: dict[Device, list[HistoryRow]] = {}  # of the devices that were asked for since the last change
        self._retention = {kind: Retention(kind) for kind in (METER, VEHICLE)}

    # Events

    def arrive(self, batch: Iterable[Reading]) -> list[str]:
        """Take a batch of readings in the order given, and tell what became of each."""
        readings = [reading.plausible for reading in batch]
        self._rows.clear()
        # Energies of a whole batch are judged, and gaps measured, from what was known before it.
        newest = {reading.device: self._newest(reading.device) for reading in readings}
        intervals = [self._possible_interval(reading, newest[reading.device]) for reading in readings]
        outcomes = [self._take(reading, interval) for reading, interval in zip(readings, intervals, strict=True)]
        stored: dict[Device, list[datetime]] = defaultdict(list)
        for reading, outcome in zip(readings, outcomes, strict=True):
            if outcome == "stored":
                stored[reading.device].append(reading.recorded_at)
        for device, stamps in stored.items():
            self._observe(device, sorted(stamps), newest[device])
        return outcomes

    def _take(self, reading: Reading, interval: timedelta) -> str:
        first = self._stored.get(reading.device, {}).get(reading.recorded_at)
        if first is not None:
            return "duplicate" if reading.values == first.values else "conflict"
        if is_implausible(reading.kwh, self._profile(reading.device), interval):
            return "implausible_energy"
        self._stored.setdefault(reading.device, {})[reading.recorded_at] = reading
        return "stored"

    def _possible_interval(self, reading: Reading, newest: datetime | None) -> timedelta:
        """The longest time that the energy of a reading may be of."""
        interval = self.interval(reading.device)
        if newest is None or self._profile(reading.device).expected_interval is not None:
            return interval
        return max(interval, reading.recorded_at - newest)

    def _observe(self, device: Device, stamps: list[datetime], newest: datetime | None) -> None:
        if newest is not None and stamps[-1] <= newest:
            return
        gaps = [stamps[-1] - newest if newest else None, stamps[-1] - stamps[-2] if len(stamps) > 1 else None]
        self._observed[device] = observed_after(self._observed.get(device), gaps)

    def exchange(self, exchange: Exchange) -> None:
        """A register was replaced."""
        self._rows.clear()
        self._exchanges[exchange.device].append(exchange)

    def link(self, vehicle: str, meter: str, start: datetime, end: datetime | None = None) -> bool:
        """From start until end, or further notice, the meter feeds the vehicle; False where it feeds another one."""
        links = link_from(self._links, Link(vehicle, meter, start, end))
        if links is not None:
            self._links = links
        return links is not None

    def take_up(self, kind: str, start: datetime | None = None, end: datetime | None = None) -> None:
        """The quarter hours that lie whole between start and end are refreshed."""
        rows = ((device_id, row) for device_id in self.devices(kind) for row in self.history(kind, device_id))
        self._retention[kind].take_up(rows, start, end)

    def drop(self, kind: str, start: datetime, end: datetime) -> None:
        """The history of (start, end], bounds of quarter hours, is dropped: what was taken up of it is left."""
        self._rows.clear()
        for device, readings in self._stored.items():
            if device.kind == kind:
                for stamp in [stamp for stamp in readings if start < stamp <= end]:
                    self._gone[device].setdefault(stamp, readings.pop(stamp))
        self._retention[kind].drop(start, end)

    def untaken(self, kind: str, start: datetime, end: datetime) -> bool:
        """True if the aggregates lack a part of the history of (start, end]."""
        rows = ((device_id, row) for device_id in self.devices(kind) for row in self.history(kind, device_id))
        return self._retention[kind].untaken(rows, start, end)

    def taken_until(self, kind: str) -> datetime | None:
        """The end of the last quarter hour that was refreshed, None where none was."""
        return self._retention[kind].taken_until

    def dropped_until(self, kind: str) -> datetime | None:
        """The end of the last time whose history was dropped, None where none was."""
        return self._retention[kind].dropped_until

    def can_mend(self, reading: Reading) -> bool:
        """True if the history still holds the register that this reading's is compared with."""
        newest = self._newest(reading.device)
        if self._profile(reading.device).energy_kind != "register" or not self._gone[reading.device] or newest is None:
            return True
        rows = self.history(*reading.device)
        # One that rose is what comes after it is compared with, unless another does.
        return reading.recorded_at > newest or any(
            row.energy > 0 for row in rows if row.recorded_at < reading.recorded_at
        )

    # What is known of devices

    def _profile(self, device: Device) -> Profile:
        return self._profiles.get(device, Profile())

    def interval(self, device: Device) -> timedelta:
        """The time to expect between two readings: what is said of the device, else what is observed, else a minute."""
        return self._profile(device).expected_interval or self._observed.get(device) or MINUTE

    def observed(self, device: Device) -> timedelta | None:
        """The interval that is observed of the device, None before its second reading."""
        return self._observed.get(device)

    def is_silent(self, device: Device, now: datetime) -> bool:
        """Whether the device has missed its last five readings."""
        newest = self._newest(device)
        return newest is not None and newest < now - 5 * self.interval(device)

    def devices(self, kind: str) -> set[str]:
        """The devices of a kind which have ever had a reading stored."""
        return {device.device_id for device in self._stored if device.kind == kind}

    def vehicles(self) -> set[str]:
        """The vehicles there are: those which have ever had a reading stored, and those which a link names."""
        return self.devices(VEHICLE) | {link.vehicle_id for link in self._links}

    def _all(self, device: Device) -> list[Reading]:
        """All that was ever stored of the device; of two readings of one time, the one whose history was dropped."""
        return list({**self._stored.get(device, {}), **self._gone[device]}.values())

    def _newest(self, device: Device) -> datetime | None:
        return max((reading.recorded_at for reading in self._all(device)), default=None)

    def history(self, kind: str, device_id: str) -> list[HistoryRow]:
        """The rows of a device that the history holds, in order of time, with their energies."""
        device = Device(kind, device_id)
        if device not in self._rows:
            stored, profile = self._stored.get(device, {}), self._profile(device)
            # The energies of a register follow from readings that are dropped, too.
            readings = self._all(device) if profile.energy_kind == "register" else stored.values()
            rows = history_of(readings, profile, self._exchanges[device])
            self._rows[device] = [row for row in rows if row.recorded_at in stored]
        return self._rows[device]

    def status(self, kind: str, device_id: str) -> HistoryRow | None:
        """The latest row of a device by its own clock, None where it has none."""
        device = Device(kind, device_id)
        return next(reversed(history_of(self._all(device), self._profile(device), self._exchanges[device])), None)

    def _default(self, vehicle: str) -> str | None:
        return default_meter(vehicle, self.devices(METER))

    def meter_of(self, vehicle: str, stamp: datetime) -> str | None:
        """The meter whose reading of this timestamp is the vehicle's."""
        return meter_of(vehicle, stamp, self._links, self._default(vehicle))

    def meter_after(self, vehicle: str, moment: datetime) -> str | None:
        """The meter which feeds the vehicle in the time that follows the moment, such as the start of a bucket."""
        return meter_after(vehicle, moment, self._links, self._default(vehicle))

    # Sums

    def total(self, kind: str, device_id: str, start: datetime, end: datetime) -> Bucket | None:
        """The sums of a device in (start, end]: of its readings, and of what is left of dropped quarter hours."""
        retention = self._retention[kind]
        parts = {quarter + QUARTER: bucket for quarter, bucket in retention.left(device_id, start, end)}
        for row in self.history(kind, device_id):
            if start < row.recorded_at <= end and not retention.is_left_out(row.recorded_at, start, end):
                parts[row.recorded_at] = summarize(kind, [row])
        return merge(bucket for _, bucket in sorted(parts.items()))

    def aggregate(self, kind: str, resolution: str) -> dict[tuple[str, datetime], Bucket]:
        """Every bucket in which a device has readings; the resolution is '15min', 'hourly' or 'daily'."""
        found: dict[tuple[str, datetime], Bucket] = {}
        for device_id in self.devices(kind):
            for start in self._buckets(kind, resolution, device_id):
                bucket = self.total(kind, device_id, start, bucket_end(resolution, start, self._zone))
                if bucket is not None:
                    found[device_id, start] = bucket
        return found

    def bucket_end(self, resolution: str, start: datetime) -> datetime:
        """The end of the bucket."""
        return bucket_end(resolution, start, self._zone)

    def _buckets(self, kind: str, resolution: str, device_id: str) -> set[datetime]:
        ends = [row.recorded_at for row in self.history(kind, device_id)]
        ends += [quarter + QUARTER for quarter, _ in self._retention[kind].left(device_id)]
        return {bucket_of(resolution, end, self._zone) for end in ends}

    # Balances

    def performance(self, vehicle: str, start: datetime, end: datetime) -> Performance:
        """A vehicle over (start, end]; of each meter what it gave while it fed the vehicle."""
        fed = periods(vehicle, start, end, self._links, self._default(vehicle))
        given = [
            (meter, bucket)
            for meter, since, until in fed
            if (bucket := self.total(METER, meter, since, until)) is not None
        ]
        charged = self.total(VEHICLE, vehicle, start, end)
        kwh_ac, kwh_dc = total([bucket.kwh for _, bucket in given]), None if charged is None else charged.kwh
        devices = [Device(VEHICLE, vehicle), *(Device(METER, meter) for meter, _ in given)]
        status = self._judge(kwh_ac, kwh_dc, end - start, devices)
        return Performance(
            kwh_ac,
            kwh_dc,
            shown_ratio(kwh_ac, kwh_dc, status),
            status,
            meter_readings=sum(bucket.readings for _, bucket in given),
            vehicle_readings=charged.readings if charged else 0,
            battery_temp=rounded_mean(charged.measure_sum, charged.measure_readings, 2) if charged else None,
            meter_ids=frozenset(meter for meter, _, _ in fed),
        )

    def _judge(self, kwh_ac: float | None, kwh_dc: float | None, length: timedelta, devices: Iterable[Device]) -> str:
        interval = max(self.interval(device) for device in devices)
        return status_of(kwh_ac, kwh_dc, length=length, interval=interval, standby_kw=self._standby_kw)

    def performances(self, start: datetime, end: datetime) -> dict[str, Performance]:
        """Every vehicle which has a reading on either side in (start, end]."""
        found = {vehicle: self.performance(vehicle, start, end) for vehicle in self.vehicles()}
        return {vehicle: row for vehicle, row in found.items() if row.meter_readings or row.vehicle_readings}

    def fleet(self, start: datetime, end: datetime) -> FleetBalance:
        """All vehicles over (start, end]."""
        return fleet_balance(list(self.performances(start, end).values()))

    def efficiency(self, resolution: str) -> dict[tuple[str, datetime], Efficiency]:
        """Every bucket in which a vehicle, or the meter that feeds it from its start on, has readings."""
        given, charged = self.aggregate(METER, resolution), self.aggregate(VEHICLE, resolution)
        starts = {bucket for _, bucket in (*given, *charged)}
        rows = {}
        for vehicle, start in ((vehicle, start) for vehicle in self.vehicles() for start in starts):
            meter = self.meter_after(vehicle, start)
            from_meter = given.get((meter, start)) if meter is not None else None
            in_vehicle = charged.get((vehicle, start))
            if from_meter or in_vehicle:
                length = bucket_end(resolution, start, self._zone) - start
                rows[vehicle, start] = self._efficiency(
                    vehicle, meter if from_meter else None, length, from_meter, in_vehicle
                )
        return rows

    def _efficiency(
        self, vehicle: str, meter: str | None, length: timedelta, from_meter: Bucket | None, in_vehicle: Bucket | None
    ) -> Efficiency:
        kwh_ac = from_meter.kwh if from_meter else None
        kwh_dc = in_vehicle.kwh if in_vehicle else None
        # Without a meter it is as if one sent every minute.
        of_meter = MINUTE if meter is None else self.interval(Device(METER, meter))
        of_vehicle = self.interval(Device(VEHICLE, vehicle))
        interval = max(of_meter, of_vehicle)
        status = status_of(kwh_ac, kwh_dc, length=length, interval=interval, standby_kw=self._standby_kw)
        return Efficiency(
            kwh_ac,
            kwh_dc,
            shown_ratio(kwh_ac, kwh_dc, status),
            status,
            meter_id=meter,
            meter_readings=from_meter.readings if from_meter else 0,
            vehicle_readings=in_vehicle.readings if in_vehicle else 0,
            meter_readings_expected=max(1, length // of_meter),
            vehicle_readings_expected=max(1, length // of_vehicle),
        )

    def fleet_daily(self) -> dict[datetime, tuple[FleetBalance, int]]:
        """Every local day on which there is a vehicle's row, with the number of complete ones."""
        days: dict[datetime, list[Efficiency]] = defaultdict(list)
        for (_, bucket), row in self.efficiency("daily").items():
            days[bucket].append(row)
        return {bucket: (fleet_balance(rows), sum(row.is_complete for row in rows)) for bucket, rows in days.items()}

    def overview(
        self, start: datetime, end: datetime
    ) -> tuple[dict[str, Balance], dict[datetime, tuple[float | None, float | None]]]:
        """The vehicles over the hours from start, a whole one, until end; and all of them together in each hour."""
        hour = timedelta(hours=1)
        hours = [start + n * hour for n in range(-(-(end - start) // hour))]
        vehicles: dict[str, Balance] = {}
        fleet: dict[datetime, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
        for vehicle in self.vehicles():
            given, charged, meters = [], [], set()
            for since in hours:
                until = min(since + hour, end)
                meter = self.meter_after(vehicle, since)
                if meter is not None and (bucket := self.total(METER, meter, since, until)):
                    given.append(bucket.kwh)
                    meters.add(meter)
                    fleet[since][0].append(bucket.kwh)
                if bucket := self.total(VEHICLE, vehicle, since, until):
                    charged.append(bucket.kwh)
                    fleet[since][1].append(bucket.kwh)
            if given or charged:
                kwh_ac, kwh_dc = total(given), total(charged)
                devices = [Device(VEHICLE, vehicle), *(Device(METER, meter) for meter in meters)]
                status = self._judge(kwh_ac, kwh_dc, end - start, devices)
                vehicles[vehicle] = Balance(kwh_ac, kwh_dc, shown_ratio(kwh_ac, kwh_dc, status), status)
        return vehicles, {since: (total(ac), total(dc)) for since, (ac, dc) in fleet.items()}

    def sessions(self, vehicle: str) -> list[Session]:
        """The vehicle's charging sessions, in order of time."""

        def drawn_by(start: datetime, end: datetime) -> list[MeterRow]:
            fed = periods(vehicle, start, end, self._links, self._default(vehicle))
            return [
                MeterRow(meter, row.recorded_at, row.energy)
                for meter, since, until in fed
                for row in self.history(METER, meter)
                if since < row.recorded_at <= until
            ]

        return sessions_of(
            self.history(VEHICLE, vehicle),
            drawn_by,
            self.interval(Device(VEHICLE, vehicle)),
            lambda meter: self.interval(Device(METER, meter)),
        )

    def energy(self, kind: str, start: datetime, end: datetime) -> float | None:
        """The energy of all devices of a kind in (start, end]."""
        sums = [self.total(kind, device_id, start, end) for device_id in self.devices(kind)]
        return total([bucket.kwh for bucket in sums if bucket])


__all__ = ["Device", "Link", "Profile", "Reading", "World"]
