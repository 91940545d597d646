"""A fleet's audit trail over the API: who did what to which object."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets
from fleet.api.moments import moment_of
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.models import AuditEntry, Fleet, Role


class AuditEntrySerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField(help_text="A person, a device, or convoy itself.")
    address = serializers.CharField(allow_null=True)
    action = serializers.CharField(help_text="noun.verb: token.issued, alert.resolve.")
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField()
    before = serializers.DictField(help_text="Only what changed.")
    after = serializers.DictField()


class AuditView(APIView):
    pagination_class = Pages

    @extend_schema(
        summary="A fleet's audit trail, newest first",
        parameters=[
            OpenApiParameter("action", description="An action, or the noun before its dot."),
            OpenApiParameter("actor", description="Part of the name."),
            OpenApiParameter("object", description="Part of the object's name."),
            OpenApiParameter("from", description="ISO 8601 or Unix seconds."),
            OpenApiParameter("to"),
        ],
        responses={
            200: AuditEntrySerializer(many=True), 400: ProblemSerializer, 401: ProblemSerializer,
            403: ProblemSerializer, 404: ProblemSerializer,
        },
    )  # fmt: skip
    def get(self, request: Request, fleet: str) -> Response:
        found = get_object_or_404(visible_fleets(request.user), slug=fleet)
        if not principal_of(request.user).can(Role.MANAGER, found.pk):
            raise exceptions.PermissionDenied("The audit trail is for the fleet's managers.")
        try:
            entries = narrowed(found, request.query_params)
        except ValueError as error:
            raise exceptions.ValidationError({"from": str(error)}) from None
        pages = Pages()
        rows: Any = pages.paginate_queryset(entries, request, self)
        return pages.get_paginated_response(AuditEntrySerializer(rows, many=True).data)


def narrowed(fleet: Fleet, asked: Any) -> Any:
    """The entries a query asks for. Raises ValueError for a time that is none."""
    entries = AuditEntry.objects.filter(fleet=fleet)
    if action := asked.get("action"):
        entries = (
            entries.filter(action=action)
            if "." in action
            else entries.filter(action__startswith=f"{action}.")
        )
    if actor := asked.get("actor"):
        entries = entries.filter(actor__icontains=actor)
    if name := asked.get("object"):
        entries = entries.filter(object_name__icontains=name)
    if begin := asked.get("from"):
        entries = entries.filter(at__gte=moment_of(begin))
    if end := asked.get("to"):
        entries = entries.filter(at__lt=moment_of(end))
    return entries
