"""Giving a device to another vehicle of its fleet, over the API."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.api.devices import DeviceSerializer
from devices.api.tokens import managed_device
from devices.commands import RefusedError
from devices.models import Device
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.audit import Actor
from fleet.models import Vehicle
from telemetry.moving import move

_ERRORS = dict.fromkeys((400, 401, 403, 404, 409), ProblemSerializer)


class MoveSerializer(serializers.Serializer[Any]):
    vehicle = serializers.CharField(max_length=64, help_text="Slug, VIN or plate of a vehicle of its fleet.")


class MoveView(APIView):
    @extend_schema(
        summary="Give a device to another vehicle",
        description="While it is silent: 409 until it has sent nothing for a quarter of a minute. History stays "
        "with the vehicle it was measured in.",
        request=MoveSerializer,
        responses={200: DeviceSerializer, **_ERRORS},
    )
    def post(self, request: Request, device: str) -> Response:
        found = managed_device(request, device)
        body = MoveSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        fleet = found.vehicle.fleet_id
        named = Vehicle.objects.named(body.validated_data["vehicle"])
        target = Vehicle.objects.in_service().filter(fleet=fleet, pk__in=named).first()
        if target is None:
            raise exceptions.ValidationError({"vehicle": "Is no vehicle of this fleet that is in service."})
        try:
            move(Actor.of(request), found, target)
        except RefusedError as refused:
            raise Conflict(str(refused)) from None
        moved = get_object_or_404(Device.objects.select_related("vehicle__fleet"), pk=found.pk)
        return Response(DeviceSerializer(moved).data)
