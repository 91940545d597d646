"""Devices over the API: registering, listing, and their tokens."""

from typing import Any

from django.db.models import F, Q
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import exceptions, permissions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.api.configjson import ConfigDriftSerializer
from devices.models import Device, DeviceConfig
from devices.models.configuration import UNSETTLED
from devices.registration import Registered, Wish, register, register_with_secret, update_own, vehicle_of
from devices.status import Report, note
from fleet.access import Principal, principal_of, visible_fleets
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Fleet, Role

NAMES = ("device_id", "deviceId", "id", "serial_number", "serialNumber")
KNOWN = (*NAMES, "name", "type", "fleet", "vehicle", "registration_secret", "status")


class RegistrationSerializer(serializers.Serializer[Any]):
    """Everything may be left out but `device_id`; further keys are kept as metadata."""

    device_id = serializers.CharField(max_length=80, help_text="What it calls itself.")
    name = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")
    type = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")
    fleet = serializers.CharField(max_length=64, required=False, help_text="For people: into which fleet.")
    vehicle = serializers.CharField(
        max_length=64, required=False, help_text="Slug, VIN or plate of its vehicle."
    )
    registration_secret = serializers.CharField(
        max_length=200, required=False, help_text="Instead of logging in."
    )

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and "device_id" not in data:
            found = next((data[name] for name in NAMES if name in data), None)
            data = data if found is None else {**data, "device_id": found}
        return super().to_internal_value(data)


class DeviceSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="slug")
    device_id = serializers.SerializerMethodField(help_text="What it calls itself.")
    name = serializers.CharField()
    type = serializers.SerializerMethodField()
    vehicle_id = serializers.CharField(source="vehicle.slug")
    fleet_id = serializers.CharField(source="vehicle.fleet.slug")
    active = serializers.BooleanField()
    metadata = serializers.DictField()
    created_at = serializers.DateTimeField()
    config = serializers.SerializerMethodField(help_text="Which configuration is wanted, which one runs.")

    @extend_schema_field(ConfigDriftSerializer)
    def get_config(self, device: Device) -> dict[str, Any]:
        row: DeviceConfig | None = getattr(device, "config", None)
        return row.told() if row else UNSETTLED

    def get_device_id(self, device: Device) -> str:
        return device.external_id or device.slug

    def get_type(self, device: Device) -> str:
        return "gateway" if device.vehicle.kind == "site" else "vehicle"


class RegisteredSerializer(DeviceSerializer):
    status = serializers.CharField(help_text="created or registered.")
    token = serializers.CharField(required=False, help_text="Shown once, to a new device only.")


