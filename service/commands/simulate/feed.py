"""Feed of a fleet: its readings as JSON in the order of sending, a chosen share of them with a fault."""

from __future__ import annotations

import heapq
import itertools
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.commands.simulate.fleet import Fleet

AGAIN_AFTER = 0.5
"""Intervals after which a reading is sent again."""
OUT_OF_ORDER_BY = 1.5
"""Intervals: a reading that is delayed this long comes after the next one of its device."""
LATE_BY = (10, 60)
"""Intervals, least and most."""
REST_S = 2.0


@dataclass(frozen=True)
class Faults:
    """Shares of readings, together at most 1.

    Attributes:
        late: sent 10 to 60 intervals after their time.
        duplicates: sent twice.
        out_of_order: sent after the next reading of their device.
        broken: not a reading, in one of the ways of `break_reading`.
        sensors: without a measure, or with an impossible one, in one of the ways of `break_sensor`.
    """

    late: float = 0.005
    duplicates: float = 0.01
    out_of_order: float = 0.01
    broken: float = 0.002
    sensors: float = 0.005


class Item(NamedTuple):
    """A reading to be sent.

    Attributes:
        due: its time of sending, simulated Unix time, seconds.
        kind: `meter` or `vehicle`.
        vehicle: number of the vehicle, or of the meter's vehicle.
        body: JSON, possibly broken.
        is_broken: true if the service has to reject it.
        is_ignored: true if the service has to ignore a measure of it.
    """

    due: float
    kind: str
    vehicle: int
    body: bytes
    is_broken: bool
    is_ignored: bool = False


def feed(fleet: Fleet, faults: Faults, *, prefix: str, end: float) -> Iterator[Item]:
    """Iterate over the readings due before `end` (Unix seconds), in the order of sending.

    Ids begin with V or M and `prefix`. Each device has its own second of the interval, so that the load is even. A
    reading's timestamp is that second, at which its interval ends. Delayed readings that are left at the end follow
    within `REST_S`.
    """
    held: list[tuple[float, int, Item]] = []
    numbers = itertools.count()
    bounds = list(
        itertools.accumulate((faults.sensors, faults.broken, faults.duplicates, faults.out_of_order, faults.late))
    )
    clock, stamp = -1, b""
    id_ = prefix.encode()
    interval, vehicles = fleet.interval, fleet.vehicles
    for tick in itertools.count():
        for vehicle in range(vehicles):
            due = fleet.start + interval * (tick + vehicle / vehicles)
            while held and held[0][0] <= min(due, end):
                yield heapq.heappop(held)[2]
            if due >= end:
                yield from _rest([item for _, _, item in sorted(held)], end)
                return
            if (second := int(due)) != clock:
                clock, stamp = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)).encode()
            kwh_ac, voltage, soc, kwh_dc, temperature = fleet.measure(vehicle, tick)
            meter = b'{"meterId":"M%b%06d","kwhConsumedAc":%.6f,"voltage":%.1f,"timestamp":"%b"}'
            car = b'{"vehicleId":"V%b%06d","soc":%.2f,"kwhDeliveredDc":%.6f,"batteryTemp":%.1f,"timestamp":"%b"}'
            bodies = (
                ("meter", meter % (id_, vehicle, kwh_ac, voltage, stamp)),
                ("vehicle", car % (id_, vehicle, soc, kwh_dc, temperature, stamp)),
            )
            for (kind, body), chance in zip(bodies, fleet.draw(vehicle), strict=True):
                item = Item(due, kind, vehicle, body, False)
                if chance >= bounds[4]:
                    yield item
                elif chance < bounds[0]:
                    yield _with_broken_sensor(item, tick + vehicle)
                elif chance < bounds[1]:
                    yield item._replace(body=break_reading(body, tick + vehicle), is_broken=True)
                else:
                    if chance < bounds[2]:
                        yield item
                    later = due + interval * _delay(chance, bounds, tick + vehicle)
                    heapq.heappush(held, (later, next(numbers), item._replace(due=later)))


def _delay(chance: float, bounds: Sequence[float], number: int) -> float:
    """Intervals after which a reading is sent again, or at all."""
    if chance < bounds[2]:
        return AGAIN_AFTER
    return OUT_OF_ORDER_BY if chance < bounds[3] else LATE_BY[0] + number % (LATE_BY[1] - LATE_BY[0])


def _with_broken_sensor(item: Item, how: int) -> Item:
    body, is_ignored = break_sensor(item.body, how)
    return item._replace(body=body, is_ignored=is_ignored)


def _rest(items: list[Item], end: float) -> Iterator[Item]:
    """Spread the readings that are left over the time after the end."""
    return (item._replace(due=end + REST_S * number / len(items)) for number, item in enumerate(items))


_MEASURES = re.compile(rb'"(voltage|batteryTemp|soc)":[\d.-]+')
_ONE_MEASURE = re.compile(rb'"(voltage|batteryTemp)":[\d.-]+')


def break_sensor(body: bytes, how: int) -> tuple[bytes, bool]:
    """Return `body` with a fault of a sensor, and whether the service has to ignore a measure; all are stored."""
    ways = (
        (_ONE_MEASURE.sub(rb'"\1":-127.0', body), True),  # a thermometer that is not connected
        (_MEASURES.sub(rb'"\1":25400', body), True),  # a byte of ones, unscaled
        (_MEASURES.sub(rb'"\1":null', body), False),
        (_MEASURES.sub(b"", body).replace(b",,", b","), False),
    )
    return ways[how % len(ways)]


def break_reading(body: bytes, how: int) -> bytes:
    """Return `body` (a reading as `feed` writes it) with one of the usual faults of devices; all are rejected."""
    stamp = body[body.rindex(b':"') + 2 : -2]
    ways = (
        lambda: body[: len(body) // 2],  # the connection broke off
        lambda: body.replace(stamp, b"1970-01-01T00:00:07Z"),  # a clock that was never set
        lambda: body.replace(b"Z", b""),  # no offset
        lambda: body.replace(b"voltage", b"volts").replace(b"soc", b"charge"),  # another firmware
        lambda: body.replace(b'Ac":', b'Ac":-9').replace(b'Dc":', b'Dc":-9'),  # wired the wrong way round
        lambda: body.replace(b',"kwh', b',"kwhConsumedAc":null,"kwh', 1),  # a field twice
        lambda: b"[]",
        lambda: body.replace(b":", b':"', 2).replace(b',"kwh', b'","kwh', 1),  # misplaced quotes
    )
    return ways[how % len(ways)]()
