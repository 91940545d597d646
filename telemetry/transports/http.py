"""POST /api/telemetry as a DRF view: in the schema and the docs, and the lane used when FAST_LANE is off."""

import logging
import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions, parsers, permissions, serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from devices.auth import DeviceTokenAuthentication, JwtAuthentication
from fleet.access import Principal
from telemetry.ingest import UnavailableError, accept
from telemetry.transports import answer
from telemetry.transports.body import RefusedError, decoded, read

log = logging.getLogger(__name__)


class RawParser(parsers.BaseParser):
    """Leaves the body as bytes: telemetry.transports.body reads it."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return bytes(stream.read(settings.TELEMETRY_BODY_LIMIT + 1))


class ReceiptSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    compression_ratio = serializers.FloatField(help_text="Skipped ÷ (transmitted + skipped).")
    transmitted_fields = serializers.IntegerField()
    skipped_fields = serializers.IntegerField()
    accepted = serializers.IntegerField(help_text="Records committed by this request.")
    repeated = serializers.IntegerField(help_text="Records that were there already.")
    keyframe = serializers.BooleanField(required=False, help_text="Send a keyframe next.")
    rejected = serializers.ListField(child=serializers.DictField(), required=False)


class RefusalSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    error = serializers.CharField()
    field = serializers.CharField(required=False)
    rejected = serializers.ListField(child=serializers.DictField(), required=False)


class IsDevice(permissions.BasePermission):
    message = "This is for devices: send a device's token, or log in with a device's account."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Principal) and request.user.device_id is not None


_REFUSED = OpenApiResponse(RefusalSerializer)


class TelemetryView(APIView):
    """Device data, protobuf or JSON, one record or many."""

    authentication_classes = (DeviceTokenAuthentication, JwtAuthentication)
    permission_classes = (IsDevice,)
    parser_classes = (RawParser,)

    @extend_schema(
        summary="Deliver telemetry",
        description="One `Telemetry` or `TelemetryBatch` (docs/protocol.md), or the same as JSON. "
        "An answer 200 means committed; records listed in `rejected` were not kept.",
        request={
            "application/x-protobuf": {"type": "string", "format": "binary"},
            "application/json": {"type": "object"},
        },
        responses={
            200: ReceiptSerializer,
            400: _REFUSED, 401: _REFUSED, 404: _REFUSED, 413: _REFUSED, 415: _REFUSED,
            429: _REFUSED, 503: _REFUSED,
        },
        examples=[
            OpenApiExample(
                "One record",
                {
                    "vin": "5YJ3E1EA1KF000001", "timestamp": 1732186800.0,
                    "speed": 65.0, "battery": 82, "power": 12.5, "heading": 45,
                },
                request_only=True,
                media_type="application/json",
            )
        ],
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        reply = self._answer(request)
        assert isinstance(request.user, Principal)
        answer.note_refusal(reply, request.user)
        return _http(reply)

    def _answer(self, request: Request) -> answer.Answer:
        principal = request.user
        assert isinstance(principal, Principal) and principal.device_id is not None
        if not principal.may("telemetry"):
            return answer.out_of_scope()
        try:
            body = body_of(request)
            delivery = read(body, request.content_type or "", principal, time.time())
            if not delivery.arrivals:
                return answer.nothing_good(delivery)
            return answer.received(delivery, accept([delivery])[0])
        except RefusedError as error:
            return answer.refused(error)
        except UnavailableError:
            return answer.unavailable()

    def handle_exception(self, exc: Exception) -> Any:
        reply = _refusal(exc)
        return super().handle_exception(exc) if reply is None else _http(reply)


def _refusal(exc: Exception) -> answer.Answer | None:
    """In this endpoint's words; None for what DRF says as well."""
    match exc:
        case exceptions.AuthenticationFailed():
            reply = answer.unknown_token(sent=True)
        case exceptions.NotAuthenticated() | exceptions.PermissionDenied():
            reply = answer.unknown_token(sent=False)
        case exceptions.Throttled():
            reply = answer.slow_down(getattr(exc, "wait", None) or 1)
        case exceptions.MethodNotAllowed():
            reply = answer.wrong_method()
        case exceptions.APIException():
            return None
        case DatabaseError() | InterfaceError():  # the token could not be looked up
            reply = answer.unavailable()
        case _:
            log.error("telemetry request failed", exc_info=exc)
            reply = answer.failed()
    return reply


def body_of(request: Request) -> bytes:
    """As sent, unpacked; raises RefusedError when it is too large or damaged."""
    body: Any = request.data
    limit = settings.TELEMETRY_BODY_LIMIT
    if not isinstance(body, bytes):  # an empty body is never parsed
        body = b""
    if len(body) > limit:
        raise RefusedError(413, f"more than {limit} bytes in one request")
    return decoded(body, request.headers.get("Content-Encoding", ""), limit)


def _http(reply: answer.Answer) -> HttpResponse:
    status, body, headers = reply
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)
