"""A database of an earlier state, with data in it, migrates to this version and loses nothing.

`from_<state>.sql` are inserts that are valid in that state; a state has its own and those of the states before it.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.database.migrate import migrate
from service.database.migrations import CODE_SCHEMAS, SQL_DIR, known_migrations
from tests.support import TestDatabase
from tests.support.schema import golden, schema_of

pytestmark = pytest.mark.long

FOLDER = Path(__file__).parent
STATES = sorted(path.stem.removeprefix("from_") for path in FOLDER.glob("from_*.sql"))
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
HISTORIES = ("meter_telemetry_history", "vehicle_telemetry_history")
RENAMED = {
    "stream": "kind",
    "refused_source": "rejected_source",
    "refused_on_day": "rejected_on_day",
    "refused": "rejected",
    "last_refused_at": "last_rejected_at",
    "refused_bytes": "rejected_bytes",
}
"""Tables and columns by the names that they have since 0015."""
GONE = "stale_day"  # what is stale is read from TimescaleDB's own account since 0014
TABLES = f"""
    SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = 'r' AND c.relname <> '{GONE}'
    GROUP BY c.relname ORDER BY c.relname
"""
PERFORMANCE = "SELECT total_energy_consumed_ac, meter_readings, meter_ids FROM api.get_vehicle_performance(%s, %s, %s)"

Connection = psycopg.Connection[Any]


def sql_of(state: str, folder: Path) -> Path:
    """The migrations up to a state, and no code: what the inserts need."""
    shutil.copytree(SQL_DIR, folder, ignore=shutil.ignore_patterns(*CODE_SCHEMAS))
    (folder / "retired.sql").write_text("")
    sums = folder / "migrations" / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if line.split()[1][:4] <= state]
    sums.write_text("\n".join(kept) + "\n")
    for path in (folder / "migrations").glob("*.sql"):
        if path.name[:4] > state:
            path.unlink()
    return folder


def connect(url: str) -> Connection:
    connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
    connection.execute("RESET ROLE; SET search_path = public; SET TimeZone = 'UTC'")
    return connection


def contents(
    connection: Connection, tables: list[tuple[str, list[str]]], *, migrated: bool = False
) -> dict[str, list[tuple]]:
    """The rows of tables; those of a history as its devices stamped them, in whatever column that is kept."""
    stamped = "telemetry.recorded_at(counted_at)" if migrated else "recorded_at"
    renamed = RENAMED if migrated else {}
    found = {}
    for table, columns in tables:
        names = [
            stamped if table in HISTORIES and name == "recorded_at" else renamed.get(name, name) for name in columns
        ]
        found[table] = connection.execute(
            f"SELECT {', '.join(names)} FROM telemetry.{renamed.get(table, table)} ORDER BY 1, 2"
        ).fetchall()
    return found


def is_fresh(connection: Connection) -> bool:
    """True if the schema is that of a fresh installation.

    The settings of its jobs may be the fleet's own, and a view keeps chunks from being dropped while they are archived.
    """
    found, fresh = (
        [line for line in lines if not line.startswith("job ") and "ops.archive_guard" not in line]
        for lines in (schema_of(connection), golden())
    )
    assert sorted(set(found) ^ set(fresh)) == []
    assert connection.execute("SELECT finding FROM ops.diagnose_schema() WHERE is_fault").fetchall() == []
    return True


def run_jobs(connection: Connection) -> None:
    """Every job of the engine once, those that refresh first."""
    # a server's own workers, at the same chunks, would fail them
    connection.execute("SELECT _timescaledb_functions.stop_background_workers()")
    jobs = connection.execute("SELECT job_id FROM ops.policy_job ORDER BY duty <> 'refresh', job_id").fetchall()
    assert len(jobs) > 10
    for (job,) in jobs:
        connection.execute(f"CALL run_job({job})")


@pytest.mark.parametrize("state", STATES)
def test_what_an_earlier_state_holds_is_there_after_the_upgrade(
    empty_database: TestDatabase, tmp_path: Path, state: str
) -> None:
    url = empty_database.url
    applied = migrate(url, sql_of(state, tmp_path / "sql"))
    assert applied[-1].startswith(state)
    with connect(url) as connection:
        for earlier in STATES[: STATES.index(state) + 1]:
            connection.execute((FOLDER / f"from_{earlier}.sql").read_bytes())
        if state >= "0010":  # some of it materialized
            span = (TODAY - 10 * timedelta(days=1), TODAY - 4 * timedelta(days=1))
            connection.execute("CALL refresh_continuous_aggregate('bi.meter_15min', %s, %s)", span)
        tables = connection.execute(TABLES).fetchall()
        before = contents(connection, tables)
    assert len(before["meter_telemetry_history"]) >= 300

    assert migrate(url) == sorted(known_migrations())[len(applied) :]

    with connect(url) as connection:
        assert contents(connection, tables, migrated=True) == before
        for kind in ("meter", "vehicle"):
            differing = f"""
                SELECT s.{kind}_id FROM telemetry.{kind}_current_status AS s
                FULL JOIN (
                    SELECT {kind}_id, telemetry.recorded_at(max(counted_at)) AS newest
                    FROM telemetry.{kind}_telemetry_history GROUP BY 1
                ) AS h USING ({kind}_id)
                WHERE s.recorded_at IS DISTINCT FROM h.newest
            """
            assert connection.execute(differing).fetchall() == []
            unlike_its_first_day = f"""
                SELECT s.{kind}_id FROM telemetry.{kind}_current_status AS s
                JOIN (
                    SELECT {kind}_id, date_trunc('day', min(counted_at), 'UTC') AS first_day
                    FROM telemetry.{kind}_telemetry_history GROUP BY 1
                ) AS h USING ({kind}_id)
                WHERE s.first_received_at IS DISTINCT FROM h.first_day
            """
            assert connection.execute(unlike_its_first_day).fetchall() == []
        assert is_fresh(connection)
        assert connection.execute("SELECT * FROM ops.apply_policies()").fetchall() == []
        assert connection.execute("SELECT * FROM ops.policy_faults()").fetchall() == []
        retry = connection.execute(
            "SELECT i.outcome FROM telemetry.meter_telemetry_history AS h, LATERAL api.ingest_meter_readings("
            "ARRAY[ROW(h.meter_id, telemetry.recorded_at(h.counted_at), h.kwh_consumed_ac, h.voltage, NULL)"
            "::api.meter_reading, "
            "ROW(h.meter_id, now(), 1, 230, NULL)::api.meter_reading]) AS i "
            "WHERE h.meter_id = 'M1' AND h.counted_at = telemetry.counted_at(%s)",
            [TODAY - timedelta(days=6)],
        )
        assert [outcome for (outcome,) in retry] == ["duplicate", "stored"]
        # V3 was fed by M3, and by M2 from the second day on: 0.5 + n at the end of each hour n, the first at a midnight
        begin = TODAY - timedelta(days=6)
        window, without_first = ("V3", begin - timedelta(hours=1), TODAY), ("V3", begin, TODAY)
        kwh = sum(0.5 + n for n in range(100))
        for _ in range(2):
            assert connection.execute(PERFORMANCE, window).fetchone() == (kwh, 100, ["M3", "M2"])
            assert connection.execute(PERFORMANCE, without_first).fetchone() == (kwh - 0.5, 99, ["M3", "M2"])
            run_jobs(connection)
        for aggregate in ("15min", "hourly", "daily"):
            query = f"SELECT sum(kwh_consumed_ac), sum(readings) FROM bi.meter_{aggregate} WHERE meter_id = 'M2'"
            assert connection.execute(query).fetchone() == (kwh, 100)
    assert migrate(url) == []


def test_an_upgrade_drops_nothing_that_a_dba_has_kept_for_longer(empty_database: TestDatabase, tmp_path: Path) -> None:
    migrate(empty_database.url, sql_of("0011", tmp_path / "sql"))
    with connect(empty_database.url) as connection:
        for state in STATES:
            connection.execute((FOLDER / f"from_{state}.sql").read_bytes())
    migrate(empty_database.url)
    with connect(empty_database.url) as connection:
        kept = "SELECT object, drop_after::text FROM ops.policy WHERE object LIKE 'telemetry.%' ORDER BY 1"
        assert connection.execute(kept).fetchall() == [
            ("telemetry.alert", "2 years"),
            ("telemetry.meter_telemetry_history", "5 years"),
            ("telemetry.rejected_reading", "30 days"),
            ("telemetry.vehicle_telemetry_history", None),
        ]
        run_jobs(connection)
        old = "SELECT count(*) FROM telemetry.meter_telemetry_history WHERE counted_at < now() - INTERVAL '2 years'"
        assert connection.execute(old).fetchone() == (1,)


def test_measures_become_optional_and_no_reading_bucket_or_compressed_chunk_changes(
    empty_database: TestDatabase, tmp_path: Path
) -> None:
    """From 0018, in which every reading had every measure: old, compressed and dropped history."""
    migrate(empty_database.url, sql_of("0018", tmp_path / "sql"))
    day = timedelta(days=1)
    begin = TODAY - 8 * day
    aggregates = [f"bi.{kind}_{width}" for width in ("15min", "hourly", "daily") for kind in ("meter", "vehicle")]

    def buckets(connection: Connection, last: datetime) -> list[list[tuple]]:
        query = "SELECT * FROM {} WHERE bucket < %s ORDER BY 1, 2"
        return [connection.execute(query.format(name), [last]).fetchall() for name in aggregates]

    with connect(empty_database.url) as connection:
        for kind, values in (("meter", "0.1, 230"), ("vehicle", "50 + n, 0.09, 20 + n")):
            columns = {"meter": "kwh_consumed_ac, voltage", "vehicle": "soc, kwh_delivered_dc, battery_temp"}[kind]
            connection.execute(
                f"INSERT INTO telemetry.{kind}_telemetry_history ({kind}_id, counted_at, {columns}) "
                f"SELECT 'X1', %s + n * INTERVAL '6 hours' + INTERVAL '1 minute', {values} "
                "FROM generate_series(0, 15) AS n",
                [begin],
            )
        for name in aggregates:
            connection.execute(f"CALL refresh_continuous_aggregate('{name}', NULL, %s)", [TODAY - 3 * day])
        for kind in ("meter", "vehicle"):
            history = f"telemetry.{kind}_telemetry_history"
            connection.execute(f"SELECT compress_chunk(c) FROM show_chunks('{history}') AS c")
            connection.execute(f"SELECT drop_chunks('{history}', older_than => %s)", [begin + day])
        before = buckets(connection, TODAY)
        assert [len(rows) for rows in before] == [16, 16, 16, 16, 4, 4]

    migrate(empty_database.url)

    with connect(empty_database.url) as connection:
        assert is_fresh(connection)
        assert buckets(connection, TODAY) == before
        late = begin + 2 * day + timedelta(minutes=2)  # of a compressed chunk
        for kind, measures in (("meter", "0.1, NULL"), ("vehicle", "254, 0.09, -127")):
            query = (
                f"SELECT i.outcome FROM api.ingest_{kind}_readings("
                f"ARRAY[ROW('X1', %s, {measures}, NULL)::api.{kind}_reading]) AS i"
            )
            assert [connection.execute(query, [late]).fetchone() for _ in range(2)] == [("stored",), ("duplicate",)]
        run_jobs(connection)
        for name, measure, column in (("meter", "voltage", 230), ("vehicle", "battery_temp", 28)):
            query = f"SELECT readings, {measure}_readings, {measure}_avg FROM bi.{name}_15min WHERE bucket = %s"
            assert connection.execute(query, [begin + 2 * day]).fetchone() == (2, 1, column)
        dropped = [[row for row in rows if row[1] < begin + day] for rows in before]
        assert [len(rows) for rows in dropped] == [4, 4, 4, 4, 1, 1]
        assert buckets(connection, begin + day) == dropped
