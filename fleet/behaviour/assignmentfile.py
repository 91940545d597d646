"""Assignments from a CSV file: read row by row, with what is wrong with each; added all or none."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final

from fleet.behaviour import assignments
from fleet.behaviour.assignments import EARLIEST, LATEST, Wish
from fleet.models import Driver, Fleet, Vehicle

HEAD: Final = ("vehicle", "driver", "from", "to")
MOST_ROWS: Final = 1_000
MOST_BYTES: Final = 1_000_000


@dataclass
class Line:
    """`number` as spreadsheets count, the head being 1."""

    number: int
    cells: dict[str, str]
    errors: list[str] = field(default_factory=list)
    """Each begins with the column's name."""
    wish: Wish | None = None


class UnreadableError(Exception):
    """Not such a file at all."""


def read(fleet: Fleet, text: str, zone: tzinfo) -> list[Line]:
    """`zone`: of moments that name none. Raises UnreadableError with the reason."""
    lines = list(_lines(text))
    if not lines:
        raise UnreadableError("There is no row below the head.")
    vehicles = _vehicles(fleet)
    drivers = {driver.slug: driver for driver in Driver.objects.filter(fleet=fleet)}
    for line in lines:
        _judge(line, vehicles, drivers, zone)
    _refuse_overlaps([line for line in lines if line.wish])
    return lines


def _lines(text: str) -> Iterator[Line]:
    head, *rest = text.lstrip("\ufeff").replace("\0", "").strip().splitlines() or [""]
    mark = max(",;\t", key=head.count)
    names = [name.strip().lower() for name in next(csv.reader([head], delimiter=mark), [])]
    if missing := [name for name in HEAD[:3] if name not in names]:
        raise UnreadableError(f"The head lacks {', '.join(missing)}: it is {','.join(HEAD)}.")
    if len(rest) > MOST_ROWS:
        raise UnreadableError(f"At most {MOST_ROWS} rows at once.")
    try:
        rows = list(csv.reader(io.StringIO("\n".join(rest)), delimiter=mark))
    except csv.Error as error:
        raise UnreadableError(f"No CSV: {error}.") from None
    for number, cells in enumerate(rows, 2):
        if any(cell.strip() for cell in cells):
            known = dict(zip(names, (cell.strip().removeprefix("'") for cell in cells), strict=False))
            yield Line(number, {name: known.get(name, "") for name in HEAD})


def _vehicles(fleet: Fleet) -> dict[str, Vehicle]:
    """By slug, plate and VIN, in small letters."""
    found: dict[str, Vehicle] = {}
    for vehicle in Vehicle.objects.filter(fleet=fleet).order_by("-pk"):
        for name in (vehicle.plate, vehicle.vin, vehicle.slug):
            if name:
                found[name.lower()] = vehicle
    return found


def _judge(line: Line, vehicles: dict[str, Vehicle], drivers: dict[str, Driver], zone: tzinfo) -> None:
    vehicle, driver = vehicles.get(line.cells["vehicle"].lower()), drivers.get(line.cells["driver"])
    if vehicle is None:
        line.errors.append(f"vehicle: this fleet has none called {line.cells['vehicle'][:64]!r}.")
    if driver is None:
        line.errors.append(f"driver: this fleet has none called {line.cells['driver'][:64]!r}.")
    start, end = (_moment(line, name, zone) for name in ("from", "to"))
    if not line.cells["from"]:
        line.errors.append("from: is needed.")
    if start and end and end <= start:
        line.errors.append("to: it ends before it begins.")
    if not line.errors and vehicle and driver and start:
        line.wish = Wish(vehicle, driver, start, end)


def _moment(line: Line, name: str, zone: tzinfo) -> datetime | None:
    text = line.cells[name]
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        line.errors.append(f"{name}: {text[:40]!r} is no moment like 2026-11-21T06:00.")
        return None
    found = found if found.tzinfo else found.replace(tzinfo=zone)
    if not EARLIEST <= found < LATEST:
        line.errors.append(f"{name}: not between the years 2000 and 2100.")
        return None
    return found


def _refuse_overlaps(lines: list[Line]) -> None:
    """With each other, and with what is stored."""
    by_vehicle: dict[int, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.wish.started_at if line.wish else LATEST):
        assert line.wish
        before = by_vehicle.setdefault(line.wish.vehicle.pk, [])
        last = max(before, key=lambda one: (one.wish.ended_at if one.wish else None) or LATEST, default=None)
        if last and last.wish and (last.wish.ended_at is None or last.wish.ended_at > line.wish.started_at):
            line.errors.append(f"from: row {last.number} has the vehicle then.")
        before.append(line)
    stored = assignments.of_vehicles(line.wish.vehicle for line in lines if line.wish)
    for line in lines:
        assert line.wish
        for known in stored.get(line.wish.vehicle.pk, ()):
            if assignments.share_a_moment(line.wish, known):
                line.errors.append(f"from: {assignments.taken(known)}")
                break
