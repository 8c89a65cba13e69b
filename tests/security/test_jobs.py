"""Jobs: no login but energy_owner can make one, and one that somebody else made does not pass for the engine's."""

import json

import asyncpg
import pytest

from tests.support import Owner

PLANTED = {
    "retention": ("_timescaledb_functions.policy_retention", {"drop_after": "1 hour"}),
    "no interval": ("_timescaledb_functions.policy_retention", {"drop_after": "boom"}),
    "compression": ("_timescaledb_functions.policy_compression", {"compress_after": "boom"}),
    "of ours": ("ops.drop_due_chunks", {"drop_after": "boom"}),
}


@pytest.mark.parametrize("role", ["energy_bi", "energy_service", "energy_dba"])
async def test_a_login_cannot_make_change_run_or_delete_a_job(owner: Owner, role: str) -> None:
    functions = await owner.fetch(
        "SELECT p.oid::regprocedure::text AS name, has_function_privilege($1, p.oid, 'EXECUTE') AS may,"
        " has_function_privilege('energy_owner', p.oid, 'EXECUTE') AS owner_may"
        " FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace"
        " AND p.proname ~ '_(job|policy)$|^(remove|add)_[a-z_]*policies$'",
        role,
    )
    assert len(functions) >= 10
    assert [row["name"] for row in functions if row["may"] or not row["owner_may"]] == []
    async with owner.undone() as connection:
        await connection.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT public.add_job('_timescaledb_functions.policy_retention', '1 h')")


@pytest.mark.parametrize("job", PLANTED)
async def test_a_job_of_another_login_is_named_and_is_none_of_the_engines(owner: Owner, job: str) -> None:
    procedure, config = PLANTED[job]
    async with owner.undone() as connection:
        table = await connection.fetchval(
            "SELECT id FROM _timescaledb_catalog.hypertable WHERE table_name = 'meter_telemetry_history'"
        )
        config = {"object": "telemetry.meter_telemetry_history", "hypertable_id": table, **config}
        before = await connection.fetch("SELECT * FROM ops.policy_job")
        planted = await connection.fetchval(
            "SELECT public.add_job($1::text::regproc, '1 h', $2::jsonb, scheduled => FALSE)",
            procedure,
            json.dumps(config),
        )
        assert await connection.fetch("SELECT * FROM ops.policy_job") == before
        assert planted not in [row["job_id"] for row in await connection.fetch("SELECT job_id FROM ops.job_health")]
        assert await connection.fetch("SELECT * FROM ops.apply_policies()") == []
        findings = await connection.fetch("SELECT finding FROM ops.diagnose() WHERE is_fault")
        login = await connection.fetchval("SELECT current_user")
        named = [row["finding"] for row in findings if f"login {login}" in row["finding"]]
        assert any(f"job {planted}" in finding and "delete" in finding for finding in named), findings
