"""GET /api/v1/sensor/{id} and below: the newest readings, one of them, history, summary."""

import base64
import binascii
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from edge.protocol.checks import MAX_TEXT
from edge.protocol.signals import BY_NAME
from fleet.api.etags import tag_without
from fleet.api.moments import MomentField
from fleet.api.problems import ProblemSerializer
from fleet.models import Vehicle
from fleet.readings import Catalogue, catalogue_of
from telemetry import sensors
from telemetry.extremes import Span
from telemetry.sensors import Place, Reading

_PERIOD = timedelta(days=1)
_AHEAD = timedelta(minutes=1)
_ERRORS = {401: ProblemSerializer, 404: ProblemSerializer, 429: ProblemSerializer}


class ReadingSerializer(serializers.Serializer[Any]):
    sensor_type = serializers.CharField(help_text="A signal (`speed`) or a further value (`fruiting.temp`).")
    value = serializers.FloatField()
    unit = serializers.CharField(allow_null=True)
    timestamp = serializers.DateTimeField()
    reconstructed = serializers.BooleanField(
        help_text="Left out by the sender, computed within its tolerance."
    )


class LatestReadingSerializer(ReadingSerializer):
    age_s = serializers.FloatField(help_text="Seconds since it was measured.")


class SensorSerializer(serializers.Serializer[Any]):
    sensor_id = serializers.CharField()
    readings = LatestReadingSerializer(many=True)


class HistorySerializer(serializers.Serializer[Any]):
    sensor_id = serializers.CharField()
    readings = ReadingSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of what follows; null at the end.")
    sampled = serializers.BooleanField(
        required=False, help_text="With `points`: the period was too long to read all."
    )


class TypeSummarySerializer(serializers.Serializer[Any]):
    sensor_type = serializers.CharField()
    unit = serializers.CharField(allow_null=True)
    min = serializers.FloatField()
    max = serializers.FloatField()
    mean = serializers.FloatField()
    count = serializers.IntegerField()


class SummarySerializer(serializers.Serializer[Any]):
    sensor_id = serializers.CharField()
    start_time = serializers.DateTimeField()
    end_time = serializers.DateTimeField()
    summary = TypeSummarySerializer(many=True)


class CursorField(serializers.CharField):
    def to_internal_value(self, data: Any) -> Any:
        try:
            time_us, stream, sequence, kind = orjson.loads(base64.urlsafe_b64decode(str(data)))
            datetime.fromtimestamp(time_us / 1e6, tz=timezone.get_default_timezone())
            if not (abs(stream) < 2**63 and abs(sequence) < 2**63 and isinstance(kind, str | None)):
                raise ValueError
            return Place(int(time_us), int(stream), int(sequence), kind)
        except (ValueError, TypeError, OverflowError, OSError, binascii.Error):
            raise serializers.ValidationError("is not a cursor of ours: follow `next` as it is") from None


class PeriodSerializer(serializers.Serializer[Any]):
    """Without a start the last 24 hours before the end; without an end, now."""

    start_time = MomentField(required=False, help_text="ISO 8601 or Unix seconds.")
    end_time = MomentField(required=False, help_text="ISO 8601 or Unix seconds; itself not in the period.")
    type = serializers.CharField(
        required=False, max_length=4096, help_text="One sensor type, or several with commas between."
    )

    def validate_type(self, value: str) -> list[str]:
        names = list(dict.fromkeys(name for name in value.split(",") if name))
        if len(names) > sensors.TYPES_AT_ONCE:
            raise serializers.ValidationError(f"names {len(names)} types: at most {sensors.TYPES_AT_ONCE}")
        if any(len(name) > MAX_TEXT for name in names):
            raise serializers.ValidationError(f"is longer than {MAX_TEXT} characters")
        return names

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        end = attrs.get("end_time") or timezone.now() + _AHEAD
        try:
            begin = attrs.get("start_time") or end - _PERIOD
        except OverflowError:
            raise serializers.ValidationError({"end_time": "is before any record"}) from None
        if begin >= end:
            raise serializers.ValidationError({"start_time": "must be before end_time"})
        return {**attrs, "span": Span(begin, end)}


class HistoryQuerySerializer(PeriodSerializer):
    points = serializers.IntegerField(
        required=False, min_value=3, max_value=5000, help_text="Thin each type to this many, extremes kept."
    )
    limit = serializers.IntegerField(
        default=100, min_value=1, max_value=1000, help_text="Readings in a page."
    )
    cursor = CursorField(required=False, help_text="From `next`.")


class SensorView(APIView):
    @extend_schema(
        operation_id="sensor",
        summary="The newest reading of every type",
        responses={200: SensorSerializer, **_ERRORS},
    )
    def get(self, request: Request, name: str) -> Response:
        vehicle = sensors.sensor_or_404(request.user, name)
        catalogue, now = catalogue_of(vehicle.fleet_id), timezone.now()
        content = {
            "sensor_id": name,
            "readings": [_newest(reading, catalogue, now) for reading in sensors.latest(vehicle)],
        }
        return Response(content, headers=tag_without(content, "age_s"))


