"""An answer that something is stored waits for disk and standbys, even if nothing was left to write."""

import asyncpg
import pytest

from service.database.calls import UNLINK_VEHICLE
from service.database.pool import Database
from tests.support import YESTERDAY, Owner, new_pair, rfc3339

PAIR = new_pair()
OTHER = new_pair().meter
AT = rfc3339(YESTERDAY)
METER = f"SELECT api.ingest_meter_readings(ARRAY[('{PAIR.meter}', '{AT}', 1, {{}}, NULL)::api.meter_reading])"
VEHICLE = (
    "SELECT api.ingest_vehicle_readings("
    f"ARRAY[('{PAIR.vehicle}', '{AT}', {{}}, 1, 30, NULL)::api.vehicle_reading], FALSE)"
)
PROFILE = f"SELECT api.set_device_profile('meter', '{PAIR.meter}')"
EXCHANGE = f"SELECT api.exchange_register('meter', '{OTHER}', '{AT}', 2, 1)"
POSITION = "SELECT pg_current_wal_insert_lsn()::text"
HISTORY = "telemetry.meter_telemetry_history"
ACKNOWLEDGED = """
    INSERT INTO telemetry.alert (
        rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, threshold, reason, acknowledged_at
    )
    VALUES ('await', 'battery_hot', 'vehicle', 'await', 'info', now(), now(), 1, '', now())
"""

LEASE = "SELECT api.lease_webhook_messages()"
WEBHOOK = "INSERT INTO telemetry.webhook VALUES ('await', 'https://await.example', 'whsec_await', NULL, TRUE)"

REPEATED = {
    "ingest_meter_readings": (METER.format(230), METER.format(230)),
    "ingest_vehicle_readings": (VEHICLE.format(50), VEHICLE.format(50)),
    "a conflict that is not kept": (VEHICLE.format(50), VEHICLE.format(51)),
    "a rejected reading that is not kept": (VEHICLE.format(50), VEHICLE.format(50).replace(", 1, 30", ", -1, 30")),
    "ingest_rejected_readings": ("", "SELECT api.ingest_rejected_readings('{}')"),
    "link_vehicle": (f"SELECT api.link_vehicle('{PAIR.vehicle}', '{PAIR.meter}', '{AT}')",) * 2,
    "set_device_profile": (PROFILE, PROFILE),
    "exchange_register": (f"SELECT api.set_device_profile('meter', '{OTHER}', 'register'); {EXCHANGE}", EXCHANGE),
    "begin_import": ("", "SELECT api.begin_import('none', 'meter', 'none', TRUE)"),
    "finish_import": ("", "SELECT api.finish_import('none')"),
    "record_import": ("", "SELECT api.record_import('none', 1, 1, 0, 0, 0, 0)"),
    "settle_rejected_readings": ("", "SELECT api.settle_rejected_readings('{}', '{}', '{}')"),
    "create_api_key": ("", "SELECT ops.create_api_key('read')"),
    "rotate_api_key": ("", "SELECT ops.rotate_api_key((SELECT key_id FROM ops.api_key WHERE note = 'await'))"),
    "revoke_api_key": ("", "SELECT ops.revoke_api_key((SELECT key_id FROM ops.api_key WHERE note = 'await'))"),
    "apply_policies": ("", "SELECT ops.apply_policies()"),
    "set_policy": ("", f"SELECT ops.set_policy('{HISTORY}', 'archive', 'false')"),
    "reset_policy": ("", f"SELECT ops.reset_policy('{HISTORY}')"),
    "set_disk_bound": ("", "SELECT ops.set_disk_bound(NULL)"),
    "set_standby_kw": ("", "SELECT ops.set_standby_kw(0.1)"),
    "set_session_gap": ("", "SELECT ops.set_session_gap('15 minutes')"),
    "recompute_sessions": ("", "SELECT ops.recompute_sessions()"),
    "set_default_max_kw": ("", "SELECT ops.set_default_max_kw('meter', NULL)"),
    "set_price": ("", "SELECT ops.set_price(0.3, 'EUR')"),
    "set_grid_intensity": ("", "SELECT ops.set_grid_intensity(300)"),
    "remove_price": ("", "SELECT ops.remove_price((ops.set_price(0.3, 'EUR')).price_id)"),
    "remove_grid_intensity": (
        "",
        "SELECT ops.remove_grid_intensity((ops.set_grid_intensity(300)).grid_intensity_id)",
    ),
    "import_prices": ("", "SELECT ops.import_prices('[]')"),
    "set_price_zone": ("", "SELECT ops.set_price_zone('default')"),
    "set_meter_zone": ("", f"SELECT ops.set_meter_zone('{PAIR.meter}')"),
    "set_time_zone": ("", "SELECT ops.set_time_zone('UTC')"),
    "record_archive": ("", "SELECT ops.record_archive('meter', '2020-01-01Z', '2020-01-02Z', 0, 0, '', '')"),
    "keep_restored": ("", "SELECT ops.keep_restored('meter', '2020-01-01Z', now())"),
    "take_up_again": ("", f"SELECT ops.take_up_again('{HISTORY}', '2020-01-01Z', '2020-01-02Z')"),
    "accept_drift": ("", "SELECT ops.accept_drift()"),
    "restore_readings": ("", "SELECT ops.restore_readings('meter', 'archived'::regclass)"),
    "acknowledge_alert": (
        "",
        "SELECT api.acknowledge_alert(a.id, 'anna') FROM telemetry.alert AS a WHERE a.rule_name = 'await'",
    ),
    "lease_alertmanager": ("", "SELECT api.lease_alertmanager('http://await.example')"),
    "lease_webhook_messages": ("", LEASE),
    "set_alert_rule": ("", "SELECT ops.set_alert_rule('battery_hot')"),
    "remove_alert_rule": ("", "SELECT ops.remove_alert_rule('battery_hot')"),
    "set_webhook": ("", "SELECT ops.set_webhook('await', 'https://await.example')"),
    "remove_webhook": (
        "",
        "SELECT ops.set_webhook('await', 'https://await.example'); SELECT ops.remove_webhook('await')",
    ),
    "import_meter_readings": ("", "SELECT api.import_meter_readings(TRUE)"),
    "import_vehicle_readings": ("", "SELECT api.import_vehicle_readings(TRUE)"),
}
"""Name -> what was done before, and what repeats it."""

