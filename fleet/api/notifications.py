"""A person's own notifications over the API."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import Principal, principal_of
from fleet.api.alerts import SeverityField
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.models import Happening, Notification
from fleet.notifying.notifications import read

IDS_LIMIT = 1_000
_ERRORS = {401: ProblemSerializer, 403: ProblemSerializer}


class NotificationSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    event = serializers.ChoiceField(Happening.choices, source="event.kind")
    at = serializers.DateTimeField(source="event.at")
    severity = SeverityField(source="event.severity")
    message = serializers.CharField(source="event.message")
    by = serializers.CharField(source="event.by", help_text="Who did it, or which rule; may be empty.")
    alert_id = serializers.IntegerField(source="event.alert_id")
    alert_type = serializers.CharField(source="event.alert.type")
    alert_state = serializers.CharField(source="event.alert.state", help_text="Now.")
    vehicle_id = serializers.CharField(source="event.alert.vehicle.slug")
    fleet_id = serializers.CharField(source="fleet.slug")
    read_at = serializers.DateTimeField(allow_null=True)


class ReadSerializer(serializers.Serializer[Any]):
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        max_length=IDS_LIMIT,
        help_text="Without it: all of them.",
    )


class ReadAnswerSerializer(serializers.Serializer[Any]):
    read = serializers.IntegerField(help_text="How many were unread.")


def _person(request: Request) -> Principal:
    principal = principal_of(request.user)
    if principal.user_id is None or principal.device_id is not None:
        raise exceptions.PermissionDenied("Notifications are for people: a device has none.")
    return principal


class NotificationsView(APIView):
    pagination_class = Pages

    @extend_schema(
        summary="What you were told of in the page, newest first",
        parameters=[
            OpenApiParameter("unread", bool, description="Only what you have not read."),
            OpenApiParameter("severity", description="At least this one."),
            OpenApiParameter("fleet"),
        ],
        responses={200: NotificationSerializer(many=True), 400: ProblemSerializer, **_ERRORS},
    )
    def get(self, request: Request) -> Response:
        found = Notification.objects.shown_to(_person(request))
        asked = request.query_params
        if asked.get("unread", "").lower() in {"1", "true", "yes"}:
            found = found.filter(read_at=None)
        if severity := asked.get("severity"):
            found = found.filter(event__severity__gte=SeverityField().to_internal_value(severity))
        if fleet := asked.get("fleet"):
            found = found.filter(fleet__slug=fleet)
        pages = Pages()
        rows: Any = pages.paginate_queryset(
            found.select_related("event__alert__vehicle", "fleet"), request, self
        )
        return pages.get_paginated_response(NotificationSerializer(rows, many=True).data)


class ReadAllView(APIView):
    @extend_schema(
        operation_id="v1_notifications_read_some",
        summary="Mark notifications as read: some, or all",
        request=ReadSerializer,
        responses={200: ReadAnswerSerializer, 400: ProblemSerializer, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        principal = _person(request)
        body = ReadSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        done = read(principal, timezone.now(), body.validated_data.get("ids"))
        return Response({"read": done})


class ReadView(APIView):
    @extend_schema(
        operation_id="v1_notifications_read_one",
        summary="Mark one notification as read",
        request=None,
        responses={200: NotificationSerializer, 404: ProblemSerializer, **_ERRORS},
    )
    def post(self, request: Request, notification: int) -> Response:
        principal = principal_of(request.user)
        mine = Notification.objects.shown_to(principal).select_related("event__alert__vehicle", "fleet")
        found = get_object_or_404(mine, pk=notification)
        read(principal, timezone.now(), [found.pk])
        found.refresh_from_db(fields=["read_at"])
        return Response(NotificationSerializer(found).data)
