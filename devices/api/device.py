"""GET and PUT /api/v1/devices/{id}: what a device is and says about itself, with history."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import drift
from devices.access import check_may_change, device_or_404
from devices.api.configjson import ConfigDriftSerializer
from devices.api.status import DetailsField, checked_metadata
from devices.models import Device, DeviceConfig, DeviceStatus
from devices.models.configuration import UNSETTLED
from devices.status import Report, conditions, note
from fleet import audit
from fleet.access import Principal
from fleet.api.moments import MomentField
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer

_ERRORS = {401: ProblemSerializer, 404: ProblemSerializer, 429: ProblemSerializer}


class DeviceStateSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    device_id = serializers.CharField(help_text="What it calls itself.")
    name = serializers.CharField()
    vehicle_id = serializers.CharField()
    fleet_id = serializers.CharField()
    active = serializers.BooleanField()
    online = serializers.BooleanField()
    last_seen = serializers.DateTimeField(allow_null=True)
    status = serializers.CharField(allow_null=True, help_text="The newest it reported, by event time.")
    status_time = serializers.DateTimeField(allow_null=True)
    details = serializers.DictField()
    metadata = serializers.DictField()
    config = ConfigDriftSerializer(help_text="Which configuration is wanted, which one runs.")


class DeviceUpdateSerializer(serializers.Serializer[Any]):
    """Keys that are not listed here become metadata; null removes one."""

    status = serializers.CharField(max_length=64, required=False)
    timestamp = MomentField(past=True, required=False, help_text="When it was so; without it, now.")
    details = DetailsField(required=False, allow_null=True)
    source = serializers.CharField(  # type: ignore[assignment]
        required=False, allow_blank=True, max_length=120
    )
    name = serializers.CharField(max_length=120, required=False)
    metadata = DetailsField(required=False)
    config_version = serializers.IntegerField(
        min_value=0, max_value=drift.HIGHEST, required=False, help_text="The configuration it runs."
    )
    config_error = serializers.CharField(
        required=False, allow_blank=True, help_text="Why it refused that version, and runs what it ran."
    )

    def config_report(self) -> drift.ConfigReport | None:
        """Beside the other keys, or among the details."""
        known = self.validated_data
        told = {**(known.get("details") or {}), **known}
        return drift.report_in(told, known.get("timestamp") or timezone.now())

    def report(self) -> Report | None:
        known = self.validated_data
        if "status" not in known:
            return None
        time = known.get("timestamp") or timezone.now()
        return Report(known["status"], time, known.get("details") or {}, known.get("source", ""))

    def metadata_after(self, before: dict[str, Any]) -> dict[str, Any]:
        further = {key: value for key, value in self.initial_data.items() if key not in self.fields}
        merged = {**before, **self.validated_data.get("metadata", {}), **further}
        return checked_metadata({key: value for key, value in merged.items() if value is not None})


class DeviceView(APIView):
    @property
    def scope(self) -> str:
        return "telemetry" if self.request.method == "PUT" else "read"

    @extend_schema(summary="A device", responses={200: DeviceStateSerializer, **_ERRORS})
    def get(self, request: Request, device: str) -> Response:
        return Response(described(device_or_404(request.user, device)))

    @extend_schema(
        summary="Update a device: its status, name and metadata",
        request=DeviceUpdateSerializer,
        responses={200: DeviceStateSerializer, 400: ProblemSerializer, 403: ProblemSerializer, **_ERRORS},
        examples=[OpenApiExample("Online", {"status": "ONLINE", "firmware": "1.4.2"}, request_only=True)],
    )
    def put(self, request: Request, device: str) -> Response:
        found = device_or_404(request.user, device)
        check_may_change(request.user, found)
        body = DeviceUpdateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if "config_version" in body.validated_data and not isinstance(request.user, Principal):
            raise serializers.ValidationError(
                {"config_version": "Only the device itself knows what it runs."}
            )
        with transaction.atomic():
            locked = Device.objects.select_for_update().get(pk=found.pk)
            found.name, found.metadata = locked.name, locked.metadata
            _update(request, found, body)
        # Apart from it: an edit of the configuration holds its row while it waits for the device's.
        if isinstance(request.user, Principal) and (told := body.config_report()):
            drift.heard(found, told)
        return Response(described(found))


def _update(request: Request, device: Device, body: DeviceUpdateSerializer) -> None:
    before = {"name": device.name, "metadata": device.metadata}
    device.name = body.validated_data.get("name", device.name)
    device.metadata = body.metadata_after(device.metadata)
    after: dict[str, Any] = {"name": device.name, "metadata": device.metadata}
    if after != before:
        device.save(update_fields=["name", "metadata"])
    if report := body.report():
        note(device.pk, report)
        after["status"] = report.status
    if not isinstance(request.user, Principal) and after != before:
        audit.record(audit.Actor.of(request), "device.updated", device, device.vehicle.fleet, (before, after))


def described(device: Device) -> dict[str, Any]:
    """Needs `vehicle`, its fleet and its state selected."""
    config = DeviceConfig.objects.filter(device=device).first()
    [condition] = conditions([device])
    newest = condition.newest
    return {
        "id": device.slug,
        "device_id": device.external_id or device.slug,
        "name": device.name,
        "vehicle_id": device.vehicle.slug,
        "fleet_id": device.vehicle.fleet.slug,
        "active": device.active,
        "online": condition.online,
        "last_seen": condition.last_seen,
        "status": newest and newest.status,
        "status_time": newest and newest.time,
        "details": newest.details if newest else {},
        "metadata": device.metadata,
        "config": config.told() if config else UNSETTLED,
    }


class StatusSerializer(serializers.ModelSerializer[DeviceStatus]):
    class Meta:
        model = DeviceStatus
        fields = ("status", "time", "received_at", "source", "details")


class StatusPages(Pages):
    """Newest first by event time."""

    ordering = ("-time", "-id")


class StatusListView(generics.ListAPIView[DeviceStatus]):
    serializer_class = StatusSerializer
    pagination_class = StatusPages
    queryset = DeviceStatus.objects.none()

    @extend_schema(
        summary="What a device reported, newest first",
        responses={200: StatusSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request, device: str) -> Response:
        return self.list(request, device)

    def get_queryset(self) -> Any:
        return DeviceStatus.objects.filter(device=device_or_404(self.request.user, self.kwargs["device"]))
