"""One geofence: where it is, who is there, and its visits. Filtered, paged, as a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from fleet.access import principal_of, visible_fleets
from fleet.geofencing import hours
from fleet.geofencing.fencefeatures import drawn
from fleet.geofencing.shapes import area_km2, shape_of
from fleet.models import Geofence, Role, Vehicle, Visit
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.geofences import geofence_of
from fleet.pages.session import page

PAGE_SIZE = 50
SORTS = {
    "newest": ("Newest", ("-entered_at", "-id")),
    "oldest": ("Oldest", ("entered_at", "id")),
    "vehicle": ("Vehicle", ("vehicle__name", "-entered_at", "-id")),
}
SHOWN = {"": "all", "there": "there now", "dwelled": "dwelled", "hours": "in its hours"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Days are of the reader's time zone; anything unknown counts as not asked."""

    q: str
    state: str
    first: date | None
    last: date | None
    sort: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Asked":
        state, sort = request.GET.get("state", ""), request.GET.get("sort", "")
        return cls(
            request.GET.get("q", "").replace("\0", "").strip()[:80],
            state if state in SHOWN else "",
            _day(request.GET.get("from", "")),
            _day(request.GET.get("to", "")),
            sort if sort in SORTS else "newest",
        )

    @property
    def query(self) -> str:
        told = {
            "q": self.q, "state": self.state, "from": self.first, "to": self.last,
            "sort": "" if self.sort == "newest" else self.sort,
        }  # fmt: skip
        return urlencode({name: value for name, value in told.items() if value})

    @property
    def sorts(self) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in SORTS.items()]


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2100 else None


@page
def geofence(request: HttpRequest, fleet: str, geofence: int) -> HttpResponse:
    """`?export=csv` answers the visits asked for as a file."""
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    known = geofence_of(found, geofence)
    asked = Asked.of(request)
    rows = _rows(known, asked)
    if request.GET.get("export") == "csv":
        return _as_csv(known, rows)
    content: dict[str, Any] = {
        "fleet": found,
        "geofence": known,
        "asked": asked,
        "shown": SHOWN.items(),
        "visits": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1")),
        "now": timezone.now(),
    }
    if request.headers.get("HX-Request"):
        return render(request, "fleet/_visit_list.html", content)
    content |= {
        "may_edit": principal_of(request.user).can(Role.MANAGER, found.pk),
        "hours": hours.text_of(known.schedule),
        "area_km2": _area_km2(known),
        "feature": drawn(known),
        "rules": known.rules.order_by("name"),
        "tile_url": settings.TILE_URL,
        "tile_attribution": settings.TILE_ATTRIBUTION,
    }
    return render(request, "fleet/geofence.html", content)


def _rows(fence: Geofence, asked: Asked) -> Any:
    rows = Visit.objects.filter(geofence=fence, confirmed=True).select_related("vehicle__fleet")
    if asked.q:
        rows = rows.filter(vehicle__in=Vehicle.objects.filter(fleet=fence.fleet_id).search(asked.q))
    match asked.state:
        case "there":
            rows = rows.filter(left_at=None)
        case "dwelled":
            rows = rows.filter(dwelled_at__isnull=False)
        case "hours":
            rows = rows.filter(on_schedule=True)
    if asked.first:
        rows = rows.filter(entered_at__gte=_midnight(asked.first))
    if asked.last:
        rows = rows.filter(entered_at__lt=_midnight(asked.last + timedelta(days=1)))
    return rows.order_by(*SORTS[asked.sort][1])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.get_current_timezone())


def _area_km2(fence: Geofence) -> float:
    return area_km2(shape_of(fence.kind, fence.geometry, fence.radius_m or fence.width_m or 0.0, 0.0))


def _as_csv(fence: Geofence, rows: Any) -> HttpResponse:
    zone = timezone.get_current_timezone_name()
    head = ("vehicle", "plate", f"entered ({zone})", "entry", f"left ({zone})", "exit", "duration_s",
            f"dwelled ({zone})", "in_its_hours")  # fmt: skip
    return csv_answer(f"visits-{fence.fleet.slug}-{fence.pk}", head, _cells(rows))


def _cells(rows: Any) -> Iterator[list[Any]]:
    for row in rows[:EXPORT_LIMIT]:
        yield [
            row.vehicle.name, row.vehicle.plate, _local(row.entered_at), row.entry, _local(row.left_at), row.exit,
            "" if row.duration_s is None else round(row.duration_s, 1), _local(row.dwelled_at), row.on_schedule,
        ]  # fmt: skip


def _local(moment: datetime | None) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}" if moment else ""
