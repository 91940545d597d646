"""Trips, stops and charging sessions found in telemetry, over the API. Devices' own summaries are in trips.py."""

from typing import Any, ClassVar, TypeVar

from django.db.models import Model
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of
from fleet.api.asked import PARAMETERS, narrowed, text_in
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.behaviour import tripscores
from fleet.journeys.matching import driven_by, summaries_of
from fleet.models import ChargingSession, Stop, Trip

M = TypeVar("M", bound=Model)
_ERRORS = {400: ProblemSerializer, 401: ProblemSerializer}
LEAST = OpenApiParameter("min_distance", float, description="At least so many metres.")
MOST = OpenApiParameter("max_distance", float, description="At most so many metres.")
SCORE = OpenApiParameter("max_score", float, description="Scored so many points at most.")


class PlaceSerializer(serializers.Serializer[Any]):
    lat = serializers.FloatField()
    lng = serializers.FloatField()


class JourneySerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    vehicle_id = serializers.CharField(source="vehicle.slug")
    fleet_id = serializers.CharField(source="vehicle.fleet.slug")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(help_text="Of the last record that belongs to it.")
    settled_at = serializers.DateTimeField(
        allow_null=True, help_text="The record that ended it; null while it may go on."
    )
    duration = serializers.FloatField(source="duration_s", help_text="s")
    unheard = serializers.FloatField(source="unheard_s", help_text="s of it without records")
    battery_from = serializers.FloatField(source="battery_from_percent", allow_null=True, help_text="%")
    battery_to = serializers.FloatField(source="battery_to_percent", allow_null=True, help_text="%")
    records = serializers.IntegerField()
    reconstructed_share = serializers.FloatField(
        allow_null=True, help_text="Of the values it is made of, 0 to 1."
    )


class DetectedTripSerializer(JourneySerializer):
    driver_id = serializers.SerializerMethodField(
        help_text="Whom the device's summaries name; else whoever the vehicle is assigned to at the start; null: not "
        "known."
    )
    score = serializers.FloatField(allow_null=True, help_text="0 to 100; null: `score_state` says why.")
    score_version = serializers.IntegerField(allow_null=True, help_text="Of the formula.")
    score_state = serializers.SerializerMethodField(
        help_text="Empty, or: under way, being computed, too short to score, nothing seen."
    )
    score_lost = serializers.SerializerMethodField(
        help_text="Points by component; null in it: nothing is known of that. Null where there is no score."
    )
    distance = serializers.FloatField(source="distance_m", help_text="m")
    distance_source = serializers.CharField(help_text="odometer, speed or positions")
    moving = serializers.FloatField(source="moving_s", help_text="s")
    idle = serializers.FloatField(source="idle_s", help_text="s")
    mean_speed = serializers.FloatField(source="mean_speed_mps", allow_null=True, help_text="m/s")
    max_speed = serializers.FloatField(source="max_speed_mps", allow_null=True, help_text="m/s")
    energy = serializers.FloatField(source="energy_wh", allow_null=True, help_text="Wh")
    kwh_per_100_km = serializers.FloatField(allow_null=True)
    start_location = serializers.SerializerMethodField()
    end_location = serializers.SerializerMethodField()
    summaries = serializers.SerializerMethodField(
        help_text="trip_id of the device's summaries of this drive."
    )

    def get_driver_id(self, trip: Trip) -> str | None:
        if trip.driven_by:
            return trip.driven_by
        told = self.context["summaries"][trip.pk]
        return next((summary.driver_id for summary in told if summary.driver_id), None)

    def get_score_state(self, trip: Trip) -> str:
        return tripscores.state_of(trip)

    def get_score_lost(self, trip: Trip) -> dict[str, float | None] | None:
        return None if trip.score is None else tripscores.lost(trip)

    def get_summaries(self, trip: Trip) -> list[str]:
        return [summary.trip_id for summary in self.context["summaries"][trip.pk]]

    def get_start_location(self, trip: Trip) -> dict[str, float | None] | None:
        return _place(trip.start_latitude_deg, trip.start_longitude_deg)

    def get_end_location(self, trip: Trip) -> dict[str, float | None] | None:
        return _place(trip.end_latitude_deg, trip.end_longitude_deg)


