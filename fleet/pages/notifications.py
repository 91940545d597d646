"""What a person was told of: the list, marking it as read, and the count in the bar of every page."""

import csv
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from fleet.access import principal_of, visible_fleets
from fleet.models import Notification, Role, Severity
from fleet.notifying.letters import Line
from fleet.notifying.notifications import read, unread_rows
from fleet.pages.csvfile import plain
from fleet.pages.session import page, part
from fleet.templatetags.fleet_page import capped

PAGE_SIZE = 50
_COUNTED = 5_000
"""Beyond this, the pages are not counted further: who never reads has many."""
_EXPORT_LIMIT = 20_000


@page
def notifications(request: HttpRequest) -> HttpResponse:
    """Filtered, paged; `?export=csv` answers the same rows as a file."""
    asked = _asked(request)
    found = _narrowed(Notification.objects.shown_to(principal_of(request.user)), asked).order_by("-id")
    rows = found.select_related("event__alert__vehicle__fleet", "fleet")
    if request.GET.get("export") == "csv":
        return _exported(rows)
    paginator = Paginator(rows, PAGE_SIZE)
    paginator.count = len(found.values_list("pk")[:_COUNTED])
    shown = paginator.get_page(request.GET.get("page", "1"))
    content = {
        "asked": asked,
        "query": urlencode({name: value for name, value in asked.items() if value}),
        "severities": Severity.choices,
        "rows": shown,
        "lines": [(row, Line(row.event)) for row in shown],
        "unread": len(unread_rows(principal_of(request.user))),
    }
    whole = not request.headers.get("HX-Request")
    if whole:
        content["managed"] = _managed(request)
    return render(request, f"fleet/{'notifications' if whole else '_notification_list'}.html", content)


def _managed(request: HttpRequest) -> list[Any]:
    """Fleets whose webhooks and escalation the reader may set."""
    principal = principal_of(request.user)
    fleets = visible_fleets(request.user).order_by("name")[:20]
    return [fleet for fleet in fleets if principal.can(Role.MANAGER, fleet.pk)]


def _asked(request: HttpRequest) -> dict[str, str]:
    """What the form asks for; anything unknown counts as not asked."""
    severity = request.GET.get("severity", "")
    return {
        "unread": "1" if request.GET.get("unread") == "1" else "",
        "severity": severity if severity in {str(value) for value in Severity.values} else "",
        "q": request.GET.get("q", "").strip()[:80],
    }


def _narrowed(found: Any, asked: dict[str, str]) -> Any:
    if asked["unread"]:
        found = found.filter(read_at=None)
    if asked["severity"]:
        found = found.filter(event__severity__gte=int(asked["severity"]))
    for word in asked["q"].split():
        found = (
            found.filter(event__message__icontains=word)
            | found.filter(event__alert__type__icontains=word)
            | found.filter(event__alert__vehicle__name__icontains=word)
        )
    return found


def _exported(rows: Any) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="notifications-{timezone.now():%Y-%m-%d}.csv"'
    writer = csv.writer(response)
    writer.writerow(
        ("id", "at_utc", "event", "severity", "type", "message", "vehicle", "fleet", "alert", "read_at_utc")
    )
    for row in rows[:_EXPORT_LIMIT]:
        event = row.event
        writer.writerow(
            [
                row.pk, f"{event.at:%Y-%m-%d %H:%M:%S}", event.kind, Severity(event.severity).label,
                plain(event.alert.type), plain(event.message), plain(event.alert.vehicle.name), row.fleet.slug,
                event.alert_id, f"{row.read_at:%Y-%m-%d %H:%M:%S}" if row.read_at else "",
            ]
        )  # fmt: skip
    return response


@page
def read_some(request: HttpRequest) -> HttpResponse:
    """`id`: one of them, else all. Back to the list."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    number = request.POST.get("id", "")
    ids = [int(number)] if number.isdigit() and len(number) < 19 else None
    read(principal_of(request.user), timezone.now(), ids)
    return redirect("notifications")


@part
def bell(request: HttpRequest) -> HttpResponse:
    """How many are unread, for static/js/bell.js."""
    unread = len(unread_rows(principal_of(request.user)))
    return JsonResponse({"unread": unread, "shown": capped(unread)})
