"""Which fleet, days or hours and metric the statistics' pages are asked for; anything unknown counts as not asked."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils import timezone

from fleet.access import visible_fleets
from fleet.aggregation.days import LONGEST_DAYS, Period, day_of
from fleet.aggregation.metrics import METRICS, Metric, Use
from fleet.aggregation.spans import Span, Window
from fleet.models import Fleet

PERIODS = ((7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "365 days"))
HOURS = 24
LAST_HOURS = f"{HOURS}h"
CHOICES = (
    (LAST_HOURS, f"Last {HOURS} hours"),
    ("1", "Today"),
    *((str(days), label) for days, label in PERIODS),
    ("0", "From – to"),
)


@dataclass(frozen=True)
class Wish:
    fleets: list[Fleet]
    fleet: Fleet | None
    period: Span
    metric: Metric
    chosen: str
    """One of CHOICES."""
    vehicles: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: HttpRequest, use: Use) -> "Wish":
        fleets = list(visible_fleets(request.user).order_by("name", "id")[:200])
        slug = request.GET.get("fleet", "")
        fleet = next((one for one in fleets if one.slug == slug), fleets[0] if fleets else None)
        zone = fleet.time_zone if fleet else "UTC"
        chosen, period = _span_asked(request, zone, timezone.now())
        metric = METRICS.get(request.GET.get("metric", ""), METRICS["safety_score"])
        if use not in metric.uses:
            metric = METRICS["safety_score"]
        vehicles = dict.fromkeys(request.GET.getlist("vehicles"))
        return cls(fleets, fleet, period, metric, chosen, tuple(vehicles)[:5])

    @property
    def query(self) -> str:
        """The same wish as an address."""
        asked: list[tuple[str, Any]] = [("fleet", self.fleet.slug)] if self.fleet else []
        if self.chosen != "0":
            asked.append(("days", self.chosen))
        else:
            asked += [("from", self.period.first.isoformat()), ("to", self.period.last.isoformat())]
        asked.append(("metric", self.metric.name))
        return urlencode(asked + [("vehicles", one) for one in self.vehicles])


def _span_asked(request: HttpRequest, zone: str, now: datetime) -> tuple[str, Span]:
    match request.GET.get("days", ""):
        case "24h":
            return LAST_HOURS, Window.newest(HOURS, zone, now)
        case "1":
            return "1", Period.newest(1, zone, now)
    days, period = period_asked(request, zone, now)
    return str(days), period


def period_asked(request: HttpRequest, zone: str, now: datetime) -> tuple[int, Period]:
    """`days`, or 0 where `from` and `to` are meant; and which days these are."""
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(days) for days, _ in PERIODS} else 30
    if asked and asked != "0":
        return days, Period.newest(days, zone, now)
    first, last = _day(request.GET.get("from", "")), _day(request.GET.get("to", "")) or day_of(zone, now)
    if first and first <= last and Period(first, last, zone).days <= LONGEST_DAYS:
        return 0, Period(first, last, zone)
    return days, Period.newest(days, zone, now)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2100 else None
