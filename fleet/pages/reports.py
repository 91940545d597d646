"""A fleet's reports: which there are, each as a table with its totals, and as a file. `/reports`."""

import tempfile
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header, url_has_allowed_host_and_scheme

from fleet.access import principal_of, visible_fleets
from fleet.aggregation import rollups
from fleet.audit import Actor
from fleet.models import Dialect, Driver, Fleet, ReportFormat, Units, Vehicle
from fleet.pages import export_list
from fleet.pages.csvfile import EXPORT_LIMIT
from fleet.pages.periods import PERIODS, period_asked
from fleet.pages.session import page
from fleet.reports import exports, files, registry, wishes
from fleet.reports.columns import Column, Kind
from fleet.reports.exports import TooManyError
from fleet.reports.report import Report
from fleet.reports.table import Table
from fleet.reports.wishes import Wish, WishError

PAGE_SIZE = 50
Limit = tuple[str, ...] | None
"""As of wishes.limit_of."""
LISTED_MOST = 200
"""Vehicles and drivers to choose from; of a larger fleet, names are typed."""


@dataclass(frozen=True)
class Asked:
    """What a page's address asks for; anything unknown counts as not asked."""

    days: int
    wish: Wish
    table: Table

    @classmethod
    def of(cls, request: HttpRequest, fleet: Fleet, report: Report, limit: Limit = None) -> "Asked":
        days, period = period_asked(request, fleet.time_zone, timezone.now())
        asked = request.GET
        vehicles = Vehicle.objects.filter(fleet=fleet, slug__in=_names(asked, "vehicles"))
        drivers = Driver.objects.filter(fleet=fleet, slug__in=_names(asked, "drivers"))
        drivers = drivers if limit is None else drivers.filter(slug__in=limit)
        sort = asked.get("sort", "")
        wish = replace(
            wishes.remembered(cast(Any, request.user), report).within(period),
            vehicles=tuple(vehicles.order_by("slug").values_list("slug", flat=True))
            if report.by_vehicle
            else (),
            drivers=tuple(drivers.order_by("slug").values_list("slug", flat=True))
            if report.by_driver
            else (),
            label=asked.get("label", "").replace("\0", "").strip()[:80] if report.by_vehicle else "",
            only=limit or (),
            sort=sort if report.column(sort.removeprefix("-")) else "",
        )
        return cls(days, wish, wishes.table_of(report, fleet, wish))

    def query(self, **changed: str) -> str:
        """The same as an address."""
        wish = self.wish
        asked: list[tuple[str, Any]] = [("days", self.days)]
        if not self.days:
            asked += [("from", wish.first), ("to", wish.last)]
        asked += [("vehicles", name) for name in wish.vehicles] + [("drivers", name) for name in wish.drivers]
        single = {"label": wish.label, "sort": wish.sort} | changed
        return urlencode(asked + [(name, value) for name, value in single.items() if value])


def _names(asked: QueryDict, name: str) -> list[str]:
    """Repeated, or with commas."""
    found = [one.strip() for text in asked.getlist(name) for one in text.replace("\0", "").split(",")]
    return [one for one in dict.fromkeys(found) if one][: wishes.CHOSEN_MOST]


def fleet_read(request: HttpRequest, slug: str) -> Fleet:
    """Everything of it: 404 to outsiders, 403 to drivers."""
    found, limit = fleet_and_limit(request, slug)
    if limit is not None:
        raise PermissionDenied
    return found


def fleet_and_limit(request: HttpRequest, slug: str) -> tuple[Fleet, Limit]:
    """With the drivers whose rows the reader is limited to. 404 to outsiders, 403 to who reads nothing."""
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=slug)
    limit = wishes.limit_of(principal_of(request.user), found)
    if limit == ():
        raise PermissionDenied
    return found, limit


@page
def overview(request: HttpRequest) -> HttpResponse:
    """Who has one fleet is taken to its reports."""
    principal = principal_of(request.user)
    fleets = list(visible_fleets(request.user).order_by("name")[:500])
    found = [fleet for fleet in fleets if wishes.limit_of(principal, fleet) != ()]
    if len(found) == 1:
        return redirect("fleet-reports", found[0].slug)
    return render(request, "fleet/reports_of.html", {"fleets": found})


@page
def catalogue(request: HttpRequest, fleet: str) -> HttpResponse:
    found, limit = fleet_and_limit(request, fleet)
    reads = ([found.pk], ()) if limit is None else ([], [found.pk])
    mine = exports.shown_to(request.user, *reads).select_related("schedule")
    content, answer = export_list.listed(request, found, mine)
    if answer is not None:
        return answer
    content |= {"fleet": found, "reports": wishes.readable(limit), "limited": limit is not None}
    whole = not request.headers.get("HX-Request")
    return render(request, "fleet/reports.html" if whole else "fleet/_export_list.html", content)


