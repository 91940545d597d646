"""Who has which vehicle, from when until when, over the API."""

from typing import Any

from django.core.exceptions import ValidationError as FieldsError
from django.db.models import Q
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_vehicles
from fleet.api.asked import text_in
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.moments import MomentField, moment_of
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.behaviour import assignments
from fleet.behaviour.assignments import Wish
from fleet.models import Driver, DriverAssignment, Role, Vehicle

_ERRORS = dict.fromkeys((401, 403, 404), ProblemSerializer)
_WRONG: dict[int, Any] = {400: ProblemSerializer, **_ERRORS}
_FIELDS = {"driver": "driver_id", "vehicle": "vehicle_id"}


class AssignmentSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    fleet_id = serializers.CharField(source="fleet.slug")
    vehicle_id = serializers.CharField(source="vehicle.slug")
    driver_id = serializers.CharField(source="driver.slug")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(
        allow_null=True, help_text="The first moment that is no part of it; null: until further notice."
    )


class NewAssignmentSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.CharField(max_length=64, help_text="Slug, VIN or plate.")
    driver_id = serializers.CharField(max_length=64)
    started_at = MomentField()
    ended_at = MomentField(required=False, allow_null=True)
    hand_over = serializers.BooleanField(
        default=False, help_text="Whoever has the vehicle until further notice has it until then."
    )


class ChangedAssignmentSerializer(serializers.Serializer[Any]):
    """What is left out stays."""

    driver_id = serializers.CharField(max_length=64, required=False)
    started_at = MomentField(required=False)
    ended_at = MomentField(required=False, allow_null=True)


class AssignmentPages(Pages):
    ordering = ("-started_at", "-id")


_FILTERS = [
    OpenApiParameter("vehicle", str, description="Slug, VIN or plate."),
    OpenApiParameter("driver", str, description="Driver id."),
    OpenApiParameter("fleet", str, description="Of this fleet only."),
    OpenApiParameter("at", str, description="Those that hold at this moment: ISO 8601 or Unix seconds."),
]
_EXAMPLE = OpenApiExample(
    "assignment",
    {
        "vehicle_id": "van-1",
        "driver_id": "driver_123",
        "started_at": "2026-11-21T06:00:00Z",
        "ended_at": None,
    },
    request_only=True,
)


