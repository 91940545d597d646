"""A device in and out of service over the API, for its fleet's managers."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import retiring
from devices.api.devices import DeviceSerializer
from devices.api.tokens import managed_device
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor

_ERRORS = {401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer}


class RetireView(APIView):
    @extend_schema(
        summary="Take a device out of service",
        description="Its tokens are revoked, its account is disabled, what waits for it is cancelled. Its history "
        "stays. Repeating it changes nothing.",
        request=None,
        responses={200: DeviceSerializer, **_ERRORS},
    )
    def post(self, request: Request, device: str) -> Response:
        found = managed_device(request, device)
        retiring.retire(Actor.of(request), found)
        found.refresh_from_db(fields=["active"])
        return Response(DeviceSerializer(found).data)


class ReviveView(APIView):
    @extend_schema(
        summary="Bring a device back into service",
        description="It needs a new token: the old ones stay revoked.",
        request=None,
        responses={200: DeviceSerializer, **_ERRORS},
    )
    def post(self, request: Request, device: str) -> Response:
        found = managed_device(request, device)
        retiring.revive(Actor.of(request), found)
        found.refresh_from_db(fields=["active"])
        return Response(DeviceSerializer(found).data)
