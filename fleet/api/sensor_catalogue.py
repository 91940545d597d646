"""GET and PUT /api/v1/fleet/{id}/sensor-catalogue: units, names and ranges of a fleet's sensor types."""

from typing import Any

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet import sensors
from fleet.access import principal_of, visible_fleets
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Fleet, Role, SensorType

_ERRORS = {401: ProblemSerializer, 404: ProblemSerializer, 429: ProblemSerializer}


class SensorTypeSerializer(serializers.ModelSerializer[SensorType]):
    class Meta:
        model = SensorType
        fields = ("type", "label", "unit", "low", "high", "decimals")
        extra_kwargs = {"label": {"required": False}, "unit": {"required": False}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            SensorType(**attrs).clean()
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from None
        return attrs


class CatalogueSerializer(serializers.Serializer[Any]):
    sensors = SensorTypeSerializer(many=True)

    def validate_sensors(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(value) > sensors.LIMIT:
            raise serializers.ValidationError(f"{len(value)} types: at most {sensors.LIMIT}")
        names = [entry["type"] for entry in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise serializers.ValidationError(f"{twice!r} is described twice")
        return value


class SensorCatalogueView(APIView):
    @extend_schema(summary="A fleet's sensor catalogue", responses={200: CatalogueSerializer, **_ERRORS})
    def get(self, request: Request, fleet: str) -> Response:
        found = get_object_or_404(visible_fleets(request.user), slug=fleet)
        return Response(_told(found))

    @extend_schema(
        summary="Replace a fleet's sensor catalogue",
        description="Managers only. A type that is not listed goes back to its usual unit and name.",
        request=CatalogueSerializer,
        responses={200: CatalogueSerializer, 400: ProblemSerializer, 403: ProblemSerializer, **_ERRORS},
    )
    def put(self, request: Request, fleet: str) -> Response:
        found = get_object_or_404(visible_fleets(request.user), slug=fleet)
        if not principal_of(request.user).can(Role.MANAGER, found.pk):
            raise exceptions.PermissionDenied("Only managers of the fleet may describe its sensors.")
        body = CatalogueSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        entries = [SensorType(**entry) for entry in body.validated_data["sensors"]]
        sensors.replace(Actor.of(request), found, entries)
        return Response(_told(found))


def _told(fleet: Fleet) -> dict[str, Any]:
    return {"sensors": SensorTypeSerializer(fleet.sensor_types.order_by("type"), many=True).data}
