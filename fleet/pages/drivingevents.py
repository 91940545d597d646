"""Driving events: the list, one of them with its moment on map and chart, dismissing and counting again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from fleet.access import Principal, principal_of
from fleet.api.moments import moment_of
from fleet.audit import Actor
from fleet.behaviour import drivingevents, lost, scorecard
from fleet.behaviour.driving import HARSH, SPEEDING, visible
from fleet.behaviour.scorecard import Scorecard
from fleet.models import Driver, DrivingEvent, EventKind, Role, Strength, Vehicle
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.newest import page_of
from fleet.pages.session import page

PAGE_SIZE = 50
STATES = (("counts", "Counting"), ("dismissed", "Dismissed"), ("all", "All"))
SORTS = {
    "newest": ("Newest", ("-started_at", "-id")),
    "oldest": ("Oldest", ("started_at", "id")),
    "strongest": ("Strongest", ("-strength", F("peak_m_s2").desc(nulls_last=True), "-started_at", "-id")),
    "longest": ("Longest", ((F("ended_at") - F("started_at")).desc(), "-started_at", "-id")),
}
_MARGIN_S = 60
"""Shown before and after the event."""
_CHART_MOST_S = 3600


@dataclass(frozen=True)
class Wish:
    """What the list's form asks for; anything unknown counts as not asked. Days are the reader's."""

    kind: str = ""
    strength: str = ""
    state: str = "counts"
    sort: str = "newest"
    fleet: str = ""
    vehicle: str = ""
    driver: str = ""
    begin: str = ""
    end: str = ""
    lost: str = ""
    """`driver` or `vehicle`: exactly this one's, with the points each cost of its score."""

    @classmethod
    def of(cls, request: HttpRequest) -> "Wish":
        def told(name: str, allowed: Any = None, usual: str = "") -> str:
            text = request.GET.get(name, "").replace("\0", "").strip()[:80]
            return text if allowed is None or text in allowed else usual

        begin, end = told("from"), told("to")
        return cls(
            told("kind", EventKind.values),
            told("strength", {str(value) for value in Strength.values}),
            told("state", dict(STATES), "counts"),
            told("sort", SORTS, "newest"),
            told("fleet"),
            told("vehicle"),
            told("driver"),
            begin=begin if _moment(begin) else "",
            end=end if _moment(end) else "",
            lost=told("lost", ("driver", "vehicle")),
        )

    @property
    def query(self) -> str:
        usual = Wish()
        names = {name: ({"begin": "from", "end": "to"}.get(name, name)) for name in self.__dataclass_fields__}
        return urlencode(
            {
                names[name]: getattr(self, name)
                for name in names
                if getattr(self, name) != getattr(usual, name)
            }
        )

    @property
    def narrowed(self) -> bool:
        return self != Wish()

    def rows(self, found: Any) -> Any:
        if self.kind:
            found = found.filter(kind=self.kind)
        if self.strength:
            found = found.filter(strength__gte=int(self.strength))
        if self.state != "all":
            found = found.filter(dismissal__isnull=self.state == "counts")
        if self.fleet:
            found = found.filter(fleet__slug=self.fleet)
        if self.lost:
            exact = {"driver_id": self.driver} if self.lost == "driver" else {"vehicle__slug": self.vehicle}
            found = found.filter(**exact)
        if self.vehicle:
            said = Q(vehicle__name__icontains=self.vehicle) | Q(vehicle__plate__icontains=self.vehicle)
            found = found.filter(said | Q(vehicle__slug=self.vehicle))
        if self.driver:
            named = Driver.objects.filter(name__icontains=self.driver, fleet=F("fleet")).values("slug")
            found = found.filter(Q(driver_id=self.driver) | Q(driver_id__in=named))
        if begin := _moment(self.begin):
            found = found.filter(started_at__gte=begin)
        if end := _moment(self.end):
            found = found.filter(started_at__lt=end + timedelta(days=1) if len(self.end) == 10 else end)
        return found.order_by(*SORTS[self.sort][1])


def _moment(text: str) -> datetime | None:
    """A day of the reader, its first moment; or a moment."""
    try:
        if len(text) == 10:
            return timezone.make_aware(datetime.strptime(text, "%Y-%m-%d"))
        return moment_of(text) if text else None
    except (ValueError, OverflowError):
        return None


@page
def event_list(request: HttpRequest) -> HttpResponse:
    """Filtered, sorted, paged; `?export=csv` answers the same rows as a file."""
    wish, principal = Wish.of(request), principal_of(request.user)
    visible_events = DrivingEvent.objects.visible_to(principal)
    rows = wish.rows(visible_events).select_related("vehicle__fleet", "dismissal")
    if request.GET.get("export") == "csv":
        return _exported(rows)
    events = page_of(request, rows, "started_at", PAGE_SIZE)
    card = _card(principal, wish)
    content = {
        "wish": wish,
        "events": events,
        "rows": _rows(principal, events, card),
        "card": card,
        "kinds": EventKind.choices,
        "strengths": Strength.choices,
        "states": STATES,
        "sorts": [(name, label) for name, (label, _) in SORTS.items()],
    }
    whole = not request.headers.get("HX-Request")
    return render(
        request, "fleet/driving_events.html" if whole else "fleet/_driving_event_list.html", content
    )


