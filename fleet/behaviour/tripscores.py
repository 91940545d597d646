"""The safety score of each trip: the formula applied to what was driven in it. Computed whenever a day of it is summed
up, so that it follows events, dismissals, summaries, assignments and the formula as the days do.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db import connection

from fleet.aggregation.days import Night
from fleet.aggregation.legs import legs, span
from fleet.aggregation.sums import Sums
from fleet.behaviour import scoring
from fleet.behaviour.attribution import cost_of
from fleet.behaviour.drives import Drives, as_summary
from fleet.models import Driver, DrivingEvent, Trip, TripSummary
from fleet.ranges import Range

LEAST_M: Final = 2_000.0
"""A shorter trip has no score: one manoeuvre more or less would decide everything."""
SEEN: Final = ("seen_mm", "turning_mm", "timed_ms")
_OF_SUMMARIES: Final = ("risk_mm", "scored_mm", "counted_mm", "trip_info", "trip_warning", "trip_critical")
_AT_ONCE = 500
_TICK = timedelta(microseconds=1)

Count = Callable[[dict[Any, Range]], Mapping[Any, Mapping[str, int]]]
"""What records show of each range: SEEN; a range is missing in the answer when its records may be gone."""


@dataclass
class _Sources:
    count: list[Count] = field(default_factory=list)


sources = _Sources()


def state_of(row: Trip | TripSummary) -> str:
    """Why there is no score; empty: there is one."""
    if row.score is not None:
        return ""
    ended = row.settled_at if isinstance(row, Trip) else row.end_time
    if not ended:
        return "under way"
    if row.score_version is None:
        return "being computed"
    return "too short to score" if (row.distance_m or 0.0) < LEAST_M else "nothing seen"


def sums_of(row: Trip | TripSummary) -> Sums:
    """What the score was computed from."""
    return Sums.of(row.score_sums)


def lost(row: Trip | TripSummary) -> dict[str, float | None]:
    """Points by component."""
    return {
        one.name: None if one.lost is None else round(one.lost, 4) for one in scoring.explained(sums_of(row))
    }


def span_of(row: Trip | TripSummary) -> tuple[datetime, datetime]:
    return span(as_summary(row) if isinstance(row, Trip) else row)


def keep(fleet_id: int, zone: str, night: Night, drives: Drives, rows: "Rows") -> None:
    """Score these trips and summaries of `drives`; stored where something changed."""
    _count([trip for trip in rows.found if trip.settled_at], rows)
    _count([one for one in rows.told if one.end_time], rows)
    for summary in rows.told:
        sums = _driven(summary, zone, night)
        _score(summary, sums, rows, summary.end_time is not None)
    for trip in rows.found:
        sums = _driven(as_summary(trip), zone, night)
        for one in drives.matched.get(trip.pk, ()):
            told = _driven(one, zone, night)
            sums.update({name: told[name] for name in _OF_SUMMARIES})
        _score(trip, sums, rows, trip.settled_at is not None)
    _name(fleet_id, drives, rows)
    _write(("driver_id", *_COLUMNS), [one for one in rows.found if one.pk in rows.changed[Trip]], rows)
    _write(_COLUMNS, [one for one in rows.told if one.pk in rows.changed[TripSummary]], rows)


class Rows:
    """Trips and summaries that share a moment with the ranges, and the events of all of them."""

    def __init__(self, drives: Drives, ranges: Sequence[Range]) -> None:
        asked: dict[int, list[Range]] = defaultdict(list)
        for one in ranges:
            asked[one.vehicle_id].append(one)
        self.told = [one for one in drives.told.values() if _reaches(one, asked)]
        self.found = [one for one in drives.found.values() if _reaches(one, asked)]
        self.events: dict[int, list[DrivingEvent]] = {}
        self.changed: dict[type, set[int]] = {Trip: set(), TripSummary: set()}
        self.counted: dict[type, set[int]] = {Trip: set(), TripSummary: set()}

    def spans(self) -> list[Range]:
        return [
            Range(one.vehicle_id, start, end + _TICK) for one in self._all() for start, end in [span_of(one)]
        ]

    def take(self, events: Iterable[DrivingEvent]) -> None:
        """In order of time."""
        by_vehicle: dict[int, list[DrivingEvent]] = defaultdict(list)
        for event in events:
            by_vehicle[event.vehicle_id].append(event)
        self.events = dict(by_vehicle)

    def events_in(self, row: Trip | TripSummary) -> Sequence[DrivingEvent]:
        mine = self.events.get(row.vehicle_id, [])
        start, end = span_of(row)
        first = bisect_left(mine, start, key=lambda event: event.started_at)
        return mine[first : bisect_right(mine, end, key=lambda event: event.started_at)]

    def _all(self) -> Iterator[Trip | TripSummary]:
        yield from self.told
        yield from self.found


def _reaches(row: Trip | TripSummary, asked: Mapping[int, Sequence[Range]]) -> bool:
    start, end = span_of(row)
    return any(start < one.end and end >= one.start for one in asked.get(row.vehicle_id, ()))


def _driven(trip: TripSummary, zone: str, night: Night) -> Counter[str]:
    sums: Counter[str] = Counter()
    for leg in legs(trip, zone, night):
        sums.update(leg.sums)
    return sums


def _score(row: Trip | TripSummary, sums: Counter[str], rows: Rows, ended: bool) -> None:
    for event in rows.events_in(row):
        sums.update(cost_of(event))
    sums.update({name: getattr(row, name) or 0 for name in SEEN})
    known = {name: value for name, value in sorted(sums.items()) if value}
    score = None
    if ended and sums["distance_mm"] >= LEAST_M * 1000:
        score = scoring.safety_score(Sums.of(known))
    wanted = {
        "score": None if score is None else round(score, 4),
        "score_version": scoring.VERSION,
        "score_sums": known,
    }
    if any(getattr(row, name) != value for name, value in wanted.items()):
        rows.changed[type(row)].add(row.pk)
        for name, value in wanted.items():
            setattr(row, name, value)


def _count(wanted: Sequence[Trip] | Sequence[TripSummary], rows: Rows) -> None:
    """What records show of those of which that is not known. Locked first: whoever changes a record after it was
    counted waits, and then says that it has to be counted again."""
    left = _locked([row for row in wanted if row.seen_mm is None], rows)
    while left:
        # A source tells ranges of a vehicle apart by their begin.
        batch = {(row.vehicle_id, span_of(row)[0]): row for row in reversed(left[:_AT_ONCE])}
        ranges = {
            row.pk: Range(row.vehicle_id, span_of(row)[0], span_of(row)[1] + _TICK) for row in batch.values()
        }
        found: dict[Any, Mapping[str, int]] = {}
        for count in sources.count:
            found |= count(ranges)
        for row in batch.values():
            for name in SEEN:
                setattr(row, name, found.get(row.pk, {}).get(name, 0))
            rows.changed[type(row)].add(row.pk)
            rows.counted[type(row)].add(row.pk)
        left = [row for row in left if row.seen_mm is None]


def _locked(some: Sequence[Trip | TripSummary], rows: Rows) -> list[Trip | TripSummary]:
    """Those that are still what was read, held until the transaction ends. One that somebody else changes right now is
    left out: they touch its days, so that it has its turn. On SQLite nobody else writes."""
    if not some or connection.vendor != "postgresql":
        return list(some)
    is_trip = isinstance(some[0], Trip)
    table, start, end = _NAMES[is_trip]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, {start}, {end}, seen_mm FROM {table} WHERE id = ANY(%s) ORDER BY id "
            "FOR NO KEY UPDATE SKIP LOCKED",
            [[row.pk for row in some]],
        )
        now = {pk: told for pk, *told in cursor.fetchall()}
    return [row for row in some if row.pk in now and _is_same(row, now[row.pk], rows, (start, end))]


def _is_same(row: Trip | TripSummary, now: Sequence[Any], rows: Rows, names: tuple[str, str]) -> bool:
    seen = row.pk in rows.counted[type(row)] or row.seen_mm == now[2]
    return seen and [getattr(row, name) for name in names] == list(now[:2])


_NAMES: Final = {
    True: ("trips", "started_at", "ended_at"),
    False: ("trip_summaries", "start_time", "end_time"),
}


def _name(fleet_id: int, drives: Drives, rows: Rows) -> None:
    slugs = {trip.driven_by for trip in rows.found if trip.driven_by}
    known: dict[str, int] = {}
    if slugs:
        known = dict(Driver.objects.filter(fleet=fleet_id, slug__in=slugs).values_list("slug", "pk"))
    for trip in rows.found:
        driver = known.get(trip.driven_by)
        if trip.driver_id != driver or drives.stored[trip.pk] != trip.driven_by:
            trip.driver_id = driver
            rows.changed[Trip].add(trip.pk)
    rows.changed[TripSummary] |= {one.pk for one in rows.told if drives.stored[-one.pk] != one.driven_by}


_COLUMNS: Final = ("driven_by", "score", "score_version", "score_sums", *SEEN)
_TYPES: Final = {
    "id": "bigint", "driver_id": "bigint", "driven_by": "varchar", "score": "double precision",
    "score_version": "integer", "score_sums": "jsonb", "seen_mm": "bigint", "turning_mm": "bigint",
    "timed_ms": "bigint",
}  # fmt: skip


def _write(columns: Sequence[str], changed: Sequence[Trip] | Sequence[TripSummary], rows: Rows) -> None:
    ordered = sorted(_locked(changed, rows), key=lambda row: row.pk)
    if not ordered:
        return
    table = _NAMES[isinstance(ordered[0], Trip)][0]
    casts = [f"::{_TYPES[name]}" for name in ("id", *columns)]
    cells = ", ".join(f"%s{cast}" if connection.vendor == "postgresql" else "%s" for cast in casts)
    names, put = ", ".join(("id", *columns)), ", ".join(f"{name} = v.{name}" for name in columns)
    with connection.cursor() as cursor:
        for place in range(0, len(ordered), _AT_ONCE):
            some = ordered[place : place + _AT_ONCE]
            cursor.execute(
                f"WITH v ({names}) AS (VALUES {', '.join([f'({cells})'] * len(some))}) "
                f"UPDATE {table} SET {put} FROM v WHERE {table}.id = v.id",
                [value for row in some for value in (row.pk, *(_cell(row, name) for name in columns))],
            )


def _cell(row: Trip | TripSummary, name: str) -> Any:
    value = getattr(row, name)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if name == "score_sums" else value