class AssignmentsView(generics.GenericAPIView[DriverAssignment]):
    pagination_class = AssignmentPages
    serializer_class = AssignmentSerializer
    queryset = DriverAssignment.objects.none()

    @extend_schema(
        operation_id="v1_driver_assignments_list",
        summary="Who has which vehicle, newest first",
        description="A device sees its vehicle's. A person with the role driver sees their own.",
        parameters=_FILTERS,
        responses={200: AssignmentSerializer(many=True), 400: ProblemSerializer, 401: ProblemSerializer},
    )
    def get(self, request: Request) -> Response:
        rows = _asked(_visible(request), request)
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(AssignmentSerializer(page, many=True).data)

    @extend_schema(
        summary="Assign a vehicle to a driver (managers)",
        description="A vehicle has one driver at a time; two at once are refused. Trips, events and sums of that "
        "time follow in the background. What a device says of a trip's driver goes before it.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewAssignmentSerializer,
        responses={201: AssignmentSerializer, **_WRONG, **REPEATED},
        examples=[_EXAMPLE],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        _demand_manager(request)
        body = NewAssignmentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        told = body.validated_data
        vehicle = _vehicle(request, told["vehicle_id"])
        wish = Wish(vehicle, _driver(vehicle, told["driver_id"]), told["started_at"], told.get("ended_at"))
        try:
            made = assignments.add(Actor.of(request), wish, hand_over=told["hand_over"])
        except FieldsError as error:
            raise _refused(error) from None
        answer = AssignmentSerializer(_visible(request).get(pk=made.pk)).data
        return Response(answer, 201, headers={"Location": f"/api/v1/driver-assignments/{made.pk}"})


class AssignmentView(APIView):
    @extend_schema(summary="One assignment of a driver", responses={200: AssignmentSerializer, **_ERRORS})
    def get(self, request: Request, assignment: int) -> Response:
        return Response(AssignmentSerializer(_found(request, assignment)).data)

    @extend_schema(
        summary="End or change an assignment of a driver (managers)",
        request=ChangedAssignmentSerializer,
        responses={200: AssignmentSerializer, **_WRONG},
        examples=[OpenApiExample("end", {"ended_at": "2026-11-21T18:00:00Z"}, request_only=True)],
    )
    def patch(self, request: Request, assignment: int) -> Response:
        found = _managed(request, assignment)
        body = ChangedAssignmentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = dict(body.validated_data)
        if "driver_id" in wanted:
            wanted["driver"] = _driver(found.vehicle, wanted.pop("driver_id"), found.fleet_id)
        try:
            changed = assignments.change(Actor.of(request), found, **wanted)
        except FieldsError as error:
            raise _refused(error) from None
        return Response(AssignmentSerializer(changed).data)

    @extend_schema(
        summary="Delete an assignment of a driver (managers)",
        description="As if it had never been. To say that it is over, end it instead.",
        responses={204: None, **_ERRORS},
    )
    def delete(self, request: Request, assignment: int) -> Response:
        assignments.delete(Actor.of(request), _managed(request, assignment))
        return Response(status=204)


def _visible(request: Request) -> Any:
    found = DriverAssignment.objects.visible_to(principal_of(request.user))
    return found.select_related("fleet", "vehicle", "driver")


def _asked(rows: Any, request: Request) -> Any:
    asked = request.query_params
    if name := asked.get("vehicle"):
        rows = rows.filter(vehicle__in=visible_vehicles(request.user).named(text_in(name, "vehicle")))
    if driver := asked.get("driver"):
        rows = rows.filter(driver__slug=text_in(driver, "driver"))
    if fleet := asked.get("fleet"):
        rows = rows.filter(fleet__slug=text_in(fleet, "fleet"))
    if text := asked.get("at"):
        try:
            at = moment_of(text)
        except ValueError as error:
            raise exceptions.ValidationError({"at": [str(error)]}) from None
        rows = rows.filter(Q(ended_at=None) | Q(ended_at__gt=at), started_at__lte=at)
    return rows


def _demand_manager(request: Request) -> None:
    principal = principal_of(request.user)
    manages = principal.sees_everything or any(
        principal.can(Role.MANAGER, fleet) for fleet in principal.roles
    )
    if principal.device_id is not None or not manages:
        raise exceptions.PermissionDenied("Assigning vehicles takes a manager.")


def _vehicle(request: Request, name: str) -> Vehicle:
    principal = principal_of(request.user)
    named = visible_vehicles(request.user).named(text_in(name, "vehicle_id")).order_by("pk")
    rows: list[Vehicle] = [one for one in named[:20] if principal.can(Role.MANAGER, one.fleet_id)]
    if len(rows) != 1:
        reason = (
            "You manage no vehicle of this name." if not rows else "Several vehicles have it: send the VIN."
        )
        raise exceptions.ValidationError({"vehicle_id": [reason]})
    return rows[0]


def _driver(vehicle: Vehicle, slug: str, fleet_id: int | None = None) -> Driver:
    name = text_in(slug, "driver_id")
    found = Driver.objects.filter(fleet=fleet_id or vehicle.fleet_id, slug=name).first()
    if found is None:
        raise exceptions.ValidationError({"driver_id": [f"The fleet has no driver {name!r}."]})
    return found


def _found(request: Request, number: int) -> DriverAssignment:
    found: DriverAssignment = get_object_or_404(_visible(request), pk=min(number, 2**63 - 1))
    return found


def _managed(request: Request, number: int) -> DriverAssignment:
    found = _found(request, number)
    if not principal_of(request.user).can(Role.MANAGER, found.fleet_id):
        raise exceptions.PermissionDenied("Assigning vehicles takes a manager of the fleet.")
    return found


def _refused(error: FieldsError) -> exceptions.ValidationError:
    return exceptions.ValidationError(
        {_FIELDS.get(name, name): text for name, text in error.message_dict.items()}
    )