TELLS_NOBODY = {
    "api.await_standbys",
    "api.make_import_table",  # the session's own temporary table
    "api.record_api_key_use",  # whose loss costs a time of use
    # their loss costs a message that is sent twice
    "api.settle_alertmanager",
    "api.settle_webhook_message",
    "ops.check_policies",  # a trigger
    "ops.prepare_restore",  # a step of the restore, before ops.restore_readings
    "ops.apply_policy",  # a step of ops.apply_policies
    "ops.guard_chunks",  # made anew by every run of the archive and of retention
    "ops.make_daily_aggregates",  # a step of ops.set_time_zone
    "ops.secure_database",  # of every migration
    "ops.configure_bi_logins",  # likewise, and of the change of the zone
    "ops.record_schema",  # of every migration; ops.accept_drift tells
    "ops.end_bi_sessions",  # whose sessions come back
    "ops.describe_lock_holders",  # reads
    "ops.evaluate_alerts",  # whose next run finds the same
    "ops.run_alert_evaluation",
    "ops.drop_closed_alerts",  # as retention
    "ops.record_job_run",  # the embedded database's
}


@pytest.mark.parametrize("name", REPEATED)
async def test_what_is_told_a_second_time_waits_as_the_first_time_did(owner: Owner, name: str) -> None:
    before, again = REPEATED[name]
    async with owner.connection() as connection:
        if before:
            await connection.execute(before)
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute("SET LOCAL synchronous_commit = off")
            if name.endswith("api_key"):
                await connection.execute("SELECT ops.create_api_key('read', p_note => 'await')")
            elif name == "acknowledge_alert":
                await connection.execute(ACKNOWLEDGED)
            elif name == "lease_webhook_messages":
                await connection.execute(f"{WEBHOOK}; {ACKNOWLEDGED}")
            elif name.startswith("import_"):
                await connection.execute(f"SELECT api.make_import_table('{name.split('_')[1]}')")
            elif name == "restore_readings":
                await connection.execute(
                    f"CREATE TEMPORARY TABLE archived AS SELECT *, counted_at AS recorded_at FROM {HISTORY} LIMIT 0"
                )
            begun = await connection.fetchval(POSITION)
            await connection.execute(again)
            assert await connection.fetchval(f"SELECT ({POSITION})::pg_lsn > $1::text::pg_lsn", begun)
            assert await connection.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
            assert await connection.fetchval("SELECT current_setting('synchronous_commit')") == "on"
        finally:
            await transaction.rollback()
            await connection.execute("SELECT pg_advisory_unlock_all()")


async def test_every_function_that_tells_something_is_stored_is_in_the_list_above(owner: Owner) -> None:
    volatile = """
        SELECT n.nspname || '.' || p.proname AS name, p.prosrc ~ 'api.await_standbys\\(\\)' AS awaits
        FROM pg_proc AS p
        JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('api', 'ops') AND p.provolatile = 'v' AND p.prokind = 'f'
    """
    found = {row["name"]: row["awaits"] for row in await owner.fetch(volatile)}
    assert {name for name, awaits in found.items() if not awaits} == TELLS_NOBODY
    assert {name.partition(".")[2] for name, awaits in found.items() if awaits} - REPEATED.keys() == {"unlink_vehicle"}


@pytest.mark.parametrize("setting", ["off", "local", "remote_write", "on", "remote_apply"])
async def test_a_session_that_does_not_wait_is_made_to_and_one_that_waits_longer_stays(
    owner: Owner, setting: str
) -> None:
    async with owner.undone() as connection:
        await connection.execute(f"SET LOCAL synchronous_commit = {setting}")
        await connection.execute("SELECT api.await_standbys()")
        found = await connection.fetchval("SELECT current_setting('synchronous_commit')")
    assert found == ("remote_apply" if setting == "remote_apply" else "on")


async def test_a_look_for_messages_waits_only_if_it_finds_some(owner: Owner) -> None:
    async with owner.undone() as connection:
        await connection.execute("DELETE FROM ops.webhook_message; SET LOCAL synchronous_commit = off")
        await connection.execute(LEASE)
        assert await connection.fetchval("SELECT current_setting('synchronous_commit')") == "off"


async def test_an_unlinked_vehicle_that_is_unlinked_again_has_waited_too(database: Database, owner: Owner) -> None:
    begun = await owner.fetchval(POSITION)
    with pytest.raises(asyncpg.PostgresError, match="has no link"):
        await database.write_rows(UNLINK_VEHICLE, new_pair().vehicle, YESTERDAY)
    # the aborted transaction itself flushes nothing
    assert await owner.fetchval("SELECT pg_current_wal_flush_lsn() > $1::text::pg_lsn", begun)


@pytest.mark.parametrize("repeated", ["ingest_meter_readings", "finish_import"])
async def test_a_server_that_takes_no_writes_says_so(owner: Owner, repeated: str) -> None:
    async with owner.undone(readonly=True) as connection:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute(REPEATED[repeated][1])
