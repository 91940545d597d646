"""A fleet's reports over the API, for its people: which there are, and each as rows in pages or as a file."""

from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets
from fleet.api.periods import PERIOD, period_of, whole_of
from fleet.api.problems import ProblemSerializer, problem
from fleet.models import Dialect, Fleet, ReportFormat, Units
from fleet.models.people import known_zones
from fleet.pages.csvfile import EXPORT_LIMIT
from fleet.pages.reports import Limit, file_of
from fleet.reports import as_json, registry, wishes
from fleet.reports.columns import Kind
from fleet.reports.report import Report
from fleet.reports.table import Table
from fleet.reports.wishes import Wish, WishError

ERRORS: dict[int, Any] = {
    400: ProblemSerializer,
    401: ProblemSerializer,
    403: ProblemSerializer,
    404: ProblemSerializer,
}
LIMIT, LIMIT_MOST, LAST_PAGE = 100, 1_000, 100_000
_LISTS = ("vehicles", "drivers", "columns")


class ReportColumnSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.ChoiceField([kind.value for kind in Kind])
    unit = serializers.CharField(help_text="SI, as in JSON; files have the reader's units in their heads.")
    about = serializers.CharField()


class ReportAboutSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()
    definition = serializers.CharField(help_text="What counts.")
    formats = serializers.ListField(child=serializers.ChoiceField(ReportFormat.values))
    by_vehicle = serializers.BooleanField(help_text="May be asked about some vehicles.")
    by_driver = serializers.BooleanField()
    columns = ReportColumnSerializer(many=True)


class ReportListSerializer(serializers.Serializer[Any]):
    reports = ReportAboutSerializer(many=True)


class ReportSettingSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.JSONField(help_text="SI.")
    unit = serializers.CharField()


class ReportRowsSerializer(serializers.Serializer[Any]):
    report = serializers.CharField()
    title = serializers.CharField()
    fleet_id = serializers.CharField()
    days_of = serializers.CharField(help_text="The time zone in which days begin.")
    time_zone = serializers.CharField(help_text="In which moments are told.")
    definition = serializers.CharField()
    settings = ReportSettingSerializer(many=True, help_text="The fleet's own, of what counts.")
    columns = ReportColumnSerializer(many=True)
    rows = serializers.ListField(child=serializers.DictField(), help_text="Values by the columns' names.")
    totals = serializers.DictField(help_text="Of all rows, by the names of columns that add up.")
    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)


def _parameters() -> list[OpenApiParameter]:
    return [
        *PERIOD,
        OpenApiParameter("vehicles", str, description="Vehicle ids, with commas or repeated; else all."),
        OpenApiParameter("drivers", str, description="Driver ids, with commas or repeated; else all."),
        OpenApiParameter("label", str, description="Only vehicles with this label."),
        OpenApiParameter("columns", str, description="Names, with commas; else the report's own choice."),
        OpenApiParameter("sort", str, description="A column's name; with a minus the other way round."),
        OpenApiParameter("units", str, enum=Units.values, description="Of files; else the reader's choice."),
        OpenApiParameter(
            "dialect", str, enum=Dialect.values, description="Of CSV; else the reader's choice."
        ),
        OpenApiParameter("time_zone", str, description="Of moments; else the reader's."),
        OpenApiParameter("limit", int, description=f"Rows in a page: 1 to {LIMIT_MOST}, else {LIMIT}."),
        OpenApiParameter("page", int, description="From 1; follow `next`."),
        OpenApiParameter(
            "format", str, enum=ReportFormat.values, description="csv, xlsx, pdf: all rows as a file."
        ),
    ]


