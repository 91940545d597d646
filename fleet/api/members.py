"""A fleet's members over the API, for its managers and owners."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets
from fleet.api.asked import text_in
from fleet.api.paging import Pages
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.audit import Actor
from fleet.models import Fleet, Membership, Role
from fleet.people import members

REFUSALS: dict[Any, Any] = {401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer}
EXAMPLE = OpenApiExample(
    "member",
    {
        "id": 7, "email": "ada@example.com", "name": "Ada Berg", "role": "manager", "second_factor": True,
        "last_login": "2026-11-21T14:02:11Z", "since": "2026-03-02T08:15:00Z",
    },
)  # fmt: skip


class RoleField(serializers.ChoiceField):
    """A role, also under another system's names: ADMIN is owner, GROWER manager."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=Role.choices, **options)

    def to_internal_value(self, data: Any) -> str:
        known = members.OTHER_NAMES.get(data.lower(), data) if isinstance(data, str) else data
        return str(super().to_internal_value(known))


class MemberSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.get_full_name")
    role = serializers.ChoiceField(choices=Role.choices)
    second_factor = serializers.BooleanField(help_text="Do they log in with a second factor?")
    last_login = serializers.DateTimeField(source="user.last_login", allow_null=True)
    since = serializers.DateTimeField(source="created_at")


class MemberListSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = MemberSerializer(many=True)


class NewRoleSerializer(serializers.Serializer[Any]):
    role = RoleField()


class MembersView(APIView):
    @extend_schema(
        operation_id="v1_fleet_members_list",
        summary="A fleet's members, newest first (managers)",
        parameters=[
            OpenApiParameter("q", str, description="Words in the name or the e-mail address."),
            OpenApiParameter("role", str, enum=Role.values),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses={200: MemberListSerializer, 400: ProblemSerializer, **REFUSALS},
        examples=[EXAMPLE],
    )
    def get(self, request: Request, fleet: str) -> Response:
        rows = members.listed(managed_fleet(request, fleet))
        rows = members.search(rows, text_in(request.query_params.get("q", "")[:80], "q"))
        if role := request.query_params.get("role"):
            rows = rows.filter(role=RoleField().run_validation(role))
        pages = Pages()
        page: Any = pages.paginate_queryset(rows, request, self)
        return pages.get_paginated_response(MemberSerializer(page, many=True).data)


class MemberView(APIView):
    @extend_schema(
        summary="Change a member's role (owners; managers between viewer and driver)",
        request=NewRoleSerializer,
        responses={200: MemberSerializer, 400: ProblemSerializer, 409: ProblemSerializer, **REFUSALS},
        examples=[EXAMPLE],
    )
    def patch(self, request: Request, fleet: str, member: int) -> Response:
        row = _member(request, fleet, member)
        wanted = NewRoleSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        with refusals():
            members.change_role(Actor.of(request), row, wanted.validated_data["role"])
        return Response(MemberSerializer(members.listed(row.fleet).get(pk=row.pk)).data)

    @extend_schema(
        summary="Remove a member: their sessions no longer see the fleet, their sockets close",
        responses={204: None, 409: ProblemSerializer, **REFUSALS},
    )
    def delete(self, request: Request, fleet: str, member: int) -> Response:
        row = _member(request, fleet, member)
        with refusals():
            members.remove(Actor.of(request), row)
        return Response(status=204)


class refusals:
    """What the flows of people refuse, as problems."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, members.ForbiddenError):
            raise exceptions.PermissionDenied(str(error)) from None
        if isinstance(error, members.TooManyError):
            raise exceptions.Throttled(60, str(error)) from None
        if isinstance(error, members.RefusedError):
            raise Conflict(str(error)) from None


def managed_fleet(request: Request, slug: str) -> Fleet:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=slug)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise exceptions.PermissionDenied("Members are looked after by the fleet's managers and owners.")
    return found


def _member(request: Request, fleet: str, pk: int) -> Membership:
    found = managed_fleet(request, fleet)
    rows = Membership.objects.select_related("fleet", "user")
    return get_object_or_404(rows, fleet=found, pk=min(pk, 2**63 - 1))
