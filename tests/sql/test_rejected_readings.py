"""telemetry.rejected_reading: what is kept of each sender, what is listed, what a replay settles."""

from datetime import timedelta
from typing import Any

import pytest

from service.commands.rejected import replay
from service.database.calls import KEEP_REJECTED, LIST_REJECTED_READINGS, SETTLE_REJECTED_READINGS
from service.database.pool import Database
from service.readings.model import METER
from tests.support import YESTERDAY, Owner, Pair, meter_reading, new_pair

KEPT = 10_000
NO_FILTERS: dict[str, Any] = dict.fromkeys(("since", "until", "kind", "code", "source"))


def rejected(source: str | None, count: int = 1, code: str = "kind_unknown", payload: str = "{}") -> list[tuple]:
    return [("unknown", code, "why", payload, source)] * count


async def kept(owner: Owner, source: str) -> int:
    return await owner.fetchval("SELECT count(*) FROM telemetry.rejected_reading WHERE source = $1", source)


async def counted(owner: Owner, source: str) -> tuple[int, int, int]:
    [row] = await owner.fetch(
        "SELECT rejected_on_day, rejected, not_kept FROM telemetry.rejected_source WHERE source = $1", source
    )
    return tuple(row)


async def listed(
    database: Database, *, newest_first: bool = True, after=None, limit=100, settled=None, stored=None, **filters: Any
):
    arguments = {**NO_FILTERS, **filters}.values()
    return await database.write_rows(LIST_REJECTED_READINGS, newest_first, after, limit, *arguments, settled, stored)


async def test_of_a_sender_a_days_allowance_is_kept_and_the_rest_is_counted(database: Database, owner: Owner) -> None:
    broken, other = new_pair().meter, new_pair().meter
    await database.write_rows(KEEP_REJECTED.query, rejected(broken, KEPT - 5))
    await database.write_rows(KEEP_REJECTED.query, [*rejected(broken, 8), *rejected(other, 3)])
    await database.write_rows(KEEP_REJECTED.query, rejected(broken, 4))
    assert (await kept(owner, broken), await kept(owner, other)) == (KEPT, 3)
    assert await counted(owner, broken) == (KEPT + 7, KEPT + 7, 7)
    assert await counted(owner, other) == (3, 3, 0)

    await owner.execute("UPDATE telemetry.rejected_source SET day = day - 1 WHERE source = $1", broken)
    await database.write_rows(KEEP_REJECTED.query, rejected(broken, 2))
    assert await kept(owner, broken) == KEPT + 2
    assert await counted(owner, broken) == (2, KEPT + 9, 7)


async def test_the_allowance_holds_for_what_the_ingest_functions_reject(database: Database, owner: Owner) -> None:
    source = new_pair().meter
    await database.write_rows(KEEP_REJECTED.query, rejected(source, KEPT - 1))
    rows = [("no id!", YESTERDAY, 1.0, 230.0, source)] * 3
    outcomes = await database.write_rows(METER.ingest.query, rows)
    assert [outcome for outcome, *_ in outcomes] == ["id_invalid"] * 3
    assert await counted(owner, source) == (KEPT + 2, KEPT + 2, 2)
    assert await kept(owner, source) == KEPT


async def test_a_call_that_keeps_nothing_answers_the_same(database: Database, owner: Owner) -> None:
    source = new_pair().meter
    rows = [("no id!", YESTERDAY, 1.0, 230.0, source)]
    assert [tuple(row) for row in await database.write_rows(METER.ingest.query_once, rows)] == [
        tuple(row) for row in await database.write_rows(METER.ingest.query, rows)
    ]
    assert await kept(owner, source) == 1


async def test_readings_without_a_sender_share_one_allowance(database: Database, owner: Owner) -> None:
    await database.write_rows(KEEP_REJECTED.query, rejected(None))
    assert (await counted(owner, ""))[0] >= 1


