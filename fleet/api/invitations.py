"""Invitations over the API, for a fleet's managers and owners. No answer tells whether there is an account."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.api.members import REFUSALS, RoleField, managed_fleet, refusals
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Invitation, InvitationState, Role
from fleet.notifying import mail
from fleet.people import invitations

EXAMPLE = OpenApiExample(
    "invitation",
    {
        "id": 12, "email": "ada@example.com", "role": "viewer", "state": "open", "invited_by": "Grace Hill",
        "created_at": "2026-11-21T14:02:11Z", "expires_at": "2026-11-28T14:02:11Z",
        "mailed_at": "2026-11-21T14:02:12Z", "mail_error": "",
    },
)  # fmt: skip


class NewInvitationSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    role = RoleField(default=Role.VIEWER)


class InvitationSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)
    state = serializers.ChoiceField(choices=InvitationState.choices)
    invited_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    mailed_at = serializers.DateTimeField(allow_null=True, help_text="When the mail server took it.")
    mail_error = serializers.CharField(
        allow_blank=True, help_text="Why not yet; it is tried again for an hour."
    )
    link = serializers.URLField(
        required=False, help_text="Only where no mail server is set: hand it over yourself."
    )


class InvitationListSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = InvitationSerializer(many=True)


class FleetInvitationsView(APIView):
    @extend_schema(
        operation_id="v1_fleet_invitations_list",
        summary="A fleet's invitations, newest first (managers)",
        parameters=[
            OpenApiParameter("state", str, enum=InvitationState.values, description="Without: all."),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses={200: InvitationListSerializer, 400: ProblemSerializer, **REFUSALS},
        examples=[EXAMPLE],
    )
    def get(self, request: Request, fleet: str) -> Response:
        rows = Invitation.objects.filter(fleet=managed_fleet(request, fleet))
        if state := request.query_params.get("state"):
            wanted = serializers.ChoiceField(choices=InvitationState.choices).run_validation(state)
            rows = rows.in_state(wanted, timezone.now())
        pages = Pages()
        page: Any = pages.paginate_queryset(rows, request, self)
        return pages.get_paginated_response([described(row) for row in page])

    @extend_schema(
        summary="Invite somebody by e-mail; replaces what waits for that address",
        request=NewInvitationSerializer,
        responses={
            201: InvitationSerializer, 400: ProblemSerializer, 409: ProblemSerializer, 429: ProblemSerializer,
            **REFUSALS,
        },
        examples=[EXAMPLE],
    )  # fmt: skip
    def post(self, request: Request, fleet: str) -> Response:
        found = managed_fleet(request, fleet)
        wanted = NewInvitationSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        with refusals():
            sent = invitations.invite(Actor.of(request), found, **wanted.validated_data)
        where = f"/api/v1/fleet/{found.slug}/invitations/{sent.pk}"
        return Response(
            _with_link(sent), status=201, headers={"Location": where, "Cache-Control": "no-store"}
        )


class FleetInvitationView(APIView):
    @extend_schema(
        summary="Revoke an invitation: its link no longer works",
        responses={204: None, 409: ProblemSerializer, **REFUSALS},
    )
    def delete(self, request: Request, fleet: str, invitation: int) -> Response:
        with refusals():
            invitations.revoke(Actor.of(request), _invitation(request, fleet, invitation))
        return Response(status=204)


class ResendView(APIView):
    @extend_schema(
        summary="Send the mail again; the link works for another seven days",
        request=None,
        responses={202: InvitationSerializer, 409: ProblemSerializer, 429: ProblemSerializer, **REFUSALS},
        examples=[EXAMPLE],
    )
    def post(self, request: Request, fleet: str, invitation: int) -> Response:
        with refusals():
            sent = invitations.resend(Actor.of(request), _invitation(request, fleet, invitation))
        return Response(_with_link(sent), status=202, headers={"Cache-Control": "no-store"})


def described(row: Invitation) -> dict[str, Any]:
    names = ("email", "role", "created_at", "expires_at", "mailed_at", "mail_error")
    told = {"id": row.pk, "state": row.state(timezone.now()).value, "invited_by": row.inviter}
    return told | {name: getattr(row, name) for name in names}


def _with_link(row: Invitation) -> dict[str, Any]:
    return described(row) | ({} if mail.goes_out() else {"link": invitations.link_of(row)})


def _invitation(request: Request, fleet: str, pk: int) -> Invitation:
    found = managed_fleet(request, fleet)
    return get_object_or_404(Invitation, fleet=found, pk=min(pk, 2**63 - 1))
