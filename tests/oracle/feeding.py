"""Which meter feeds a vehicle, and when."""

from collections.abc import Container, Sequence
from datetime import datetime

from tests.oracle.records import Link


def default_meter(vehicle: str, meters: Container[str]) -> str | None:
    """The meter which a vehicle's id points to, out of the meters that have sent something."""
    if vehicle in meters:
        return vehicle
    if vehicle.startswith("V") and (namesake := "M" + vehicle[1:]) in meters:
        return namesake
    return None


def meter_at(vehicle: str, moment: datetime, links: Sequence[Link], default: str | None) -> str | None:
    """The meter which feeds the vehicle at the moment: the linked one, else the default one while it is free."""
    now = [link for link in links if link.covers(moment)]
    for link in now:
        if link.vehicle_id == vehicle:
            return link.meter_id
    return None if any(link.meter_id == default for link in now) else default


def meters_during(
    vehicle: str, start: datetime, end: datetime, links: Sequence[Link], default: str | None
) -> frozenset[str]:
    """Every meter which feeds the vehicle anywhere in the window, whether it sent anything or not."""
    if start >= end:
        return frozenset()
    # Nothing changes but where a link starts or ends, and then for all the time up to the next such moment.
    edges = {edge for link in links for edge in (link.start, link.end) if edge is not None and start < edge < end}
    feeding = {meter_at(vehicle, moment, links, default) for moment in {start} | edges}
    return frozenset(meter for meter in feeding if meter is not None)
