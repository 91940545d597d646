"""A recorded drive as a row of readings: CSV, plain or gzip, as it is, dirt included.

What a cell does not say stays absent, and everything that had to be left out is counted; nothing is guessed.
"""

import csv
import gzip
import io
import math
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.columns import ELAPSED, TIMESTAMP, DriveError, Layout, Meaning, instant, layout_of
from edge.protocol.checks import EARLIEST, FUTURE_LIMIT_S
from edge.protocol.signals import BY_NAME, Signal

_GZIP_MAGIC: Final = b"\x1f\x8b"
_VEHICLES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """`number` counts lines below the header from 0 and names the row for good; `time` in Unix seconds."""

    number: int
    time: float
    readings: dict[str, float]
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Dirt:
    """What a recording held that could not be used."""

    rows_without_time: int = 0
    rows_in_future: int = 0
    broken_lines: int = 0
    unreadable: int = 0
    out_of_range: int = 0
    ends_early: bool = False

    def describe(self) -> str:
        found = [
            (self.rows_without_time, "rows without a usable time"),
            (self.rows_in_future, "rows dated in the future"),
            (self.broken_lines, "broken lines"),
            (self.unreadable, "unreadable cells"),
            (self.out_of_range, "values out of range"),
            (int(self.ends_early), "file that ends in the middle"),
        ]
        return ", ".join(f"{count:,} {what}" for count, what in found if count)


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a recording to read, and how."""

    options: tuple[tuple[str, Meaning], ...] = ()
    vehicle: str | None = None
    start: float | None = None
    keep_extra: bool = False


@dataclass(frozen=True, slots=True)
class _Cell:
    index: int
    mapping: Meaning
    signal: Signal


class Drive:
    """One recording. Iterate `rows` as often as needed; `dirt` counts the last pass."""

    def __init__(self, path: Path, choice: Choice | None = None) -> None:
        self.path = path
        self.dirt = Dirt()
        self._choice = choice or Choice()
        with _opened(path) as file:
            self._header = _header_of(path, file)
        self.layout = layout_of(self._header, self._choice.options, self._choice.keep_extra)
        self._cells, self._times = self._bind(self.layout)
        self._extra = [(name, self._header.index(name)) for name in self.layout.extra]
        self._vehicle_at = self._bind_vehicle()
        self.start = self._choice.start if self._choice.start is not None else self.layout.start
        """Base of elapsed seconds; None until somebody decides what day the drive happens."""

    @property
    def dated(self) -> bool:
        """Does the recording itself know when it happened?"""
        return self.layout.clock is not None or any(m.field == TIMESTAMP for _, m in self._times)

    def _bind(self, layout: Layout) -> tuple[list[_Cell], list[tuple[int, Meaning]]]:
        at = {name: index for index, name in enumerate(self._header)}
        cells, times = [], []
        for column, mapping in layout.columns.items():
            if mapping.field in {ELAPSED, TIMESTAMP}:
                times.append((at[column], mapping))
            else:
                cells.append(_Cell(at[column], mapping, BY_NAME[mapping.field]))
        return cells, times

    def _bind_vehicle(self) -> int | None:
        column = self.layout.vehicle
        if column is None:
            if self._choice.vehicle is not None:
                raise DriveError(f"{self.path.name} holds one vehicle only; leave --vehicle out")
            return None
        index = self._header.index(column)
        if self._choice.vehicle is None:
            found = sorted({cells[index] for _, cells in self._lines() if len(cells) > index})
            shown = ", ".join(found[:_VEHICLES_SHOWN])
            raise DriveError(
                f"{self.path.name} holds {len(found)} vehicles; choose with --vehicle: {shown}, …"
            )
        return index

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Numbered lines below the header; a line that is no CSV is counted and passed over."""
        self.dirt = Dirt()
        with _opened(self.path) as file:
            lines = csv.reader(file)
            number = -2
            while True:
                number += 1
                try:
                    cells = next(lines)
                except StopIteration:
                    return
                except csv.Error:
                    self.dirt.broken_lines += 1
                    continue
                except (EOFError, zlib.error, OSError):
                    self.dirt.ends_early = True
                    return
                if cells and number >= 0:
                    yield number, cells

    def rows(self) -> Iterator[Row]:
        """Every row of the chosen vehicle that has a time; those without are counted in `dirt`."""
        latest = time.time() + FUTURE_LIMIT_S
        for number, cells in self._lines():
            if self._vehicle_at is not None and (
                len(cells) <= self._vehicle_at or cells[self._vehicle_at] != self._choice.vehicle
            ):
                continue
            instant_of_row = self._time(cells)
            if instant_of_row is None or not instant_of_row >= EARLIEST:
                self.dirt.rows_without_time += 1
            elif instant_of_row > latest and self.dated:
                self.dirt.rows_in_future += 1
            else:
                yield Row(number, instant_of_row, self._readings(cells), self._extras(cells))

    def _time(self, cells: Sequence[str]) -> float | None:
        clock = self.layout.clock
        try:
            if clock:
                return clock.read([cells[self._header.index(column)] for column in clock.columns])
            index, mapping = self._times[0]
            if mapping.field == TIMESTAMP:
                return mapping.convert(instant(cells[index]))
            return (self.start or EARLIEST) + mapping.convert(float(cells[index]))
        except (ValueError, IndexError, OverflowError):
            return None

    def _readings(self, cells: Sequence[str]) -> dict[str, float]:
        readings: dict[str, float] = {}
        absent: set[str] = set()
        for cell in self._cells:
            name = cell.signal.name
            value = self._number(cells, cell.index)
            if value is None:
                absent.add(name)
            else:
                readings[name] = readings.get(name, 0.0) + cell.mapping.convert(value)
        for name in list(readings):
            signal = BY_NAME[name]
            if name in absent:
                del readings[name]
            elif not signal.low <= readings[name] <= signal.high:
                self.dirt.out_of_range += 1
                del readings[name]
        return readings

    def _extras(self, cells: Sequence[str]) -> dict[str, float]:
        found = ((name, self._number(cells, index)) for name, index in self._extra)
        return {name: value for name, value in found if value is not None}

    def _number(self, cells: Sequence[str], index: int) -> float | None:
        """The cell's number; None when it is empty, missing or (then counted) no finite number."""
        text = cells[index] if index < len(cells) else ""
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        self.dirt.unreadable += 1
        return None


def _opened(path: Path) -> io.TextIOBase:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DriveError(f"{path} cannot be read: {error.strerror}") from error
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    if not packed:
        return io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
    unpacked = gzip.GzipFile(fileobj=file)
    unpacked.myfileobj = file  # type: ignore[assignment]  # closes the file along with the reader
    return io.TextIOWrapper(io.BufferedReader(unpacked), "utf-8-sig", errors="replace", newline="")


def _header_of(path: Path, file: io.TextIOBase) -> list[str]:
    try:
        header = next(csv.reader(file), [])
    except (csv.Error, EOFError, zlib.error, OSError) as error:
        raise DriveError(f"{path} cannot be read: {error}") from error
    if not header:
        raise DriveError(f"{path} is empty")
    return [name.strip() for name in header]
