"""The live map: every vehicle I may see, beside a list that can be searched. `/` and `/live/positions`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import Count, F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from fleet.access import visible_vehicles
from fleet.models import Motion, Vehicle
from fleet.pages.session import page, part

PAGE_SIZE = 50
MAP_LIMIT = 10_000
SORTS: dict[str, tuple[str, list[Any]]] = {
    "name": ("Name", ["name", "id"]),
    "seen": ("Last seen", [F("state__received_at").desc(nulls_last=True), "id"]),
    "speed": ("Fastest", [F("state__speed_kmh").desc(nulls_last=True), "name", "id"]),
    "battery": ("Lowest charge", [F("state__battery_percent").asc(nulls_last=True), "name", "id"]),
    "state": ("State", ["motion", "name", "id"]),
}
SHOWN_STATES = (
    Motion.MOVING, Motion.IDLE, Motion.PARKED, Motion.CHARGING, Motion.OFFLINE, Motion.NEVER,
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What the list's form asks for; anything unknown counts as not asked."""

    words: str
    state: str
    sort: str
    page: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Wish":
        state, sort = request.GET.get("state", ""), request.GET.get("sort", "")
        return cls(
            words=request.GET.get("q", "").strip()[:80],
            state=state if state in Motion.values else "",
            sort=sort if sort in SORTS else "name",
            page=request.GET.get("page", "1"),
        )

    @property
    def query(self) -> str:
        """Without the page, and without what is the default."""
        asked = {"q": self.words, "state": self.state, "sort": "" if self.sort == "name" else self.sort}
        return urlencode({name: value for name, value in asked.items() if value})


@page
def live_map(request: HttpRequest) -> HttpResponse:
    """The page, or only its list when htmx asks."""
    wish, now = Wish.of(request), timezone.now()
    matching = visible_vehicles(request.user).in_service().search(wish.words).with_motion(now)
    counts = _counts(matching)
    vehicles = _page(matching, wish, counts)
    content: dict[str, Any] = {
        "wish": wish,
        "states": [(state, counts.get(state, 0)) for state in SHOWN_STATES],
        "total": sum(counts.values()),
        "vehicles": vehicles,
        "sorts": [(name, label) for name, (label, _) in SORTS.items()],
        "now": now,
    }
    if not request.headers.get("HX-Request"):
        content |= {"tile_url": settings.TILE_URL, "tile_attribution": settings.TILE_ATTRIBUTION}
        content["offline_after"] = settings.OFFLINE_AFTER_S
        return render(request, "fleet/live_map.html", content)
    response = render(request, "fleet/_vehicle_list.html", content | {"is_part": True})
    place = f"page={vehicles.number}" if vehicles.number > 1 else ""
    query = "&".join(filter(None, [wish.query, place]))
    response["HX-Replace-Url"] = request.path + (f"?{query}" if query else "")
    return response


def _counts(matching: Any) -> dict[str, int]:
    return dict(matching.order_by().values_list("motion").annotate(count=Count("id")))


def _page(matching: Any, wish: Wish, counts: dict[str, int]) -> "Page[Vehicle]":
    rows = matching.select_related("fleet", "state").order_by(*SORTS[wish.sort][1])
    if wish.state:
        rows = rows.filter(motion=wish.state)
    paginator = Paginator(rows, PAGE_SIZE)
    # The counts beside the filters say how many there are: no second query.
    paginator.count = counts.get(wish.state, 0) if wish.state else sum(counts.values())
    return paginator.get_page(wish.page)


@part
def positions(request: HttpRequest) -> HttpResponse:
    """All markers as rows of numbers; with `since` (Unix seconds) only vehicles heard of after it."""
    now = timezone.now()
    vehicles = visible_vehicles(request.user).in_service().filter(state__isnull=False)
    since = _moment(request.GET.get("since"))
    if since is not None:
        vehicles = vehicles.filter(state__received_at__gt=since)
    rows = vehicles.with_motion(now).order_by("-state__received_at").values_list(
        "id", "fleet__slug", "slug", "name", "plate", "vin", "motion", "state__latitude_deg",
        "state__longitude_deg", "state__heading_deg", "state__speed_kmh", "state__battery_percent",
        "state__received_at", "state__time",
    )  # fmt: skip
    found = [(*row[:12], row[12].timestamp(), row[13].timestamp()) for row in rows[: MAP_LIMIT + 1]]
    content = {
        "now": now.timestamp(),
        "vehicles": found[:MAP_LIMIT],
        "truncated": len(found) > MAP_LIMIT,
    }
    return HttpResponse(orjson.dumps(content), content_type="application/json")


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None
