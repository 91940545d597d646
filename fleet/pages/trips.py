"""Trips found in telemetry, beside what the devices say of them. `/trips`; one of them is in trip.py."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Exists, F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from fleet.access import principal_of, visible_vehicles
from fleet.behaviour import tripscores
from fleet.behaviour.lost import OF_TRIPS, amount, that_cost
from fleet.journeys.matching import driven_by, summaries, summaries_of, undetected
from fleet.models import Trip, TripSummary
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.session import page
from fleet.pages.tripcosts import Cost, Costs, costs
from fleet.pages.tripfigures import Shown, shown

PAGE_SIZE = 50
CHOICES = 500
SHOW = (
    ("", "All"),
    ("with", "With a summary of the device"),
    ("without", "Without one"),
    ("told", "Summaries only: nothing was detected"),
)
SORTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "new": ("Newest first", ("-started_at", "-id")),
    "old": ("Oldest first", ("started_at", "id")),
    "far": ("Longest way", ("-distance_m", "-id")),
    "long": ("Longest time", ("-duration_s", "-id")),
    "vehicle": ("Vehicle", ("vehicle__name", "-started_at", "-id")),
    "driver": ("Driver", ("driven_by", "-started_at", "-id")),
    "worst": ("Lowest score", (F("score").asc(nulls_last=True), "-id")),
    "best": ("Highest score", (F("score").desc(nulls_last=True), "-id")),
}
COSTLY = "cost"
"""One more way to sort, where the list is about lost points."""
_IN_SUMMARIES = {
    "started_at": "start_time",
    "id": "id",
    "distance_m": "distance_m",
    "duration_s": "duration_s",
}
HEAD = (
    "trip", "vehicle", "fleet", "driver", "started_at_utc", "ended_at_utc", "under_way", "distance_m",
    "distance_source", "duration_s", "moving_s", "idle_s", "unheard_s", "mean_speed_m_s", "max_speed_m_s",
    "energy_wh", "kwh_per_100_km", "battery_from_percent", "battery_to_percent", "start_latitude", "start_longitude",
    "end_latitude", "end_longitude", "reconstructed_share", "device_trips", "device_distance_m", "device_duration_s",
    "score", "score_version", "score_state",
)  # fmt: skip

TOLD_HEAD = (
    "trip", "vehicle", "fleet", "driver", "started_at_utc", "ended_at_utc", "distance_m", "duration_s", "score",
    "score_version", "score_state",
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What the list's form asks for; anything unknown counts as not asked."""

    vehicle: int | None
    driver: str
    day_from: date | None
    day_to: date | None
    least_km: float | None
    most_km: float | None
    most_points: float | None
    """Of the score."""
    fleet: str
    lost: str
    """Only what cost points of this component: fleet.behaviour.lost.OF_TRIPS."""
    show: str
    sort: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Wish":
        asked = request.GET
        show, sort = asked.get("show", ""), asked.get("sort", "")
        return cls(
            vehicle=whole(asked.get("vehicle", "")),
            driver=asked.get("driver", "").replace("\0", "").strip()[:200],
            day_from=day(asked.get("from", "")),
            day_to=day(asked.get("to", "")),
            least_km=_km(asked.get("least", "")),
            most_km=_km(asked.get("most", "")),
            most_points=_km(asked.get("score", "")),
            fleet=asked.get("fleet", "").replace("\0", "")[:64],
            lost=asked.get("lost", "") if asked.get("lost", "") in OF_TRIPS else "",
            show=show if show in dict(SHOW) else "",
            sort=sort if sort in SORTS or (sort == COSTLY and asked.get("lost", "") in OF_TRIPS) else "",
        )

    @property
    def query(self) -> str:
        asked = {
            "vehicle": self.vehicle, "driver": self.driver, "from": self.day_from, "to": self.day_to,
            "least": self.least_km, "most": self.most_km, "score": self.most_points, "fleet": self.fleet,
            "lost": self.lost, "show": self.show, "sort": self.sort,
        }  # fmt: skip
        return urlencode({name: value for name, value in asked.items() if value not in (None, "")})

    @property
    def query_of_detected(self) -> str:
        return replace(self, show="").query

    def narrow(self, found: Any, moment: str) -> Any:
        """What detected trips and summaries have in common."""
        if self.vehicle:
            found = found.filter(vehicle=self.vehicle)
        if self.day_from:
            found = found.filter(**{f"{moment}__gte": midnight(self.day_from)})
        if self.day_to:
            found = found.filter(**{f"{moment}__lt": midnight(self.day_to + timedelta(days=1))})
        if self.least_km is not None:
            found = found.filter(distance_m__gte=self.least_km * 1000)
        if self.most_km is not None:
            found = found.filter(distance_m__lte=self.most_km * 1000)
        if self.most_points is not None:
            found = found.filter(score__lte=self.most_points)
        if self.fleet:
            found = found.filter(fleet__slug=self.fleet)
        return found.filter(that_cost(self.lost)) if self.lost else found

    @property
    def sorts(self) -> list[tuple[str, str]]:
        costly = [(COSTLY, "Most points lost")] if self.lost else []
        return [*costly, *((name, label) for name, (label, _) in SORTS.items())]

    @property
    def order(self) -> tuple[Any, ...]:
        if self.sort == COSTLY:
            return amount(self.lost).desc(), "-started_at", "-id"
        return SORTS[self.sort or "new"][1]

    def trips(self, found: Any) -> Any:
        found = self.narrow(found, "started_at")
        if self.driver:
            found = found.filter(driven_by(self.driver))
        if self.show in {"with", "without"}:
            matched = Exists(summaries())
            found = found.filter(matched if self.show == "with" else ~matched)
        return found.select_related("vehicle__fleet", "driver__fleet").order_by(*self.order)

    def told(self, found: Any) -> Any:
        found = self.narrow(found, "start_time").filter(undetected())
        if self.driver:
            found = found.filter(Q(driven_by=self.driver) | Q(driver_id=self.driver))
        order = [_in_summaries(name) for name in self.order]
        return found.select_related("vehicle__fleet").order_by(*order)


