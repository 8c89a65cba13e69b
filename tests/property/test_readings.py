"""Any bytes at all: a body is a reading or a problem, and what is taken for a reading is exactly what was written."""

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import OUTCOMES
from service.readings.decode import Rejection, decode_reading
from service.readings.model import METER, VEHICLE, Kind, MeterReading
from tests.support.forms import NOT_FINITE

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["meterId", "vehicleId", "kwhConsumedAc", "voltage", "soc", "kwhDeliveredDc", "batteryTemp", "timestamp", "x"]
TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda time: time.isoformat())


def named_device(body: bytes) -> tuple[str, str] | None:
    """The kind and the id in a JSON body, by Python's own parser; of a name that stands twice, it has the last."""
    value = json.loads(body)
    ids = [(name[:-2], value[name]) for name in ("meterId", "vehicleId") if isinstance(value, dict) and name in value]
    return ids[0] if len(ids) == 1 and isinstance(ids[0][1], str) else None


def try_all(body: bytes) -> None:
    for kind in (None, METER, VEHICLE):
        match decode_reading(body, kind):
            case Rejection() as rejection:
                assert rejection.code in OUTCOMES or rejection.code == "body_malformed"
                assert rejection.detail
                if rejection.code in OUTCOMES:
                    json.loads(body)
                    assert rejection.device == named_device(body)
            case found, reading:
                assert json.loads(body)[f"{found.name}Id"] == reading.device_id


@given(st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_a_reading_or_a_problem(body: bytes) -> None:
    try_all(body)


@given(st.lists(st.tuples(st.sampled_from(NAMES), JSON_VALUES | TIMES), max_size=8))
@settings(max_examples=500, deadline=None)
def test_any_members_in_any_order_and_number_are_a_reading_or_a_problem(members: list) -> None:
    try_all(("{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in members) + "}").encode())


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), JSON_VALUES.map(json.dumps) | st.just("NaN")), max_size=8),
    st.sampled_from(NOT_FINITE),
)
@settings(max_examples=500, deadline=None)
def test_every_spelling_of_nan_is_judged_as_nan_is(members: list[tuple[str, str]], word: str) -> None:
    def body(nan: str) -> bytes:
        values = [(name, nan if value == "NaN" else value) for name, value in members]
        return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in values) + "}").encode()

    try_all(body("NaN"))
    for kind in (None, METER, VEHICLE):
        match decode_reading(body("NaN"), kind), decode_reading(body(word), kind):
            case Rejection() as one, Rejection() as other:
                assert (one.kind, one.code, one.detail, one.device) == (
                    other.kind, other.code, other.detail, other.device,
                )  # fmt: skip
                assert other.text.encode() == body(word)
            case one, other:
                assert one == other


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70) | st.sampled_from([None, ...]),
    st.datetimes(timezones=st.timezones()),
    st.permutations(["meterId", "kwhConsumedAc", "voltage", "timestamp"]),
    st.booleans(),
    st.sampled_from([":", ": ", " : "]),
    st.sampled_from([None, METER]),
)
@settings(max_examples=500, deadline=None)
def test_a_well_formed_reading_is_read_as_it_was_written(
    meter: str,
    kwh: float,
    voltage: float | None,
    time: datetime,
    order: list[str],
    ascii_only: bool,
    colon: str,
    kind: Kind | None,
) -> None:
    if time.utcoffset().total_seconds() % 60:
        return  # an offset with seconds, as of 1890, is not ISO 8601
    values = {"meterId": meter, "kwhConsumedAc": kwh, "voltage": voltage, "timestamp": time.isoformat()}
    members = {name: values[name] for name in order if values[name] is not ...}
    body = json.dumps(members, ensure_ascii=ascii_only, separators=(",", colon)).encode()
    found, reading = decode_reading(body, kind)
    assert found is METER
    assert isinstance(reading, MeterReading)
    measured = None if voltage in {None, ...} else float(voltage)
    assert (reading.meter_id, reading.kwh_consumed_ac, reading.to_row(None)[3]) == (meter, kwh, measured)
    assert reading.timestamp.utctimetuple() == time.utctimetuple()
    assert reading.timestamp.microsecond == time.microsecond
    row = reading.to_row(None)
    assert "\x00" not in row[0]


@given(
    st.permutations(["meterId", "kwhConsumedAc", "voltage", "timestamp"]),
    st.integers(0, 3),
    st.integers(0, 4),
    st.sampled_from(["230.5", "null", ""]),
    st.sampled_from(["230.5", "null", ""]),
)
@settings(max_examples=200, deadline=None)
def test_any_name_that_stands_twice_is_found(
    order: list[str], which: int, where: int, voltage: str, neighbour: str
) -> None:
    values = {"meterId": '"M1"', "kwhConsumedAc": "1", "voltage": voltage, "timestamp": '"2026-02-08T18:00:00Z"'}
    members = [f'"{name}": {values[name]}' for name in order if values[name]]
    members.insert(where, members[which % len(members)])
    twice = ("{" + ", ".join(members) + "}").encode()
    rejection = decode_reading(twice, METER)
    assert isinstance(rejection, Rejection)
    assert rejection.code == "field_duplicate"
    beside = {"voltage": json.loads(neighbour)} if neighbour else {}
    good = json.dumps({"meterId": "M2", "kwhConsumedAc": 1, "timestamp": "2026-02-08T18:00:00Z", **beside}).encode()
    assert METER.decode_many(b"[" + twice + b"," + good + b"]", ndjson=False) is None
    assert METER.decode_many(twice + b"\n" + good, ndjson=True) is None
    assert METER.decode_many(good + b"\n" + good, ndjson=True) is not None
