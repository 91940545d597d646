"""One detected trip: where it went, how, and what the device says of it. `/trips/{id}`; telemetry has the track."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from fleet import triprules
from fleet.access import principal_of
from fleet.matching import summaries_of
from fleet.models import ChargingSession, Role, Stop, Trip
from fleet.pages.session import page
from fleet.pages.tripfigures import shown


def trip_or_404(user: Any, number: int) -> Trip:
    mine = Trip.objects.visible_to(principal_of(user)).select_related("vehicle__fleet")
    found: Trip = get_object_or_404(mine, pk=min(number, 2**63 - 1))
    return found


@page
def trip(request: HttpRequest, trip: int) -> HttpResponse:
    found = trip_or_404(request.user, trip)
    vehicle = found.vehicle
    stops = Stop.objects.filter(vehicle=vehicle)
    others = Trip.objects.filter(vehicle=vehicle)
    after = stops.filter(started_at__gte=found.ended_at).order_by("started_at").first()
    charges = ChargingSession.objects.filter(vehicle=vehicle, started_at__gte=found.ended_at)
    if after:
        charges = charges.filter(started_at__lte=after.ended_at)
    content = {
        "one": shown(found, summaries_of([found])[found.pk]),
        "trip": found,
        "vehicle": vehicle,
        "before": stops.filter(ended_at__lte=found.started_at).order_by("-started_at").first(),
        "after": after,
        "charges": list(charges.order_by("started_at")[:20]) if after else [],
        "earlier": others.filter(started_at__lt=found.started_at).order_by("-started_at").first(),
        "later": others.filter(started_at__gt=found.started_at).order_by("started_at").first(),
        "rules": triprules.of(vehicle.fleet),
        "may_edit": principal_of(request.user).can(Role.MANAGER, found.fleet_id),
        "tile_url": settings.TILE_URL,
        "tile_attribution": settings.TILE_ATTRIBUTION,
        "files": (("gpx", "GPX"), ("kml", "KML"), ("geojson", "GeoJSON")),
    }
    return render(request, "fleet/trip.html", content)
