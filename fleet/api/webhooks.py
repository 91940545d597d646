"""A fleet's webhooks over the API, for its managers."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets
from fleet.api.alerts import SeverityField
from fleet.api.paging import Pages
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.audit import Actor
from fleet.models import DeliveryState, Fleet, Happening, Role, Severity, Webhook, WebhookDelivery
from fleet.notifying import webhooks
from fleet.notifying.webhooks import WebhookError

_ERRORS = {401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer}
_BAD = {400: ProblemSerializer, **_ERRORS}


class WebhookFieldsSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    url = serializers.CharField(max_length=1000)
    severity = SeverityField(required=False, default=Severity.INFO, help_text="Alerts of at least this one.")
    kinds = serializers.ListField(
        child=serializers.ChoiceField(Happening.choices),
        required=False,
        default=lambda: list(Happening.values),
    )
    enabled = serializers.BooleanField(required=False, default=True)


class WebhookSerializer(WebhookFieldsSerializer):
    id = serializers.IntegerField()
    health = serializers.SerializerMethodField(help_text="working, retrying, failing, disabled or unused.")
    failing_since = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="The last success.")
    created_at = serializers.DateTimeField()

    def get_health(self, hook: Webhook) -> str:
        return hook.health_at(timezone.now())


class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="Shown only now.")


class SecretSerializer(serializers.Serializer[Any]):
    secret = serializers.CharField(help_text="Shown only now. The one before signs beside it for a day.")


class AttemptSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="Of HTTP; null: no answer.")
    latency_ms = serializers.IntegerField()
    answer = serializers.CharField(help_text="Its beginning.")
    error = serializers.CharField()


class DeliverySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="public_id", help_text="The webhook-id header.")
    event = serializers.CharField(source="kind")
    alert_id = serializers.IntegerField(source="event.alert_id", allow_null=True, default=None)
    state = serializers.ChoiceField(DeliveryState.choices)
    attempts = serializers.IntegerField()
    status = serializers.IntegerField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    next_attempt_at = serializers.DateTimeField(source="due_at", allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    log = AttemptSerializer(many=True)


def managed(request: Any, fleet: str) -> Fleet:
    """404 to outsiders, 403 to members who do not manage it."""
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=fleet)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise exceptions.PermissionDenied("Webhooks are the matter of the fleet's managers.")
    return found


def _hook(request: Request, fleet: str, number: int) -> Webhook:
    hook: Webhook = get_object_or_404(managed(request, fleet).webhooks.select_related("fleet"), pk=number)
    return hook


def _refused(error: WebhookError) -> exceptions.APIException:
    if error.field in {"state", "enabled"}:
        return Conflict(str(error))
    return exceptions.ValidationError({error.field: str(error)})


class WebhooksView(APIView):
    pagination_class = Pages

    @extend_schema(summary="A fleet's webhooks", responses={200: WebhookSerializer(many=True), **_ERRORS})
    def get(self, request: Request, fleet: str) -> Response:
        pages = Pages()
        rows: Any = pages.paginate_queryset(managed(request, fleet).webhooks.all(), request, self)
        return pages.get_paginated_response(WebhookSerializer(rows, many=True).data)

    @extend_schema(
        summary="Add a webhook",
        description="The answer holds the secret that its messages are signed with, this once.",
        request=WebhookFieldsSerializer,
        responses={201: NewWebhookSerializer, **_BAD},
    )
    def post(self, request: Request, fleet: str) -> Response:
        found = managed(request, fleet)
        body = WebhookFieldsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            hook, secret = webhooks.create(Actor.of(request), found, Webhook(**body.validated_data))
        except WebhookError as error:
            raise _refused(error) from None
        told: Any = WebhookSerializer(hook).data
        return Response({**told, "secret": secret}, status=201)


class WebhookView(APIView):
    @extend_schema(summary="One webhook", responses={200: WebhookSerializer, **_ERRORS})
    def get(self, request: Request, fleet: str, webhook: int) -> Response:
        return Response(WebhookSerializer(_hook(request, fleet, webhook)).data)

    @extend_schema(
        summary="Change a webhook",
        request=WebhookFieldsSerializer,
        responses={200: WebhookSerializer, **_BAD},
    )
    def patch(self, request: Request, fleet: str, webhook: int) -> Response:
        hook = _hook(request, fleet, webhook)
        body = WebhookFieldsSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        try:
            hook = webhooks.change(Actor.of(request), hook, body.validated_data)
        except WebhookError as error:
            raise _refused(error) from None
        return Response(WebhookSerializer(hook).data)

    @extend_schema(summary="Delete a webhook and its log", responses={204: None, **_ERRORS})
    def delete(self, request: Request, fleet: str, webhook: int) -> Response:
        webhooks.remove(Actor.of(request), _hook(request, fleet, webhook))
        return Response(status=204)


class WebhookSecretView(APIView):
    @extend_schema(summary="A new secret", request=None, responses={200: SecretSerializer, **_ERRORS})
    def post(self, request: Request, fleet: str, webhook: int) -> Response:
        hook = _hook(request, fleet, webhook)
        return Response({"secret": webhooks.renew_secret(Actor.of(request), hook)})


class WebhookTestView(APIView):
    @extend_schema(
        summary="Send a test",
        description="Tried once; what became of it is in the log.",
        request=None,
        responses={202: DeliverySerializer, 409: ProblemSerializer, **_ERRORS},
    )
    def post(self, request: Request, fleet: str, webhook: int) -> Response:
        hook = _hook(request, fleet, webhook)
        try:
            delivery = webhooks.test(Actor.of(request), hook)
        except WebhookError as error:
            raise _refused(error) from None
        return Response(DeliverySerializer(delivery).data, status=202)


class DeliveriesView(APIView):
    pagination_class = Pages

    @extend_schema(
        summary="What was sent to a webhook, newest first, with every attempt",
        parameters=[OpenApiParameter("state", enum=DeliveryState.values)],
        responses={200: DeliverySerializer(many=True), **_BAD},
    )
    def get(self, request: Request, fleet: str, webhook: int) -> Response:
        found = _hook(request, fleet, webhook).deliveries.select_related("event")
        if state := request.query_params.get("state"):
            if state not in DeliveryState.values:
                raise exceptions.ValidationError({"state": f"{state[:40]!r} is no state of a delivery."})
            found = found.filter(state=state)
        pages = Pages()
        rows: Any = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response(DeliverySerializer(rows, many=True).data)


class ResendView(APIView):
    @extend_schema(
        summary="Send a message again, with the same id",
        request=None,
        responses={202: DeliverySerializer, 409: ProblemSerializer, **_ERRORS},
    )
    def post(self, request: Request, fleet: str, webhook: int, delivery: Any) -> Response:
        hook = _hook(request, fleet, webhook)
        found: WebhookDelivery = get_object_or_404(hook.deliveries, public_id=delivery)
        try:
            found = webhooks.resend(Actor.of(request), found)
        except WebhookError as error:
            raise _refused(error) from None
        return Response(DeliverySerializer(found).data, status=202)
