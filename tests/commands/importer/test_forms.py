"""Imports of every form of a time, of NaN, and of files that begin with a byte order mark."""

import codecs
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.commands.importer.conftest import Import
from tests.commands.importer.test_files import as_csv, as_ndjson, stored
from tests.support import YESTERDAY, Owner, Pair, meter_reading
from tests.support.forms import DAY, FORMS, NOT_FINITE, WITHOUT_OFFSET, with_word


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["plain", "marked"])
@pytest.mark.parametrize(("name", "write"), [("a.csv", as_csv), ("a.ndjson", as_ndjson)])
async def test_every_form_of_a_time_is_its_moment(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, name: str, write, mark: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(mark + write([meter_reading(pair.meter, timestamp=form) for form in [*FORMS, *WITHOUT_OFFSET]]))
    result = await import_(path)
    assert result.counts == {"stored": len(FORMS), "rejected": len(WITHOUT_OFFSET)}
    assert {code for _, code in result.codes} == {"timestamp_invalid"}
    assert [time for time, *_ in await stored(owner, pair.meter)] == list(FORMS.values())


async def test_a_local_day_ends_at_24(import_: Import, owner: Owner, pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv([meter_reading(pair.meter, f"{DAY} {clock}") for clock in ("23:30", "24:00")]))
    assert (await import_(path, timezone="Europe/Paris")).counts == {"stored": 2}
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=ZoneInfo("Europe/Paris")) + timedelta(days=1)
    times = [time for time, *_ in await stored(owner, pair.meter)]
    assert times == [(midnight - timedelta(minutes=30)).astimezone(UTC), midnight.astimezone(UTC)]


@pytest.mark.parametrize("word", NOT_FINITE)
async def test_a_line_with_a_number_that_is_not_finite_is_rejected_alone(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, word: str
) -> None:
    times = [YESTERDAY + n * timedelta(minutes=1) for n in range(3)]
    lines = [
        with_word(meter_reading(pair.meter, times[0]), "unused", word),
        with_word(meter_reading(pair.meter, times[1]), "voltage", word),
        json.dumps(meter_reading(pair.meter, times[2])).encode(),
        word.encode(),
        with_word(meter_reading(pair.meter), "voltage", word).replace(b"{", b'{"voltage": 1, '),
    ]
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"\n".join(lines))
    result = await import_(path)
    assert result.codes == [(2, "value_not_finite"), (4, "field_type_invalid"), (5, "field_duplicate")]
    assert "voltage" in result.rejected[0]["detail"]
    assert [time for time, *_ in await stored(owner, pair.meter)] == [times[0], times[2]]