class DevicesView(APIView):
    permission_classes = (permissions.AllowAny,)  # a secret may stand in for a login
    pagination_class = Pages

    @extend_schema(
        summary="Register a device",
        description="A device that has a token or an account says what it is; a manager adds one to a fleet; a new "
        "device brings the fleet's registration secret (in the body, or as X-Registration-Secret). "
        "Repeating it changes nothing but the name and metadata of the device that asks.",
        request=RegistrationSerializer,
        responses={
            200: RegisteredSerializer, 201: RegisteredSerializer, 400: ProblemSerializer,
            401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer,
        },
        examples=[
            OpenApiExample(
                "A gateway", {"device_id": "rpi_gateway_001", "name": "MASH IoT Gateway", "type": "gateway"},
                request_only=True,
            )
        ],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        body = RegistrationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        done = self._register(request, body.validated_data)
        if not done.stranger:
            _note_status(request, done.device)
        told = DeviceSerializer(done.device).data | {"status": "created" if done.created else "registered"}
        if done.stranger:
            told |= {"name": done.device.slug, "metadata": {}, "config": UNSETTLED}
        if done.token:
            told["token"] = done.token
        return Response(told, status=201 if done.created else 200, headers={"Cache-Control": "no-store"})

    def _register(self, request: Request, body: dict[str, Any]) -> Registered:
        sent: dict[str, Any] = dict(request.data)
        extra = {name: value for name, value in sent.items() if name not in KNOWN}
        wish = Wish(
            body["device_id"], body["name"], gateway="gateway" in body["type"].lower(), metadata=extra
        )
        if request.user.is_authenticated:
            principal = principal_of(request.user)
            if principal.device_id is not None:
                return _of_device(principal, wish)
            return register(*_of_person(principal, body, wish), Actor.of(request))
        secret = body.get("registration_secret") or request.headers.get("X-Registration-Secret", "")
        if not secret:
            raise exceptions.NotAuthenticated(
                "Send a token, log in, or send the fleet's registration secret."
            )
        return register_with_secret(secret, wish, request.META.get("REMOTE_ADDR"), timezone.now())

    @extend_schema(
        summary="Devices you may see",
        parameters=[
            OpenApiParameter("q", description="Part of its name or id."),
            OpenApiParameter("fleet", description="Of this fleet only."),
            OpenApiParameter("group", description="Of the group of this id."),
            OpenApiParameter(
                "drifted", bool, description="That do not run the wanted configuration, or that do."
            ),
        ],
        responses={200: DeviceSerializer(many=True), 401: ProblemSerializer},
    )
    def get(self, request: Request) -> Response:
        if not request.user.is_authenticated:
            raise exceptions.NotAuthenticated()
        found = Device.objects.visible_to(principal_of(request.user)).select_related(
            "vehicle__fleet", "config"
        )
        if words := request.query_params.get("q", ""):
            found = found.filter(
                Q(name__icontains=words) | Q(slug__icontains=words) | Q(external_id__icontains=words)
            )
        if fleet := request.query_params.get("fleet", ""):
            found = found.filter(vehicle__fleet__slug=fleet)
        if group := request.query_params.get("group", "").replace("\0", ""):
            found = found.filter(membership__group__slug=group, membership__group__fleet=F("vehicle__fleet"))
        if drifted := request.query_params.get("drifted", ""):
            found = found.drifted(drifted.lower() in {"1", "true", "yes"})
        pages = Pages()
        rows = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response(DeviceSerializer(rows, many=True).data)


def _note_status(request: Request, device: Device) -> None:
    """What a device says of itself while it registers; of a manager who adds one, it would be a guess."""
    sent: dict[str, Any] = dict(request.data)
    said, person = sent.get("status"), request.user.is_authenticated
    if (
        isinstance(said, str)
        and said.strip()
        and not (person and principal_of(request.user).device_id is None)
    ):
        note(device.pk, Report(said.strip()[:64], timezone.now(), {}, "registration"))


def _of_device(principal: Principal, wish: Wish) -> Registered:
    device = Device.objects.visible_to(principal).select_related("vehicle__fleet").get()
    if not device.external_id and wish.device_id != device.slug:
        device.external_id = wish.device_id
        device.save(update_fields=["external_id"])
    elif wish.device_id not in {device.slug, device.external_id}:
        known = device.external_id or device.slug
        raise exceptions.ValidationError({"device_id": f"This token belongs to {known!r}."})
    return Registered(update_own(device, wish.name, wish.metadata), "", created=False)


def _of_person(principal: Principal, body: dict[str, Any], wish: Wish) -> tuple[Fleet, Wish]:
    fleets = list(visible_fleets(principal).filter(slug=body["fleet"])[:1] if "fleet" in body else [])
    if "fleet" not in body:
        fleets = list(visible_fleets(principal)[:2])
        if len(fleets) > 1:
            raise exceptions.ValidationError({"fleet": "Say which of your fleets."})
    if not fleets:
        raise exceptions.NotFound("There is no such fleet that you may see.")
    fleet = fleets[0]
    if not principal.can(Role.MANAGER, fleet.pk):
        raise exceptions.PermissionDenied("Adding devices takes a manager.")
    vehicle = vehicle_of(fleet, body["vehicle"]) if "vehicle" in body else None
    return fleet, Wish(wish.device_id, wish.name, wish.gateway, vehicle, wish.metadata)
