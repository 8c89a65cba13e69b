"""Every function of schema api, called with arguments that the service would not pass.

What takes readings answers one outcome for each, in their order, and never raises. What reads, or sets, answers rows,
or says what is wrong in a way that `service.errors` knows, or PostgreSQL itself for a value that is none.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.support import Loop, assert_varied, beside, fuzzing, time_limit
from tests.security.test_hostile import HOSTILE
from tests.support import NOW, ROOT, Owner, rfc3339

EXAMPLES = 12
"""Of each function."""
NAMES = sorted(path.stem for path in (ROOT / "sql/api").glob("*.sql"))
DEVICES = ["functions-1", "functions-2"]
Value: TypeAlias = Any
"""A text, None, a list of values (an array) or a tuple of them (a row)."""

# PostgreSQL's text holds any character but NUL, which it refuses itself, and surrogates, which are none
TEXTS = st.one_of(
    st.sampled_from(
        [*DEVICES, "meter", "vehicle", "raw", "15min", "hourly", "daily", "register", "stored", "", "é" * 64]
    ),
    st.sampled_from([text.replace("\x00", "") for text in HOSTILE]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=70),
)
KINDS = st.sampled_from(["meter", "vehicle"])
NO_TIMES = {
    None: "field_missing",
    "infinity": "timestamp_in_future",
    "294276-12-31T23:59:59.999999Z": "timestamp_in_future",
    "9999-12-31T23:59:59.999999Z": "timestamp_in_future",
    "-infinity": "timestamp_too_old",
    "4714-11-24 00:00:00+00 BC": "timestamp_too_old",
    "0001-01-01T00:00:00Z": "timestamp_too_old",
    "1969-12-31T23:59:59.999999Z": "timestamp_too_old",
}
"""What becomes of a reading of such a time."""
TIMES = st.integers(0, 40).map(lambda hours: rfc3339(NOW - timedelta(hours=hours))) | st.sampled_from(list(NO_TIMES))
NUMBERS = st.one_of(
    st.sampled_from(
        ["0", "-0", "1", "24", "100", "1500", "1e7", "120", "-60", "5e-324", "1e-9", "0.85", "86400", None]
    ),
    st.sampled_from(
        ["NaN", "Infinity", "-Infinity", "-5e-324", "1e308", "-1e308", "1500.0000000000002", "17545", "4e15"]
    ),
    st.sampled_from(["100.00000000000001", "10000000.000000002", "-60.00000000000001", "0.016666666666666666"]),
    st.floats().map(repr),
)


def _whole(*numbers: int) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *map(str, numbers)])


STRATEGIES: dict[str, st.SearchStrategy[Value]] = {
    "text": TEXTS | st.none(),
    "timestamp with time zone": TIMES,
    "double precision": NUMBERS,
    "integer": _whole(0, 1, -1, 2, 1000, 10_001, 2**31 - 1, -(2**31)),
    "bigint": _whole(0, 1, -1, 2, 10_001, 2**31, 2**63 - 1, -(2**63)),
    "boolean": st.sampled_from(["true", "false", None]),
}
"""By type; a parameter of a type that is not here, and is no array or row of these, fails the test until it is."""
BY_NAME = {
    **dict.fromkeys(("p_meter_id", "p_vehicle_id", "p_device_id"), st.sampled_from(DEVICES) | STRATEGIES["text"]),
    "p_kind": KINDS | STRATEGIES["text"],
    "p_resolution": st.sampled_from(["15min", "hourly", "daily"]) | STRATEGIES["text"],
}
"""Where a value that fits gets further than most."""

OF_IMPORTS = "energy import alone calls it, with what it has counted itself: PostgreSQL's own refusal will do"
ALSO_RAISED: dict[str, tuple[set[str], str]] = {
    "begin_import": ({"23502", "23514"}, OF_IMPORTS),
    "record_import": ({"23502", "23514"}, OF_IMPORTS),
    "import_meter_readings": ({"55000"}, "without its own table, which test_an_import_... makes"),
    "import_vehicle_readings": ({"55000"}, "without its own table, which test_an_import_... makes"),
}
"""SQLSTATEs beside class IE and class 22, and why."""
NEVER_RAISE = {"ingest_meter_readings", "ingest_vehicle_readings", "ingest_rejected_readings"}

SIGNATURE = """
SELECT format_type(a.type, NULL) AS type, p.proargnames[a.place] AS name
FROM pg_proc AS p CROSS JOIN unnest(p.proargtypes) WITH ORDINALITY AS a (type, place)
WHERE p.pronamespace = 'api'::regnamespace AND p.proname = $1 ORDER BY a.place
"""
FIELDS = """
SELECT format_type(a.atttypid, NULL) FROM pg_attribute AS a
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


