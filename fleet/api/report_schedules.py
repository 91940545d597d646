"""Scheduled reports over the API: read by members from viewer up, made and changed by managers."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.api.report_exports import ReportWishSerializer
from fleet.api.reports import ERRORS, fleet_read, refused
from fleet.audit import Actor
from fleet.models import (
    ExportState,
    Fleet,
    MailState,
    ReportExport,
    ReportFormat,
    ReportSchedule,
    Rhythm,
    Role,
    Weekday,
    WhenEmpty,
)
from fleet.models.people import known_zones
from fleet.reports import schedules
from fleet.reports.schedules import Plan
from fleet.reports.wishes import Wish, WishError

_ROW = (
    "name",
    "report",
    "format",
    "rhythm",
    "weekday",
    "month_day",
    "at",
    "time_zone",
    "when_empty",
    "paused",
)


@extend_schema_field({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"})
class ClockField(serializers.TimeField):
    """A schema's `time` would have a zone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **options)


class ReportScheduleFieldsSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    report = serializers.CharField(max_length=40)
    format = serializers.ChoiceField(ReportFormat.choices, default=ReportFormat.XLSX)
    rhythm = serializers.ChoiceField(Rhythm.choices, help_text="Of the day, seven days or month before.")
    weekday = serializers.ChoiceField(
        Weekday.choices, default=Weekday.MONDAY, help_text="0: Monday. If weekly."
    )
    month_day = serializers.IntegerField(min_value=1, max_value=31, default=1, help_text="If monthly.")
    at = ClockField(help_text="By the clock of `time_zone`: 06:30.")
    time_zone = serializers.CharField(max_length=64, required=False, help_text="Else the fleet's.")
    when_empty = serializers.ChoiceField(WhenEmpty.choices, default=WhenEmpty.SAY)
    recipients = serializers.ListField(
        child=serializers.EmailField(),
        max_length=schedules.RECIPIENTS_MOST,
        help_text="Members from viewer up.",
    )
    wish = ReportWishSerializer(required=False)
    paused = serializers.BooleanField(default=False)

    def validate_time_zone(self, name: str) -> str:
        if name not in known_zones():
            raise serializers.ValidationError("Is not a time zone such as Europe/Berlin.")
        return name


class ReportScheduleSerializer(ReportScheduleFieldsSerializer):
    id = serializers.IntegerField()
    recipients = serializers.SerializerMethodField()  # type: ignore[assignment]
    wish = serializers.DictField()  # type: ignore[assignment]
    next_at = serializers.DateTimeField(allow_null=True)

    def get_recipients(self, row: ReportSchedule) -> list[str]:
        return [user.email for user in row.recipients.all()]


class ReportMailSerializer(serializers.Serializer[Any]):
    to = serializers.CharField(source="user.email")
    state = serializers.ChoiceField(MailState.choices)
    attempts = serializers.IntegerField()
    ended_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()


class ReportRunSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid")
    slot = serializers.DateTimeField(help_text="For which of its times; or when it was run by hand.")
    state = serializers.ChoiceField(ExportState.choices)
    rows = serializers.IntegerField()
    error = serializers.CharField()
    mails = ReportMailSerializer(many=True, source="deliveries")


def _managed(request: Request, fleet: str) -> Fleet:
    found = fleet_read(request, fleet)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise exceptions.PermissionDenied("Schedules are made by managers of the fleet.")
    return found


def _row(fleet: Fleet, number: int) -> ReportSchedule:
    row = (
        fleet.report_schedules.select_related("fleet")
        .prefetch_related("recipients")
        .filter(pk=number)
        .first()
    )
    if row is None:
        raise exceptions.NotFound("This fleet has no such schedule.")
    return row


def _kept(request: Request, row: ReportSchedule, told: dict[str, Any]) -> ReportSchedule:
    emails = told.pop("recipients", None)
    if emails is None:
        emails = [user.email for user in row.recipients.all()]
    zone = told.setdefault("time_zone", row.time_zone or row.fleet.time_zone)
    wish = Wish.of((told.pop("wish", None) or row.wish) | {"zone": zone})
    plan = Plan({name: told[name] for name in _ROW if name in told}, wish, emails)
    try:
        return schedules.keep(Actor.of(request), row, plan)
    except WishError as error:
        raise refused(error) from None


class SchedulesView(APIView):
    pagination_class = Pages

    @extend_schema(
        summary="A fleet's scheduled reports", responses={200: ReportScheduleSerializer(many=True), **ERRORS}
    )
    def get(self, request: Request, fleet: str) -> Response:
        pages = Pages()
        found = fleet_read(request, fleet).report_schedules.prefetch_related("recipients")
        rows: Any = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response(ReportScheduleSerializer(rows, many=True).data)

    @extend_schema(
        summary="Have a report come by itself",
        parameters=[IDEMPOTENCY_KEY],
        request=ReportScheduleFieldsSerializer,
        responses={201: ReportScheduleSerializer, **ERRORS, **REPEATED},
    )
    @idempotent
    def post(self, request: Request, fleet: str) -> Response:
        found = _managed(request, fleet)
        body = ReportScheduleFieldsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = _kept(request, ReportSchedule(fleet=found), dict(body.validated_data))
        return Response(ReportScheduleSerializer(row).data, status=201)


class ScheduleView(APIView):
    @extend_schema(summary="One scheduled report", responses={200: ReportScheduleSerializer, **ERRORS})
    def get(self, request: Request, fleet: str, schedule: int) -> Response:
        return Response(ReportScheduleSerializer(_row(fleet_read(request, fleet), schedule)).data)

    @extend_schema(
        summary="Change, pause or resume it",
        request=ReportScheduleFieldsSerializer,
        responses={200: ReportScheduleSerializer, **ERRORS},
    )
    def patch(self, request: Request, fleet: str, schedule: int) -> Response:
        row = _row(_managed(request, fleet), schedule)
        body = ReportScheduleFieldsSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        return Response(ReportScheduleSerializer(_kept(request, row, dict(body.validated_data))).data)

    @extend_schema(summary="Delete it, with its log", responses={204: None, **ERRORS})
    def delete(self, request: Request, fleet: str, schedule: int) -> Response:
        schedules.remove(Actor.of(request), _row(_managed(request, fleet), schedule))
        return Response(status=204)


class ScheduleRunView(APIView):
    @extend_schema(
        summary="Run it now, once more",
        request=None,
        responses={202: ReportRunSerializer, 409: ProblemSerializer, **ERRORS},
    )
    def post(self, request: Request, fleet: str, schedule: int) -> Response:
        export = schedules.run_now(Actor.of(request), _row(_managed(request, fleet), schedule))
        if export is None:
            raise Conflict("It was run in this moment.", 1)
        return Response(ReportRunSerializer(export).data, status=202)


class RunsView(APIView):
    pagination_class = Pages

    @extend_schema(
        summary="What was made of it, newest first, and what became of each mail",
        responses={200: ReportRunSerializer(many=True), **ERRORS},
    )
    def get(self, request: Request, fleet: str, schedule: int) -> Response:
        row = _row(fleet_read(request, fleet), schedule)
        pages = Pages()
        found = ReportExport.objects.filter(schedule=row).prefetch_related("deliveries__user")
        rows: Any = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response(ReportRunSerializer(rows, many=True).data)
