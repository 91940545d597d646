"""Reading sensors: the newest of every type, history by page, thinned, and summed up. Read-only.

A sensor is a device (or its vehicle); its types are signals and further values. What a request costs is bounded
whatever it asks for: every query walks the index (vehicle, time, stream, sequence) inside the period and stops at a
number of rows; a period that holds more is sampled, or refused where sampling would be wrong.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Avg, Count, Max, Min, Q, QuerySet
from django.http import Http404

from devices.models import Device
from edge.protocol.signals import BY_NAME, SIGNALS
from fleet.access import principal_of, visible_vehicles
from fleet.models import Vehicle, VehicleState
from fleet.privacy.gate import hidden, names_a_position
from fleet.readings import Catalogue
from telemetry.extremes import Span, extremes
from telemetry.frames import from_us, to_us
from telemetry.furthersql import column_of
from telemetry.models import TelemetryRecord
from telemetry.pages.thinning import Sample, thin

SCANNED_ROWS = 20_000
"""Looked at for one page when a type is rare."""
CELLS = 100_000
"""Values read for thinned history; of a longer period the database finds the extremes."""
SLICES = 100
SUMMED_ROWS = 1_000_000
"""Looked at by the database for a summary, or for extremes; of a longer period the first rows of each slice."""
TYPES_AT_ONCE = 40
_KEY = ("time", "stream_id", "sequence")


class Place(NamedTuple):
    """After which reading a page ended. Without a type: after all of that record."""

    time_us: int
    stream_id: int
    sequence: int
    type: str | None


class Reading(NamedTuple):
    type: str
    value: float
    time: datetime
    reconstructed: bool = False


class TooManyError(Exception):
    """The period holds more records than may be summed up."""


def sensor_or_404(user: Any, name: str) -> Vehicle:
    """By a device's id, else by a vehicle's slug, VIN or plate; its state selected."""
    if "\0" in name:  # PostgreSQL cannot even look for it
        raise Http404
    devices = Device.objects.visible_to(principal_of(user)).named(name).order_by("id")
    device = devices.select_related("vehicle__state").first()
    if device is not None:
        return device.vehicle
    vehicles = visible_vehicles(user).named(name).select_related("state").order_by("id")
    vehicle: Vehicle | None = vehicles.first()
    if vehicle is None:
        raise Http404
    return vehicle


def unit_of(name: str, catalogue: Catalogue) -> str | None:
    """The fleet's own word, else the unit of the wire."""
    told = catalogue.get(name)
    if told is not None and told.unit:
        return told.unit
    signal = BY_NAME.get(name)
    return signal.unit if signal else None


def latest(vehicle: Vehicle) -> list[Reading]:
    """The newest of every type, by name."""
    state: VehicleState | None = getattr(vehicle, "state", None)
    if state is None:
        return []
    found = {
        name: Reading(name, value, from_us(round(time * 1e6)))
        for name, (value, time) in (state.further or {}).items()
    }
    for name, value in state.values.items():
        if isinstance(value, int | float):
            found[name] = Reading(name, value, state.time, name in state.reconstructed)
    return [found[name] for name in sorted(found)]


def _rows(vehicle: Vehicle, span: Span) -> "QuerySet[TelemetryRecord]":
    rows = TelemetryRecord.objects.filter(vehicle=vehicle, time__gte=span.begin, time__lt=span.end)
    return rows.order_by(*_KEY)


def page(
    vehicle: Vehicle, span: Span, types: Sequence[str], limit: int, after: Place | None
) -> tuple[list[Reading], Place | None]:
    """Readings oldest first, and where to go on; None at the end.

    A page may be short, even empty, and still go on: of a rare type only so many rows are looked at in one request.
    """
    rows = _rows(vehicle, span)
    if after is not None:
        rows = rows.filter(_from(after), time__gte=from_us(after.time_us))
    columns = (
        [*map(column_of, types)]
        if types
        else [*(column_of(signal.name) for signal in SIGNALS), hidden(), "extra"]
    )
    window = limit + 1
    readings, place, more = _taken(rows.values_list(*_KEY, "sent", *columns)[:window], types, limit, after)
    if len(readings) < limit and more == window and window < SCANNED_ROWS:
        window = SCANNED_ROWS
        readings, place, more = _taken(
            rows.values_list(*_KEY, "sent", *columns)[:window], types, limit, after
        )
    ended = len(readings) < limit and more < window
    return readings, None if ended else place


def _from(after: Place) -> Q:
    moment = from_us(after.time_us)
    rest = {"sequence__gte" if after.type is not None else "sequence__gt": after.sequence}
    return (
        Q(time__gt=moment)
        | Q(time=moment, stream_id__gt=after.stream_id)
        | Q(time=moment, stream_id=after.stream_id, **rest)
    )


