"""POST /api/car-status: a component of a car says how it is."""

from typing import Any

import orjson
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import exceptions, permissions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import drift
from devices.auth import DeviceTokenAuthentication, JwtAuthentication
from devices.models import Device
from devices.status import Report, note
from fleet.access import Principal
from fleet.api.moments import MomentField
from fleet.api.problems import ProblemSerializer
from fleet.api.scopes import WithinScope
from fleet.models import Vehicle

_MOST_BYTES = 16_384


def checked_metadata(content: Any) -> dict[str, Any]:
    """What may be kept as JSON in both databases; raises ValidationError."""
    kept = content if isinstance(content, dict) else {"value": content}
    try:
        text = orjson.dumps(kept)
    except (TypeError, ValueError):
        raise serializers.ValidationError("holds text or numbers that JSON cannot carry") from None
    if len(text) > _MOST_BYTES:
        raise serializers.ValidationError(f"is longer than {_MOST_BYTES} bytes")
    if rb"\u0000" in text:
        raise serializers.ValidationError("contains the character U+0000")
    return kept


@extend_schema_field({"type": "object", "additionalProperties": True})
class DetailsField(serializers.Field[dict[str, Any], Any, Any, Any]):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return checked_metadata(data)

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class CarStatusSerializer(serializers.Serializer[Any]):
    timestamp = MomentField(past=True, help_text="ISO 8601, or Unix seconds.")
    license_plate = serializers.CharField(max_length=64)
    status = serializers.CharField(max_length=64)
    details = DetailsField(required=False, allow_null=True)
    source = serializers.CharField(  # type: ignore[assignment]
        required=False, allow_blank=True, allow_null=True, max_length=120
    )

    def report(self) -> Report:
        """Keys that the document does not name are kept among the details."""
        known = self.validated_data
        further = {key: value for key, value in self.initial_data.items() if key not in self.fields}
        details = checked_metadata({**further, **(known.get("details") or {})})
        return Report(known["status"], known["timestamp"], details, known.get("source") or "")


class StatusAnswerSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    message = serializers.CharField()


class IsDevice(permissions.IsAuthenticated):
    message = "This is for devices: send a device's token."

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) and isinstance(request.user, Principal)


class CarStatusView(APIView):
    authentication_classes = (DeviceTokenAuthentication, JwtAuthentication)
    permission_classes = (IsDevice, WithinScope)
    scope = "telemetry"

    @extend_schema(
        summary="Report a status",
        description="Kept as history; the newest by `timestamp` is the device's status. A repetition changes nothing. "
        "`license_plate` must mean the token's vehicle; keys that are not listed here are kept among the details. "
        "`config_version` (with `config_error` when it was refused) among the details says which configuration runs.",
        request=CarStatusSerializer,
        responses={
            200: StatusAnswerSerializer,
            400: ProblemSerializer,
            401: ProblemSerializer,
            403: ProblemSerializer,
            404: ProblemSerializer,
            429: ProblemSerializer,
            503: ProblemSerializer,
        },
        examples=[
            OpenApiExample(
                "Online",
                {
                    "timestamp": "2024-11-04T10:30:00.000Z",
                    "license_plate": "ABC-123",
                    "status": "online",
                    "details": {"component": "C1_cloud_communicator"},
                    "source": "C1_cloud_communicator",
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        body = CarStatusSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        report = body.report()
        principal = request.user
        assert isinstance(principal, Principal) and principal.device_id is not None
        plate = body.validated_data["license_plate"]
        if not any(vehicle.is_called(plate) for vehicle in Vehicle.objects.visible_to(principal)):
            raise exceptions.NotFound(f"license_plate: {plate[:40]!r} is not this token's vehicle.")
        note(principal.device_id, report)
        if runs := drift.report_in(report.details, report.time):
            drift.heard(Device.objects.select_related("vehicle__fleet").get(pk=principal.device_id), runs)
        return Response({"status": "received", "message": f"{report.status} noted"})
