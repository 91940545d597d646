"""Commands over the API: devices fetch and acknowledge, people send, watch, approve and cancel."""

from collections.abc import Callable
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import access, commands
from devices.api import commandjson as form
from devices.commands import Order, RefusedError
from devices.kinds import KINDS, NonsenseError
from devices.models import Command, Device, Path, Scope, State
from devices.resending import resend
from fleet.access import principal_of, visible_vehicles
from fleet.api.idempotency import IDEMPOTENCY_KEY, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.audit import Actor
from fleet.models import Role, Vehicle

_ERRORS = dict.fromkeys((401, 403, 404, 429), ProblemSerializer)
_BODY_ERRORS = _ERRORS | {400: ProblemSerializer, 409: ProblemSerializer, 415: ProblemSerializer}


class DeviceCommandsView(APIView):
    """`{id}` is the device's id, ours or its own."""

    scope = Scope.COMMANDS.value

    @extend_schema(
        summary="A device takes what is queued for it; a person looks",
        description="Asked by the device itself, what is answered counts as delivered and is not answered again, "
        "on no path. Asked by a viewer, manager or owner of its fleet, it stays where it is.",
        responses={200: form.DeviceCommandsSerializer, **_ERRORS},
        examples=[form.QUEUED],
    )
    def get(self, request: Request, device: str) -> Response:
        principal = principal_of(request.user)
        found = access.device_or_404(principal, device.replace("\x00", ""))
        if principal.device_id is not None:
            queued = commands.take(found.pk, Path.POLL)
        else:
            access.check_role(principal, Role.VIEWER, found.vehicle.fleet_id)
            queued = commands.waiting_for(found.pk)
        content = {"commands": [commands.as_json(command) for command in queued]}
        return Response(content, headers={"Cache-Control": "no-store"})


class AckView(APIView):
    scope = Scope.COMMANDS.value

    @extend_schema(
        summary="A device tells what became of a command",
        description="The first answer is kept; a repeated one is told what was kept. An answer that comes after the "
        "command was given up (`unacknowledged`) is still kept: it says what really happened.",
        request=form.AckSerializer,
        responses={200: form.AckAnswerSerializer, **_BODY_ERRORS},
        examples=[form.DONE],
    )
    def post(self, request: Request, device: str, command: str) -> Response:
        principal = principal_of(request.user)
        found = access.device_or_404(principal, device.replace("\x00", ""))
        if principal.device_id is None:
            raise exceptions.PermissionDenied("Only the device itself knows what became of a command.")
        if (key := access.as_uuid(command)) is None:
            raise Http404
        body = _object(request)
        serializer = form.AckSerializer(data=body)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        rest = {name: value for name, value in body.items() if name not in {"success", "message", "id"}}
        try:
            kept = commands.acknowledge(found.pk, key, values["success"], values["message"] or "", rest)
        except Command.DoesNotExist:
            raise Http404 from None
        except RefusedError as refused:
            raise Conflict(str(refused)) from None
        except NonsenseError as nonsense:
            raise exceptions.ValidationError(nonsense.errors) from None
        return Response(ack_told(kept))


def ack_told(kept: Command) -> dict[str, Any]:
    state = kept.shown_state
    return {
        "id": str(kept.public_id),
        "state": state.value,
        "success": state is State.SUCCEEDED,
        "message": kept.message,
    }