@page
def report(request: HttpRequest, fleet: str, report: str) -> HttpResponse:
    """The page, its table when htmx asks, or with `?format=` the same rows as a file."""
    found, limit = fleet_and_limit(request, fleet)
    kind = _known(report, limit)
    asked = Asked.of(request, found, kind, limit)
    if wanted := request.GET.get("format"):
        if wanted not in kind.formats:
            raise Http404
        if asked.table.count() > EXPORT_LIMIT:
            messages.error(request, "That is a large file: let it be prepared, below the table.")
            return redirect(f"{request.path}?{asked.query()}")
        return file_of(asked.table, wanted)
    whole = not request.headers.get("HX-Request")
    content = _content(request, asked) | (_choices(found, kind, limit) if whole else {})
    return render(request, "fleet/report.html" if whole else "fleet/_report.html", content)


def _known(name: str, limit: Limit = None) -> Report:
    found = registry.named(name)
    if found is None:
        raise Http404
    if limit is not None and not found.by_driver:
        raise PermissionDenied
    return found


def _content(request: HttpRequest, asked: Asked) -> dict[str, Any]:
    table, count = asked.table, asked.table.count()
    paginator = Paginator(range(count), PAGE_SIZE)
    number = paginator.get_page(request.GET.get("page", "1")).number
    rows, totals = table.page(number, PAGE_SIZE), table.totals() if count else {}
    style = table.style
    return {
        "fleet": table.ask.fleet,
        "report": table.report,
        "asked": asked,
        "query": asked.query(),
        "table": table,
        "heads": [_head(asked, column) for column in table.columns],
        "rows": [
            [(column, style.text(column, value)) for column, value in zip(table.columns, row, strict=True)]
            for row in rows
        ],
        "totals": [
            (column, style.text(column, totals.get(column.name)) if column.adds_up else "")
            for column in table.columns
        ]
        if any(column.adds_up for column in table.columns)
        else [],
        "count": count,
        "current": paginator.get_page(number),
        "large": count > EXPORT_LIMIT,
        "formats": [ReportFormat(one) for one in table.report.formats],
        "units": Units.choices,
        "dialects": Dialect.choices,
        "updating": rollups.rebuilding(table.ask.fleet.pk),
    }


def _head(asked: Asked, column: Column) -> dict[str, Any]:
    order = asked.table.order
    sorted_by = order.column == column.name
    down = not order.down if sorted_by else column.is_number
    return {
        "column": column,
        "text": _title(asked.table, column),
        "sorted": ("descending" if order.down else "ascending") if sorted_by else "",
        "query": asked.query(sort=("-" if down else "") + column.name),
    }


def _title(table: Table, column: Column) -> str:
    """The page says once in whose time moments are, and writes hours as 1:30."""
    match column.kind:
        case Kind.MOMENT:
            return column.label
        case Kind.DURATION:
            return f"{column.label} (h:min)"
    return table.style.head(column)


def _choices(fleet: Fleet, report: Report, limit: Limit) -> dict[str, Any]:
    vehicles = Vehicle.objects.filter(fleet=fleet).order_by("name", "id").only("slug", "name", "plate")
    drivers = Driver.objects.filter(fleet=fleet).order_by("slug").only("slug", "name")
    return {
        "periods": PERIODS,
        "vehicles": vehicles[: LISTED_MOST + 1] if report.by_vehicle else [],
        "drivers": drivers[: LISTED_MOST + 1] if report.by_driver and limit is None else [],
        "listed_most": LISTED_MOST,
        "labels": wishes.labels_of(fleet) if report.by_vehicle else [],
    }


@page
def remember(request: HttpRequest, fleet: str, report: str) -> HttpResponse:
    """The reader's columns of this report, and units and separators of all."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    _, limit = fleet_and_limit(request, fleet)
    kind, asked = _known(report, limit), request.POST
    chosen = [column.name for column in kind.columns if column.name in asked.getlist("columns")]
    wish = Wish(
        columns=() if asked.get("act") == "reset" else tuple(chosen),
        units=asked["units"] if asked.get("units") in Units.values else Units.METRIC,
        dialect=asked["dialect"] if asked.get("dialect") in Dialect.values else Dialect.COMMA,
    )
    wishes.remember(cast(Any, request.user), kind, wish)
    return redirect(_back(request))


def _back(request: HttpRequest) -> str:
    """To the same question, which the form carries along."""
    here = request.path.rpartition("/")[0]
    address = f"{here}?{request.POST.get('query', '')[:2000]}"
    return address if url_has_allowed_host_and_scheme(address, None) else here


@page
def prepare(request: HttpRequest, fleet: str, report: str) -> HttpResponse:
    """A file that a worker makes: the address asks as on the report's page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    found, limit = fleet_and_limit(request, fleet)
    kind = _known(report, limit)
    request.GET = QueryDict(request.POST.get("query", "")[:8000])
    asked = Asked.of(request, found, kind, limit)
    try:
        export = exports.ask_for(Actor.of(request), found, kind, request.POST.get("format", ""), asked.wish)
    except (WishError, TooManyError) as error:
        messages.error(request, str(error))
        return redirect(_back(request))
    return redirect("export", export.uid)


def file_of(table: Table, kind: str) -> HttpResponse:
    """Small files only: written to disk, then sent."""
    with tempfile.TemporaryFile() as out:
        files.write(kind, table, cast(BinaryIO, out))
        out.seek(0)
        response = HttpResponse(out.read(), content_type=files.MEDIA_TYPES[ReportFormat(kind)])
    name = f"{table.filename}.{kind}"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response
