"""One vehicle: who it is, how it is now. Its charts, track and compression are loaded from telemetry's pages."""

from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from fleet.access import vehicle_or_404
from fleet.models import Motion, Vehicle, VehicleState
from fleet.pages.session import page, part
from fleet.readings import READINGS, gauges, shown_as

CHARTED = ("speed", "battery", "power")
NOT_CHARTED = {*CHARTED, "latitude", "longitude", "heading"}


@page
def vehicle(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    found = vehicle_or_404(request.user, fleet, vehicle)
    content = _now(found)
    known = found.state.values if content["state"] else {}
    content |= {
        "charts": [(name, READINGS[name]) for name in CHARTED],
        "further": [(name, shown_as(name)) for name in READINGS if name in known and name not in NOT_CHARTED],
        "today": timezone.now().astimezone(ZoneInfo(found.fleet.time_zone)).date(),
        "tile_url": settings.TILE_URL,
        "tile_attribution": settings.TILE_ATTRIBUTION,
        "offline_after": settings.OFFLINE_AFTER_S,
    }
    return render(request, "fleet/vehicle.html", content)


@part
def now(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    """Header and gauges again, for the slow refresh."""
    return render(request, "fleet/_vehicle_now.html", _now(vehicle_or_404(request.user, fleet, vehicle)))


def _now(vehicle: Vehicle) -> dict[str, Any]:
    state: VehicleState | None = getattr(vehicle, "state", None)
    moment = timezone.now()
    shown = list(gauges(state.values, state.reconstructed)) if state else []
    return {
        "vehicle": vehicle,
        "state": state,
        "now": moment,
        "motion": state.motion(moment) if state else Motion.NEVER,
        "main_gauges": [gauge for gauge in shown if gauge.name in CHARTED],
        "gauges": [gauge for gauge in shown if gauge.name not in CHARTED],
    }
