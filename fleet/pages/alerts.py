"""The alerts inbox and one alert: right without scripts; every act is a form."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from fleet.access import principal_of
from fleet.alerting.alerts import act, assign, comment, snooze
from fleet.audit import Actor
from fleet.models import Alert, AlertState, Role, Severity, User
from fleet.notifying.notifications import read_of, told_of
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.session import page

PAGE_SIZE = 50
SNOOZES = {
    "1h": ("1 hour", timedelta(hours=1)),
    "8h": ("8 hours", timedelta(hours=8)),
    "3d": ("3 days", timedelta(days=3)),
}
TABS = (
    ("waiting", "Waiting"),
    ("mine", "Mine"),
    ("snoozed", "Snoozed"),
    ("resolved", "Resolved"),
    ("all", "All"),
)


@page
def inbox(request: HttpRequest) -> HttpResponse:
    """Filtered, paged; `?export=csv` answers the same rows as a file."""
    now, asked = timezone.now(), _asked(request)
    visible = Alert.objects.visible_to(principal_of(request.user))
    found = _narrowed(visible, asked).select_related("vehicle__fleet", "assigned_to")
    rows = found.filter(_tab(asked["tab"], request.user, now)).order_by("-severity", "-last_at", "-id")
    if request.GET.get("export") == "csv":
        return _exported(rows)
    counts = _narrowed(visible, asked).aggregate(
        **{name: Count("id", filter=_tab(name, request.user, now)) for name, _ in TABS}
    )
    paginator = Paginator(rows, PAGE_SIZE)
    paginator.count = counts[asked["tab"]]
    content = {
        "asked": asked,
        "query": urlencode(
            {name: value for name, value in asked.items() if value and (name, value) != ("tab", "waiting")}
        ),
        "tabs": [(name, label, counts[name]) for name, label in TABS],
        "severities": Severity.choices,
        "alerts": paginator.get_page(request.GET.get("page", "1")),
    }
    whole = not request.headers.get("HX-Request")
    return render(request, "fleet/alerts.html" if whole else "fleet/_alert_list.html", content)


def _asked(request: HttpRequest) -> dict[str, str]:
    """What the form asks for; anything unknown counts as not asked."""
    tab, severity = request.GET.get("tab", ""), request.GET.get("severity", "")
    return {
        "tab": tab if tab in dict(TABS) else "waiting",
        "severity": severity if severity in {str(value) for value in Severity.values} else "",
        "q": request.GET.get("q", "").strip()[:80],
    }


def _narrowed(found: Any, asked: dict[str, str]) -> Any:
    if asked["severity"]:
        found = found.filter(severity__gte=int(asked["severity"]))
    for word in asked["q"].split():
        found = found.filter(
            Q(type__icontains=word) | Q(message__icontains=word) | Q(vehicle__name__icontains=word)
            | Q(vehicle__plate__icontains=word)
        )  # fmt: skip
    return found


def _tab(name: str, user: Any, now: Any) -> Q:
    waiting = ~Q(state=AlertState.RESOLVED)
    asleep = Q(snoozed_until__gt=now)
    return {
        "waiting": waiting & ~Q(snoozed_until__isnull=False, snoozed_until__gt=now),
        "mine": waiting & Q(assigned_to=user),
        "snoozed": waiting & asleep,
        "resolved": Q(state=AlertState.RESOLVED),
        "all": Q(),
    }[name]


def _exported(rows: Any) -> HttpResponse:
    head = ("id", "severity", "type", "message", "vehicle", "plate", "state", "count", "first_at_utc", "last_at_utc",
            "assigned_to")  # fmt: skip
    return csv_answer("alerts", head, (_cells(alert) for alert in rows[:EXPORT_LIMIT]))


def _cells(alert: Alert) -> list[Any]:
    return [
        alert.pk, Severity(alert.severity).label, alert.type, alert.message, alert.vehicle.name, alert.vehicle.plate,
        alert.state, alert.count, f"{alert.first_at:%Y-%m-%d %H:%M:%S}", f"{alert.last_at:%Y-%m-%d %H:%M:%S}",
        alert.assigned_to.email if alert.assigned_to else "",
    ]  # fmt: skip


@page
def alert(request: HttpRequest, alert: int) -> HttpResponse:
    found = _visible(request, alert)
    read_of(principal_of(request.user), found, timezone.now())
    return render(request, "fleet/alert.html", _content(request, found))


@page
def act_on(request: HttpRequest, alert: int) -> HttpResponse:
    """The forms of an alert's page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    found = _visible(request, alert)
    if not principal_of(request.user).can(Role.MANAGER, found.fleet_id):
        return render(request, "403.html", status=403)
    try:
        _do(request, found)
    except ValidationError as error:
        messages.error(request, _reason(error.detail))
    return redirect("alert-page", found.pk)


def _visible(request: HttpRequest, number: int) -> Alert:
    found = Alert.objects.visible_to(principal_of(request.user))
    wanted: Alert = get_object_or_404(found.select_related("vehicle__fleet", "assigned_to"), pk=number)
    return wanted


def _content(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    may_act = principal_of(request.user).can(Role.MANAGER, alert.fleet_id)
    return {
        "alert": alert,
        "told": told_of(alert) if may_act else None,
        "notes": alert.notes.all(),
        "reports": alert.reports.order_by("-at")[:20],
        "may_act": may_act,
        "members": User.objects.filter(memberships__fleet=alert.fleet_id, is_active=True).order_by("email")[
            :200
        ],
        "snoozes": [(name, label) for name, (label, _) in SNOOZES.items()],
    }


def _do(request: HttpRequest, alert: Alert) -> None:
    wish, actor, now = request.POST.get("act", ""), Actor.of(request), timezone.now()
    text = request.POST.get("text", "").strip()[:5000]
    if wish in {"acknowledge", "resolve", "reopen"}:
        act(alert, actor, wish, now, text)
    elif wish == "assign":
        email = request.POST.get("user", "")
        assign(alert, actor, get_object_or_404(User, email=email) if email else None)
    elif wish == "snooze" and request.POST.get("until") in SNOOZES:
        snooze(alert, actor, now + SNOOZES[request.POST["until"]][1], now)
    elif wish == "comment" and text:
        comment(alert, actor, text)
    else:
        raise ValidationError("Choose what to do, and write something in a comment.")


def _reason(detail: Any) -> str:
    if isinstance(detail, dict):
        return _reason(next(iter(detail.values())))
    return _reason(detail[0]) if isinstance(detail, list) else str(detail)