class ReportsView(APIView):
    @extend_schema(
        operation_id="v1_fleet_reports_list",
        summary="The reports there are, with their columns",
        responses={200: ReportListSerializer, **ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        _, limit = fleet_and_limit(request, fleet)
        return Response({"reports": [described(report) for report in wishes.readable(limit)]})


class ReportView(APIView):
    @extend_schema(
        summary="A report: its rows in pages with the totals of all, or as a file",
        description=f"JSON is SI. A file has at most {EXPORT_LIMIT:,} rows here; of more, an export makes it.",
        parameters=_parameters(),
        responses={
            (200, "application/json"): ReportRowsSerializer, (200, "text/csv"): OpenApiTypes.BINARY,
            (200, "application/pdf"): OpenApiTypes.BINARY,
            **ERRORS, 422: ProblemSerializer,
        },
    )  # fmt: skip
    def get(self, request: Request, fleet: str, report: str) -> Response | HttpResponse:
        found, limit = fleet_and_limit(request, fleet)
        kind = allowed(report_or_404(report), limit)
        try:
            table = wishes.table_of(kind, found, replace(wish_of(request, found, kind), only=limit or ()))
        except WishError as error:
            raise refused(error) from None
        wanted = request.query_params.get("format") or ReportFormat.JSON
        if wanted not in kind.formats:
            raise exceptions.ValidationError({"format": [f"This report comes as {', '.join(kind.formats)}."]})
        count = table.count()
        if wanted == ReportFormat.JSON:
            return Response(_page(request, table, count))
        if count > EXPORT_LIMIT:
            return problem(422, f"{count:,} rows: POST it to exports, which makes large files.")
        return file_of(table, wanted)


def _page(request: Request, table: Table, count: int) -> dict[str, Any]:
    limit, number = whole_of(request, "limit", LIMIT, LIMIT_MOST), whole_of(request, "page", 1, LAST_PAGE)
    rows = [as_json.named(table.columns, row, table.style) for row in table.page(number, limit)]
    query = urlencode({**request.query_params.dict(), "page": number + 1})
    return as_json.head(table) | {
        "rows": rows,
        "totals": as_json.totals(table, table.totals()),
        "count": count,
        "next": f"{request.build_absolute_uri(request.path)}?{query}" if number * limit < count else None,
    }


def fleet_read(request: Request, slug: str) -> Fleet:
    """Everything of it: 404 to outsiders, 403 to drivers and devices."""
    found, limit = fleet_and_limit(request, slug)
    if limit is not None:
        raise exceptions.PermissionDenied("For members of the fleet from viewer up.")
    return found


def fleet_and_limit(request: Request, slug: str) -> tuple[Fleet, Limit]:
    """With the drivers whose rows the reader is limited to. 404 to outsiders, 403 to devices and who reads nothing."""
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=slug)
    limit = wishes.limit_of(principal_of(request.user), found)
    if limit == ():
        raise exceptions.PermissionDenied("Reports are for members of the fleet from viewer up.")
    return found, limit


def allowed(report: Report, limit: Limit) -> Report:
    if limit is not None and not report.by_driver:
        raise exceptions.PermissionDenied("This report is for members of the fleet from viewer up.")
    return report


def report_or_404(name: str) -> Report:
    report = registry.named(name)
    if report is None:
        raise exceptions.NotFound("There is no such report: see the list of reports.")
    return report


def refused(error: WishError) -> exceptions.APIException:
    return exceptions.ValidationError({error.field: [str(error)]})


def described(report: Report) -> dict[str, Any]:
    names = ("name", "title", "text", "definition", "by_vehicle", "by_driver")
    return {name: getattr(report, name) for name in names} | {
        "formats": list(report.formats),
        "columns": [as_json.described(column) for column in report.columns],
    }


def wish_of(request: Request, fleet: Fleet, report: Report) -> Wish:
    """From an address; units, separators and zone the reader has chosen, columns not: programs say theirs."""
    period = period_of(request, fleet.time_zone, timezone.now())
    asked = request.query_params
    told: dict[str, Any] = {
        name: [one.strip() for text in asked.getlist(name) for one in text.split(",") if one.strip()]
        for name in _LISTS
    }
    told |= {name: asked[name] for name in ("label", "sort", "units", "dialect") if asked.get(name)}
    return checked(
        request, told | ({"zone": asked["time_zone"]} if asked.get("time_zone") else {}), report
    ).within(period)


def checked(request: Request, told: dict[str, Any], report: Report) -> Wish:
    """Raises DRF's ValidationError for words that are none of ours."""
    usual = wishes.remembered(cast(Any, request.user), report).stored | {"columns": []}
    for name, words in (("units", Units.values), ("dialect", Dialect.values), ("zone", known_zones())):
        if name in told and told[name] not in words:
            field = "time_zone" if name == "zone" else name
            raise exceptions.ValidationError({field: [f"{told[name][:40]!r} is not known."]})
    for name in _LISTS:
        if len(told.get(name, ())) > wishes.CHOSEN_MOST:
            raise exceptions.ValidationError({name: [f"At most {wishes.CHOSEN_MOST}."]})
    return Wish.of(usual | told)