class ReadingView(APIView):
    @extend_schema(
        operation_id="sensor_reading",
        summary="The newest reading of one type",
        responses={200: LatestReadingSerializer, **_ERRORS},
    )
    def get(self, request: Request, name: str, type: str) -> Response:
        vehicle = sensors.sensor_or_404(request.user, name)
        for reading in sensors.latest(vehicle):
            if reading.type == type:
                newest = _newest(reading, catalogue_of(vehicle.fleet_id), timezone.now())
                content = {"sensor_id": name, **newest}
                return Response(content, headers=tag_without(content, "age_s"))
        raise exceptions.NotFound(f"No reading of type {type[:80]!r} has come from this sensor.")


class HistoryView(APIView):
    @extend_schema(
        summary="Readings of a period, oldest first",
        description="By pages: follow `next` until it is null. Pages may be short, even empty, where a type is rare. "
        "With `points` there is one answer: each type thinned so that the lowest and highest of every stretch stay. "
        f"Of more than {sensors.SUMMED_ROWS:,} records only the beginning of each of {sensors.SLICES} slices is "
        "read, then `sampled` is true.",
        parameters=[HistoryQuerySerializer],
        responses={200: HistorySerializer, 400: ProblemSerializer, **_ERRORS},
    )
    def get(self, request: Request, name: str) -> Response:
        vehicle = sensors.sensor_or_404(request.user, name)
        wish = _valid(HistoryQuerySerializer, request)
        catalogue, types = catalogue_of(vehicle.fleet_id), wish.get("type", [])
        content: dict[str, Any] = {"sensor_id": name}
        if points := wish.get("points"):
            readings, content["sampled"] = sensors.thinned(
                vehicle, wish["span"], types or _types(vehicle), points
            )
            follows = None
        else:
            readings, follows = sensors.page(vehicle, wish["span"], types, wish["limit"], wish.get("cursor"))
        content["readings"] = [_told(reading, catalogue) for reading in readings]
        content["next"] = _address(request, wish["span"], follows) if follows else None
        return Response(content)


class SummaryView(APIView):
    @extend_schema(
        summary="Minimum, maximum, mean and count per type over a period",
        description=f"Of at most {sensors.SUMMED_ROWS:,} records; a period that holds more is refused.",
        parameters=[PeriodSerializer, OpenApiParameter("name", str, OpenApiParameter.PATH)],
        responses={200: SummarySerializer, 400: ProblemSerializer, **_ERRORS},
    )
    def get(self, request: Request, name: str) -> Response:
        vehicle = sensors.sensor_or_404(request.user, name)
        wish = _valid(PeriodSerializer, request)
        catalogue, span = catalogue_of(vehicle.fleet_id), wish["span"]
        try:
            rows = sensors.summary(vehicle, span, wish.get("type") or _types(vehicle))
        except sensors.TooManyError:
            reason = f"the period holds more than {sensors.SUMMED_ROWS:,} records: ask for a shorter one"
            raise exceptions.ValidationError({"start_time": reason}) from None
        for row in rows:
            row["unit"] = sensors.unit_of(row["sensor_type"], catalogue)
        return Response({"sensor_id": name, "start_time": span.begin, "end_time": span.end, "summary": rows})


def _valid(kind: type[PeriodSerializer], request: Request) -> dict[str, Any]:
    asked = request.query_params.copy()
    if "type" not in asked and "sensor_type" in asked:  # as the field is called in the answers
        asked.setlist("type", asked.getlist("sensor_type"))
    wish = kind(data=asked)
    wish.is_valid(raise_exception=True)
    found: dict[str, Any] = wish.validated_data
    return found


def _types(vehicle: Vehicle) -> list[str]:
    """What the sensor has, signals first."""
    names = [reading.type for reading in sensors.latest(vehicle)]
    return sorted(names, key=lambda name: (name not in BY_NAME, name))[: sensors.TYPES_AT_ONCE]


def _told(reading: Reading, catalogue: Catalogue) -> dict[str, Any]:
    return {
        "sensor_type": reading.type,
        "value": reading.value,
        "unit": sensors.unit_of(reading.type, catalogue),
        "timestamp": reading.time,
        "reconstructed": reading.reconstructed,
    }


def _newest(reading: Reading, catalogue: Catalogue, now: datetime) -> dict[str, Any]:
    age = max(0.0, (now - reading.time).total_seconds())
    return {**_told(reading, catalogue), "age_s": round(age, 3)}


def _address(request: Request, span: Span, place: Place) -> str:
    """The start is written down, because the usual one moves with the clock."""
    cursor = base64.urlsafe_b64encode(orjson.dumps(list(place))).decode()
    address = replace_query_param(request.build_absolute_uri(), "cursor", cursor)
    begin = span.begin.isoformat()
    return str(replace_query_param(address, "start_time", begin))