def _taken(
    rows: Any, types: Sequence[str], limit: int, after: Place | None
) -> tuple[list[Reading], Place | None, int]:
    """Up to `limit` readings, the place behind the last thing looked at, and how many rows were seen."""
    readings: list[Reading] = []
    place: Place | None = None
    seen = 0
    for row in rows:
        seen += 1
        key = to_us(row[0]), row[1], row[2]
        begun = after is not None and after.type is not None and key == after[:3]
        for reading in _readings(row, types):
            if begun and after is not None and reading.type <= (after.type or ""):
                continue
            if len(readings) == limit:
                return readings, place, seen
            readings.append(reading)
            place = Place(*key, reading.type)
        place = Place(*key, None)
    return readings, place, seen


def _readings(row: Sequence[Any], types: Sequence[str]) -> Iterator[Reading]:
    time, sent, cells = row[0], row[3], row[4:]
    if types:
        named = dict(zip(types, cells, strict=True))
    else:
        private, extra = cells[-2:]
        further = {n: v for n, v in (extra or {}).items() if not (private and names_a_position(n))}
        named = {**further, **{s.name: v for s, v in zip(SIGNALS, cells, strict=False)}}
    for name in sorted(named):
        value = named[name]
        if isinstance(value, int | float):
            signal = BY_NAME.get(name)
            yield Reading(name, value, time, signal is not None and not sent >> signal.number & 1)


def thinned(vehicle: Vehicle, span: Span, types: Sequence[str], points: int) -> tuple[list[Reading], bool]:
    """At most `points` readings of each type, oldest first, the lowest and highest of every stretch among them;
    and whether the period was so long that only samples of it were read."""
    budget = max(SLICES, CELLS // max(1, len(types)))
    rows = _rows(vehicle, span)
    count = rows.order_by()[: SUMMED_ROWS + 1].count()
    if budget < count <= SUMMED_ROWS and points > 1:
        found = extremes(rows, span, types, points // 2)
        # The same row twice: a slice's only value is its lowest and its highest.
        readings = [
            Reading(name, value, from_us(time_us), not sent) for name, time_us, value, sent in {*found}
        ]
    else:
        columns = [*map(column_of, types)]
        table = (
            rows.values_list("time", "sent", *columns)
            if count <= budget
            else _sampled(vehicle, span, columns, budget)
        )
        readings = _thinned_here(table, types, points)
    return sorted(readings, key=lambda reading: (reading.time, reading.type)), count > SUMMED_ROWS


def _thinned_here(table: Iterable[Sequence[Any]], types: Sequence[str], points: int) -> list[Reading]:
    samples: list[list[Sample]] = [[] for _ in types]
    for time, sent, *cells in table:
        unix = time.timestamp()
        for name, cell, kept in zip(types, cells, samples, strict=True):
            if cell is not None:
                signal = BY_NAME.get(name)
                kept.append(Sample(unix, cell, signal is None or bool(sent >> signal.number & 1)))
    return [
        Reading(name, each.value, from_us(round(each.time * 1e6)), not each.sent)
        for name, kept in zip(types, samples, strict=True)
        for each in thin(kept, points)
        if each.value is not None
    ]


def _sampled(vehicle: Vehicle, span: Span, columns: Sequence[Any], budget: int) -> Iterator[tuple[Any, ...]]:
    """The first rows of each slice of the period: a short walk along the index for each."""
    width = (span.end - span.begin) / SLICES
    for number in range(SLICES):
        part = Span(span.begin + number * width, span.begin + (number + 1) * width)
        yield from _rows(vehicle, part).values_list("time", "sent", *columns)[: budget // SLICES]


def summary(vehicle: Vehicle, span: Span, types: Sequence[str]) -> list[dict[str, Any]]:
    """Minimum, maximum, mean and count of each type that has a value in the period. Raises TooManyError."""
    rows = _rows(vehicle, span).order_by()
    if rows[: SUMMED_ROWS + 1].count() > SUMMED_ROWS:
        raise TooManyError
    asked = {
        f"{kind}{place}": function(column_of(name))
        for place, name in enumerate(types)
        for kind, function in (("min", Min), ("max", Max), ("mean", Avg), ("count", Count))
    }
    found = rows.aggregate(**asked) if asked else {}
    return [
        {"sensor_type": name, **{kind: found[f"{kind}{place}"] for kind in ("min", "max", "mean", "count")}}
        for place, name in enumerate(types)
        if found[f"count{place}"]
    ]
