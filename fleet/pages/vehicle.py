"""One vehicle: who it is, how it is now. Its charts, track and compression are loaded from telemetry's pages."""

from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from fleet.access import principal_of, vehicle_or_404
from fleet.behaviour import scorecard, scoring
from fleet.geofencing import hours
from fleet.models import Kind, Motion, Role, Vehicle, VehicleState
from fleet.pages import assignments
from fleet.pages.session import page, part
from fleet.pages.vehicle_hours import hours_today
from fleet.privacy import rules, spans
from fleet.readings import READINGS, Catalogue, catalogue_of, gauges, shown_as

CHARTED = ("speed", "battery", "power")
NOT_CHARTED = {*CHARTED, "latitude", "longitude", "heading"}


@page
def vehicle(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    found = vehicle_or_404(request.user, fleet, vehicle)
    catalogue = catalogue_of(found.fleet_id)
    content = _now(found, catalogue)
    known = {gauge.name for gauge in content["gauges"]} if content["state"] else set()
    names = [*(name for name in READINGS if name in known), *sorted(known - READINGS.keys())]
    content |= {
        "charts": [(name, shown_as(name, catalogue)) for name in CHARTED],
        "further": [(name, shown_as(name, catalogue)) for name in names if name not in NOT_CHARTED],
        "today": timezone.now().astimezone(ZoneInfo(found.fleet.time_zone)).date(),
        "tile_url": settings.TILE_URL,
        "tile_attribution": settings.TILE_ATTRIBUTION,
        "offline_after": settings.OFFLINE_AFTER_S,
        "may_see_commands": principal_of(request.user).can(Role.VIEWER, found.fleet_id),
        "card": scorecard.of_vehicle(found, timezone.now()) if found.kind == Kind.VEHICLE else None,
        "score_version": scoring.VERSION,
        "hours": hours_today(found, timezone.now())[1],
        **assignments.of(request, vehicle=found),
        "may_edit": principal_of(request.user).can(Role.MANAGER, found.fleet_id),
        "private_now": spans.private_at(found, timezone.now()),
        "switched_on": rules.open_switch(found) is not None,
        "may_switch": rules.may_switch(principal_of(request.user), found),
        "own_hours": hours.typed(rules.hours_of(found.fleet, found)),
    }
    return render(request, "fleet/vehicle.html", content)


@part
def now(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    """Header and gauges again, for the slow refresh."""
    found = vehicle_or_404(request.user, fleet, vehicle)
    return render(request, "fleet/_vehicle_now.html", _now(found, catalogue_of(found.fleet_id)))


def _now(vehicle: Vehicle, catalogue: Catalogue) -> dict[str, Any]:
    state: VehicleState | None = getattr(vehicle, "state", None)
    moment = timezone.now()
    shown = list(gauges(state.all_values(), state.reconstructed, catalogue)) if state else []
    return {
        "vehicle": vehicle,
        "state": state,
        "now": moment,
        "motion": state.motion(moment) if state else Motion.NEVER,
        "main_gauges": [gauge for gauge in shown if gauge.name in CHARTED],
        "gauges": [gauge for gauge in shown if gauge.name not in CHARTED],
    }
