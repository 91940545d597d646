"""Which of a device's summaries tell of which detected trip: the one that covers the trip's middle, or lies within it.

Decided anew from both rows at each question and stored nowhere, so that neither needs to know when the other changes.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from fleet.aggregation.days import days_between
from fleet.aggregation.legs import LONGEST
from fleet.coarse import rounded
from fleet.journeys.tripfinder import TripSettings
from fleet.models import Trip, TripSummary, Vehicle

MATCHED_SQL = (
    "s.vehicle_id = t.vehicle_id AND s.start_time <= t.ended_at AND ("
    "(s.start_time <= t.middle_at AND s.end_time >= t.middle_at) OR "
    "(s.start_time >= t.started_at AND coalesce(s.end_time, s.start_time) <= t.ended_at))"
)
"""`summaries` as a condition on `trips t` and `trip_summaries s`."""


def near_sql() -> str:
    """Beside MATCHED_SQL, so that an index can bound the search: a summary lasts LONGEST at most."""
    if connection.vendor == "postgresql":
        return f"s.start_time >= t.started_at - interval '{LONGEST.days} days'"
    return f"s.start_time >= datetime(t.started_at, '-{LONGEST.days} days')"


def summaries() -> QuerySet[TripSummary]:
    """Of an outer query's trip."""
    covers = Q(start_time__lte=OuterRef("middle_at"), end_time__gte=OuterRef("middle_at"))
    within = Q(start_time__gte=OuterRef("started_at")) & (
        Q(end_time__lte=OuterRef("ended_at")) | Q(end_time=None)
    )
    nearby = Q(
        vehicle=OuterRef("vehicle"),
        start_time__lte=OuterRef("ended_at"),
        start_time__gte=OuterRef("started_at") - LONGEST,
    )
    return TripSummary.objects.filter(nearby & (covers | within))


def driven_by(driver: str) -> Q:
    """Trips this driver drove; of those whose driver was not set yet, what a summary says."""
    return Q(driven_by=driver) | Q(Exists(summaries().filter(driver_id=driver)), driven_by="")


def undetected() -> Q:
    """Summaries of drives that no detected trip tells of."""
    lies_in = Q(started_at__lte=OuterRef("start_time")) & Q(
        ended_at__gte=Coalesce(OuterRef("end_time"), OuterRef("start_time"))
    )
    covered = Q(middle_at__gte=OuterRef("start_time"), middle_at__lte=OuterRef("end_time"))
    near = Trip.objects.filter(
        vehicle=OuterRef("vehicle"),
        started_at__gte=OuterRef("start_time") - LONGEST,
        started_at__lte=Coalesce(OuterRef("end_time"), OuterRef("start_time")),
    )
    return ~Q(Exists(near.filter(lies_in | covered)))


def matches(trip: Trip, summary: TripSummary) -> bool:
    if summary.vehicle_id != trip.vehicle_id:
        return False
    end = summary.end_time
    covers = end is not None and summary.start_time <= trip.middle_at <= end
    within = trip.started_at <= summary.start_time and (end or summary.start_time) <= trip.ended_at
    return covers or within


def summaries_of(trips: Sequence[Trip]) -> dict[int, list[TripSummary]]:
    """By the trip's number, in order of time. One query."""
    if not trips:
        return {}
    wanted = Q()
    for trip in trips:
        wanted |= Q(
            vehicle=trip.vehicle_id, start_time__lte=trip.ended_at, start_time__gte=trip.started_at - LONGEST
        )
    by_vehicle: dict[int, list[TripSummary]] = defaultdict(list)
    for summary in TripSummary.objects.filter(wanted).order_by("start_time", "id"):
        by_vehicle[summary.vehicle_id].append(summary)
    return {trip.pk: [s for s in by_vehicle[trip.vehicle_id] if matches(trip, s)] for trip in trips}


def beside(summary: TripSummary) -> Iterable[Trip]:
    """Detected trips that this summary may match."""
    end = summary.end_time or summary.start_time
    return Trip.objects.filter(
        vehicle=summary.vehicle_id, started_at__lte=end, ended_at__gte=summary.start_time
    )


def days_of(trip: Trip) -> set[date]:
    """Of UTC: what to touch when it comes, changes or goes, or stops being counted for itself."""
    last = min(trip.ended_at, trip.started_at + LONGEST)
    return set(days_between(trip.started_at.date(), last.date()))


def under_way(vehicle: Vehicle) -> TripSummary | None:
    """A detected trip that goes on, in the words of a summary."""
    alive = timezone.now() - timedelta(seconds=TripSettings().longest_gap_s)
    open_ones = Trip.objects.filter(vehicle=vehicle, settled_at=None, ended_at__gte=alive)
    trip = open_ones.order_by("-started_at").first()
    return None if trip is None else _in_its_words(trip, vehicle)


def _in_its_words(trip: Trip, vehicle: Vehicle) -> TripSummary:
    names = ("start_latitude_deg", "start_longitude_deg", "end_latitude_deg", "end_longitude_deg")
    told: dict[str, float | None] = {name: getattr(trip, name) for name in names}
    places: dict[str, Any] = {n: None if value is None else rounded(value) for n, value in told.items()}
    return TripSummary(
        vehicle=vehicle,
        fleet=vehicle.fleet,
        trip_id=f"detected-{trip.pk}",
        start_time=trip.started_at,
        distance_m=trip.distance_m,
        duration_s=trip.duration_s,
        mean_speed_m_s=trip.mean_speed_mps,
        max_speed_m_s=trip.max_speed_mps,
        updated_at=trip.ended_at,
        **places,
    )
