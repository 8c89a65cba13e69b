"""Any bytes at all as a batch: what is found in it is what a plain JSON parser finds."""

import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import OUTCOMES, Problem
from service.readings.batch import Batch, decode_batch
from service.readings.decode_errors import elements
from service.readings.model import METER
from tests.property.test_readings import JSON_VALUES
from tests.support.forms import NOT_FINITE

READING = b'{"meterId":"M1","kwhConsumedAc":1,"voltage":2,"timestamp":"2026-02-08T18:00:00Z"}'


@given(st.lists(JSON_VALUES, max_size=8), st.sampled_from([None, 1]), st.sampled_from(["", " ", "\n\t"]))
@settings(max_examples=300, deadline=None)
def test_the_elements_of_an_array_are_those_json_finds(values: list, indent: int | None, space: str) -> None:
    body = (space + json.dumps(values, indent=indent) + space).encode()
    assert [json.loads(element) for element in elements(body) if element] == values


@given(
    st.lists(JSON_VALUES.map(json.dumps) | st.sampled_from(NOT_FINITE), max_size=8), st.sampled_from(["", " ", "\n\t"])
)
@settings(max_examples=300, deadline=None)
def test_a_word_for_nan_is_an_element_and_moves_no_other(values: list[str], space: str) -> None:
    nested = [f'{{"x": [{value}]}}' for value in values]
    body = f"[{space}{f'{space},{space}'.join(values + nested)}{space}]".encode()
    assert [element.decode() for element in elements(body) if element] == values + nested


@given(st.binary(max_size=60) | st.text('[]{}",: 1ea\\\n', max_size=30).map(str.encode))
@settings(max_examples=1000, deadline=None)
def test_what_is_no_array_is_malformed_and_nothing_else(body: bytes) -> None:
    try:
        found = [element for element in elements(body) if element]
    except Problem as problem:
        assert problem.code == "body_malformed"
        assert problem.detail
        with contextlib.suppress(ValueError, UnicodeDecodeError):
            assert not isinstance(json.loads(body), list), "a good array was rejected"
    else:
        assert len(json.loads(body)) == len(found)


@given(st.lists(st.binary(max_size=40) | st.just(READING), max_size=10), st.booleans(), st.sampled_from([None, METER]))
@settings(max_examples=500, deadline=None)
def test_every_item_is_accounted_for_once_in_its_place(items: list[bytes], ndjson: bool, kind: object) -> None:
    body = b"\n".join(items) if ndjson else b"[" + b",".join(items) + b"]"
    try:
        batch = Batch()
        for _ in decode_batch(batch, body, ndjson=ndjson, kind=kind, most=1000):
            pass
    except Problem as problem:
        is_empty = not body.strip(b" \t\r\n") if ndjson else body.translate(None, b" \t\r\n") == b"[]"
        assert problem.code == ("batch_empty" if is_empty else "body_malformed")
        assert not ndjson or is_empty
        return
    assert batch.received
    indexes = [index for found in batch.readings.values() for index, _ in found] + [
        index for index, _ in batch.rejected
    ]
    assert sorted(indexes) == list(range(batch.received))
    assert {rejection.code for _, rejection in batch.rejected} <= OUTCOMES.keys()
    if ndjson:
        assert len(batch.readings[METER]) >= items.count(READING)
