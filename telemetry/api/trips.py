"""GET /api/v1/detected-trips/{id}/track/{gpx,kml,geojson}: a detected trip's track as a file."""

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.views import APIView

from fleet.access import principal_of
from fleet.api.problems import ProblemSerializer
from fleet.models import Trip
from telemetry import tracks


class TripTrackView(APIView):
    @extend_schema(
        summary="A detected trip's track as a file",
        description="Its plausible positions with their times. A trip whose records are no longer kept is a file "
        "without points.",
        parameters=[OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=list(tracks.TYPES))],
        responses={
            **{(200, kind): OpenApiTypes.BINARY for kind in tracks.TYPES.values()},
            401: ProblemSerializer,
            404: ProblemSerializer,
        },
    )
    def get(self, request: Request, trip: int, kind: str) -> HttpResponseBase:
        if kind not in tracks.TYPES:
            raise exceptions.NotFound(f"There is a track as {', '.join(tracks.TYPES)}.")
        mine = Trip.objects.visible_to(principal_of(request.user)).select_related("vehicle__fleet")
        found = get_object_or_404(mine, pk=min(trip, 2**63 - 1))
        return HttpResponse(tracks.file(found, kind), content_type=tracks.TYPES[kind])