class Caller:
    """Calls functions as the service's role, each in a transaction that is rolled back."""

    def __init__(self, owner: Owner, loop: Loop) -> None:
        self._owner = owner
        self._loop = loop

    def call(self, *statements: tuple[str, list[Value]]) -> list[asyncpg.Record]:
        """The rows of the last of some statements, whose {} are arguments: a type and a value each.

        Raises:
            asyncpg.PostgresError: what the database said.
        """
        return self._loop.wait(self._call(statements))

    async def _call(self, statements: tuple[tuple[str, list[Value]], ...]) -> list[asyncpg.Record]:
        async with self._owner.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute("SET LOCAL ROLE energy_service")
                for statement, arguments in statements:
                    texts: list[str | None] = []
                    literals = [literal(type_, value, texts) for type_, value in arguments]
                    rows = await connection.fetch(statement.format(*literals), *texts)
                return rows
            finally:
                await transaction.rollback()


def literal(type_: str, value: Value, texts: list[str | None]) -> str:
    """SQL for a value of a type, with placeholders for the texts in it, which are appended to `texts`."""
    if isinstance(value, list):
        element = type_.removesuffix("[]")
        return f"ARRAY[{', '.join(literal(element, one, texts) for one in value)}]::{type_}"
    if isinstance(value, tuple):
        fields = []
        for text in value:
            texts.append(text)
            fields.append(f"${len(texts)}::text")
        # a row of texts, cast field by field
        return f"CAST(ROW({', '.join(fields)})::text AS {type_})"
    texts.append(value)
    return f"${len(texts)}::text::{type_}"


def strategy_of(type_: str, fields: dict[str, list[str]]) -> st.SearchStrategy[Value]:
    """Values of a type, hostile ones among them."""
    if type_.endswith("[]"):
        return st.lists(strategy_of(type_.removesuffix("[]"), fields), max_size=6) | st.none()
    if type_ in fields:
        return st.tuples(*(STRATEGIES[field] for field in fields[type_])) | st.none()
    return STRATEGIES[type_]


@pytest.fixture(scope="module")
async def fields(owner: Owner) -> dict[str, list[str]]:
    """The types of the fields of the row types that functions of api take."""
    types = await owner.fetch("SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'api'::regnamespace")
    return {type_: [row[0] for row in await owner.fetch(FIELDS, type_)] for (type_,) in types}


@pytest.fixture(scope="module", autouse=True)
async def devices(owner: Owner) -> None:
    """Devices that are known, of both kinds, one with a profile and a link."""
    now = NOW - timedelta(minutes=5)
    for device in DEVICES:
        row = "ARRAY[ROW($1, $2, 1, 2, NULL)::api.meter_reading]"
        await owner.execute(f"SELECT api.ingest_meter_readings({row})", device, now)
        row = "ARRAY[ROW($1, $2, 1, 2, 3, NULL)::api.vehicle_reading]"
        await owner.execute(f"SELECT api.ingest_vehicle_readings({row})", device, now)
    await owner.execute("SELECT api.link_vehicle($1, $1, $2)", DEVICES[0], now)


async def test_every_function_is_called(owner: Owner) -> None:
    there = await owner.fetch("SELECT proname FROM pg_proc WHERE pronamespace = 'api'::regnamespace ORDER BY 1")
    assert [row[0] for row in there] == NAMES


