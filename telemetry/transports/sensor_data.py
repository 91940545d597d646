"""POST /api/v1/sensors/data: what a gateway measured, in named groups of named numbers or flat."""

from typing import Any, Final

from django.http import Http404
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from devices.access import device_or_404
from edge.protocol.signals import BY_NAME
from edge.protocol.text import ALIASES
from fleet.access import Principal
from fleet.api.problems import ProblemSerializer
from telemetry.frames import Delivery
from telemetry.transports.documents import DocumentView, device_of
from telemetry.transports.readings import Gathered, UnusableError, leaves, timestamp_of

_DEVICE: Final = "device_id"
_NAMES: Final = (_DEVICE, "deviceId")
_SINGLE: Final = frozenset({"sensor_id", "sensor_type", "value"})
"""What a reading on its own is written with."""
_POSITION: Final = {alias: name for alias, name in ALIASES.items() if name in {"latitude", "longitude"}}


def gather(body: dict[str, Any], device: Principal, now: float | None) -> Gathered:
    """`now` is the time of a reading that brings none; None where that would be a guess."""
    single = isinstance(body.get("sensor_type"), str) and "value" in body
    for field in (*_NAMES, *(("sensor_id",) if single else ())):
        if body.get(field) is not None and not _is_called(device, str(body[field])):
            raise UnusableError((field, f"{str(body[field])[:40]!r} is not this token's device"), status=404)
    found = Gathered()
    timestamp = body.get("timestamp")
    found.message.timestamp = now if timestamp is None and now is not None else timestamp_of(timestamp)
    if single:
        body = {body["sensor_type"]: body["value"], **{key: body[key] for key in body.keys() - _SINGLE}}
    for name, value in leaves({key: body[key] for key in body if key not in {"timestamp", *_NAMES}}):
        found.put(name, name, value, _POSITION.get(name, name if name in BY_NAME else None))
    found.drop_half_positions("")
    return found


def _is_called(device: Principal, name: str) -> bool:
    """By our name for it; only another one costs a look at what else it is called."""
    if name == device.name:
        return True
    try:
        return bool(device_or_404(device, name))
    except Http404:
        return False


class SensorReceiptSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    accepted = serializers.IntegerField(help_text="Records committed by this request.")
    repeated = serializers.IntegerField(help_text="Records that were there already.")
    rejected = serializers.ListField(child=serializers.DictField(), required=False)
    left_out = serializers.ListField(child=serializers.DictField(), required=False)


_ERROR = OpenApiResponse(ProblemSerializer)


class SensorDataView(DocumentView):
    @extend_schema(
        summary="Deliver sensor readings",
        description="One object, or a list of them: groups of named numbers, or numbers alone, and a `timestamp`. "
        "A number in a group is the sensor type `group.name`. An answer 200 means committed; records listed in "
        "`rejected` were not kept, readings in `left_out` neither. An object alone without a timestamp counts as "
        "measured when it arrived; in a list each needs one.",
        request={"application/json": {"type": "object"}},
        responses={
            200: SensorReceiptSerializer,
            400: _ERROR, 401: _ERROR, 403: _ERROR, 404: _ERROR, 413: _ERROR, 415: _ERROR, 429: _ERROR, 503: _ERROR,
        },
        examples=[
            OpenApiExample(
                "A group",
                {"fruiting": {"temp": 24.5, "humidity": 85, "co2": 800}, "timestamp": 1769594400},
                request_only=True,
                media_type="application/json",
            )
        ],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        device = device_of(request)
        return self.receive(request, lambda document, now: gather(document, device, now))

    def answer(self, principal: Principal, delivery: Delivery, told: dict[str, Any]) -> dict[str, Any]:
        return {"status": "success", **told}
