"""Trip summaries over the API: devices post them, members read them."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of
from fleet.api.asked import PARAMETERS, demand_device, narrowed, own_vehicle, text_in
from fleet.api.moments import MomentField
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer, problem
from fleet.api.told import NumberField, ToldSerializer, storable
from fleet.coarse import coarse, rounded
from fleet.journeys.trips import OtherVehicleError, TripTold, keep
from fleet.models import TripSummary

AT_ONCE = 100
_LONGEST_S = 366 * 86_400.0


class CoarsePositionSerializer(serializers.Serializer[Any]):
    """Rounded to two decimals before anything else sees it."""

    lat = NumberField(min_value=-90, max_value=90)
    lng = NumberField(min_value=-180, max_value=180)

    def to_internal_value(self, data: Any) -> dict[str, float]:
        found: dict[str, float] = super().to_internal_value(data)
        return {name: rounded(value) for name, value in found.items()}


class TripToldSerializer(ToldSerializer):
    """Keys not listed here are kept as metadata, positions among them made coarse."""

    trip_id = serializers.CharField(max_length=200)
    vehicle_id = serializers.CharField(max_length=64, help_text="Slug, VIN or plate.")
    driver_id = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)
    start_time = MomentField(past=True)
    end_time = MomentField(past=True, required=False, allow_null=True)
    distance = NumberField(required=False, allow_null=True, min_value=0, max_value=1e8, help_text="m")
    duration = NumberField(required=False, allow_null=True, min_value=0, max_value=_LONGEST_S, help_text="s")
    average_speed = NumberField(required=False, allow_null=True, min_value=0, max_value=1e4, help_text="m/s")
    max_speed = NumberField(required=False, allow_null=True, min_value=0, max_value=1e4, help_text="m/s")
    average_risk_score = NumberField(required=False, allow_null=True, min_value=0, max_value=1)
    max_risk_score = NumberField(required=False, allow_null=True, min_value=0, max_value=1)
    alert_counts = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=10**9), required=False, allow_null=True
    )
    start_location = CoarsePositionSerializer(required=False, allow_null=True)
    end_location = CoarsePositionSerializer(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        found = super().to_internal_value(data)
        return found | {"metadata": coarse(found["metadata"])}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("end_time") and attrs["end_time"] < attrs["start_time"]:
            raise serializers.ValidationError({"end_time": ["Before start_time."]})
        storable(attrs.get("alert_counts"), "alert_counts")
        return attrs


class TripSerializer(serializers.Serializer[Any]):
    trip_id = serializers.CharField()
    vehicle_id = serializers.CharField(source="vehicle.slug")
    fleet_id = serializers.CharField(source="fleet.slug")
    driver_id = serializers.CharField()
    start_time = serializers.DateTimeField()
    end_time = serializers.DateTimeField(allow_null=True)
    distance = serializers.FloatField(source="distance_m", allow_null=True, help_text="m")
    duration = serializers.FloatField(source="duration_s", allow_null=True, help_text="s")
    average_speed = serializers.FloatField(source="mean_speed_m_s", allow_null=True, help_text="m/s")
    max_speed = serializers.FloatField(source="max_speed_m_s", allow_null=True, help_text="m/s")
    average_risk_score = serializers.FloatField(source="mean_risk", allow_null=True)
    max_risk_score = serializers.FloatField(source="max_risk", allow_null=True)
    alert_counts = serializers.DictField(source="alerts", child=serializers.IntegerField())
    start_location = serializers.SerializerMethodField()
    end_location = serializers.SerializerMethodField()
    metadata = serializers.DictField()
    updated_at = serializers.DateTimeField()
    safety_score = serializers.FloatField(
        source="score",
        allow_null=True,
        help_text="0 to 100; null: going on, below 2 km, or nothing is known.",
    )
    score_version = serializers.IntegerField(allow_null=True)

    def get_start_location(self, trip: TripSummary) -> dict[str, float | None] | None:
        return _position(trip.start_latitude_deg, trip.start_longitude_deg)

    def get_end_location(self, trip: TripSummary) -> dict[str, float | None] | None:
        return _position(trip.end_latitude_deg, trip.end_longitude_deg)


EXAMPLE = OpenApiExample(
    "A trip",
    {
        "trip_id": "trip_20241117_103045", "vehicle_id": "vehicle_001", "driver_id": "driver_123",
        "start_time": "2024-11-17T10:30:45Z", "end_time": "2024-11-17T11:02:10Z", "distance": 18250.0,
        "duration": 1885, "average_speed": 9.7, "max_speed": 22.4, "average_risk_score": 0.18,
        "max_risk_score": 0.63, "alert_counts": {"info": 4, "warning": 1, "critical": 0},
        "start_location": {"lat": 52.52, "lng": 13.4}, "end_location": {"lat": 52.46, "lng": 13.52},
    },
    request_only=True,
)  # fmt: skip
_ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 409, 429), ProblemSerializer)


class TripListView(generics.GenericAPIView[TripSummary]):
    pagination_class = Pages
    serializer_class = TripSerializer
    queryset = TripSummary.objects.none()

    @extend_schema(
        summary="Trips as devices summed them up, newest first",
        parameters=[*PARAMETERS, OpenApiParameter("driver", str)],
        responses={200: TripSerializer(many=True), 400: ProblemSerializer, 401: ProblemSerializer},
    )
    def get(self, request: Request) -> Response:
        trips = TripSummary.objects.visible_to(principal_of(request.user)).select_related("vehicle", "fleet")
        trips = narrowed(trips, request, "start_time")
        if driver := request.query_params.get("driver"):
            trips = trips.filter(driver_id=text_in(driver, "driver"))
        return self.get_paginated_response(self.get_serializer(self.paginate_queryset(trips), many=True).data)

    @extend_schema(
        summary="Send a trip's summary, or several",
        description="201 when new, 200 when the trip was known; the newest version stays, in whatever order they "
        f"come. A list of up to {AT_ONCE} is kept whole or not at all. Positions are rounded to 0.01° before "
        "they are stored.",
        request=TripToldSerializer,
        responses={200: TripSerializer, 201: TripSerializer, **_ERRORS},
        examples=[EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        demand_device(request)
        many = isinstance(request.data, list)
        if many and not 0 < len(request.data) <= AT_ONCE:
            raise exceptions.ValidationError([f"Send 1 to {AT_ONCE} summaries at once."])
        told = TripToldSerializer(data=request.data, many=many)
        told.is_valid(raise_exception=True)
        bodies = told.validated_data if many else [told.validated_data]
        vehicle = own_vehicle(request, {body["vehicle_id"] for body in bodies})
        try:
            kept = keep(vehicle, map(_told, bodies)) if vehicle else []
        except OtherVehicleError as error:
            return problem(
                409, f"Another vehicle of this fleet has a trip named {error}: choose another name."
            )
        created = any(one.created for one in kept)
        content = [TripSerializer(one.trip).data for one in kept]
        answer: Any = {"results": content} if many else content[0]
        return Response(answer, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class TripView(APIView):
    @extend_schema(
        summary="One trip as its device summed it up",
        responses={
            200: TripSerializer, 401: ProblemSerializer, 404: OpenApiResponse(ProblemSerializer, "None of yours."),
        },
    )  # fmt: skip
    def get(self, request: Request, trip: str) -> Response:
        trips = TripSummary.objects.visible_to(principal_of(request.user)).filter(trip_id=trip)
        found = get_object_or_404(trips.select_related("vehicle", "fleet").order_by("-id")[:1])
        return Response(TripSerializer(found).data)


def _told(body: dict[str, Any]) -> TripTold:
    start, end = body.get("start_location") or {}, body.get("end_location") or {}
    return TripTold(
        trip_id=body["trip_id"],
        start_time=body["start_time"],
        end_time=body.get("end_time"),
        values={
            "driver_id": body.get("driver_id") or "",
            "distance_m": body.get("distance"),
            "duration_s": body.get("duration"),
            "mean_speed_m_s": body.get("average_speed"),
            "max_speed_m_s": body.get("max_speed"),
            "mean_risk": body.get("average_risk_score"),
            "max_risk": body.get("max_risk_score"),
            "alerts": body.get("alert_counts") or {},
            "start_latitude_deg": start.get("lat"),
            "start_longitude_deg": start.get("lng"),
            "end_latitude_deg": end.get("lat"),
            "end_longitude_deg": end.get("lng"),
            "metadata": body["metadata"],
        },
    )


def _position(latitude: float | None, longitude: float | None) -> dict[str, float | None] | None:
    return None if latitude is None else {"lat": latitude, "lng": longitude}