def _in_summaries(name: Any) -> Any:
    if not isinstance(name, str):
        return name
    sign, plain = ("-", name[1:]) if name.startswith("-") else ("", name)
    return sign + _IN_SUMMARIES.get(plain, plain)


@page
def trip_list(request: HttpRequest) -> HttpResponse:
    """The page, only its list when htmx asks; `?export=csv` answers the same rows as a file."""
    wish = Wish.of(request)
    principal = principal_of(request.user)
    if wish.show == "told":
        rows = wish.told(TripSummary.objects.visible_to(principal))
    else:
        rows = wish.trips(Trip.objects.visible_to(principal))
    cost = costs(principal, wish.lost, wish.fleet, wish.driver, wish.vehicle)
    if request.GET.get("export") == "csv":
        return _exported(wish, rows[:EXPORT_LIMIT], cost)
    found = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1"))
    content: dict[str, Any] = {"wish": wish, "rows": found, "costs": cost}
    if wish.show == "told":
        content["told"] = cost.beside(found.object_list)
    else:
        content["trips"] = cost.beside(_with_summaries(found.object_list))
    if request.headers.get("HX-Request"):
        return render(request, "fleet/_trips.html", content)
    content |= {
        "vehicles": visible_vehicles(request.user).order_by("name", "id")[:CHOICES],
        "show": SHOW,
        "sorts": wish.sorts,
    }
    return render(request, "fleet/trips.html", content)


def _exported(wish: Wish, rows: Any, costs: Costs) -> HttpResponse:
    """A list about lost points has them too."""
    more = ("lost_by", "points_of_trip", "points_of_score") if wish.lost else ()
    if wish.show == "told":
        told = ([*_told_cells(one), *_points(wish, cost)] for one, cost in costs.beside(rows))
        return csv_answer("trip-summaries", (*TOLD_HEAD, *more), told)
    cells = ([*_cells(one), *_points(wish, cost)] for one, cost in costs.beside(_with_summaries(rows)))
    return csv_answer("trips", (*HEAD, *more), cells)


def _points(wish: Wish, cost: Cost) -> list[Any]:
    return [wish.lost, cost.of_trip, cost.of_score] if wish.lost else []


def _told_cells(one: TripSummary) -> list[Any]:
    return [
        one.trip_id, one.vehicle.name, one.vehicle.fleet.slug, one.driven_by or one.driver_id, utc(one.start_time),
        utc(one.end_time) if one.end_time else "", one.distance_m, one.duration_s, one.score, one.score_version,
        tripscores.state_of(one),
    ]  # fmt: skip


def _with_summaries(rows: Any) -> list[Shown]:
    trips = list(rows)
    told = summaries_of(trips)
    return [shown(trip, told[trip.pk]) for trip in trips]


def _cells(one: Shown) -> list[Any]:
    trip = one.trip
    return [
        trip.pk, trip.vehicle.name, trip.vehicle.fleet.slug, one.driver, utc(trip.started_at), utc(trip.ended_at),
        "" if trip.settled_at else "yes", round(trip.distance_m, 1), trip.distance_source, trip.duration_s,
        trip.moving_s, trip.idle_s, trip.unheard_s, trip.mean_speed_mps, trip.max_speed_mps, trip.energy_wh,
        trip.kwh_per_100_km, trip.battery_from_percent, trip.battery_to_percent, trip.start_latitude_deg,
        trip.start_longitude_deg, trip.end_latitude_deg, trip.end_longitude_deg, trip.reconstructed_share,
        " ".join(s.trip_id for s in one.summaries), one.told_distance_m, one.told_duration_s,
        trip.score, trip.score_version, one.score_state,
    ]  # fmt: skip


def utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 <= found.year <= 9000 else None


def midnight(day: date) -> datetime:
    """In the reader's zone."""
    return timezone.make_aware(datetime(day.year, day.month, day.day))


def _km(text: str) -> float | None:
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        return None
    return found if 0 <= found < 1e6 else None
