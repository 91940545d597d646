"""Trips whose records changed after they were counted: to be counted again. A consumer of derive."""

import time
from collections.abc import Sequence
from datetime import UTC
from typing import Final

from django.db.models import Q
from django.db.models.functions import Coalesce

from fleet.aggregation.days import days_between
from fleet.aggregation.legs import LONGEST
from fleet.aggregation.rollups import Touch, touch
from fleet.models import Part, Trip, TripSummary
from telemetry.derivation.touched import Span
from telemetry.frames import from_us

STRETCH_S: Final = 300
"""A trip whose records go on coming is counted this often."""


def consume(spans: Sequence[Span]) -> None:
    """Two queries where the records lie in no trip. Records at the end cannot lie in a detected trip that is over."""
    _again([span for span in spans if not span.appends], "trips")
    _again(spans, "summaries")


def _again(spans: Sequence[Span], which: str) -> None:
    if not spans:
        return
    trips = which == "trips"
    start, end = ("started_at", "ended_at") if trips else ("start_time", "end_time")
    meets = Q(pk__in=())
    over = {"settled_at__isnull": False} if trips else {"end_time__isnull": False}
    for span in spans:
        first, last = from_us(span.first_us), from_us(span.last_us)
        within = {f"{start}__lte": last, f"{start}__gte": first - LONGEST, "until__gte": first}
        meets |= Q(vehicle=span.vehicle_id, **within)
    rows = (Trip.objects if trips else TripSummary.objects).annotate(until=Coalesce(end, start))
    found = list(rows.filter(meets, **over).values_list("pk", "fleet_id", "vehicle_id", start, "until"))
    if not found:
        return
    # Also what is not counted yet: somebody may be counting it right now, without these records.
    model = Trip if trips else TripSummary
    model.objects.filter(pk__in=[row[0] for row in found]).update(seen_mm=None)
    slot = int(time.time() // STRETCH_S + 1) * STRETCH_S
    touch(
        Touch(vehicle, Part.DRIVING, day, fleet, slot)
        for _, fleet, vehicle, begin, until in found
        for day in days_between(
            begin.astimezone(UTC).date(), min(until, begin + LONGEST).astimezone(UTC).date()
        )
    )
