"""Privacy and retention over the API: a fleet's limits and private hours; private time of a vehicle, of a driver."""

from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets, visible_vehicles
from fleet.api.drivers import FLEET, find_driver
from fleet.api.etags import tag_of
from fleet.api.geofence_shape import HoursSerializer
from fleet.api.problems import ProblemSerializer, problem
from fleet.audit import Actor
from fleet.jsontext import dumped
from fleet.models import Driver, Fleet, Role, Vehicle
from fleet.privacy import retention, rules, spans
from fleet.privacy.retention import Limits

_ERRORS: dict[int, Any] = dict.fromkeys((401, 403, 404, 429), ProblemSerializer)
_WRONG: dict[int, Any] = {400: ProblemSerializer, **_ERRORS}
_IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER,
    description="The `ETag` you fetched: 412 when somebody changed it since.",
)  # fmt: skip


class PrivacySerializer(serializers.Serializer[Any]):
    """A limit is whole months before the present one; null: as the server keeps it, or for ever."""

    records_months = serializers.IntegerField(
        min_value=1, max_value=240, allow_null=True, help_text="Telemetry records."
    )
    places_months = serializers.IntegerField(
        min_value=1, max_value=240, allow_null=True, help_text="Positions of trips and events, and visits."
    )
    day_sums_months = serializers.IntegerField(
        min_value=1, max_value=240, allow_null=True, help_text="Sums by day; those by month stay."
    )
    footage_days = serializers.IntegerField(min_value=1, max_value=36_500, allow_null=True)
    private_hours = HoursSerializer(many=True, help_text="Of every vehicle; empty: none.")


class PrivateNowSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="switch, schedule or driver")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True, help_text="null: until it is switched off")


class VehiclePrivacySerializer(serializers.Serializer[Any]):
    private = serializers.BooleanField(required=False, help_text="The switch.")
    private_hours = HoursSerializer(many=True, required=False, help_text="Beside the fleet's; managers only.")


class VehiclePrivacyTold(VehiclePrivacySerializer):
    now = PrivateNowSerializer(allow_null=True, help_text="Why it is private now, by whatever rule.")


class DriverPrivacySerializer(serializers.Serializer[Any]):
    private = serializers.BooleanField(help_text="Every trip of theirs that begins from now on.")


class FleetPrivacyView(APIView):
    @extend_schema(
        summary="How long a fleet keeps what, and its private hours",
        responses={200: PrivacySerializer, **_ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        found = _fleet(request, fleet)
        return Response(_told(found))

    @extend_schema(
        summary="Change how long a fleet keeps what, and its private hours",
        parameters=[_IF_MATCH],
        request=PrivacySerializer,
        responses={200: PrivacySerializer, 412: ProblemSerializer, **_WRONG},
    )
    def put(self, request: Request, fleet: str) -> Response:
        found = _fleet(request, fleet)
        body = PrivacySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = dict(body.validated_data)
        schedule = [dict(entry) for entry in wanted.pop("private_hours")]
        with transaction.atomic():
            Fleet.objects.select_for_update(no_key=True).get(pk=found.pk)
            tags = {tag.strip() for tag in request.headers.get("If-Match", "").split(",")} - {""}
            if tags and "*" not in tags and tag_of(dumped(_told(found))) not in tags:
                return problem(412, "Somebody changed it since: fetch it, and change what is there now.")
            try:
                rules.set_hours(Actor.of(request), found, schedule)
                retention.change(Actor.of(request), found, Limits(**wanted))
            except ValidationError as error:
                raise serializers.ValidationError(error.message_dict) from None
        return Response(_told(found))


class VehiclePrivacyView(APIView):
    @extend_schema(
        summary="Whether a vehicle's position is private", responses={200: VehiclePrivacyTold, **_ERRORS}
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(_of_vehicle(_vehicle(request, name)))

    @extend_schema(
        summary="Make a vehicle's position private, or no more",
        description="The switch takes a manager or an active driver of the fleet. It holds from now on in event time; "
        "what was private stays so.",
        request=VehiclePrivacySerializer,
        responses={200: VehiclePrivacyTold, **_WRONG},
    )
    def put(self, request: Request, name: str) -> Response:
        vehicle, principal = _vehicle(request, name), principal_of(request.user)
        if not rules.may_switch(principal, vehicle):
            raise exceptions.PermissionDenied("This takes a manager or a driver of the fleet.")
        body = VehiclePrivacySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        with transaction.atomic():
            if "private_hours" in wanted:
                if not principal.can(Role.MANAGER, vehicle.fleet_id):
                    raise exceptions.PermissionDenied("Hours take a manager of the fleet.")
                entries = [dict(entry) for entry in wanted["private_hours"]]
                try:
                    rules.set_hours(Actor.of(request), vehicle.fleet, entries, vehicle)
                except ValidationError as error:
                    raise serializers.ValidationError(error.message_dict) from None
            if "private" in wanted:
                rules.switch(Actor.of(request), vehicle, wanted["private"])
        return Response(_of_vehicle(vehicle))


class DriverPrivacyView(APIView):
    @extend_schema(
        summary="Whether a driver's trips are private",
        parameters=[FLEET],
        responses={200: DriverPrivacySerializer, **_WRONG},
    )
    def get(self, request: Request, driver: str) -> Response:
        return Response({"private": rules.open_wish(_driver(request, driver)) is not None})

    @extend_schema(
        summary="Make a driver's trips private, or no more (managers, and the driver)",
        parameters=[FLEET],
        request=DriverPrivacySerializer,
        responses={200: DriverPrivacySerializer, **_WRONG},
    )
    def put(self, request: Request, driver: str) -> Response:
        found = _driver(request, driver)
        body = DriverPrivacySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        rules.wish(Actor.of(request), found, body.validated_data["private"])
        return Response({"private": rules.open_wish(found) is not None})


def _fleet(request: Request, slug: str) -> Fleet:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=slug)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise exceptions.PermissionDenied("This takes a manager of the fleet.")
    return found


def _told(fleet: Fleet) -> dict[str, Any]:
    return {**asdict(retention.limits_of(retention.of(fleet))), "private_hours": rules.hours_of(fleet)}


def _vehicle(request: Request, name: str) -> Vehicle:
    rows = visible_vehicles(request.user).named(name).select_related("fleet").order_by("id")
    found: Vehicle = get_object_or_404(rows[:1])
    return found


def _of_vehicle(vehicle: Vehicle) -> dict[str, Any]:
    return {
        "private": rules.open_switch(vehicle) is not None,
        "private_hours": rules.hours_of(vehicle.fleet, vehicle),
        "now": spans.private_at(vehicle, timezone.now()),
    }


def _driver(request: Request, slug: str) -> Driver:
    found, principal = find_driver(request, slug), principal_of(request.user)
    if not (
        principal.can(Role.MANAGER, found.fleet_id)
        or (principal.user_id and principal.user_id == found.user_id)
    ):
        raise exceptions.PermissionDenied("This takes a manager of the fleet, or the driver in person.")
    return found
