"""Retention: the quarter hours that the aggregates keep after their history is dropped."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tests.oracle.buckets import QUARTER, Bucket, bucket_of, summarize
from tests.oracle.records import HistoryRow

_UTC = ZoneInfo("UTC")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Retention:
    """The quarter hours of a kind as they were last taken up, and the times of which only these are left."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._taken: dict[str, dict[datetime, Bucket]] = defaultdict(dict)
        self._dropped: list[tuple[datetime, datetime]] = []

    def take_up(self, rows: Iterable[tuple[str, HistoryRow]], start: datetime | None, end: datetime | None) -> None:
        """The quarter hours that lie whole between start and end are taken up as the rows of the devices have them."""
        for (device_id, quarter), bucket in self._quarters(rows):
            whole = (start or _FIRST) <= quarter and quarter + QUARTER <= (end or _LAST)
            if whole and not self.is_dropped(quarter):
                self._taken[device_id][quarter] = bucket

    def untaken(self, rows: Iterable[tuple[str, HistoryRow]], start: datetime, end: datetime) -> bool:
        """Whether a quarter hour between start and end was not taken up as the rows of the devices have it."""
        return any(
            self._taken[device_id].get(quarter) != bucket
            for (device_id, quarter), bucket in self._quarters(rows)
            if start <= quarter < end and not self.is_dropped(quarter)
        )

    def _quarters(self, rows: Iterable[tuple[str, HistoryRow]]) -> Iterator[tuple[tuple[str, datetime], Bucket]]:
        quarters: dict[tuple[str, datetime], list[HistoryRow]] = defaultdict(list)
        for device_id, row in rows:
            quarters[device_id, bucket_of("15min", row.recorded_at, _UTC)].append(row)
        for key, within in quarters.items():
            yield key, summarize(self._kind, within)

    def drop(self, start: datetime, end: datetime) -> None:
        """The history of (start, end] is gone, both bounds of quarter hours.

        Of what lies after all that was taken up nothing is left, so what comes late for it is as good as any other.
        """
        if self.taken_until is not None and start < self.taken_until:
            self._dropped.append((start, min(end, self.taken_until)))

    @property
    def taken_until(self) -> datetime | None:
        """The end of the last quarter hour that was taken up."""
        return max((quarter + QUARTER for taken in self._taken.values() for quarter in taken), default=None)

    @property
    def dropped_until(self) -> datetime | None:
        """The end of the last time whose history was dropped."""
        return max((end for _, end in self._dropped), default=None)

    def is_dropped(self, quarter: datetime) -> bool:
        """Whether only the aggregate is left of the quarter hour."""
        return any(start <= quarter < end for start, end in self._dropped)

    def is_left_out(self, stamp: datetime, start: datetime, end: datetime) -> bool:
        """Whether a row does not count in (start, end]: it came late for a dropped quarter hour that is whole in it."""
        quarter = bucket_of("15min", stamp, _UTC)
        return self.is_dropped(quarter) and start <= quarter and quarter + QUARTER <= end

    def left(
        self, device_id: str, start: datetime = _FIRST, end: datetime = _LAST
    ) -> Iterator[tuple[datetime, Bucket]]:
        """What is left of the device in the dropped quarter hours that lie whole between start and end."""
        for quarter, bucket in sorted(self._taken[device_id].items()):
            if self.is_dropped(quarter) and start <= quarter and quarter + QUARTER <= end:
                yield quarter, bucket
