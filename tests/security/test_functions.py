"""A function of ours pins the settings that it depends on: a caller's own change nothing."""

from tests.support import Owner

FUNCTIONS = """
SELECT
    p.oid::regprocedure::text AS name, p.prosecdef AS is_definer, p.prosrc AS source, l.lanname AS language,
    coalesce(p.proconfig, '{}') AS config, p.prosqlbody IS NOT NULL AS is_bound
FROM pg_proc AS p
JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.prokind <> 'a'
AND p.pronamespace::regnamespace::text IN ('api', 'telemetry', 'bi', 'ops')
AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
"""
COMMITS = {
    "ops.compress_due_chunks(integer,jsonb)",
    "ops.drop_due_chunks(integer,jsonb)",
    "ops.refresh_aggregates(integer,jsonb)",
}
"""Procedures that commit. PostgreSQL allows that to none with settings of its own, so they name each schema."""


def is_pinned(config: list[str], setting: str) -> bool:
    return any(line.startswith(f"{setting}=") for line in config)


async def test_every_function_finds_its_objects_in_schemas_of_its_own_choice(owner: Owner) -> None:
    rows = await owner.fetch(FUNCTIONS)
    assert len([row for row in rows if row["is_definer"]]) >= 50
    open_ = {row["name"] for row in rows if not row["is_bound"] and not is_pinned(row["config"], "search_path")}
    assert open_ == COMMITS
    for row in rows:
        assert not (row["is_definer"] and row["name"] in COMMITS)
        for line in row["config"]:
            if line.startswith("search_path="):
                path = line.partition("=")[2].split(", ")
                assert (path[0], path[-1]) == ("pg_catalog", "pg_temp"), row["name"]
                assert "public" not in path, row["name"]


async def test_a_function_with_a_backslash_in_its_text_pins_how_it_is_read(owner: Owner) -> None:
    """With standard_conforming_strings off, as a session may set it, '\\d' is 'd'."""
    rows = [row for row in await owner.fetch(FUNCTIONS) if not row["is_bound"] and "\\" in row["source"]]
    assert rows
    assert [row["name"] for row in rows if not is_pinned(row["config"], "standard_conforming_strings")] == []
