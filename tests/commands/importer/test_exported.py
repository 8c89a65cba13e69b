"""The history of a device, as the service gives it, comes back through an import."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.commands.importer.conftest import Import
from tests.support import YESTERDAY, Api, Pair, meter_reading, vehicle_reading

TIMES = [YESTERDAY, YESTERDAY + timedelta(minutes=1), YESTERDAY + timedelta(minutes=2, microseconds=123_456)]
WINDOW = {"start": f"{TIMES[0] - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}", "hours": 3}


@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_an_exported_history_is_imported_as_it_is(
    api: Api, import_: Import, pair: Pair, tmp_path: Path, kind: str, form: str
) -> None:
    device, make = {"meter": (pair.meter, meter_reading), "vehicle": (pair.vehicle, vehicle_reading)}[kind]
    for time in TIMES:
        assert (await api.post("/v1/ingest", make(device, time))).status_code == 201

    async def exported(of: str, form: str) -> httpx.Response:
        return await api.http.get(f"/v1/history/{kind}/{of}", params={**WINDOW, "format": form})

    path = tmp_path / f"history.{form}"
    path.write_text((await exported(device, form)).text)
    for of, counts in ((device, {"duplicates": 3}), (f"copy-{device}", {"stored": 3})):
        assert (await import_(path, kind=kind, constants={f"{kind}Id": of})).counts == counts
    first, copy = [
        [{**item, "receivedAt": None} for item in (await exported(of, "json")).json()["items"]]
        for of in (device, f"copy-{device}")
    ]
    assert first == copy
    assert len(first) == 3
