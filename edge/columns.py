"""Which column of a recording is which signal, in which unit. Known recordings are in columns.json.

A mapping reads `FIELD` followed by operations that apply from left to right: `speed*3.6`,
`outdoor_temperature-32/1.8` (degrees Fahrenheit), `charging>0` (1 when the cell is above 0).
FIELD is a signal, or `timestamp` (ISO 8601 or Unix seconds), or `elapsed` (seconds since the start).
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge.protocol.signals import BY_NAME, SIGNALS

ELAPSED: Final = "elapsed"
TIMESTAMP: Final = "timestamp"
_NUMBER: Final = r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_MAPPING: Final = re.compile(rf"([a-z][a-z0-9_]*)((?:[*/+>-]{_NUMBER})*)")
_OPERATION: Final = re.compile(rf"([*/+>-])({_NUMBER})")


class DriveError(Exception):
    """The recording cannot be replayed as asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One column's meaning; `operations` lead from the cell to the field's unit."""

    field: str
    operations: tuple[tuple[str, float], ...] = ()

    def convert(self, value: float) -> float:
        for sign, operand in self.operations:
            value = _OPERATORS[sign](value, operand)
        return value


_OPERATORS: Final[dict[str, Callable[[float, float], float]]] = {
    "*": lambda value, operand: value * operand,
    "/": lambda value, operand: value / operand,
    "+": lambda value, operand: value + operand,
    "-": lambda value, operand: value - operand,
    ">": lambda value, operand: float(value > operand),
}


def parse_mapping(text: str) -> Meaning:
    matched = _MAPPING.fullmatch(text.strip())
    if matched is None:
        raise DriveError(f"{text!r} is not FIELD or FIELD with operations such as FIELD*3.6")
    name = matched[1]
    if name not in BY_NAME and name not in {ELAPSED, TIMESTAMP}:
        raise DriveError(f"{name!r} is no signal; known are {', '.join(BY_NAME)}, {TIMESTAMP}, {ELAPSED}")
    operations = tuple((sign, float(number)) for sign, number in _OPERATION.findall(matched[2]))
    if ("/", 0.0) in operations:
        raise DriveError(f"{text!r} divides by zero")
    return Meaning(name, operations)


def parse_option(text: str) -> tuple[str, Meaning]:
    """`COLUMN=FIELD…`, as the command line gives it."""
    column, equals, mapping = text.rpartition("=")
    if not equals or not column:
        raise DriveError(f"{text!r} is not COLUMN=FIELD")
    return column, parse_mapping(mapping)


@dataclass(frozen=True, slots=True)
class Clock:
    """Date and time in words, in the recording's own time zone."""

    columns: tuple[str, ...]
    format: str
    zone: ZoneInfo

    def read(self, cells: Sequence[str]) -> float:
        """Unix seconds; ValueError when that is no time."""
        text = " ".join(cells)
        return datetime.strptime(text, self.format).replace(tzinfo=self.zone).timestamp()


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read one kind of recording."""

    name: str
    columns: dict[str, Meaning]
    clock: Clock | None = None
    vehicle: str | None = None
    start: float | None = None
    """Where the recording has no date: a fixed one, so that a second replay gives the same instants."""
    extra: tuple[str, ...] = field(default=())
    """Columns that keep their own name and are sent beside the signals."""


def layout_of(header: Sequence[str], options: Iterable[tuple[str, Meaning]], keep_extra: bool) -> Layout:
    """The recording's layout by its header; `options` replace what it says about the same field or column."""
    known = _recognise(header)
    columns = {column: mapping for column, mapping in known.columns.items() if column in header}
    given = dict(options)
    missing = [column for column in given if column not in header]
    if missing:
        raise DriveError(f"there is no column {', '.join(missing)}; the header has {', '.join(header)}")
    fields = {mapping.field for mapping in given.values()}
    columns = {column: mapping for column, mapping in columns.items() if mapping.field not in fields}
    columns |= given
    times = {TIMESTAMP, ELAPSED}
    clock = None if fields & times else known.clock
    if not any(mapping.field not in times for mapping in columns.values()):
        raise DriveError(f"no column is a known signal: {', '.join(header)}; name some with --map")
    if clock is None and not any(mapping.field in times for mapping in columns.values()):
        raise DriveError("no column tells the time; name one with --map COLUMN=timestamp or COLUMN=elapsed")
    taken = {*columns, "t_s", known.vehicle, *(clock.columns if clock else ())}
    extra = tuple(column for column in header if column not in taken) if keep_extra else ()
    return Layout(known.name, columns, clock, known.vehicle, known.start, extra)


def _recognise(header: Sequence[str]) -> Layout:
    for layout, marks in _known():
        if marks <= set(header):
            return layout
    own = {signal.name: Meaning(signal.name) for signal in SIGNALS}
    own |= {signal.column: Meaning(signal.name) for signal in SIGNALS}
    times = {"t_s": Meaning(ELAPSED)} if "t_s" in header else {TIMESTAMP: Meaning(TIMESTAMP)}
    return Layout("drive", own | times)


@cache
def _known() -> list[tuple[Layout, frozenset[str]]]:
    content: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    return [(_layout(name, entry), frozenset(entry["marks"])) for name, entry in content.items()]


def _layout(name: str, entry: dict[str, Any]) -> Layout:
    columns = {column: parse_mapping(text) for column, text in entry["columns"].items()}
    clock = entry.get("clock")
    start = entry.get("start")
    return Layout(
        name,
        columns,
        Clock(tuple(clock["columns"]), clock["format"], _zone(clock["zone"])) if clock else None,
        entry.get("vehicle"),
        datetime.fromisoformat(start).timestamp() if start else None,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError as error:
        raise DriveError(f"this machine knows no time zones ({name}): pip install tzdata") from error


def instant(text: str) -> float:
    """ISO 8601 (UTC when it names no zone) or Unix seconds; ValueError when it is neither."""
    try:
        return float(text)
    except ValueError:
        parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
