"""One detected trip: where it went, how, and what the device says of it. `/trips/{id}`; telemetry has the track."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from fleet.access import principal_of
from fleet.behaviour import lost, scoring, tripscores
from fleet.behaviour.driving import visible
from fleet.journeys import triprules
from fleet.journeys.matching import summaries_of
from fleet.models import ChargingSession, DrivingEvent, Role, Stop, Trip
from fleet.pages.session import page
from fleet.pages.tripfigures import shown
from fleet.pages.trips import whole
from fleet.privacy.gate import Shade

EVENTS = 500
"""Listed of one trip."""


def trip_or_404(user: Any, number: int) -> Trip:
    mine = Trip.objects.visible_to(principal_of(user)).select_related("vehicle__fleet", "driver__fleet")
    found: Trip = get_object_or_404(mine, pk=min(number, 2**63 - 1))
    return found


def _scored(request: HttpRequest, found: Trip) -> dict[str, Any]:
    """Its score, and each event with the points it cost; `?event=` is the one to show."""
    sums = tripscores.sums_of(found)
    components = scoring.explained(sums)
    events = DrivingEvent.objects.visible_to(principal_of(request.user)).filter(
        vehicle=found.vehicle_id, started_at__gte=found.started_at, started_at__lte=found.ended_at
    )
    heard_s = found.duration_s - found.unheard_s
    rate_hz = found.records / heard_s if heard_s > 0 else None
    counts = found.score is not None
    return {
        "components": components,
        "score_state": tripscores.state_of(found),
        "events": [
            (event, lost.points_of(event, components, sums) if counts else None)
            for event in events.select_related("dismissal").order_by("started_at", "pk")[:EVENTS]
        ],
        "lost_by": request.GET.get("lost", ""),
        "selected": whole(request.GET.get("event", "")),
        "rate_hz": rate_hz,
        "every_s": 1 / rate_hz if rate_hz else None,
        "unseen": [what for what, can in visible(rate_hz) if not can],
        "seen_percent": min(100.0, 0.1 * (found.seen_mm or 0) / found.distance_m)
        if found.distance_m
        else None,
        "turning_percent": min(100.0, 0.1 * (found.turning_mm or 0) / found.distance_m)
        if found.distance_m
        else None,
        "least_km": tripscores.LEAST_M / 1000,
    }


@page
def trip(request: HttpRequest, trip: int) -> HttpResponse:
    found = trip_or_404(request.user, trip)
    vehicle = found.vehicle
    principal = principal_of(request.user)
    stops = Stop.objects.visible_to(principal).filter(vehicle=vehicle)
    others = Trip.objects.visible_to(principal).filter(vehicle=vehicle)
    after = stops.filter(started_at__gte=found.ended_at).order_by("started_at").first()
    charges = ChargingSession.objects.visible_to(principal).filter(
        vehicle=vehicle, started_at__gte=found.ended_at
    )
    if after:
        charges = charges.filter(started_at__lte=after.ended_at)
    stretch = vehicle.pk, found.started_at, found.ended_at
    private = Shade.over([stretch]).meets(*stretch)
    content = {
        **_scored(request, found),
        "one": shown(found, summaries_of([found])[found.pk]),
        "trip": found,
        "vehicle": vehicle,
        "before": stops.filter(ended_at__lte=found.started_at).order_by("-started_at").first(),
        "after": after,
        "charges": list(charges.order_by("started_at")[:20]) if after else [],
        "earlier": others.filter(started_at__lt=found.started_at).order_by("-started_at").first(),
        "later": others.filter(started_at__gt=found.started_at).order_by("started_at").first(),
        "private": private,
        "rules": triprules.of(vehicle.fleet),
        "may_edit": principal.can(Role.MANAGER, found.fleet_id),
        "tile_url": settings.TILE_URL,
        "tile_attribution": settings.TILE_ATTRIBUTION,
        "files": (("gpx", "GPX"), ("kml", "KML"), ("geojson", "GeoJSON")),
    }
    return render(request, "fleet/trip.html", content)
