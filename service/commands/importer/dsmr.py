"""Rows of telegrams of a P1 port (DSMR): one a telegram."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TextIO

from service.commands.importer.rows import Row, RowsOfDicts, bounded_lines
from service.errors import Problem

_MOST_LINES = 1000
_OBJECT = re.compile(r"\d+-\d+:(\d+\.\d+\.\d+)\((.*?)\)", re.ASCII)
_TOTALS = ("1.8.1", "1.8.2")
"""Registers of consumption by tariff, which add up."""
_TOTAL = "1.8.0"
_VOLTAGE = "32.7.0"
_CLOCK = "1.0.0"
_EQUIPMENT = "96.1.1"
_OFFSETS = {"S": timezone(timedelta(hours=2)), "W": timezone(timedelta(hours=1))}
"""Flag of a time -> summer or winter time of Central Europe."""


class DsmrRows(RowsOfDicts):
    """Rows with meterId, timestamp, registerKwh (sum of the tariffs), and voltage (of phase 1)."""

    def __init__(self, content: TextIO, share: Callable[[], float]) -> None:
        super().__init__(share)
        self._lines = bounded_lines(content)
        self.names = ["meterId", "timestamp", "registerKwh", "voltage"]
        self.facts = {"zone": "Central European, told by S (summer) and W (winter) of each time"}

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all telegrams, once; one that is cut or damaged is rejected."""
        telegram: list[str] = []
        first = 0
        for number, text in self._lines:
            line = text.rstrip("\r\n")
            if line.startswith("/"):
                if telegram:
                    yield _cut(first, telegram)
                telegram, first = [line], number
            elif telegram and line.startswith("!"):
                yield _row(first, telegram, line[1:].strip())
                telegram = []
            elif telegram:
                telegram.append(line)
                if len(telegram) > _MOST_LINES:
                    yield _cut(first, telegram)
                    telegram = []
            elif line.strip():
                yield Row(
                    number, line, Problem("item_malformed", "the line is outside a telegram, which begins with /")
                )
        if telegram:
            yield _cut(first, telegram)


def _cut(line: int, telegram: list[str]) -> Row:
    return Row(line, "\n".join(telegram), Problem("item_malformed", "the telegram has no end, a line with !"))


def _row(line: int, telegram: list[str], checksum: str) -> Row:
    text = "\n".join(telegram)
    try:
        whole = "".join(part + "\r\n" for part in telegram) + "!"
        if checksum and f"{_crc16(whole):04X}" != checksum.upper():
            raise Problem("item_malformed", f"the telegram is damaged: its checksum is not {checksum[:8]}")
        values: dict[str, str] = {}
        for part in telegram:
            if (found := _OBJECT.match(part)) and found[1] not in values:
                values[found[1]] = found[2]
        return Row(line, _cells(values))
    except Problem as problem:
        return Row(line, text, problem)


def _cells(values: dict[str, str]) -> dict[str, Any]:
    energies = [_number(values[code], "kWh", code) for code in _TOTALS if code in values]
    if not energies and _TOTAL in values:
        energies = [_number(values[_TOTAL], "kWh", _TOTAL)]
    equipment = values.get(_EQUIPMENT, "")
    try:
        meter_id = bytes.fromhex(equipment).decode("ascii") if equipment else None
    except ValueError:
        meter_id = equipment
    return {
        "meterId": meter_id,
        "timestamp": _time(values[_CLOCK]) if _CLOCK in values else None,
        "registerKwh": float(sum(energies, Decimal(0))) if energies else None,
        "voltage": float(_number(values[_VOLTAGE], "V", _VOLTAGE)) if _VOLTAGE in values else None,
    }


def _number(text: str, unit: str, code: str) -> Decimal:
    value, _, found = text.partition("*")
    if found != unit or not re.fullmatch(r"\d{1,12}(\.\d{1,9})?", value, re.ASCII):
        raise Problem("field_type_invalid", f"object {code} must be a number of {unit}, not {text[:64]!r}")
    return Decimal(value)


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text[:-1], "%y%m%d%H%M%S").replace(tzinfo=_OFFSETS[text[-1:]])
    except (ValueError, KeyError):
        detail = f"object {_CLOCK} must be a time written YYMMDDhhmmss with S or W, not {text[:64]!r}"
        raise Problem("timestamp_invalid", detail) from None


def _crc16(text: str) -> int:
    """Return the CRC-16 (reflected 0x8005, from 0) of a telegram from / to !."""
    crc = 0
    for byte in text.encode("latin-1", "replace"):
        crc = crc >> 8 ^ _CRC_OF_BYTE[(crc ^ byte) & 0xFF]
    return crc


def _crc_of_byte(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


_CRC_OF_BYTE = [_crc_of_byte(byte) for byte in range(256)]
