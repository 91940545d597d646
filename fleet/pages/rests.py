"""Stops and charging sessions found in telemetry, as lists. `/stops`, `/charging`."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fleet.access import principal_of, visible_vehicles
from fleet.models import ChargingSession, Stop
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.newest import page_of
from fleet.pages.session import page
from fleet.pages.trips import CHOICES, PAGE_SIZE, day, midnight, utc, whole

SORTS: dict[str, tuple[str, list[Any]]] = {
    "new": ("Newest first", ["-started_at", "-id"]),
    "old": ("Oldest first", ["started_at", "id"]),
    "long": ("Longest time", ["-duration_s", "-id"]),
    "vehicle": ("Vehicle", ["vehicle__name", "-started_at", "-id"]),
}
CHARGING_SORTS = SORTS | {"energy": ("Most energy", [F("energy_wh").desc(nulls_last=True), "-id"])}
_SHARED = ("vehicle", "fleet", "started_at_utc", "ended_at_utc", "under_way", "duration_s", "unheard_s")
_LEVELS = ("battery_from_percent", "battery_to_percent", "latitude", "longitude")


@dataclass(frozen=True)
class Wish:
    vehicle: int | None
    day_from: date | None
    day_to: date | None
    least_min: int | None
    sort: str

    @classmethod
    def of(cls, request: HttpRequest, sorts: dict[str, Any]) -> "Wish":
        asked = request.GET
        sort = asked.get("sort", "")
        return cls(
            whole(asked.get("vehicle", "")),
            day(asked.get("from", "")),
            day(asked.get("to", "")),
            whole(asked.get("least", "")),
            sort if sort in sorts else "",
        )

    @property
    def query(self) -> str:
        asked = {
            "vehicle": self.vehicle, "from": self.day_from, "to": self.day_to, "least": self.least_min,
            "sort": self.sort,
        }  # fmt: skip
        return urlencode({name: value for name, value in asked.items() if value})

    def narrow(self, found: Any, sorts: dict[str, tuple[str, list[Any]]]) -> Any:
        if self.vehicle:
            found = found.filter(vehicle=self.vehicle)
        if self.day_from:
            found = found.filter(started_at__gte=midnight(self.day_from))
        if self.day_to:
            found = found.filter(started_at__lt=midnight(self.day_to + timedelta(days=1)))
        if self.least_min:
            found = found.filter(duration_s__gte=self.least_min * 60)
        return found.select_related("vehicle__fleet").order_by(*sorts[self.sort or "new"][1])


@page
def stops(request: HttpRequest) -> HttpResponse:
    """The page, only its list when htmx asks; `?export=csv` answers the same rows as a file."""
    wish = Wish.of(request, SORTS)
    rows = wish.narrow(Stop.objects.visible_to(principal_of(request.user)), SORTS)
    if request.GET.get("export") == "csv":
        head = (*_SHARED, *_LEVELS, "idle_s", "moved_m", "begin_unknown")
        cells = ([*_cells(row), row.idle_s, row.moved_m, row.begin_unknown] for row in rows[:EXPORT_LIMIT])
        return csv_answer("stops", head, cells)
    return _answer(request, "stops", wish, rows, SORTS)


@page
def charging(request: HttpRequest) -> HttpResponse:
    """The same of charging sessions."""
    wish = Wish.of(request, CHARGING_SORTS)
    rows = wish.narrow(ChargingSession.objects.visible_to(principal_of(request.user)), CHARGING_SORTS)
    if request.GET.get("export") == "csv":
        head = (*_SHARED, *_LEVELS, "energy_wh", "max_power_w", "odometer_m", "told_by")
        cells = (
            [*_cells(row), row.energy_wh, row.max_power_w, row.odometer_m, row.told_by]
            for row in rows[:EXPORT_LIMIT]
        )
        return csv_answer("charging", head, cells)
    return _answer(request, "charging", wish, rows, CHARGING_SORTS)


def _cells(row: Any) -> list[Any]:
    return [
        row.vehicle.name, row.vehicle.fleet.slug, utc(row.started_at), utc(row.ended_at),
        "" if row.settled_at else "yes", row.duration_s, row.unheard_s, row.battery_from_percent,
        row.battery_to_percent, row.latitude_deg, row.longitude_deg,
    ]  # fmt: skip


def _answer(request: HttpRequest, name: str, wish: Wish, rows: Any, sorts: dict[str, Any]) -> HttpResponse:
    content = {
        "wish": wish,
        "rows": page_of(request, rows, "started_at", PAGE_SIZE),
        "what": name,
    }
    if request.headers.get("HX-Request"):
        return render(request, f"fleet/_{name}.html", content)
    content |= {
        "vehicles": visible_vehicles(request.user).order_by("name", "id")[:CHOICES],
        "sorts": [(value, label) for value, (label, _) in sorts.items()],
    }
    return render(request, "fleet/rests.html", content)
