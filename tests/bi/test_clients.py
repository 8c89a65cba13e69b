"""Clients as BI people use them, on a login of theirs: psql, SQLAlchemy with pandas and Polars, DuckDB."""

from __future__ import annotations

import csv
import importlib.resources
import os
import re
import shutil
import subprocess

import duckdb
import pandas
import polars
import pytest
import sqlalchemy

from tests.bi.conftest import BiDatabase, at
from tests.bi.document import DUCKDB, POLARS, PYTHON, QUERIES
from tests.bi.test_queries import ANSWERS


@pytest.fixture
def psql() -> str:
    found = shutil.which("psql")
    if not found:
        pytest.skip("needs psql on the PATH")
    return found


def run_psql(psql: str, database: BiDatabase, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [psql, database.url, "--no-psqlrc", "--csv", "--set=ON_ERROR_STOP=1", "-c", command],
        env={**os.environ, "PGTZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_psql_prints_the_fleets_week_as_csv(psql: str, bi_database: BiDatabase) -> None:
    printed = run_psql(psql, bi_database, QUERIES["The fleet's last seven days"])
    assert printed.returncode == 0, printed.stderr
    heading, *rows = csv.reader(printed.stdout.splitlines())
    assert heading[:4] == ["day", "kwh_consumed_ac", "kwh_delivered_dc", "efficiency_ratio"]
    expected = ANSWERS["The fleet's last seven days"]
    assert [(row[0], *(pytest.approx(float(cell)) for cell in row[1:])) for row in rows] == [
        (row[0].isoformat(), *row[1:]) for row in expected
    ]


def test_psql_shows_what_a_column_means(psql: str, bi_database: BiDatabase) -> None:
    printed = run_psql(psql, bi_database, r"\d+ bi.meter_hourly")
    assert printed.returncode == 0, printed.stderr
    comments = {row[0]: row[-1] for row in csv.reader(printed.stdout.splitlines()) if len(row) > 5}
    assert comments["kwh_consumed_ac"] == "AC energy drawn, kWh"


def test_psql_is_refused_what_is_not_in_bi(psql: str, bi_database: BiDatabase) -> None:
    refused = run_psql(psql, bi_database, "SELECT * FROM telemetry.meter_telemetry_history")
    assert refused.returncode == 1
    assert "permission denied" in refused.stderr


@pytest.mark.concurrent  # what a login has set for it
def test_psql_of_a_bi_login_writes_nothing(psql: str, bi_database: BiDatabase) -> None:
    refused = run_psql(psql, bi_database, "CREATE TEMPORARY TABLE mine (id int)")
    assert refused.returncode == 1
    assert "read-only transaction" in refused.stderr


def sqlalchemy_url(database: BiDatabase) -> str:
    return database.url.replace("postgresql://", "postgresql+psycopg://")


def test_the_python_of_the_document_fills_a_data_frame(
    bi_database: BiDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENERGY_BI_URL", sqlalchemy_url(bi_database))
    names: dict[str, object] = {}
    exec(PYTHON, names)  # noqa: S102
    engine, days = names["engine"], names["days"]
    assert isinstance(engine, sqlalchemy.Engine)
    assert isinstance(days, pandas.DataFrame)
    engine.dispose()
    types = {name: str(kind) for name, kind in days.dtypes.items()}
    assert types.pop("bucket").endswith("UTC]")
    assert types == {
        "vehicle_id": "str",
        "kwh_consumed_ac": "float64",
        "kwh_delivered_dc": "float64",
        "meter_readings": "int64",
        "is_complete": "bool",
    }
    [_, row] = days[days.vehicle_id == "V007"].to_dict("records")
    assert row["bucket"] == pandas.Timestamp(at(3, "00:00"))
    assert (row["kwh_consumed_ac"], row["meter_readings"], row["is_complete"]) == (3.0, 1, False)
    assert pandas.isna(row["kwh_delivered_dc"])  # unknown, and not 0
    [total] = days.groupby("vehicle_id").kwh_consumed_ac.sum().loc[["V003"]]
    assert total == pytest.approx(65)


def test_the_polars_of_the_document_fills_a_data_frame(
    bi_database: BiDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENERGY_BI_URL", sqlalchemy_url(bi_database))
    names: dict[str, object] = {}
    exec(POLARS, names)  # noqa: S102
    engine, days = names["engine"], names["days"]
    assert isinstance(engine, sqlalchemy.Engine)
    assert isinstance(days, polars.DataFrame)
    engine.dispose()
    assert dict(days.schema) == {
        "date": polars.Date,
        "vehicle_id": polars.String,
        "kwh_consumed_ac": polars.Float64,
        "is_complete": polars.Boolean,
    }
    assert days.filter(polars.col("vehicle_id") == "V003")["kwh_consumed_ac"].sum() == pytest.approx(65)


@pytest.mark.parametrize("title", QUERIES)
def test_pandas_has_a_type_of_its_own_for_every_column_of_every_query(bi_database: BiDatabase, title: str) -> None:
    engine = sqlalchemy.create_engine(sqlalchemy_url(bi_database))
    frame = pandas.read_sql_query(sqlalchemy.text(QUERIES[title]), engine)
    engine.dispose()
    assert len(frame) == len(ANSWERS[title])
    for name, column in frame.items():
        kind = str(column.dtype)
        if name in {"day", "month", "first_day", "last_day"}:
            assert kind == "object"  # dates
            continue
        assert kind in {"str", "int64", "float64"} or (kind.startswith("datetime64[") and "," in kind), (name, kind)


@pytest.mark.concurrent  # DuckDB opens connections of its own
def test_the_duckdb_of_the_document_reads_bi_and_writes_nothing(bi_database: BiDatabase) -> None:
    file = f"extensions/v{duckdb.__version__}/postgres_scanner.duckdb_extension"
    extension = importlib.resources.files("duckdb_extension_postgres_scanner") / file
    install, load, attach, fleet, week = (statement.strip() for statement in DUCKDB.strip().strip(";").split(";"))
    assert (install, load) == ("INSTALL postgres", "LOAD postgres")
    with duckdb.connect() as local:
        local.execute(f"LOAD '{extension}'")  # refused unless DuckDB's own signature is on it
        local.execute(re.sub(r"'host=.*?'", f"'{bi_database.url}'", attach))
        days = local.execute(fleet).to_arrow_table()
        assert {"int64", "double", "string"} <= {str(kind) for kind in days.schema.types}
        assert days.column("kwh_delivered_dc").to_pylist().count(44.5) == 1
        local.execute(week)
        sums = local.execute("SELECT sum(readings), min(voltage_min) FROM week WHERE meter_id = 'M102'").fetchall()
        assert sums == [(3, 206)]
        with pytest.raises(duckdb.Error, match="read-only"):
            local.execute("CREATE TABLE energy.bi.mine (id int)")