@pytest.mark.timeout(time_limit(EXAMPLES))
@pytest.mark.parametrize("name", NAMES)
async def test_it_answers_or_says_what_is_wrong(owner: Owner, fields: dict[str, list[str]], name: str) -> None:
    signature = [(row["type"], row["name"]) for row in await owner.fetch(SIGNATURE, name)]
    caller = Caller(owner, Loop())
    statement = f"SELECT * FROM api.{name}({', '.join('{}' for _ in signature)})"
    also, _ = ALSO_RAISED.get(name, (set(), ""))

    @given(st.tuples(*(BY_NAME[name] if name in BY_NAME else strategy_of(type_, fields) for type_, name in signature)))
    @fuzzing(EXAMPLES)
    def check(values: tuple[Value, ...]) -> None:
        try:
            caller.call((statement, [(type_, value) for (type_, _), value in zip(signature, values, strict=True)]))
        except asyncpg.PostgresError as error:
            assert name not in NEVER_RAISE, error
            assert error.sqlstate[:2] in {"IE", "22"} or error.sqlstate in also, (error.sqlstate, error)

    try:
        await beside(check)
    finally:
        await owner.execute("SELECT pg_advisory_unlock_all()")  # begin_import's, which outlives its transaction


RANGES = {"meter": [(0, 1e7), (0, 1500)], "vehicle": [(0, 100), (0, 1e7), (-60, 120)]}
MEASURES = {"meter": {1: "voltage"}, "vehicle": {0: "soc", 2: "batteryTemp"}}
"""Place among the numbers -> name of a measure; the other number is the energy."""


def refusal(kind: str, row: tuple[str | None, ...] | None) -> str | None:
    """What is to become of a reading; None where it is a good one."""
    device, time, *numbers = (row or (None,) * 6)[: 2 + len(RANGES[kind])]
    if device is None or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", device):
        return "id_invalid"
    if time in NO_TIMES:
        return NO_TIMES[time]
    for place, (number, (least, most)) in enumerate(zip(numbers, RANGES[kind], strict=True)):
        is_energy = place not in MEASURES[kind]
        if number is None:
            if is_energy:
                return "field_missing"
        elif not math.isfinite(float(number)):
            return "value_not_finite"
        elif is_energy and not least <= float(number) <= most:
            return "value_out_of_range"
    return None


def ignored_in(kind: str, row: tuple[str | None, ...] | None) -> list[str]:
    """The measures that are to be ignored in a good reading."""
    numbers = (row or (None,) * 6)[2 : 2 + len(RANGES[kind])]
    found = []
    for place, name in MEASURES[kind].items():
        least, most = RANGES[kind][place]
        number = float(numbers[place] or 0)
        if not least <= number <= most or 0 < abs(number) < 1e-300:
            found.append(name)
    return found


def rows_of(kind: str) -> st.SearchStrategy[tuple[str | None, ...]]:
    """Readings as rows, of which some are good: with any fields of any kind, hardly one would be."""
    fits = [st.sampled_from([str(least), str(most), "1", "5e-324", "1e-300"]) for least, most in RANGES[kind]]
    good = st.tuples(st.sampled_from([*DEVICES, "a"]), st.integers(0, 9).map(_hours_ago), *fits, TEXTS | st.none())
    numbers = [fit | NUMBERS for fit in fits]
    return good | st.tuples(st.sampled_from(DEVICES) | TEXTS | st.none(), TIMES, *numbers, TEXTS | st.none())


def _hours_ago(hours: int) -> str:
    return rfc3339(NOW - timedelta(hours=hours))


def assert_outcome(kind: str, row: tuple[str | None, ...] | None, outcome: str, detail: str | None) -> None:
    expected = refusal(kind, row)
    taken = {"stored", "duplicate", "conflict", "implausible_energy"}
    assert (outcome == expected) if expected else (outcome in taken), (row, outcome, expected)
    assert (detail is None) == (outcome in {"stored", "duplicate"})


PROFILES = st.none() | st.tuples(
    st.sampled_from(["interval", "register"]), st.none() | st.sampled_from(["5e-324", "1", "1e6"])
)


