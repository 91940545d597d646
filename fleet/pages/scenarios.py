"""Recorded scenarios: a list to search, and one with its footage. `/scenarios/` and `/scenarios/{id}/`."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from fleet.access import principal_of
from fleet.audit import Actor
from fleet.models import Role, Scenario, Vehicle
from fleet.pages.session import page
from fleet.recording import scenarios as life

PAGE_SIZE = 25
CHOICES = 200


@dataclass(frozen=True)
class Wish:
    """What the list's form asks for; anything unknown counts as not asked."""

    vehicle: int | None
    trigger: str
    day_from: date | None
    day_to: date | None
    page: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Wish":
        asked = request.GET
        number = asked.get("vehicle", "")
        return cls(
            vehicle=int(number) if number.isascii() and number.isdigit() and len(number) < 18 else None,
            trigger=asked.get("trigger", "").replace("\0", "")[:120],
            day_from=_day(asked.get("from", "")),
            day_to=_day(asked.get("to", "")),
            page=asked.get("page", "1"),
        )

    @property
    def query(self) -> str:
        """Without the page."""
        asked = {"vehicle": self.vehicle, "trigger": self.trigger, "from": self.day_from, "to": self.day_to}
        return urlencode({name: value for name, value in asked.items() if value})

    def narrow(self, found: Any) -> Any:
        if self.vehicle:
            found = found.filter(vehicle=self.vehicle)
        if self.trigger:
            found = found.filter(trigger=self.trigger)
        if self.day_from:
            found = found.filter(time__gte=_midnight(self.day_from))
        if self.day_to:
            found = found.filter(time__lt=_midnight(self.day_to + timedelta(days=1)))
        return found


@page
def scenarios(request: HttpRequest) -> HttpResponse:
    """The page, or only its list when htmx asks."""
    wish = Wish.of(request)
    principal = principal_of(request.user)
    mine = Scenario.objects.visible_to(principal)
    rows = (
        wish.narrow(mine).select_related("vehicle__fleet").prefetch_related("videos").order_by("-time", "-id")
    )
    content = {"wish": wish, "rows": Paginator(rows, PAGE_SIZE).get_page(wish.page)}
    if request.headers.get("HX-Request"):
        return render(request, "fleet/_scenario_list.html", content)
    content |= {
        "vehicles": Vehicle.objects.visible_to(principal).order_by("name", "id")[:CHOICES],
        "triggers": mine.exclude(trigger="")
        .order_by("trigger")
        .values_list("trigger", flat=True)
        .distinct()[:CHOICES],
    }
    return render(request, "fleet/scenarios.html", content)


@page
def scenario(request: HttpRequest, scenario: str) -> HttpResponse:
    found = _found(request, scenario)
    content = {
        "scenario": found,
        "videos": list(found.videos.order_by("camera", "id")),
        "annotations": list(found.annotations.all()[:1000]),
        "may_delete": principal_of(request.user).can(Role.MANAGER, found.fleet_id),
        "coming": found.uploads.filter(completed_at=None).alive(timezone.now()).count(),
    }
    return render(request, "fleet/scenario.html", content)


@page
def delete(request: HttpRequest, scenario: str) -> HttpResponse:
    """GET asks, POST does it."""
    found = _found(request, scenario)
    if not principal_of(request.user).can(Role.MANAGER, found.fleet_id):
        raise PermissionDenied("Only managers of the fleet delete footage.")
    if request.method == "GET":
        return render(
            request, "fleet/scenario_delete.html", {"scenario": found, "videos": found.videos.count()}
        )
    if request.method != "POST":
        return HttpResponseNotAllowed(["GET", "POST"])
    life.withdraw(Actor.of(request), found, timezone.now())
    messages.success(request, f"{found.scenario_id} and its footage are deleted.")
    return redirect("scenarios")


def _found(request: HttpRequest, name: str) -> Scenario:
    mine = Scenario.objects.visible_to(principal_of(request.user)).named(name.replace("\0", ""))
    found: Scenario = get_object_or_404(mine.select_related("vehicle__fleet", "fleet").order_by("-id")[:1])
    return found


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 <= found.year <= 9000 else None


def _midnight(day: date) -> datetime:
    """In the reader's zone."""
    return timezone.make_aware(datetime(day.year, day.month, day.day))