def _card(principal: Principal, wish: Wish) -> Scorecard | None:
    """Of the driver or vehicle whose points are asked for."""
    if wish.lost == "driver":
        drivers = Driver.objects.visible_to(principal).select_related("fleet")
        driver = drivers.filter(fleet__slug=wish.fleet, slug=wish.driver).first()
        return scorecard.of_driver(driver, timezone.now()) if driver else None
    if wish.lost == "vehicle":
        vehicles = Vehicle.objects.visible_to(principal).select_related("fleet")
        vehicle = vehicles.filter(fleet__slug=wish.fleet, slug=wish.vehicle).first()
        return scorecard.of_vehicle(vehicle, timezone.now()) if vehicle else None
    return None


def _rows(principal: Principal, events: Any, card: Scorecard | None) -> list[dict[str, Any]]:
    names, trips = _names(principal, events), lost.trips_of(principal, events.object_list)
    components = card.components if card else []
    return [
        {
            "event": one,
            "driver": names.get((one.fleet_id, one.driver_id)),
            "trip": trips.get(one.pk),
            "points": lost.points_of(one, components, card.sums)
            if card and card.covers(one.started_at)
            else None,
        }
        for one in events
    ]


def _names(principal: Principal, events: Any) -> dict[tuple[int, str], Driver]:
    """Drivers of these events whose pages the reader may open. One query."""
    slugs = {event.driver_id for event in events if event.driver_id}
    if not slugs:
        return {}
    known = Driver.objects.visible_to(principal).filter(slug__in=slugs).select_related("fleet")
    return {(driver.fleet_id, driver.slug): driver for driver in known}


def _exported(rows: Any) -> HttpResponse:
    head = (
        "id", "kind", "strength", "vehicle", "plate", "driver_id", "started_at_utc", "ended_at_utc", "duration (s)",
        "peak (m/s2)", "speed before (m/s)", "top speed (m/s)", "limit", "source", "rate (1/s)", "latitude (deg)",
        "longitude (deg)", "dismissed_by", "reason",
    )  # fmt: skip
    return csv_answer("driving-events", head, (_cells(row) for row in rows[:EXPORT_LIMIT].iterator(2_000)))


def _cells(row: DrivingEvent) -> list[Any]:
    dismissed = row.dismissal
    return [
        row.pk, row.kind, Strength(row.strength).label, row.vehicle.name, row.vehicle.plate, row.driver_id,
        f"{row.started_at:%Y-%m-%d %H:%M:%S.%f}"[:-3], f"{row.ended_at:%Y-%m-%d %H:%M:%S.%f}"[:-3], row.duration_s,
        row.peak_m_s2, row.speed_before_m_s, row.top_speed_m_s, row.limit, row.source, row.rate_hz, row.latitude_deg,
        row.longitude_deg, dismissed.by_name if dismissed else "", dismissed.reason if dismissed else "",
    ]  # fmt: skip


def event_or_404(principal: Principal, number: int) -> DrivingEvent:
    found = DrivingEvent.objects.visible_to(principal).select_related("vehicle__fleet", "fleet", "dismissal")
    event: DrivingEvent = get_object_or_404(found, pk=number)
    return event


@page
def event(request: HttpRequest, event: int) -> HttpResponse:
    principal = principal_of(request.user)
    found = event_or_404(principal, event)
    return render(request, "fleet/driving_event.html", _content(principal, found))


def _content(principal: Principal, found: DrivingEvent) -> dict[str, Any]:
    now = timezone.now()
    driver = _names(principal, [found]).get((found.fleet_id, found.driver_id))
    card = scorecard.of_driver(driver, now) if driver else scorecard.of_vehicle(found.vehicle, now)
    cost = lost.points_of(found, card.components, card.sums)
    recent = card.covers(found.started_at) and found.kind in {*HARSH, SPEEDING}
    lasted = min(found.duration_s, _CHART_MOST_S - 2 * _MARGIN_S)
    source = found.source if found.source in {"acceleration", "lateral_acceleration", "yaw_rate"} else ""
    return {
        "event": found,
        "driver": driver,
        "cost": cost if recent and found.dismissal_id is None else None,
        "trip": lost.trips_of(principal, [found]).get(found.pk),
        "card": card,
        "visible": visible(found.rate_hz),
        "signals": ["speed", *([source] if source else [])],
        "chart_end": found.started_at.timestamp() + lasted + _MARGIN_S,
        "chart_seconds": round(lasted + 2 * _MARGIN_S),
        "may_act": principal.can(Role.MANAGER, found.fleet_id),
        "tile_url": settings.TILE_URL,
        "tile_attribution": settings.TILE_ATTRIBUTION,
    }


@page
@require_POST
def act_on(request: HttpRequest, event: int) -> HttpResponse:
    """The forms of an event's page."""
    principal = principal_of(request.user)
    found = event_or_404(principal, event)
    if not principal.can(Role.MANAGER, found.fleet_id):
        raise PermissionDenied
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:500]
    if request.POST.get("act") == "restore":
        drivingevents.restore(Actor.of(request), found)
        messages.success(request, "It counts again. The score follows within a minute.")
    elif not reason:
        messages.error(request, "Say why it does not count: the driver may ask.")
    else:
        drivingevents.dismiss(Actor.of(request), found, reason)
        messages.success(request, "Dismissed. The score follows within a minute.")
    return redirect("driving-event", found.pk)