def prepared(kind: str, profile: tuple[str, str | None] | None) -> list[tuple[str, list[Value]]]:
    """What says, before anything comes, that a device sends a register, or has a limit of power."""
    if profile is None:
        return []
    energy_kind, most = profile
    call = "SELECT api.set_device_profile(p_kind => {}, p_device_id => {}, p_energy_kind => {}, p_max_kw => {})"
    return [(call, [("text", kind), ("text", DEVICES[0]), ("text", energy_kind), ("double precision", most)])]


@pytest.mark.timeout(time_limit(EXAMPLES))
@pytest.mark.parametrize("kind", RANGES)
async def test_each_reading_has_its_outcome_in_its_place(owner: Owner, kind: str) -> None:
    caller = Caller(owner, Loop())
    seen: set[str] = set()

    @given(st.lists(rows_of(kind) | st.none(), max_size=12), PROFILES, st.sampled_from(["true", "false", None]))
    @fuzzing(EXAMPLES * 3)
    def check(rows: list[tuple[str | None, ...] | None], profile: tuple[str, str | None] | None, keep: str) -> None:
        outcomes = caller.call(
            *prepared(kind, profile),
            (
                f"SELECT * FROM api.ingest_{kind}_readings({{}}, {{}})",
                [(f"api.{kind}_reading[]", rows), ("boolean", keep)],
            ),
        )
        assert len(outcomes) == len(rows)
        for row, (outcome, detail, ignored) in zip(rows, outcomes, strict=True):
            assert_outcome(kind, row, outcome, detail)
            expected = ignored_in(kind, row) if outcome in {"stored", "duplicate"} else []
            assert [measure["field"] for measure in ignored or []] == expected
            seen.add("ignored" if ignored else outcome)

    await beside(check)
    assert_varied(
        seen, {"stored", "ignored", "duplicate", "conflict", "id_invalid", "value_out_of_range", "timestamp_in_future"}
    )


@pytest.mark.timeout(time_limit(EXAMPLES))
@pytest.mark.parametrize("kind", RANGES)
async def test_an_import_has_an_outcome_for_each_of_its_rows(owner: Owner, kind: str) -> None:
    caller = Caller(owner, Loop())
    columns = {"meter": "meter_id, recorded_at, kwh_consumed_ac, voltage"}.get(
        kind, "vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp"
    )
    insert = f"""
        INSERT INTO pg_temp.import_{kind}_reading (place, {columns})
        SELECT place, {columns} FROM unnest({{}}) WITH ORDINALITY AS r ({columns}, source, place)
    """
    required = [0, 1, *(2 + place for place in range(len(RANGES[kind])) if place not in MEASURES[kind])]
    whole = rows_of(kind).filter(lambda row: None not in [row[place] for place in required])

    @given(st.lists(whole, max_size=12), PROFILES, st.sampled_from(["true", "false"]))
    @fuzzing(EXAMPLES * 3)
    def check(rows: list[tuple[str | None, ...]], profile: tuple[str, str | None] | None, new: str) -> None:
        answers = caller.call(
            *prepared(kind, profile),
            ("SELECT api.make_import_table({})", [("text", kind)]),
            (insert, [(f"api.{kind}_reading[]", rows)]),
            (f"SELECT * FROM api.import_{kind}_readings({{}})", [("boolean", new)]),
        )
        ignored = {answer["place"] for answer in answers if answer["outcome"] == "ignored"}
        expected = {place for place, row in enumerate(rows, 1) if refusal(kind, row) is None and ignored_in(kind, row)}
        assert ignored == expected
        answers = [answer for answer in answers if answer["outcome"] != "ignored"]
        assert sum(answer["readings"] for answer in answers) == len(rows)
        placed = {answer["place"]: answer for answer in answers if answer["place"] is not None}
        for place, row in enumerate(rows, 1):
            if place in placed:
                assert_outcome(kind, row, placed[place]["outcome"], placed[place]["detail"])
            else:
                assert refusal(kind, row) is None, row

    await beside(check)
