"""Whose a vehicle's minutes are: sums by minute of drivers, copied from the vehicle's.

A minute is the driver's whose drive shares a moment with it; of several the one's that began last, and what a device
summed up goes before what was detected. Nobody's minutes have no row.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from fleet.aggregation.columns import MOVED
from fleet.aggregation.kept import minutes_from
from fleet.aggregation.legs import LONGEST, span
from fleet.aggregation.upserts import Target, run
from fleet.behaviour.drives import Drives
from fleet.models import Trip, TripSummary
from fleet.ranges import Range, joined, with_ranges

_MINUTE, _TICK = timedelta(minutes=1), timedelta(microseconds=1)
_COLUMNS = ("driver_id", "records", "timed_ms", *MOVED)
_MINUTES = Target(
    "rollup_driver_minute", ("fleet_id", "vehicle_id", "minute"), _COLUMNS, ("vehicle_id", "minute")
)
_AT_ONCE = 2_000


class Turn(NamedTuple):
    """A drive by somebody. The greater of two goes before the other."""

    told: bool
    start: datetime
    driver: str
    end: datetime


class Owned(NamedTuple):
    vehicle_id: int
    driver: str
    opens: datetime
    closes: datetime


def keep(fleet_id: int, ranges: Iterable[Range], drives: Drives | None = None) -> None:
    """Sum up the drivers' minutes in these ranges, which begin and end with a minute; call when the vehicles' are.
    `drives`: all that reach into the ranges; without them what is stored of drives counts."""
    young = minutes_from(timezone.now())
    asked = joined(Range(one.vehicle_id, max(one.start, young), one.end) for one in ranges if one.end > young)
    for place in range(0, len(asked), _AT_ONCE):
        some = asked[place : place + _AT_ONCE]
        turns = _turns_of(drives) if drives else _stored(fleet_id, some)
        _write(fleet_id, some, owned(turns, some))


def owned(turns: dict[int, list[Turn]], asked: Iterable[Range]) -> list[Owned]:
    """Stretches of whole minutes and whose they are, in order, within what is asked."""
    found: list[Owned] = []
    for one in asked:
        mine = [
            turn for turn in turns.get(one.vehicle_id, ()) if turn.start < one.end and turn.end >= one.start
        ]
        spans = [
            (max(_floor(turn.start), one.start), min(_floor(turn.end) + _MINUTE, one.end), turn)
            for turn in mine
        ]
        cuts = sorted({moment for opens, closes, _ in spans for moment in (opens, closes)})
        for opens, closes in pairwise(cuts):
            here = [turn for begin, end, turn in spans if begin <= opens and end >= closes]
            if here:
                found.append(Owned(one.vehicle_id, max(here).driver, opens, closes))
    return found


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _turns_of(drives: Drives) -> dict[int, list[Turn]]:
    found: dict[int, list[Turn]] = defaultdict(list)
    for summary in drives.told.values():
        _add(found, summary)
    for trip in drives.found.values():
        _add(found, trip)
    return found


def _stored(fleet_id: int, asked: Sequence[Range]) -> dict[int, list[Turn]]:
    """Two queries."""
    ranges, params = with_ranges([Range(one.vehicle_id, one.start - LONGEST, one.end) for one in asked])
    reach = "FROM asked JOIN {0} t ON t.vehicle_id = asked.vehicle_id AND t.{1} >= asked.opens AND t.{1} < asked.closes"
    of = "WHERE t.fleet_id = %s AND t.driven_by <> ''"
    found: dict[int, list[Turn]] = defaultdict(list)
    columns = "t.id, t.vehicle_id, t.driven_by, t.start_time, t.end_time, t.duration_s"
    for summary in TripSummary.objects.raw(
        f"{ranges} SELECT DISTINCT {columns} {reach.format('trip_summaries', 'start_time')} {of}",
        [*params, fleet_id],
    ):
        _add(found, summary)
    columns = "t.id, t.vehicle_id, t.driven_by, t.started_at, t.ended_at"
    for trip in Trip.objects.raw(
        f"{ranges} SELECT DISTINCT {columns} {reach.format('trips', 'started_at')} {of}", [*params, fleet_id]
    ):
        _add(found, trip)
    return found


def _add(found: dict[int, list[Turn]], row: Trip | TripSummary) -> None:
    if row.driven_by:
        told = isinstance(row, TripSummary)
        start, end = span(row) if isinstance(row, TripSummary) else (row.started_at, row.ended_at)
        found[row.vehicle_id].append(Turn(told, start, row.driven_by, max(start, end - _TICK)))


def _write(fleet_id: int, asked: Sequence[Range], mine: Sequence[Owned]) -> None:
    ranges, params = with_ranges(asked)
    cells = "(%s::bigint, %s::text, %s::timestamptz, %s::timestamptz)"
    row = cells if connection.vendor == "postgresql" else "(%s, %s, %s, %s)"
    adapt = connection.ops.adapt_datetimefield_value
    values = [v for one in mine for v in (one.vehicle_id, one.driver, adapt(one.opens), adapt(one.closes))]
    turns = f"mine (vehicle_id, driver, opens, closes) AS (VALUES {', '.join([row] * len(mine))})"
    within = "m.vehicle_id = {0}.vehicle_id AND m.minute >= {0}.opens AND m.minute < {0}.closes"
    owned = f" AND NOT EXISTS (SELECT 1 FROM mine WHERE {within.format('mine')})" if mine else ""
    run(
        f"{ranges}{', ' + turns if mine else ''} DELETE FROM {_MINUTES.table} WHERE id IN (SELECT m.id FROM asked "
        f"JOIN {_MINUTES.table} m ON {within.format('asked')} WHERE m.fleet_id = %s{owned})",
        [*params, *values, fleet_id],
    )
    if not mine:
        return
    sums = ", ".join(f"m.{name}" for name in _COLUMNS[1:])
    statement = _MINUTES.upsert(
        "m.fleet_id, m.vehicle_id, m.minute",
        f"mine.driver, {sums}",
        f"FROM mine JOIN rollup_vehicle_minute m ON {within.format('mine')} WHERE m.fleet_id = %s",
    )
    run(f"WITH {turns} {statement}", [*values, fleet_id])