class _RestSerializer(JourneySerializer):
    location = serializers.SerializerMethodField()

    def get_location(self, row: Any) -> dict[str, float | None] | None:
        return _place(row.latitude_deg, row.longitude_deg)


class StopSerializer(_RestSerializer):
    idle = serializers.FloatField(
        source="idle_s", allow_null=True, help_text="s with the ignition on; null: not known"
    )
    moved = serializers.FloatField(
        source="moved_m", allow_null=True, help_text="m it got meanwhile: towed, or driven unheard"
    )
    begin_unknown = serializers.BooleanField()


class ChargingSessionSerializer(_RestSerializer):
    energy = serializers.FloatField(source="energy_wh", allow_null=True, help_text="Wh into the battery")
    max_power = serializers.FloatField(source="max_power_w", allow_null=True, help_text="W")
    odometer = serializers.FloatField(source="odometer_m", allow_null=True, help_text="m")
    told_by = serializers.CharField(help_text="signal, or level: a charge that rose while it stood")


class Newest(Pages):
    ordering = ("-started_at", "-id")


class DetectedTripListView(generics.GenericAPIView[Trip]):
    pagination_class = Newest
    serializer_class = DetectedTripSerializer
    queryset = Trip.objects.none()

    @extend_schema(
        summary="Trips found in telemetry, newest first",
        parameters=[*PARAMETERS, OpenApiParameter("driver", str), LEAST, MOST, SCORE],
        responses={200: DetectedTripSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request) -> Response:
        trips = narrowed(Trip.objects.visible_to(principal_of(request.user)), request, "started_at")
        if driver := request.query_params.get("driver"):
            trips = trips.filter(driven_by(text_in(driver, "driver")))
        for name, lookup in (
            ("min_distance", "distance_m__gte"),
            ("max_distance", "distance_m__lte"),
            ("max_score", "score__lte"),
        ):
            if name in request.query_params:
                trips = trips.filter(**{lookup: _amount(request, name)})
        rows = self.paginate_queryset(trips.select_related("vehicle__fleet")) or []
        content = DetectedTripSerializer(rows, many=True, context={"summaries": summaries_of(rows)})
        return self.get_paginated_response(content.data)


class DetectedTripView(APIView):
    @extend_schema(
        summary="One trip found in telemetry",
        responses={200: DetectedTripSerializer, 401: ProblemSerializer, 404: ProblemSerializer},
    )
    def get(self, request: Request, trip: int) -> Response:
        mine = Trip.objects.visible_to(principal_of(request.user)).select_related("vehicle__fleet")
        found: Trip = get_object_or_404(mine, pk=min(trip, 2**63 - 1))
        return Response(DetectedTripSerializer(found, context={"summaries": summaries_of([found])}).data)


class _RestsView(generics.GenericAPIView[M]):
    pagination_class = Newest
    rows: ClassVar[Any]

    def answer(self, request: Request) -> Response:
        found = narrowed(self.rows.visible_to(principal_of(request.user)), request, "started_at")
        page = self.paginate_queryset(found.select_related("vehicle__fleet"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class StopListView(_RestsView[Stop]):
    serializer_class = StopSerializer
    queryset = Stop.objects.none()
    rows = Stop.objects

    @extend_schema(
        summary="Stops between detected trips, newest first",
        parameters=PARAMETERS,
        responses={200: StopSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request) -> Response:
        return self.answer(request)


class ChargingSessionListView(_RestsView[ChargingSession]):
    serializer_class = ChargingSessionSerializer
    queryset = ChargingSession.objects.none()
    rows = ChargingSession.objects

    @extend_schema(
        summary="Charging sessions found in telemetry, newest first",
        parameters=PARAMETERS,
        responses={200: ChargingSessionSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request) -> Response:
        return self.answer(request)


def _amount(request: Request, name: str) -> float:
    try:
        found = float(request.query_params[name])
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise exceptions.ValidationError({name: ["Is not a number from 0 on."]})
    return found


def _place(latitude: float | None, longitude: float | None) -> dict[str, float | None] | None:
    return None if latitude is None else {"lat": latitude, "lng": longitude}
