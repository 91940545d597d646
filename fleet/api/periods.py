"""What the statistics may be asked: whole days, a metric, a limit. Errors say which parameter, and what it takes."""

from datetime import date, datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request

from fleet.aggregation.days import LONGEST_DAYS, Period, day_of
from fleet.aggregation.metrics import METRICS, Metric, Use, usable
from fleet.aggregation.spans import Span, Window
from fleet.aggregation.trends import Resolution, fitting, unfit
from fleet.api.moments import EARLIEST, moment_of

DAYS = 30
HOURS_MOST = 72
LONGEST_TREND = 3_660
"""Days, by month: ten years."""
LIMIT, LIMIT_MOST = 100, 1_000

PERIOD = [
    OpenApiParameter(
        "days", int, description=f"So many days, today the last: 1 to {LONGEST_DAYS}, else {DAYS}."
    ),
    OpenApiParameter("from", str, description="First day: 2024-11-01; or a moment, which means its day."),
    OpenApiParameter("to", str, description="Last day, included; without it today."),
]
SPAN = [
    OpenApiParameter(
        "hours",
        int,
        description=f"Instead of days: so many hours, the present one the last: 1 to {HOURS_MOST}.",
    ),
    *PERIOD,
]
RESOLUTION = OpenApiParameter(
    "resolution",
    str,
    enum=[*(one.value for one in Resolution), "auto"],
    description="Else day, or auto where hours are asked for. auto: up to 3 hours by minute, up to 3 days by hour, "
    "up to 2 years by day, else by month.",
)
HOW_MANY = OpenApiParameter("limit", int, description=f"1 to {LIMIT_MOST}, else {LIMIT}.")


def metric_parameter(use: Use) -> OpenApiParameter:
    return OpenApiParameter(
        "metric", str, enum=[metric.name for metric in usable(use)], default="safety_score"
    )


def metric_of(request: Request, use: Use) -> Metric:
    name = request.query_params.get("metric") or "safety_score"
    metric = METRICS.get(name)
    if metric is None or use not in metric.uses:
        allowed = ", ".join(one.name for one in usable(use))
        raise exceptions.ValidationError(
            {"metric": [f"{name[:40]!r} is not known here. Choose one of: {allowed}."]}
        )
    return metric


def limit_of(request: Request) -> int:
    return whole_of(request, "limit", LIMIT, LIMIT_MOST)


def span_of(request: Request, zone: str, now: datetime, longest: int = LONGEST_DAYS) -> Span:
    """`hours`, or whole days."""
    asked = request.query_params
    if not asked.get("hours"):
        return period_of(request, zone, now, longest)
    if any(asked.get(name) for name in ("days", "from", "to")):
        raise exceptions.ValidationError({"hours": ["Send either hours, or days, or from and to."]})
    return Window.newest(whole_of(request, "hours", 1, HOURS_MOST), zone, now)


def resolution_of(request: Request, span: Span, metric: Metric, now: datetime) -> Resolution:
    """By day unless asked for; `hours` mean auto."""
    text = request.query_params.get("resolution") or ("auto" if isinstance(span, Window) else "day")
    if text == "auto":
        return fitting(span, metric, now)
    if text not in set(Resolution):
        allowed = ", ".join([*Resolution, "auto"])
        raise exceptions.ValidationError({"resolution": [f"{text[:40]!r}: choose one of {allowed}."]})
    if why := unfit(Resolution(text), span, metric, now):
        raise exceptions.ValidationError({"resolution": [why]})
    return Resolution(text)


def period_of(request: Request, zone: str, now: datetime, longest: int = LONGEST_DAYS) -> Period:
    """`days`, or `from` and `to`; in the fleet's zone."""
    asked = request.query_params
    if not (asked.get("from") or asked.get("to")):
        return Period.newest(whole_of(request, "days", DAYS, longest), zone, now)
    if asked.get("days"):
        raise exceptions.ValidationError({"days": ["Send either days, or from and to."]})
    if not asked.get("from"):
        raise exceptions.ValidationError({"from": ["Say also from which day on."]})
    first = _day(request, "from", zone)
    last = _day(request, "to", zone) if asked.get("to") else day_of(zone, now)
    if last < first:
        raise exceptions.ValidationError({"to": [f"{last} is before {first}."]})
    period = Period(first, last, zone)
    if period.days > longest:
        raise exceptions.ValidationError({"from": [f"{period.days} days: at most {longest}."]})
    return period


def _day(request: Request, name: str, zone: str) -> date:
    text = request.query_params[name].strip()
    try:
        found = date.fromisoformat(text) if len(text) == 10 and "-" in text else day_of(zone, moment_of(text))
    except (ValueError, OverflowError):
        raise exceptions.ValidationError(
            {name: [f"{text[:40]!r} is no day: send 2024-11-01, or a moment (ISO 8601, Unix seconds)."]}
        ) from None
    if not EARLIEST.year <= found.year <= 2100:
        raise exceptions.ValidationError({name: ["Send a day between the years 2000 and 2100."]})
    return found


def whole_of(request: Request, name: str, usual: int, most: int) -> int:
    text: Any = request.query_params.get(name)
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise exceptions.ValidationError({name: [f"{text[:40]!r}: send a whole number from 1 to {most}."]})
    return int(text)
