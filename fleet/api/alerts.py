"""Alerts over the API: devices raise them, managers take care of them."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import Principal, principal_of, visible_fleets, visible_vehicles
from fleet.alerting.alerts import Report, act, assign, comment, raise_alert, snooze
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.moments import MomentField
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.api.told import storable
from fleet.audit import Actor
from fleet.models import Alert, AlertState, Role, Severity, User, Vehicle

ACTS = ("acknowledge", "resolve", "reopen", "assign", "snooze", "comment")
_ERRORS = {401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer}


@extend_schema_field({"type": "string", "enum": [severity.name for severity in Severity]})
class SeverityField(serializers.Field[int, Any, str, Any]):
    """INFO, WARNING or CRITICAL, in any case."""

    def to_internal_value(self, data: Any) -> Severity:
        try:
            return Severity[str(data).strip().upper()]
        except KeyError:
            raise serializers.ValidationError("Send INFO, WARNING or CRITICAL.") from None

    def to_representation(self, value: int) -> str:
        return Severity(value).label


class TriggerSerializer(serializers.Serializer[Any]):
    """Keys not listed here are kept beside `data`."""

    type = serializers.CharField(max_length=60)
    message = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    severity = SeverityField(required=False, default=Severity.WARNING)
    data = serializers.DictField(required=False, default=dict)  # type: ignore[assignment]
    timestamp = MomentField(past=True, required=False)
    vehicle_id = serializers.CharField(max_length=64, required=False, help_text="For people: which vehicle.")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().to_internal_value(data)
        further = {name: value for name, value in data.items() if name not in self.fields}
        found["data"] = storable({**further, **found["data"]}, "data")
        return found


class NoteSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    who = serializers.CharField()
    act = serializers.CharField()
    text = serializers.CharField()


class AlertSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    type = serializers.CharField()
    severity = SeverityField()
    message = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]
    source = serializers.CharField()  # type: ignore[assignment]
    state = serializers.ChoiceField(AlertState.choices)
    vehicle_id = serializers.CharField(source="vehicle.slug")
    fleet_id = serializers.CharField(source="fleet.slug")
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    count = serializers.IntegerField(help_text="Reports of this cause.")
    assigned_to = serializers.CharField(source="assigned_to.email", allow_null=True, default=None)
    snoozed_until = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)


class AlertDetailSerializer(AlertSerializer):
    notes = NoteSerializer(many=True, source="notes.all")


class RaisedSerializer(AlertSerializer):
    status = serializers.CharField(help_text="success")


class ActSerializer(serializers.Serializer[Any]):
    """Which of these matter depends on the act."""

    text = serializers.CharField(max_length=5000, required=False, allow_blank=True, default="")
    until = MomentField(required=False, help_text="Of a snooze.")
    user = serializers.EmailField(
        required=False, allow_null=True, help_text="Of an assignment; null: nobody."
    )


class TriggerView(APIView):
    scope = "telemetry"

    @extend_schema(
        summary="Raise an alert",
        description="Reports of the same type from the same vehicle are one alert with a count, until it is resolved. "
        "Sending the same report again changes nothing.",
        request=TriggerSerializer,
        responses={200: RaisedSerializer, 201: RaisedSerializer, 400: ProblemSerializer, **_ERRORS},
        examples=[
            OpenApiExample(
                "CO2",
                {"type": "high_co2", "message": "CO2 exceeded threshold", "severity": "CRITICAL"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        body = TriggerSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        principal = principal_of(request.user)
        vehicle = _vehicle(request, sent.get("vehicle_id"))
        _check_device(principal, vehicle, sent["data"])
        report = Report(
            type=sent["type"],
            severity=sent["severity"],
            message=sent["message"] or sent["type"],
            at=sent.get("timestamp") or timezone.now(),
            data=sent["data"],
            source="device" if principal.device_id is not None else "person",
        )
        done = raise_alert(vehicle, report)
        done.alert.vehicle = vehicle
        told: Any = AlertSerializer(done.alert)
        answer = {**told.data, "status": "success"}
        return Response(answer, status=201 if done.opened else 200)


def _check_device(principal: Principal, vehicle: Vehicle, data: dict[str, Any]) -> None:
    """A device that names another one has the wrong token, or the wrong name: it is told, as for readings."""
    named = data.get("device_id") or data.get("deviceId")
    if principal.device_id is None or not isinstance(named, str) or named == principal.name:
        return
    calls_itself_so = vehicle.devices.filter(pk=principal.device_id, external_id=named)
    if not (vehicle.is_called(named) or calls_itself_so.exists()):
        raise exceptions.NotFound(f"device_id: {named[:40]!r} is not this token's device.")


def _vehicle(request: Request, name: str | None) -> Vehicle:
    principal = principal_of(request.user)
    visible = visible_vehicles(principal).select_related("fleet")
    if principal.device_id is not None and not name:
        vehicle: Vehicle = visible.get()
        return vehicle
    if not name:
        raise exceptions.ValidationError({"vehicle_id": "Say which vehicle."})
    vehicle = get_object_or_404(visible.named(name).order_by("id")[:1])
    if principal.device_id is None and not principal.can(Role.MANAGER, vehicle.fleet_id):
        raise exceptions.PermissionDenied("Raising an alert by hand takes a manager.")
    return vehicle


_FILTERS = [
    OpenApiParameter("state", description="open, acknowledged, resolved, or `waiting` for the first two."),
    OpenApiParameter("severity", description="At least this one."),
    OpenApiParameter("type"),
    OpenApiParameter("vehicle", description="Slug, VIN or plate."),
    OpenApiParameter("fleet", description="Of this fleet only."),
]


class AlertPages(Pages):
    ordering = ("-last_at", "-id")


class AlertsView(APIView):
    pagination_class = AlertPages

    @extend_schema(
        summary="Alerts, newest first",
        parameters=_FILTERS,
        responses={200: AlertSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request) -> Response:
        return _page(request, Alert.objects.visible_to(principal_of(request.user)), self)


class FleetAlertsView(APIView):
    pagination_class = AlertPages

    @extend_schema(
        summary="A fleet's alerts",
        description="A device sees its whole fleet's, as a FleetManager in the car does, but nobody's e-mail address.",
        parameters=_FILTERS[:-1],
        responses={200: AlertSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        found = get_object_or_404(visible_fleets(request.user), slug=fleet)
        return _page(request, Alert.objects.filter(fleet=found), self)


def _page(request: Request, found: Any, view: APIView) -> Response:
    asked = request.query_params
    if state := asked.get("state"):
        if state not in {*AlertState.values, "waiting"}:
            raise exceptions.ValidationError({"state": f"{state[:40]!r} is no state of an alert."})
        found = found.waiting() if state == "waiting" else found.filter(state=state)
    if severity := asked.get("severity"):
        try:
            found = found.filter(severity__gte=SeverityField().to_internal_value(severity))
        except serializers.ValidationError as error:
            raise exceptions.ValidationError({"severity": error.detail}) from None
    if kind := asked.get("type"):
        found = found.filter(type=kind)
    if name := asked.get("vehicle"):
        found = found.filter(vehicle__in=Vehicle.objects.named(name))
    if fleet := asked.get("fleet"):
        found = found.filter(fleet__slug=fleet)
    pages = AlertPages()
    rows: Any = pages.paginate_queryset(
        found.select_related("vehicle", "fleet", "assigned_to"), request, view
    )
    if principal_of(request.user).device_id is not None:
        for row in rows:
            row.assigned_to = None
    return pages.get_paginated_response(AlertSerializer(rows, many=True).data)


class AlertView(APIView):
    @extend_schema(
        summary="One alert, and what people did", responses={200: AlertDetailSerializer, **_ERRORS}
    )
    def get(self, request: Request, alert: int) -> Response:
        return Response(AlertDetailSerializer(_alert(request, alert)).data)


class AlertActView(APIView):
    @extend_schema(
        summary="Acknowledge, resolve, reopen, assign, snooze or comment",
        parameters=[OpenApiParameter("act", location="path", enum=ACTS), IDEMPOTENCY_KEY],
        request=ActSerializer,
        responses={200: AlertDetailSerializer, 400: ProblemSerializer, **_ERRORS, **REPEATED},
        examples=[OpenApiExample("A comment", {"text": "The fan was stuck."}, request_only=True)],
    )
    @idempotent
    def post(self, request: Request, alert: int, act: str) -> Response:
        found = _alert(request, alert)
        principal = principal_of(request.user)
        if not principal.can(Role.MANAGER, found.fleet_id):
            raise exceptions.PermissionDenied("Taking care of alerts is a manager's matter.")
        if act not in ACTS:
            raise exceptions.NotFound(f"An alert cannot be told to {act[:40]!r}.")
        body = ActSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        _do(found, act, body.validated_data, Actor.of(request))
        return Response(AlertDetailSerializer(_alert(request, alert)).data)


def _alert(request: Request, number: int) -> Alert:
    found = Alert.objects.visible_to(principal_of(request.user)).select_related(
        "vehicle", "fleet", "assigned_to"
    )
    alert: Alert = get_object_or_404(found.prefetch_related("notes"), pk=number)
    return alert


def _do(alert: Alert, name: str, told: dict[str, Any], actor: Actor) -> None:
    now = timezone.now()
    if name == "assign":
        if "user" not in told:
            raise exceptions.ValidationError({"user": "Send an e-mail address, or null for nobody."})
        email = told["user"]
        user = (
            User.objects.filter(email=email.lower(), memberships__fleet=alert.fleet_id).first()
            if email
            else None
        )
        if email and user is None:
            raise exceptions.ValidationError({"user": "This person is not a member of the fleet."})
        assign(alert, actor, user)
    elif name == "snooze":
        if "until" not in told:
            raise exceptions.ValidationError({"until": "Say until when."})
        snooze(alert, actor, told["until"], now)
    elif name == "comment":
        if not told["text"].strip():
            raise exceptions.ValidationError({"text": "Say something."})
        comment(alert, actor, told["text"])
    else:
        act(alert, actor, name, now, told["text"])
