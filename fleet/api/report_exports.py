"""Large files of reports over the API: asked for, watched, fetched; only by whom they were made for."""

from dataclasses import replace
from typing import Any

from django.http import Http404, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.periods import period_of
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.api.reports import ERRORS, allowed, checked, fleet_and_limit, refused
from fleet.audit import Actor
from fleet.models import Dialect, ExportState, ReportExport, ReportFormat, Units
from fleet.pages.exports import stored_answer
from fleet.reports import exports
from fleet.reports.exports import TooManyError
from fleet.reports.wishes import CHOSEN_MOST, WishError, report_named


class ReportWishSerializer(serializers.Serializer[Any]):
    vehicles = serializers.ListField(
        child=serializers.CharField(max_length=80), max_length=CHOSEN_MOST, required=False,
        help_text="Vehicle ids; else all.",
    )  # fmt: skip
    drivers = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=CHOSEN_MOST, required=False
    )
    label = serializers.CharField(max_length=80, required=False, allow_blank=True)  # type: ignore[assignment]
    columns = serializers.ListField(
        child=serializers.CharField(max_length=40), max_length=CHOSEN_MOST, required=False
    )
    sort = serializers.CharField(max_length=41, required=False, allow_blank=True)
    units = serializers.ChoiceField(Units.choices, required=False)
    dialect = serializers.ChoiceField(Dialect.choices, required=False)


class NewReportExportSerializer(ReportWishSerializer):
    report = serializers.CharField(max_length=40)
    format = serializers.ChoiceField(ReportFormat.choices)
    days = serializers.IntegerField(min_value=1, max_value=731, required=False, help_text="Today the last.")
    since = serializers.DateField(required=False, help_text="First day; with `until` instead of `days`.")
    until = serializers.DateField(required=False, help_text="Last day, included; else today.")
    time_zone = serializers.CharField(
        max_length=64, required=False, help_text="Of moments; else the reader's."
    )


class ReportExportSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid")
    report = serializers.CharField()
    format = serializers.ChoiceField(ReportFormat.choices)
    state = serializers.ChoiceField(ExportState.choices)
    rows = serializers.IntegerField(help_text="Written so far.")
    rows_expected = serializers.IntegerField(allow_null=True)
    filename = serializers.CharField()
    size_bytes = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    file = serializers.SerializerMethodField(help_text="Where it is, once it is there.")

    def get_file(self, export: ReportExport) -> str | None:
        if export.state != ExportState.DONE:
            return None
        return str(
            reverse(
                "report-export-file",
                args=[export.fleet.slug, export.uid],
                request=self.context.get("request"),
            )
        )


class ExportsView(APIView):
    pagination_class = Pages

    @extend_schema(
        summary="The reader's exports, newest first",
        responses={200: ReportExportSerializer(many=True), **ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        pages = Pages()
        mine = _shown(request, fleet)
        rows: Any = pages.paginate_queryset(mine, request, self)
        return pages.get_paginated_response(
            ReportExportSerializer(rows, many=True, context={"request": request}).data
        )

    @extend_schema(
        summary="Have a file of a report made",
        description="Answered at once; ask for the export until its state is `done`, then fetch `file`.",
        parameters=[IDEMPOTENCY_KEY],
        request=NewReportExportSerializer,
        responses={202: ReportExportSerializer, **ERRORS, **REPEATED},
    )
    @idempotent
    def post(self, request: Request, fleet: str) -> Response:
        found, limit = fleet_and_limit(request, fleet)
        body = NewReportExportSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        told = dict(body.validated_data)
        period = _period(request, told, found.time_zone)
        if zone := told.pop("time_zone", ""):
            told["zone"] = zone
        try:
            report = allowed(report_named(told.pop("report")), limit)
            wish = replace(checked(request, told, report), only=limit or ()).within(period)
            export = exports.ask_for(Actor.of(request), found, report, told["format"], wish)
        except WishError as error:
            raise refused(error) from None
        except TooManyError as error:
            raise Conflict(str(error), 30) from None
        answer = ReportExportSerializer(export, context={"request": request})
        place = reverse("report-export-api", args=[found.slug, export.uid], request=request)
        return Response(answer.data, status=202, headers={"Location": place})


def _period(request: Request, told: dict[str, Any], zone: str) -> Any:
    """The body's days, judged as those of an address."""
    names = {"days": "days", "from": "since", "to": "until"}
    asked = {name: str(told.pop(field)) for name, field in names.items() if told.get(field)}

    class Asked:
        query_params = asked

    return period_of(Asked(), zone, timezone.now())  # type: ignore[arg-type]


def _shown(request: Request, fleet: str) -> Any:
    found, limit = fleet_and_limit(request, fleet)
    reads = ([found.pk], ()) if limit is None else ([], [found.pk])
    return exports.shown_to(request.user, *reads).select_related("fleet")


def _mine(request: Request, fleet: str, uid: Any) -> ReportExport:
    export: ReportExport | None = _shown(request, fleet).filter(uid=uid).first()
    if export is None:
        raise Http404
    return export


class ExportView(APIView):
    @extend_schema(summary="One export", responses={200: ReportExportSerializer, **ERRORS})
    def get(self, request: Request, fleet: str, export: Any) -> Response:
        found = _mine(request, fleet, export)
        return Response(ReportExportSerializer(found, context={"request": request}).data)

    @extend_schema(
        summary="Cancel an export that is under way",
        responses={204: None, 409: ProblemSerializer, **ERRORS},
    )
    def delete(self, request: Request, fleet: str, export: Any) -> Response:
        found = _mine(request, fleet, export)
        if found.schedule_id is not None or not exports.cancel(Actor.of(request), found):
            raise Conflict("It is over, or a schedule's.")
        return Response(status=204)


class ExportFileView(APIView):
    @extend_schema(
        summary="The file of an export",
        description="404 until it is there, and after it has expired. Supports `Range`.",
        responses={
            (200, "text/csv"): OpenApiTypes.BINARY, (206, "text/csv"): OpenApiTypes.BINARY,
            **ERRORS, 416: ProblemSerializer,
        },
    )  # fmt: skip
    def get(self, request: Request, fleet: str, export: Any) -> HttpResponseBase:
        return stored_answer(request, _mine(request, fleet, export))
