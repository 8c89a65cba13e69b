"""Columns of Superset's datasets in docs/bi/superset, from the comments in the database: part of `make docs`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "bi/superset"
DATASETS = FOLDER / "datasets/energy"
TYPES = {
    "text": "TEXT",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "double precision": "DOUBLE PRECISION",
    "bigint": "BIGINT",
    "boolean": "BOOLEAN",
}


def columns_of(relation: str, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the columns of a relation as a dataset has them, from the rows of `generate_bi.COLUMNS`."""
    return [
        {
            "column_name": name,
            "type": TYPES[kind],
            "is_dttm": kind in {"date", "timestamp with time zone"},
            "groupby": kind != "double precision",
            "filterable": True,
            "description": comment,
        }
        for table, _, name, kind, comment in rows
        if table == relation
    ]


def write(rows: Sequence[Sequence[Any]]) -> None:
    """Write the columns, and the description, of every dataset."""
    for path in DATASETS.glob("*.yaml"):
        dataset = yaml.safe_load(path.read_text())
        dataset["description"] = next(row[1] for row in rows if row[0] == path.stem)
        dataset["columns"] = columns_of(path.stem, rows)
        path.write_text(yaml.safe_dump(dataset, sort_keys=False, allow_unicode=True, width=120))
