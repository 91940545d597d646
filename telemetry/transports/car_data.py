"""POST /api/car-data: a car's readings by licence plate; commands that wait for it ride back in the answer."""

import logging
from typing import Any, Final

from django.db import DatabaseError
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from devices import commands
from devices.models import Path
from edge.protocol.signals import BY_NAME
from edge.protocol.telemetry_pb2 import Telemetry
from edge.protocol.text import ALIASES
from fleet.access import Principal
from fleet.api.problems import ProblemSerializer
from fleet.models import Vehicle
from telemetry.frames import Delivery
from telemetry.transports.documents import DocumentView, device_of
from telemetry.transports.readings import Gathered, UnusableError, leaves, timestamp_of

log = logging.getLogger(__name__)
SIGNAL_OF: Final = {
    "indoorTemp": "cabin_temperature",
    "outdoorTemp": "outdoor_temperature",
    "gps.altitude": "altitude",
    "gps.heading": "heading",
    "batteryLevel": "battery",
    "fuelLevel": "fuel_level",
    "engineRpm": "rpm",
    "coolantTemp": "coolant_temperature",
    **{alias: name for alias, name in ALIASES.items() if name in BY_NAME},
    **{name: name for name in BY_NAME},
}
ENGINE: Final = "engineStatus"
_RUNNING: Final = frozenset({"running", "on", "started", "starting", "idle", "idling", "ready", "true", "1"})
_STOPPED: Final = frozenset({"off", "stopped", "stopping", "parked", "false", "0"})
_OWN: Final = frozenset({"timestamp", "license_plate", "data"})


def gather(body: dict[str, Any], vehicle: Vehicle) -> Gathered:
    """One body of the document. Raises UnusableError when nothing of it can be kept."""
    _check_plate(body.get("license_plate"), vehicle)
    found = Gathered()
    found.message.timestamp = timestamp_of(body.get("timestamp"))
    data = body.get("data")
    if not isinstance(data, dict):
        raise UnusableError(("data", "is missing: send an object with the readings"))
    for name, value in leaves(data):
        found.put(f"data.{name}", name, value, SIGNAL_OF.get(name))
        if name == ENGINE:
            _put_ignition(found, value)
    found.drop_half_positions("data.gps")
    if found.empty:
        raise UnusableError(*(found.left_out or [("data", "holds no reading")]))
    for name, value in leaves({key: body[key] for key in body.keys() - _OWN}):
        found.put(name, name, value, None)
    return found


def _check_plate(plate: Any, vehicle: Vehicle) -> None:
    if not isinstance(plate, str | int) or isinstance(plate, bool) or not str(plate).strip():
        raise UnusableError(("license_plate", "is missing: send the plate of this token's vehicle"))
    if not vehicle.is_called(str(plate)):
        hint = "" if vehicle.plate else "; no plate is recorded for it yet"
        raise UnusableError(
            ("license_plate", f"{str(plate)[:40]!r} is not this token's vehicle{hint}"), status=404
        )


def _put_ignition(found: Gathered, value: Any) -> None:
    """Other words ("error") are kept as they are and say nothing about the ignition."""
    word = str(value).strip().lower()
    if word in _RUNNING or word in _STOPPED:
        found.message.ignition = float(word in _RUNNING)


class RidingCommandSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    action = serializers.CharField()
    parameters = serializers.DictField()
    expires_at = serializers.DateTimeField()


class CarDataAnswerSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    message = serializers.CharField()
    commands = RidingCommandSerializer(many=True)
    left_out = serializers.ListField(
        child=serializers.DictField(), required=False, help_text="Single odd readings that were not kept."
    )
    rejected = serializers.ListField(
        child=serializers.DictField(), required=False, help_text="Records of a list that were not kept."
    )


_ERROR = OpenApiResponse(ProblemSerializer)


class CarDataView(DocumentView):
    @extend_schema(
        summary="Deliver a car's readings",
        description="One object, or a list of them. An answer 200 means committed. `license_plate` must mean the "
        "token's vehicle (plate, VIN or slug; case and spaces do not matter). Numbers in `data` that are no known "
        "signal are kept under their dotted name, words as labels. A single odd reading is left out and listed in "
        "`left_out`; a record without a usable reading, time or plate is refused. Commands in the answer are "
        "delivered by it: acknowledge each by its `id`.",
        request={"application/json": {"type": "object"}},
        responses={
            200: CarDataAnswerSerializer,
            400: _ERROR, 401: _ERROR, 403: _ERROR, 404: _ERROR, 413: _ERROR, 415: _ERROR, 429: _ERROR, 503: _ERROR,
        },
        examples=[
            OpenApiExample(
                "A car",
                {
                    "timestamp": "2024-11-04T10:30:00.000Z", "license_plate": "ABC-123",
                    "data": {
                        "indoorTemp": 22.5, "outdoorTemp": 15.2, "gps": {"lat": 60.1699, "lng": 24.9384},
                        "speed": 65, "engineStatus": "running",
                    },
                    "source": "C1_cloud_communicator",
                },
                request_only=True,
                media_type="application/json",
            )
        ],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        [vehicle] = Vehicle.objects.visible_to(device_of(request)).only("plate", "vin", "slug")
        return self.receive(request, lambda document, _: gather(document, vehicle))

    def answer(self, principal: Principal, delivery: Delivery, told: dict[str, Any]) -> dict[str, Any]:
        stored, repeated = told.pop("accepted"), told.pop("repeated")
        message = f"{stored} received" + (f", {repeated} again" if repeated else "")
        waiting = _commands(principal, delivery)
        return {"status": "received", "message": message, "commands": waiting, **told}


def _commands(principal: Principal, delivery: Delivery) -> list[dict[str, Any]]:
    """Taken only now that the record is committed. Whether this answer reaches the car nobody can know: a command
    that was lost with it shows as unacknowledged. Should the database fail just here, the record is committed all the
    same; nothing was taken, and the commands wait for the next request."""
    assert principal.device_id is not None
    newest = max(delivery.arrivals, key=lambda arrival: arrival.time_us)
    try:
        taken = commands.take(
            principal.device_id, Path.CAR_DATA, speed_kmh=Telemetry.FromString(newest.payload).speed
        )
    except DatabaseError:
        log.warning("commands could not be taken", exc_info=True)
        return []
    return [commands.as_json(command) for command in taken]
