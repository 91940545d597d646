"""A fleet's registration secrets over the API, for its managers."""

from functools import partial
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.registration import issue_secret, revoke_secret
from fleet.access import principal_of, visible_fleets
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Fleet, Role

MOST_DEVICES = 1_000_000
_ERRORS = {401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer}
_once = partial(idempotent, secret="secret")


class RegistrationSecretSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="prefix", read_only=True, help_text="The secret's visible beginning.")
    name = serializers.CharField(max_length=120, help_text="Which devices carry it.")
    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_DEVICES, required=False, allow_null=True, default=None,
        help_text="How many devices may use it.",
    )  # fmt: skip
    uses = serializers.IntegerField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)

    def validate_expires_at(self, moment: Any) -> Any:
        if moment is not None and moment <= timezone.now():
            raise serializers.ValidationError("This moment has passed.")
        return moment


class NewRegistrationSecretSerializer(RegistrationSecretSerializer):
    secret = serializers.CharField(
        allow_null=True, help_text="Shown once: null in the answer to a repeated request."
    )


class SecretPages(Pages):
    ordering = ("-created_at", "-id")


class RegistrationSecretsView(APIView):
    pagination_class = SecretPages

    @extend_schema(
        summary="Secrets with which devices register themselves",
        responses={200: RegistrationSecretSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        pages = SecretPages()
        rows: Any = pages.paginate_queryset(
            _managed(request, fleet).registration_secrets.all(), request, self
        )
        return pages.get_paginated_response(RegistrationSecretSerializer(rows, many=True).data)

    @extend_schema(
        summary="Make a registration secret",
        parameters=[IDEMPOTENCY_KEY],
        request=RegistrationSecretSerializer,
        responses={201: NewRegistrationSecretSerializer, 400: ProblemSerializer, **_ERRORS, **REPEATED},
    )
    @_once
    def post(self, request: Request, fleet: str) -> Response:
        found = _managed(request, fleet)
        body = RegistrationSecretSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wish = body.validated_data
        secret, text = issue_secret(Actor.of(request), found, wish["name"], wish["limit"], wish["expires_at"])
        told = RegistrationSecretSerializer(secret).data | {"secret": text}
        return Response(told, status=201, headers={"Cache-Control": "no-store"})


class RegistrationSecretView(APIView):
    @extend_schema(
        summary="Revoke a registration secret; devices that used it stay", responses={204: None, **_ERRORS}
    )
    def delete(self, request: Request, fleet: str, secret: str) -> Response:
        secrets = _managed(request, fleet).registration_secrets.select_related("fleet")
        revoke_secret(Actor.of(request), get_object_or_404(secrets, prefix=secret.replace("\0", "")))
        return Response(status=204)


def _managed(request: Request, fleet: str) -> Fleet:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=fleet)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise exceptions.PermissionDenied("Registration secrets are a manager's matter.")
    return found
