"""Keeping trip summaries: the newest version of each, in whatever order and however often versions come.

A version is newer when it says the trip has ended and the other does not; then when it ends later, lasts longer, goes
further. Two that agree in all of this and still differ are ordered by their content, so that every order of arrival
ends with the same row.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import orjson
from django.db import transaction

from fleet.aggregation.legs import utc_days
from fleet.aggregation.rollups import Touch, driving, touch
from fleet.alerting import urgencies
from fleet.journeys.matching import beside, days_of
from fleet.models import TripSummary, Vehicle
from fleet.privacy import masks, spans
from fleet.privacy.erased import is_erased


class OtherVehicleError(Exception):
    """The trip's name is taken by another vehicle of the fleet."""


@dataclass(frozen=True)
class TripTold:
    """What a device says about a trip; `values` are columns of TripSummary."""

    trip_id: str
    start_time: datetime
    end_time: datetime | None
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> list[Any]:
        duration = self.values.get("duration_s") or 0.0
        start = self.start_time.timestamp()
        end = self.end_time.timestamp() if self.end_time else start + duration
        content = orjson.dumps([start, end, self.values], option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(content).hexdigest()
        return [self.end_time is not None, end, duration, self.values.get("distance_m") or 0.0, digest]


@dataclass(frozen=True)
class Kept:
    trip: TripSummary
    created: bool


def keep(vehicle: Vehicle, told: Iterable[TripTold]) -> list[Kept]:
    """All or none. Needs `fleet` selected. Raises OtherVehicleError with the trip's name."""
    asked = list(told)
    with transaction.atomic():
        # In one order for everybody: two requests with the same trips never wait for each other crosswise.
        touched: list[Touch] = []
        kept = {id(one): _keep(vehicle, one, touched) for one in sorted(asked, key=lambda one: one.trip_id)}
        touch(touched)
        summaries = [one.trip for one in kept.values()]
        spans.follow(summaries)
        masks.keep_off(summaries)
    return [kept[id(one)] for one in asked]


def _keep(vehicle: Vehicle, told: TripTold, touched: list[Touch]) -> Kept:
    named, told = told, _without_erased(vehicle.fleet_id, told)
    version = told.version
    columns = {"start_time": told.start_time, "end_time": told.end_time, "version": version, **told.values}
    # Created first: two requests with the same new trip meet at the unique constraint, and the later one goes on below.
    trip, created = TripSummary.objects.get_or_create(
        fleet_id=vehicle.fleet_id, trip_id=told.trip_id, defaults={"vehicle": vehicle, **columns}
    )
    if not created:
        trip = TripSummary.objects.select_for_update().get(pk=trip.pk)
    if trip.vehicle_id != vehicle.pk:
        raise OtherVehicleError(told.trip_id)
    trip.vehicle, trip.fleet = vehicle, vehicle.fleet
    days = _days(trip) if created else set()
    if version > trip.version:
        days = _days(trip)
        if told is not named:  # under its pseudonym the drive stays private
            columns["driver_id"] = trip.driver_id
        for name, value in columns.items():
            setattr(trip, name, value)
        trip.seen_mm = trip.turning_mm = trip.timed_ms = None  # its records are others now
        trip.save()
        days |= _days(trip)
        urgencies.tell(trip)
    elif created:
        urgencies.tell(trip)
    touched += driving(vehicle.fleet_id, vehicle.pk, days)
    return Kept(trip, created)


def _without_erased(fleet_id: int, told: TripTold) -> TripTold:
    """Late, or told again: the drive stays, and says neither who drove nor where."""
    if not is_erased(fleet_id, told.values.get("driver_id") or ""):
        return told
    kept = {**told.values, "driver_id": "", "metadata": {}, **dict.fromkeys(masks.TRIP)}
    return replace(told, values=kept)


def _days(trip: TripSummary) -> set[date]:
    """Its days, and those of detected trips that are counted for themselves only without it."""
    return utc_days(trip).union(*(days_of(one) for one in beside(trip)))
