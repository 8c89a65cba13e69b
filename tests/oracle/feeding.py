"""Which meter feeds a vehicle, and when."""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from itertools import pairwise

from tests.oracle.records import Link


def default_meter(vehicle: str, meters: Container[str]) -> str | None:
    """The meter which a vehicle's id points to, out of the meters that have sent something."""
    if vehicle in meters:
        return vehicle
    if vehicle.startswith("V") and (namesake := "M" + vehicle[1:]) in meters:
        return namesake
    return None


def meter_of(vehicle: str, stamp: datetime, links: Sequence[Link], default: str | None) -> str | None:
    """The meter whose reading of this timestamp is the vehicle's."""
    return _feeding(vehicle, [link for link in links if link.covers(stamp)], default)


def meter_after(vehicle: str, moment: datetime, links: Sequence[Link], default: str | None) -> str | None:
    """The meter which feeds the vehicle in the time that follows the moment."""
    return _feeding(vehicle, [link for link in links if link.holds_after(moment)], default)


def _feeding(vehicle: str, now: Sequence[Link], default: str | None) -> str | None:
    """The linked meter, else the default one while it is free."""
    for link in now:
        if link.vehicle_id == vehicle:
            return link.meter_id
    return None if any(link.meter_id == default for link in now) else default


def periods(
    vehicle: str, start: datetime, end: datetime, links: Sequence[Link], default: str | None
) -> list[tuple[str, datetime, datetime]]:
    """The meters that feed the vehicle in (start, end], each with the part (from, until] in which it does."""
    if start >= end:
        return []
    # Nothing changes but where a link starts or ends, and then for all the time up to the next such moment.
    moments = {edge for link in links for edge in (link.start, link.end) if edge is not None and start < edge < end}
    found: list[tuple[str, datetime, datetime]] = []
    reason: Link | None = None
    for since, until in pairwise(sorted({start, end} | moments)):
        meter = meter_after(vehicle, since, links, default)
        by = next((link for link in links if link.vehicle_id == vehicle and link.holds_after(since)), None)
        if meter is None:
            continue
        if found and found[-1][2] == since and by == reason:
            found[-1] = (meter, found[-1][1], until)
        else:
            found.append((meter, since, until))
        reason = by
    return found


def link_from(links: Iterable[Link], new: Link) -> list[Link] | None:
    """The links after this one is made; None where its meter feeds another vehicle then."""
    kept: list[Link] = []
    for link in links:
        ended = link.end is not None and new.start is not None and link.end <= new.start
        ahead = new.end is not None and link.start is not None and new.end <= link.start
        if ended or ahead or link.vehicle_id != new.vehicle_id:
            if link.vehicle_id != new.vehicle_id and link.meter_id == new.meter_id and not (ended or ahead):
                return None
            kept.append(link)
            continue
        if new.start is not None and (link.start is None or link.start < new.start):
            kept.append(link._replace(end=new.start))
        if new.end is not None and (link.end is None or new.end < link.end):
            kept.append(link._replace(start=new.end))
    # the vehicle may have this meter up to the start, or from the end on: that is one link then
    for link in [link for link in kept if link[:2] == new[:2]]:
        if new.start is not None and link.end == new.start:
            new = new._replace(start=link.start)
        elif new.end is not None and link.start == new.end:
            new = new._replace(end=link.end)
        else:
            continue
        kept.remove(link)
    return [*kept, new]
