"""The track of a detected trip: for its page, and as a file."""

from django.http import Http404, HttpRequest, HttpResponse

from fleet.pages.session import page, part
from fleet.pages.trip import trip_or_404
from telemetry import tracks
from telemetry.pages.period import json


@part
def track(request: HttpRequest, trip: int) -> HttpResponse:
    return json(tracks.picture(trip_or_404(request.user, trip)))


@page
def track_file(request: HttpRequest, trip: int, kind: str) -> HttpResponse:
    if kind not in tracks.TYPES:
        raise Http404
    found = trip_or_404(request.user, trip)
    response = HttpResponse(tracks.file(found, kind), content_type=tracks.TYPES[kind])
    name = f"{found.vehicle.slug}-{found.started_at:%Y%m%d-%H%M}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
