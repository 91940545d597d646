"""Vehicles over the API: who there is, and how each is now."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import visible_vehicles
from fleet.api import vehicle as one
from fleet.api.alerts import AlertSerializer
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.api.trips import TripSerializer
from fleet.journeys.matching import under_way
from fleet.models import Alert, Motion, TripSummary, Vehicle, VehicleState

NEWEST_ALERTS = 5


class PositionSerializer(serializers.Serializer[Any]):
    lat = serializers.FloatField()
    lng = serializers.FloatField()
    heading = serializers.FloatField(allow_null=True)


class VehicleStatusSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.CharField()
    name = serializers.CharField()
    vin = serializers.CharField(allow_null=True)
    license_plate = serializers.CharField()
    fleet_id = serializers.CharField()
    status = serializers.ChoiceField(["online", "offline"])
    state = serializers.ChoiceField(Motion.choices)
    last_seen = serializers.DateTimeField(allow_null=True, help_text="When the server last heard of it.")
    timestamp = serializers.DateTimeField(allow_null=True, help_text="When the values were measured.")
    position = PositionSerializer(allow_null=True)
    battery = serializers.FloatField(allow_null=True, help_text="State of charge, %.")
    speed = serializers.FloatField(allow_null=True, help_text="km/h.")
    values = serializers.DictField(help_text="Every signal last known, in the units of docs/protocol.md.")
    reconstructed = serializers.ListField(child=serializers.CharField())
    quality = serializers.CharField(allow_null=True)


class VehicleNowSerializer(VehicleStatusSerializer):
    open_alert_count = serializers.IntegerField(help_text="Not resolved.")
    open_alerts = AlertSerializer(many=True, help_text=f"The newest {NEWEST_ALERTS} of them.")
    current_trip = TripSerializer(
        allow_null=True,
        help_text="The newest summary, when it has no end yet; else a detected trip that goes on.",
    )


class VehicleStatusView(APIView):
    """`{id}` is the vehicle's slug, VIN or plate. Unknown or not yours: 404."""

    @extend_schema(
        summary="How a vehicle is now",
        responses={200: VehicleNowSerializer, 401: ProblemSerializer, 404: ProblemSerializer},
    )
    def get(self, request: Request, name: str) -> Response:
        found = visible_vehicles(request.user).named(name).select_related("fleet", "state")
        vehicle = get_object_or_404(found.order_by("id")[:1])
        return Response(vehicle_status(vehicle) | _what_goes_on(vehicle))


class VehiclePages(Pages):
    ordering = ("name", "id")


class VehicleListView(APIView):
    pagination_class = VehiclePages
    post = one.add

    @extend_schema(
        summary="Vehicles you may see, in service, by name", responses=VehicleStatusSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        pages = VehiclePages()
        vehicles = visible_vehicles(request.user).in_service().select_related("fleet", "state")
        rows: Any = pages.paginate_queryset(vehicles, request, self)
        return pages.get_paginated_response([vehicle_status(vehicle) for vehicle in rows])


def vehicle_status(vehicle: Vehicle) -> dict[str, Any]:
    """One vehicle, its state included when it has one. Needs `fleet` and `state` selected."""
    state: VehicleState | None = getattr(vehicle, "state", None)
    motion = state.motion(timezone.now()) if state else Motion.NEVER
    away = motion in {Motion.OFFLINE, Motion.NEVER}
    return {
        "vehicle_id": vehicle.slug,
        "name": vehicle.name,
        "vin": vehicle.vin,
        "license_plate": vehicle.plate,
        "fleet_id": vehicle.fleet.slug,
        "status": "offline" if away else "online",
        "state": motion.value,
        "last_seen": state and state.received_at,
        "timestamp": state and state.time,
        "position": _position(state) if state else None,
        "battery": state and state.battery_percent,
        "speed": state and state.speed_kmh,
        "values": state.values if state else {},
        "reconstructed": state.reconstructed if state else [],
        "quality": state and state.quality,
    }


def _what_goes_on(vehicle: Vehicle) -> dict[str, Any]:
    """Three queries, four without a summary that goes on. Needs `fleet` selected."""
    alerts = Alert.objects.filter(vehicle=vehicle, fleet=vehicle.fleet).waiting()
    newest: Any = alerts.select_related("vehicle", "fleet", "assigned_to").order_by("-last_at", "-id")[
        :NEWEST_ALERTS
    ]
    trips = TripSummary.objects.filter(vehicle=vehicle, fleet=vehicle.fleet).select_related(
        "vehicle", "fleet"
    )
    newest_trip = trips.order_by("-start_time", "-id").first()
    trip = newest_trip if newest_trip and newest_trip.end_time is None else under_way(vehicle)
    return {
        "open_alert_count": alerts.count(),
        "open_alerts": AlertSerializer(newest, many=True).data,
        "current_trip": TripSerializer(trip).data if trip else None,
    }


def _position(state: VehicleState) -> dict[str, float | None] | None:
    if state.latitude_deg is None or state.longitude_deg is None:
        return None
    return {"lat": state.latitude_deg, "lng": state.longitude_deg, "heading": state.heading_deg}
