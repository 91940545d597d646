"""POST /api/v1/sensors/data: what a gateway measured, in named groups of named numbers or flat."""

from dataclasses import dataclass, field
from functools import cached_property
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
from fleet.readings import Catalogue, catalogue_of
from fleet.sensors import learn
from telemetry.frames import Delivery
from telemetry.transports.documents import DocumentView, device_of
from telemetry.transports.readings import ABOUT, Gathered, UnusableError, leaves, timestamp_of
from telemetry.units import convert

_DEVICE: Final = "device_id"
_NAMES: Final = (_DEVICE, "deviceId")
_SINGLE: Final = frozenset({"sensor_id", "sensor_type", "value", "unit"})
"""What a reading on its own is written with."""
_WRAPPERS: Final = frozenset({"data", "readings", "payload"})
"""Names that some put around a record's readings."""
_POSITION: Final = {alias: name for alias, name in ALIASES.items() if name in {"latitude", "longitude"}}


@dataclass
class Units:
    """What the units of one request mean: those of signals are fixed, a fleet's others are in its catalogue."""

    fleet_id: int
    new: dict[str, str] = field(default_factory=dict)
    """Units of sensors that have none yet, by type."""

    @cached_property
    def known(self) -> Catalogue:
        return catalogue_of(self.fleet_id)

    def converted(self, name: str, value: Any, sent: str) -> Any:
        """The value in the unit of this sensor. Raises UnusableError: nothing is stored under a wrong unit."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not sent.strip():
            return value
        kept = BY_NAME[name].unit if name in BY_NAME else self._of_further(name, sent)
        try:
            return convert(value, sent, kept)
        except ValueError as error:
            raise UnusableError(("unit", str(error))) from None

    def _of_further(self, name: str, sent: str) -> str:
        told = self.known.get(name)
        if told is not None and told.unit:
            return told.unit
        if told is None:
            return self.new.setdefault(name, " ".join(sent.replace("\0", "").split())[:24])
        return sent  # described by somebody who left the unit open


def gather(body: dict[str, Any], device: Principal, now: float | None, units: Units) -> Gathered:
    """`now` is the time of a reading that brings none; None where that would be a guess."""
    for wrapper in _WRAPPERS & body.keys():
        if isinstance(body[wrapper], dict) and body.keys() - {wrapper} <= ABOUT:
            body = {**{key: body[key] for key in body.keys() - {wrapper}}, **body[wrapper]}
    single = isinstance(body.get("sensor_type"), str) and "value" in body
    for name in (*_NAMES, *(("sensor_id",) if single else ())):
        if body.get(name) is not None and not _is_called(device, str(body[name])):
            raise UnusableError((name, f"{str(body[name])[:40]!r} is not this token's device"), status=404)
    found = Gathered()
    timestamp = body.get("timestamp")
    found.message.timestamp = now if timestamp is None and now is not None else timestamp_of(timestamp)
    if single:
        value = units.converted(body["sensor_type"], body["value"], str(body.get("unit") or ""))
        body = {body["sensor_type"]: value, **{key: body[key] for key in body.keys() - _SINGLE}}
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
        "measured when it arrived; in a list each needs one. A reading alone (`sensor_type`, `value`) may name its "
        "`unit`: it is turned into the unit of that sensor here, refused where that is another quantity, and becomes "
        "the unit of a sensor that has none yet.",
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
        assert device.fleet_id is not None
        units = Units(device.fleet_id)
        reply = self.receive(request, lambda document, now: gather(document, device, now, units))
        if units.new and reply.status_code == 200:
            learn(device.fleet_id, units.new)
        return reply

    def answer(self, principal: Principal, delivery: Delivery, told: dict[str, Any]) -> dict[str, Any]:
        return {"status": "success", **told}