class VehicleCommandsView(APIView):
    """`{id}` is the vehicle's slug, VIN or plate."""

    @extend_schema(
        summary="Commands of a vehicle, newest first",
        parameters=[
            OpenApiParameter("state", str, enum=State.values),
            OpenApiParameter("action", str),
            OpenApiParameter("limit", int, description="Rows in a page, up to 1,000."),
            OpenApiParameter("cursor", str, description="From `next` or `previous`."),
        ],
        responses={
            200: form.CommandPageSerializer,
            400: ProblemSerializer,
            409: ProblemSerializer,
            **_ERRORS,
        },
    )
    def get(self, request: Request, name: str) -> Response:
        vehicle = _vehicle(request, name, Role.VIEWER)
        found = vehicle.commands.select_related("vehicle", "device", "sender", "approver", "resend_of")
        if state := request.query_params.get("state"):
            if state not in State.values:
                raise exceptions.ValidationError({"state": f"Must be one of {', '.join(State.values)}."})
            found = found.in_state(state, timezone.now())
        if action := request.query_params.get("action"):
            found = found.filter(action=action.replace("\x00", ""))
        pages = Pages()
        rows = pages.paginate_queryset(found, request, self) or []
        return pages.get_paginated_response([form.told(command) for command in rows])

    @extend_schema(
        summary="Send a command to a vehicle's device",
        description="Dangerous kinds wait for the approval of a second manager or owner, within the time to live.",
        parameters=[IDEMPOTENCY_KEY],
        request=form.OrderSerializer,
        responses={201: form.CommandSerializer, **_BODY_ERRORS, 422: ProblemSerializer},
        examples=[form.HEATING],
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        vehicle = _vehicle(request, name, Role.MANAGER)
        body = _object(request)
        if "action" not in body:
            raise exceptions.ValidationError({"action": "Is needed."})
        device = _device(vehicle, body.get("device"))
        order = Order(body["action"], body.get("parameters"), body.get("ttl_s", commands.TTL_S))
        sent = _done(lambda: commands.send(Actor.of(request), device, order))
        answer = Response(form.told(sent), status=201)
        answer["Location"] = f"/api/v1/commands/{sent.public_id}"
        return answer


class CommandView(APIView):
    @extend_schema(summary="One command", responses={200: form.CommandSerializer, **_ERRORS})
    def get(self, request: Request, command: str) -> Response:
        return Response(form.told(_command(request, command, Role.VIEWER)))


class CancelView(APIView):
    @extend_schema(
        summary="Cancel a command that no device has yet",
        request=None,
        responses={200: form.CommandSerializer, 409: ProblemSerializer, **_ERRORS},
    )
    def post(self, request: Request, command: str) -> Response:
        found = _command(request, command, Role.MANAGER)
        return Response(form.told(_done(lambda: commands.cancel(Actor.of(request), found))))


class ApproveView(APIView):
    @extend_schema(
        summary="Approve somebody else's dangerous command",
        description="Refused (409) by its sender, and while the vehicle moves.",
        request=None,
        responses={200: form.CommandSerializer, 409: ProblemSerializer, **_ERRORS},
    )
    def post(self, request: Request, command: str) -> Response:
        found = _command(request, command, Role.MANAGER)
        return Response(form.told(_done(lambda: commands.approve(Actor.of(request), found))))


class ResendView(APIView):
    @extend_schema(
        summary="Send an undone command again: a new one of the same content",
        description="For what was delivered and never acknowledged, failed, expired or was cancelled. The first keeps "
        "its one delivery; the new command names it in `resend_of`. While one sent again is under way, that one is "
        "answered (200) and no second is made. Dangerous kinds need approval again.",
        request=None,
        responses={
            200: form.CommandSerializer,
            201: form.CommandSerializer,
            409: ProblemSerializer,
            **_ERRORS,
        },
    )
    def post(self, request: Request, command: str) -> Response:
        found = _command(request, command, Role.MANAGER)
        began = timezone.now()
        made = _done(lambda: resend(Actor.of(request), found))
        answer = Response(form.told(made), status=201 if made.created_at >= began else 200)
        answer["Location"] = f"/api/v1/commands/{made.public_id}"
        return answer


class KindsView(APIView):
    @extend_schema(
        summary="Known kinds of commands", responses={200: form.KindsSerializer, 401: ProblemSerializer}
    )
    def get(self, request: Request) -> Response:
        kinds = [
            {
                "action": kind.action,
                "title": kind.label,
                "description": kind.effect,
                "needs_approval": kind.dangerous,
                "schema": kind.schema(),
            }
            for kind in KINDS.values()
        ]
        return Response({"kinds": kinds})


def _vehicle(request: Request, name: str, role: Role) -> Vehicle:
    """A command must not go to the wrong one of two that share a name."""
    principal = principal_of(request.user)
    found = visible_vehicles(principal).named(name.replace("\x00", "")).select_related("fleet")
    vehicles: list[Vehicle] = list(found.order_by("id")[:2])
    if len(vehicles) > 1:
        raise Conflict("More than one of your vehicles is called that: use the VIN.")
    if not vehicles:
        raise Http404
    access.check_role(principal, role, vehicles[0].fleet_id)
    return vehicles[0]


def _device(vehicle: Vehicle, slug: Any) -> Device:
    if slug is not None:
        device = vehicle.devices.filter(slug=str(slug).replace("\x00", "")).first()
        if device is None:
            raise exceptions.ValidationError({"device": "Is not one of this vehicle's devices."})
    elif (device := commands.device_of(vehicle)) is None:
        raise Conflict("This vehicle has no active device: register one first.")
    device.vehicle = vehicle
    return device


def _command(request: Request, command: str, role: Role) -> Command:
    principal = principal_of(request.user)
    found = access.command_or_404(principal, command)
    access.check_role(principal, role, found.vehicle.fleet_id)
    return found


def _object(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise exceptions.ValidationError("Send a JSON object.")
    return request.data


def _done(act: Callable[[], Command]) -> Command:
    try:
        return act()
    except NonsenseError as nonsense:
        raise exceptions.ValidationError(nonsense.errors) from None
    except RefusedError as refused:
        raise Conflict(str(refused)) from None
