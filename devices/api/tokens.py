"""Tokens over the API: a manager issues and revokes them, a device rotates its own."""

from functools import partial
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.auth import token_in
from devices.models import Device, DeviceToken, Scope, digest_of
from devices.tokens import OVERLAP, Terms, issue, revoke, rotate
from fleet.access import principal_of
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Role


class TokenSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="prefix", read_only=True, help_text="The token's visible beginning.")
    name = serializers.CharField(max_length=120)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices),
        required=False,
        default=list,
        help_text="Empty: everything.",
    )
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    last_used_at = serializers.DateTimeField(read_only=True, allow_null=True)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)

    def validate_expires_at(self, moment: Any) -> Any:
        if moment is not None and moment <= timezone.now():
            raise serializers.ValidationError("This moment has passed.")
        return moment


class IssuedSerializer(TokenSerializer):
    token = serializers.CharField(
        allow_null=True, help_text="Shown once: null in the answer to a repeated request."
    )


def managed_device(request: Request, name: str) -> Device:
    """The device of a route, for its fleet's managers: 404 for outsiders, 403 for members of a lower role."""
    principal = principal_of(request.user)
    found = Device.objects.visible_to(principal).named(name).select_related("vehicle__fleet").order_by("id")
    device: Device = get_object_or_404(found[:1])
    if not principal.can(Role.MANAGER, device.vehicle.fleet_id):
        raise exceptions.PermissionDenied("Tokens are a manager's matter; a device may rotate its own.")
    return device


_once = partial(idempotent, secret="token")
_ERRORS = {401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer}


class TokensView(APIView):
    pagination_class = Pages

    @extend_schema(summary="A device's tokens", responses={200: TokenSerializer(many=True), **_ERRORS})
    def get(self, request: Request, device: str) -> Response:
        pages = Pages()
        rows: Any = pages.paginate_queryset(managed_device(request, device).tokens.all(), request, self)
        return pages.get_paginated_response(TokenSerializer(rows, many=True).data)

    @extend_schema(
        summary="Issue a token",
        parameters=[IDEMPOTENCY_KEY],
        request=TokenSerializer,
        responses={201: IssuedSerializer, 400: ProblemSerializer, **_ERRORS, **REPEATED},
    )
    @_once
    def post(self, request: Request, device: str) -> Response:
        found = managed_device(request, device)
        body = TokenSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        terms = Terms(wanted["name"], wanted["expires_at"], tuple(wanted["scopes"]))
        return _issued(*issue(found, terms, Actor.of(request)))


class TokenView(APIView):
    @extend_schema(summary="Revoke a token", request=None, responses={204: None, **_ERRORS})
    def delete(self, request: Request, device: str, token: str) -> Response:
        found = get_object_or_404(managed_device(request, device).tokens.filter(prefix=token))
        revoke(found, Actor.of(request))
        return Response(status=204)


class RotateView(APIView):
    @extend_schema(
        summary="Exchange the device's own token for a new one",
        description=f"The old one works for another {OVERLAP.total_seconds() / 3600:.0f} hours.",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={201: IssuedSerializer, 400: ProblemSerializer, **_ERRORS, **REPEATED},
    )
    @_once
    def post(self, request: Request, device: str) -> Response:
        principal = principal_of(request.user)
        own = get_object_or_404(Device.objects.visible_to(principal).named(device).order_by("id")[:1])
        text = token_in({name.lower(): value for name, value in request.headers.items()})
        old = DeviceToken.objects.select_related("device__vehicle__fleet").filter(
            device=own, digest=digest_of(text)
        )
        if principal.device_id is None or not (found := old.first()):
            raise exceptions.PermissionDenied("A device rotates the token it sends; people issue a new one.")
        return _issued(*rotate(found, Actor.of(request), timezone.now()))


def _issued(token: DeviceToken, text: str) -> Response:
    told = TokenSerializer(token).data | {"token": text}
    return Response(told, status=201, headers={"Cache-Control": "no-store"})
