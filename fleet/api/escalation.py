"""Over the API: who is told when nobody acknowledges an alert, and what a person wants to hear of a fleet."""

from typing import Any

from django.core.exceptions import ValidationError as FieldsError
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets
from fleet.alerting import escalation
from fleet.alerting.escalation import LONGEST_MINUTES, StepError
from fleet.api.alerts import SeverityField
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.api.webhooks import managed
from fleet.audit import Actor
from fleet.models import EscalationStep, Membership, NotificationChoice, Reach, Role, Severity
from fleet.notifying import choices

_ERRORS = {401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer}
_BAD = {400: ProblemSerializer, **_ERRORS}
_REACHES = {
    "everything": Reach.INFO,
    "warning": Reach.WARNING,
    "critical": Reach.CRITICAL,
    "nothing": Reach.NEVER,
}
_REACH_NAMES = {reach: name for name, reach in _REACHES.items()}


class StepSerializer(serializers.Serializer[Any]):
    """`role`, `people` (e-mail addresses of members), or both."""

    id = serializers.IntegerField(read_only=True)
    severity = SeverityField(
        required=False, default=Severity.CRITICAL, help_text="Alerts of at least this one."
    )
    after_minutes = serializers.IntegerField(min_value=1, max_value=LONGEST_MINUTES)
    role = serializers.ChoiceField(Role.choices, required=False, allow_blank=True, default="")
    people = serializers.ListField(
        child=serializers.EmailField(max_length=254), required=False, default=list, max_length=100
    )

    def to_representation(self, step: EscalationStep) -> dict[str, Any]:
        people = sorted(person.email for person in step.people.all())
        severity = Severity(step.severity).name
        return {
            "id": step.pk, "severity": severity, "after_minutes": step.after_minutes,
            "role": step.role, "people": people,
        }  # fmt: skip


class StepPages(Pages):
    ordering = ("after_minutes", "id")


class StepsView(APIView):
    pagination_class = StepPages

    @extend_schema(
        summary="Who is told when nobody acknowledges an alert",
        responses={200: StepSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        pages = StepPages()
        found = managed(request, fleet).escalation_steps.prefetch_related("people")
        rows: Any = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response(StepSerializer(rows, many=True).data)

    @extend_schema(
        summary="Add a step of escalation",
        description="It counts for alerts that open from now on.",
        parameters=[IDEMPOTENCY_KEY],
        request=StepSerializer,
        responses={201: StepSerializer, **_BAD, **REPEATED},
    )
    @idempotent
    def post(self, request: Request, fleet: str) -> Response:
        found = managed(request, fleet)
        body = StepSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wish = body.validated_data
        people = wish.pop("people")
        try:
            step = escalation.add(Actor.of(request), found, EscalationStep(**wish), people)
        except StepError as error:
            raise exceptions.ValidationError({error.field: str(error)}) from None
        return Response(StepSerializer(step).data, status=201)


class StepView(APIView):
    @extend_schema(
        summary="Remove a step of escalation, with its deadlines", responses={204: None, **_ERRORS}
    )
    def delete(self, request: Request, fleet: str, step: int) -> Response:
        steps = managed(request, fleet).escalation_steps.select_related("fleet")
        escalation.remove(Actor.of(request), get_object_or_404(steps, pk=step))
        return Response(status=204)


class ChoiceSerializer(serializers.Serializer[Any]):
    """Quiet hours are in the person's time zone; both ends or none."""

    page = serializers.ChoiceField(list(_REACHES), help_text="From which severity on, in the page.")
    email = serializers.ChoiceField(list(_REACHES), help_text="The same by e-mail.")
    tell_resolved = serializers.BooleanField(help_text="Also when an alert is resolved.")
    quiet_from = serializers.TimeField(allow_null=True)
    quiet_to = serializers.TimeField(allow_null=True, help_text="May be earlier: then on the next day.")
    critical_breaks = serializers.BooleanField(
        help_text="Critical alerts do not wait for the end of quiet hours."
    )


class ChoiceView(APIView):
    """A person's own; a device, or staff without a membership, has none."""

    @extend_schema(
        summary="What you want to hear of this fleet's alerts", responses={200: ChoiceSerializer, **_ERRORS}
    )
    def get(self, request: Request, fleet: str) -> Response:
        return Response(_told(choices.of(_membership(request, fleet))))

    @extend_schema(
        summary="Choose what you want to hear of this fleet's alerts",
        description="What is left out stays as it is.",
        request=ChoiceSerializer,
        responses={200: ChoiceSerializer, **_BAD},
    )
    def patch(self, request: Request, fleet: str) -> Response:
        row = choices.of(_membership(request, fleet))
        body = ChoiceSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        wish = dict(body.validated_data)
        for name in ("page", "email"):
            if name in wish:
                wish[f"{name}_reach"] = _REACHES[wish.pop(name)]
        for name, value in wish.items():
            setattr(row, name, value)
        try:
            row.clean()
        except FieldsError as error:
            raise exceptions.ValidationError(error.message_dict) from None
        choices.keep(row)
        return Response(_told(row))


def _membership(request: Request, fleet: str) -> Membership:
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    user = principal_of(request.user).user_id
    mine = Membership.objects.filter(fleet=found, user=user).select_related("fleet").first() if user else None
    if mine is None:
        raise exceptions.PermissionDenied("Only members of the fleet are told of its alerts.")
    return mine


def _told(row: NotificationChoice) -> dict[str, Any]:
    reaches = {"page": _REACH_NAMES[Reach(row.page_reach)], "email": _REACH_NAMES[Reach(row.email_reach)]}
    rest = ("tell_resolved", "quiet_from", "quiet_to", "critical_breaks")
    return reaches | {name: getattr(row, name) for name in rest}
