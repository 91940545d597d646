"""Brings stored trips, stops and charging sessions in line with what was found. Only telemetry.journeys calls this."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from django.db.models import Q

from fleet.aggregation.rollups import Touch, touch
from fleet.behaviour.tripscores import SEEN
from fleet.journeys.charging import FoundCharge
from fleet.journeys.found import Found, FoundStop, FoundTrip
from fleet.journeys.matching import days_of
from fleet.journeys.movement import ODOMETER_STEP_M, Fix, apart_m
from fleet.journeys.tracks import Track
from fleet.models import ChargingSession, Part, Stop, Trip
from fleet.models.journeys import Journey
from fleet.privacy.gate import Shade
from fleet.privacy.masks import PLACE, TRIP
from telemetry.frames import from_us

J = TypeVar("J", bound=Journey)
STRETCH_S, GRACE_S = 300, 60
"""A trip under way grows with each pass; its day is summed up again once in such a stretch of wall clock."""


class Result(NamedTuple):
    """`found` was settled after `after_us` and not after `upto_us`, and stands for all that is stored of that.
    `under_way` stands for all that is not settled; None: that is not known yet."""

    fleet_id: int
    vehicle_id: int
    after_us: int
    upto_us: int
    again: bool
    """It was looked at before: something may be stored of that time."""
    found: Found
    under_way: Found | None


def keep(results: Sequence[Result]) -> None:
    """The same number of statements whatever is found."""
    if not results:
        return
    trips = {one.vehicle_id: list(_trips(one)) for one in results}
    stops = {one.vehicle_id: list(_stops(one)) for one in results}
    charges = {one.vehicle_id: list(_charges(one)) for one in results}
    _hide([*chain(*trips.values())], [*chain(*stops.values()), *chain(*charges.values())])
    before, after = _bring(Trip, results, trips)
    _bring(Stop, results, stops)
    _bring(ChargingSession, results, charges)
    _touch([*before, *after], {(trip.vehicle_id, trip.started_at) for trip in before})


def _hide(trips: Sequence[Trip], rests: Sequence[Journey]) -> None:
    """Where they were, of those that share a moment with private time. One query."""
    rows = [*trips, *rests]
    shade = Shade.over((row.vehicle_id, row.started_at, row.ended_at) for row in rows)
    for row in rows:
        if shade.meets(row.vehicle_id, row.started_at, row.ended_at):
            for name in TRIP if isinstance(row, Trip) else PLACE:
                setattr(row, name, None)


def _bring(model: type[J], results: Sequence[Result], wanted: dict[int, list[J]]) -> tuple[list[J], list[J]]:
    """Rows that were changed or deleted, as they were; and rows that are new or changed."""
    stored: dict[int, list[J]] = defaultdict(list)
    for row in model._default_manager.filter(_concerned(results)):
        stored[row.vehicle_id].append(row)
    before: list[J] = []
    after: list[J] = []
    deleted: list[int] = []
    for one in results:
        there = {row.started_at: row for row in stored[one.vehicle_id] if row.settled_at or one.under_way}
        new: list[J] = []
        for row in wanted[one.vehicle_id]:
            old = there.pop(row.started_at, None)
            if old is None:
                new.append(row)
            elif not _same(old, row):
                before.append(old)
                after.append(row)
        gone = sorted(there.values(), key=lambda row: row.started_at)
        _take_over(gone, new)
        before += gone
        after += new
        deleted += [row.pk for row in gone]
    if deleted:
        model._default_manager.filter(pk__in=deleted).delete()
    columns = _columns(model)
    model._default_manager.bulk_create(
        after, update_conflicts=True, unique_fields=["vehicle", "started_at"], update_fields=columns
    )
    return before, after


def _concerned(results: Sequence[Result]) -> Q:
    asked = Q(vehicle__in=[one.vehicle_id for one in results], settled_at=None)
    for one in results:
        if one.again:
            after, upto = from_us(one.after_us), from_us(one.upto_us)
            asked |= Q(vehicle=one.vehicle_id, settled_at__gt=after, settled_at__lte=upto)
    return asked


def _take_over(gone: Sequence[J], new: Sequence[J]) -> None:
    """A row that begins at another moment by now keeps its number: links to it go on working."""
    free = list(gone)
    for row in new:
        same = [one for one in free if one.started_at < row.ended_at and one.ended_at > row.started_at]
        if same:
            row.pk = same[0].pk
            free.remove(same[0])


_LATER = {"driver", "driven_by", "score", "score_version", "score_sums"}
"""Of a trip, set when its days are summed up. What records show of it is counted anew when it changes."""


def _columns(model: type[Journey]) -> list[str]:
    fixed = {"id", "vehicle", "started_at", *_LATER}
    return [field.name for field in model._meta.local_concrete_fields if field.name not in fixed]


def _same(one: Journey, other: Journey) -> bool:
    names = (name for name in _columns(type(one)) if name not in {"fleet", *SEEN})
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _touch(trips: Iterable[Trip], known: Set[tuple[int, datetime]]) -> None:
    """Their days; those of a trip under way that was known before when the present stretch of time is over."""
    later = int(time.time() // STRETCH_S + 1) * STRETCH_S + GRACE_S
    touch(
        Touch(trip.vehicle_id, Part.DRIVING, day, trip.fleet_id, later if goes_on else 0)
        for trip in trips
        for goes_on in [not trip.settled_at and (trip.vehicle_id, trip.started_at) in known]
        for day in days_of(trip)
    )


def _all(one: Result, name: str) -> Iterator[Any]:
    yield from getattr(one.found, name)
    if one.under_way is not None:
        yield from getattr(one.under_way, name)


def _journey(one: Result, found: FoundTrip | FoundStop | FoundCharge) -> dict[str, Any]:
    track: Track = found.track
    return {
        "fleet_id": one.fleet_id,
        "vehicle_id": one.vehicle_id,
        "started_at": from_us(found.start_us),
        "ended_at": from_us(found.end_us),
        "settled_at": None if found.settled_us is None else from_us(found.settled_us),
        "duration_s": (found.end_us - found.start_us) / 1e6,
        "unheard_s": track.unheard_us / 1e6,
        "battery_from_percent": track.battery_first,
        "battery_to_percent": track.battery_last,
        "records": track.records,
        "values": track.values,
        "reconstructed": track.filled,
    }


def _trips(one: Result) -> Iterator[Trip]:
    found: FoundTrip
    for found in _all(one, "trips"):
        track, (metres, source) = found.track, found.distance
        odometer = track.odometer
        start, end = _place(track.path.first), _place(track.path.last)
        energy_j = track.energy_j
        yield Trip(
            **_journey(one, found),
            middle_at=from_us((found.start_us + found.end_us) // 2),
            start_latitude_deg=start[0],
            start_longitude_deg=start[1],
            end_latitude_deg=end[0],
            end_longitude_deg=end[1],
            distance_m=metres,
            distance_source=source,
            odometer_from_m=None if odometer.broken else odometer.first_m,
            odometer_to_m=None if odometer.broken or odometer.first_m is None else odometer.last_m,
            moving_s=track.moving_us / 1e6,
            idle_s=max(0, track.whole_us - track.moving_us - track.unheard_us) / 1e6,
            max_speed_mps=track.fastest_mps,
            energy_wh=None if energy_j is None else energy_j / 3600,
        )


def _stops(one: Result) -> Iterator[Stop]:
    found: FoundStop
    for found in _all(one, "stops"):
        path = found.track.path
        latitude, longitude = _place(path.first)
        yield Stop(
            **_journey(one, found),
            latitude_deg=latitude,
            longitude_deg=longitude,
            moved_m=_moved_m(found.track),
            idle_s=found.track.idle_us / 1e6 if found.track.ignition_told else None,
            begin_unknown=found.first,
        )


def _charges(one: Result) -> Iterator[ChargingSession]:
    found: FoundCharge
    for found in _all(one, "charges"):
        track = found.track
        latitude, longitude = _place(track.path.first)
        energy_j = track.energy_j
        strongest = track.strongest_w
        yield ChargingSession(
            **_journey(one, found),
            latitude_deg=latitude,
            longitude_deg=longitude,
            odometer_m=track.odometer.first_m,
            energy_wh=-energy_j / 3600 if energy_j is not None and energy_j < 0 else None,
            max_power_w=strongest if strongest is not None and strongest > 0 else None,
            told_by=found.told,
        )


def _place(fix: Fix | None) -> tuple[float | None, float | None]:
    return (None, None) if fix is None else (fix[1], fix[2])


def _moved_m(track: Track) -> float | None:
    """By the odometer where that shows it: a vehicle may also have come back."""
    counted, path = track.odometer.told_m, track.path
    if counted is not None and counted >= ODOMETER_STEP_M:
        return counted
    if path.first is None or path.last is None:
        return counted
    return apart_m(path.first, path.last)