async def test_listed_by_page_and_by_every_filter(database: Database) -> None:
    source = new_pair().meter
    for code in ("kind_unknown", "item_malformed", "kind_unknown"):
        await database.write_rows(KEEP_REJECTED.query, rejected(source, 1, code))
    rows = await listed(database, source=source)
    numbers = [row["rejected_id"] for row in rows]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 3
    oldest_first = await listed(database, source=source, newest_first=False, limit=2)
    assert [row["rejected_id"] for row in oldest_first] == sorted(numbers)[:2]
    [last] = await listed(database, source=source, newest_first=False, after=oldest_first[-1]["rejected_id"])
    assert last["rejected_id"] == max(numbers)
    assert len(await listed(database, source=source, code="kind_unknown")) == 2
    assert len(await listed(database, source=source, kind="unknown")) == 3
    assert await listed(database, source=source, kind="meter") == []
    at = rows[1]["received_at"]
    assert [row["received_at"] for row in await listed(database, source=source, since=at)] == [
        rows[0]["received_at"],
        at,
    ]
    assert [row["received_at"] for row in await listed(database, source=source, until=at)] == [rows[2]["received_at"]]

    first = rows[2]
    await database.write_rows(SETTLE_REJECTED_READINGS, [first["rejected_id"]], [first["received_at"]], ["duplicate"])
    second = rows[1]
    await database.write_rows(SETTLE_REJECTED_READINGS, [second["rejected_id"]], [second["received_at"]], ["conflict"])
    assert [row["rejected_id"] for row in await listed(database, source=source, settled=False)] == numbers[:2]
    assert [row["rejected_id"] for row in await listed(database, source=source, settled=True)] == numbers[2:]


async def test_a_replay_stores_what_is_right_now_and_keeps_the_rest_with_the_new_reason(
    database: Database, owner: Owner, pair: Pair
) -> None:
    source = pair.meter
    rows = [
        (pair.meter, YESTERDAY, 1.0, 230.0, source),
        (pair.meter, YESTERDAY, 2.0, 230.0, source),  # a conflict, until the first is gone
        (pair.meter, YESTERDAY, -1.0, 230.0, source),
    ]
    await database.write_rows(METER.ingest.query, rows)
    await database.write_rows(KEEP_REJECTED.query, rejected(source, 1, "item_malformed", "no json"))
    of_unknown_kind = str(meter_reading(pair.meter, YESTERDAY - timedelta(minutes=1))).replace("'", '"')
    await database.write_rows(KEEP_REJECTED.query, rejected(source, 1, "kind_unknown", of_unknown_kind))
    await owner.execute("DELETE FROM telemetry.meter_telemetry_history WHERE meter_id = $1", pair.meter)
    filters = {**NO_FILTERS, "source": source}

    planned = await replay(database, dry_run=True, filters=filters)
    assert planned == {
        "rejected as conflict": 1,
        "rejected as value_out_of_range": 1,
        "rejected as item_malformed": 1,
        "rejected as kind_unknown": 1,
    }
    assert (
        await owner.fetchval("SELECT count(replayed_at) FROM telemetry.rejected_reading WHERE source = $1", source) == 0
    )

    done = await replay(database, dry_run=False, filters=filters)
    assert done == {"stored": 2, "value_out_of_range": 1, "body_malformed": 1}
    history = "telemetry.meter_telemetry_history WHERE meter_id = $1"
    query = f"SELECT array_agg(kwh_consumed_ac ORDER BY counted_at) FROM {history}"
    assert await owner.fetchval(query, pair.meter) == [0.1, 2.0]
    assert await kept(owner, source) == 4, "what is rejected again is not kept a second time"

    again = await replay(database, dry_run=False, filters=filters)
    assert again == {"value_out_of_range": 1, "body_malformed": 1}
    settled = await listed(database, source=source, settled=True)
    assert {row["code"] for row in settled} == {"conflict", "kind_unknown"}


async def test_a_replay_goes_through_every_page_once(
    database: Database, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.commands.rejected.PAGE", 7)
    source = new_pair().meter
    rows = [("no id!", YESTERDAY, 1.0, 230.0, source)] * 30
    await database.write_rows(METER.ingest.query, rows)
    assert await replay(database, dry_run=False, filters={**NO_FILTERS, "source": source}) == {"id_invalid": 30}


async def test_a_sender_of_any_length_is_counted(database: Database, owner: Owner) -> None:
    source = new_pair().meter + "".join(chr(33 + n * 7919 % 90) for n in range(6000))
    await database.write_rows(KEEP_REJECTED.query, rejected(source))
    assert await counted(owner, source[:256]) == (1, 1, 0)
