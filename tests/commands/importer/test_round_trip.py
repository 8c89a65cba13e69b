"""Exports of the product and of psql, imported again: the same readings, of both kinds, with registers or without."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from service.commands.archive.parquet import Column, schema_of, write
from tests.commands.importer.conftest import Import
from tests.support import NOW, Api, Owner, Pair, new_pair

MIDNIGHT = NOW.replace(hour=0, minute=0) - timedelta(days=1)
# the midnight that ends a day, a minute, microseconds
TIMES = [MIDNIGHT, MIDNIGHT + timedelta(minutes=1), MIDNIGHT + timedelta(minutes=2, microseconds=123)]
RELATED = {
    "meter": ("meter_id", "meter_telemetry_history"),
    "vehicle": ("vehicle_id", "vehicle_telemetry_history"),
}


def device_of(pair: Pair, kind: str) -> str:
    return pair.meter if kind == "meter" else pair.vehicle


async def send(api: Api, kind: str, device: str, energies: list[float]) -> None:
    for time, energy in zip(TIMES, energies, strict=True):
        if kind == "meter":
            answer = await api.post_meter(device, time, kwhConsumedAc=energy, voltage=230.25)
        else:
            answer = await api.post_vehicle(device, time, kwhDeliveredDc=energy, soc=50.5, batteryTemp=-3.75)
        assert answer.status_code == 201, answer.text


async def history(owner: Owner, kind: str, device: str) -> list[dict[str, Any]]:
    """All columns but the id and the moment of arrival."""
    id_, table = RELATED[kind]
    rows = await owner.fetch(f"SELECT * FROM telemetry.{table} WHERE {id_} = $1 ORDER BY counted_at", device)
    return [{name: value for name, value in row.items() if name not in {id_, "received_at"}} for row in rows]


async def of_psql(owner: Owner, kind: str, device: str, zone: str) -> bytes:
    """A table as \\copy ... csv header writes it: the columns of the table, the server's own texts of their values."""
    id_, table = RELATED[kind]
    async with owner.connection() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL TimeZone = '{zone}'")
        names = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'telemetry' AND table_name = $1 "
            "ORDER BY ordinal_position",
            table,
        )
        columns = [name for (name,) in names]
        texts = ", ".join(f"{name}::text" for name in columns)
        rows = await connection.fetch(f"SELECT {texts} FROM telemetry.{table} WHERE {id_} = $1", device)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().encode()


async def of_archive(owner: Owner, kind: str, device: str, path: Path) -> None:
    """A file as `energy archive` writes it: the device's own times, every other column as the table has it."""
    id_, table = RELATED[kind]
    rows = await owner.fetch(
        f"SELECT *, telemetry.recorded_at(counted_at) AS recorded_at FROM telemetry.{table} WHERE {id_} = $1", device
    )
    types = await owner.fetch(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'telemetry' "
        "AND table_name = $1 ORDER BY ordinal_position",
        table,
    )
    schema = schema_of(
        [Column("recorded_at" if name == "counted_at" else name, type_, True, "") for name, type_ in types], {}
    )
    arrays = [pa.array([row[name] for row in rows], schema.field(name).type) for name in schema.names]
    write(path, schema, [pa.record_batch(arrays, schema)])


SOURCES = ["psql-utc", "psql-paris", "psql-kolkata", "csv", "ndjson", "archive"]
ZONES = {"psql-utc": "UTC", "psql-paris": "Europe/Paris", "psql-kolkata": "Asia/Kolkata"}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", ["meter", "vehicle"])
@pytest.mark.parametrize("energy_kind", ["interval", "register"])
async def test_what_is_exported_is_imported(
    api: Api, owner: Owner, import_: Import, tmp_path: Path, source: str, kind: str, energy_kind: str
) -> None:
    device, copy = device_of(new_pair(), kind), device_of(new_pair(), kind)
    profile = "SELECT api.set_device_profile($1, $2, $3)"
    await owner.execute(profile, kind, device, energy_kind)
    energies = [100.0, 100.5, 100.5 + 1 / 3] if energy_kind == "register" else [0.25, 0.5, 1 / 3]
    await send(api, kind, device, energies)
    path = tmp_path / ("a.parquet" if source == "archive" else "a.ndjson" if source == "ndjson" else "a.csv")
    if source == "archive":
        await of_archive(owner, kind, device, path)
    elif source in ZONES:
        path.write_bytes(await of_psql(owner, kind, device, ZONES[source]))
    else:
        answer = await api.http.get(f"/v1/history/{kind}/{device}", params={"format": source, "hours": 72})
        assert answer.status_code == 200, answer.text
        path.write_bytes(answer.content)
    # back where it came from it is there already
    same = {} if source in {*ZONES, "archive"} else {"constants": {f"{kind}Id": device}}
    assert (await import_(path, **same)).counts == {"duplicates": 3}
    before = await history(owner, kind, device)
    assert len(before) == 3
    # under another id, of a device that is declared alike, it becomes the same
    await owner.execute(profile, kind, copy, energy_kind)
    assert (await import_(path, constants={f"{kind}Id": copy})).counts == {"stored": 3}
    assert await history(owner, kind, copy) == before
    # and of one that is not declared, the energies of its intervals
    plain = device_of(new_pair(), kind)
    assert (await import_(path, constants={f"{kind}Id": plain})).counts == {"stored": 3}
    energy = "kwh_consumed_ac" if kind == "meter" else "kwh_delivered_dc"
    assert [row[energy] for row in await history(owner, kind, plain)] == [row[energy] for row in before]
