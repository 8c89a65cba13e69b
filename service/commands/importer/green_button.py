"""Rows of a Green Button file (ESPI): intervals of energy in Atom XML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import IO, Any
from xml.parsers import expat

from service.commands.importer.rows import FormatError, Row, RowsOfDicts
from service.errors import Problem

_BLOCK_BYTES = 1 << 16
_LONGEST_TEXT = 4096
_DEEPEST = 100
_WATT_HOURS = "72"
_FORWARD = {"", "0", "1"}
_DELTA = {"", "0", "4"}
_NOT_MEASURED = {"8", "9", "12"}
"""Qualities of a reading that is estimated or projected."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Scan:
    """A pass over the elements of a file, in blocks, without a tree.

    Document types are refused: without them there are no entities to expand.
    """

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text_part
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._path: list[str] = []
        self._text = ""
        self._entry: dict[str, Any] = {}
        self._reading: dict[str, str] | None = None
        self._line = 0
        self.resources: list[dict[str, Any]] = []
        self.readings: list[tuple[int, dict[str, str], dict[str, Any]]] = []

    def feed(self, block: bytes) -> None:
        """Parse a block; an empty one ends the file.

        Raises:
            FormatError: the file is in an encoding that is not supported, or declares a document type.
        """
        try:
            self._parser.Parse(block, not block)
        except (LookupError, ValueError) as error:
            raise FormatError(f"the XML cannot be decoded: {error}") from error

    def _refuse(self, *_: Any) -> None:
        raise FormatError(f"line {self._parser.CurrentLineNumber} declares a document type, which Green Button has not")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition("}")[2]
        if len(self._path) == _DEEPEST:
            raise FormatError(f"line {self._parser.CurrentLineNumber} is more than {_DEEPEST} elements deep")
        self._path.append(local)
        self._text = ""
        if local == "entry":
            self._entry = {"links": {}}
        elif local == "link":
            self._entry.setdefault("links", {}).setdefault(attributes.get("rel", ""), []).append(
                attributes.get("href", "").rstrip("/")
            )
        elif local == "IntervalReading":
            self._reading, self._line = {}, self._parser.CurrentLineNumber

    def _text_part(self, text: str) -> None:
        if len(self._text) < _LONGEST_TEXT:
            self._text += text

    def _end(self, name: str) -> None:
        local = self._path.pop()
        parent = self._path[-1] if self._path else ""
        text, self._text = self._text.strip(), ""
        if self._reading is not None:
            if local == "IntervalReading":
                self.readings.append((self._line, self._reading, self._entry))
                self._reading = None
            else:
                self._reading.setdefault(local, text)
        elif parent == "ReadingType":
            self._entry.setdefault("type", {})[local] = text
        elif local == "MeterReading":
            self._entry["is_meter_reading"] = True
        elif local == "entry" and ("type" in self._entry or "is_meter_reading" in self._entry):
            self.resources.append(self._entry)


class GreenButtonRows(RowsOfDicts):
    """Rows with an interval each: timestamp (its end), kwhConsumedAc, and usagePoint, the link of its meter.

    A first pass reads the types of the readings, a second one the intervals. What is no consumption in Wh is left out,
    and so are estimated readings.
    """

    def __init__(self, content: IO[bytes], share: Callable[[], float]) -> None:
        """Read the types.

        Raises:
            FormatError: the file declares a document type.
        """
        super().__init__(share)
        self._content = content
        self.names = ["timestamp", "kwhConsumedAc", "usagePoint"]
        self._types: dict[str, dict[str, str]] = {}
        self._type_of: dict[str, str] = {}
        for scan in self._passes():
            scan.readings.clear()
            for entry in scan.resources:
                for href in entry["links"].get("self", []):
                    if "type" in entry:
                        self._types[href] = entry["type"]
                    else:
                        for link in entry["links"].get("related", []):
                            if "/ReadingType" in link:
                                self._type_of[href] = link
            scan.resources.clear()
        self.facts = {"zone": "UTC, seconds since 1970"}

    def _passes(self) -> Iterator[_Scan]:
        """Iterate over the blocks of the file."""
        self._content.seek(0)
        scan = _Scan()
        while block := self._content.read(_BLOCK_BYTES):
            scan.feed(block)
            yield scan
        scan.feed(b"")
        yield scan

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all intervals, once."""
        for scan in self._passes():
            scan.resources.clear()
            found, scan.readings = scan.readings, []
            for line, reading, entry in found:
                if "type_of" not in entry:
                    entry["type_of"] = self._type(entry["links"])
                if (reason := self._reason(entry["type_of"], reading)) is not None:
                    self.left_out[reason] += 1
                    continue
                try:
                    yield Row(line, _cells(reading, entry))
                except Problem as problem:
                    yield Row(line, str(reading), problem)

    def _type(self, links: dict[str, list[str]]) -> dict[str, str]:
        """Return the type of an interval's readings: by the links, or the only one of the file."""
        for link in [*links.get("self", []), *links.get("up", [])]:
            for meter_reading, reading_type in self._type_of.items():
                if f"{link}/".startswith(f"{meter_reading}/") and reading_type in self._types:
                    return self._types[reading_type]
        if len(self._types) == 1:
            return next(iter(self._types.values()))
        raise FormatError("an IntervalBlock has no link to a MeterReading with a ReadingType, so its unit is unknown")

    @staticmethod
    def _reason(type_: dict[str, str], reading: dict[str, str]) -> str | None:
        """Return the reason why a reading is no measured consumption; None if it is."""
        if type_.get("uom") != _WATT_HOURS:
            return f"readings in uom {type_.get('uom', 'unknown')[:8]}, not {_WATT_HOURS}, Wh"
        if type_.get("flowDirection", "") not in _FORWARD:
            return f"readings of flowDirection {type_['flowDirection'][:8]}, not 1, consumption"
        if type_.get("accumulationBehaviour", "") not in _DELTA:
            return f"readings of accumulationBehaviour {type_['accumulationBehaviour'][:8]}, not 4, of an interval"
        if (quality := reading.get("quality")) in _NOT_MEASURED:
            return f"readings of quality {quality}, estimated"
        return None


def _cells(reading: dict[str, str], entry: dict[str, Any]) -> dict[str, Any]:
    start, duration = _whole(reading, "start"), _whole(reading, "duration")
    value, power = _whole(reading, "value"), _whole(entry["type_of"], "powerOfTenMultiplier", "0")
    if not -12 <= power <= 12:
        raise Problem("value_out_of_range", f"powerOfTenMultiplier {power} is outside -12 to 12")
    power -= 3  # kWh of Wh
    try:
        end = _EPOCH + timedelta(seconds=start + duration)
    except OverflowError:
        raise Problem("timestamp_invalid", f"start {start} is beyond the year 9999") from None
    links = [*entry["links"].get("self", []), *entry["links"].get("up", [])]
    usage_point = next((link for link in links if "UsagePoint/" in link), "")
    return {
        "timestamp": end,
        "kwhConsumedAc": float(value * 10**power) if power >= 0 else value / 10**-power,
        "usagePoint": usage_point.partition("UsagePoint/")[2].partition("/")[0] or None,
    }


def _whole(values: dict[str, str], name: str, default: str = "") -> int:
    text = values.get(name, default)
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise Problem("field_type_invalid", f"{name} must be a whole number, not {text[:64]!r}")
    return int(text)
