"""Parts of the statistics' page that go by the clock: the trend as a file, the hours of the week."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse

from fleet.aggregation import trends, utilisation
from fleet.aggregation.metrics import Metric, Use, usable
from fleet.aggregation.spans import Span
from fleet.aggregation.trends import Resolution
from fleet.models import Fleet
from fleet.pages.csvfile import csv_file

LEVELS = 5
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def trend_file(fleet: Fleet, span: Span, resolution: Resolution, now: datetime) -> HttpResponse:
    """A row for every day, hour …; of hours their first moment with the zone's offset."""
    sums = trends.of_fleet(fleet.pk, span, resolution)
    metrics = [metric for metric in usable(Use.TRENDS) if not trends.unfit(resolution, span, metric, now)]
    columns = [trends.points(metric, span, resolution, sums, now) for metric in metrics]
    rows = (
        [(row[0].at or row[0].day).isoformat(), *(point.value for point in row)]
        for row in zip(*columns, strict=True)
    )
    head = [f"{resolution} ({fleet.time_zone})", *map(titled, metrics)]
    return csv_file(f"statistics-{fleet.slug}-{span.first}-{span.last}", head, rows)


def titled(metric: Metric) -> str:
    return f"{metric.name} ({metric.unit})" if metric.unit else metric.name


def week(fleet: Fleet, now: datetime) -> dict[str, Any]:
    """Colours are shares of the busiest hour; the text says per cent of all vehicles' time."""
    found = utilisation.week_of(fleet.pk, fleet.time_zone, now)
    rows = [
        (name, [_cell(found.shares[day, hour], found.busiest) for hour in range(24)])
        for day, name in enumerate(_DAYS)
    ]
    return {"week": found, "week_hours": range(24), "week_rows": rows}


def _cell(share: float | None, busiest: float) -> dict[str, Any]:
    if not share:
        return {"level": 0, "text": "–" if share is None else "0"}
    text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
    return {"level": max(1, round(LEVELS * share / busiest)), "text": text}


def week_file(fleet: Fleet, now: datetime) -> HttpResponse:
    found = utilisation.week_of(fleet.pk, fleet.time_zone, now)
    rows = ([_DAYS[day], hour, share] for (day, hour), share in sorted(found.shares.items()))
    head = ["weekday", f"hour ({fleet.time_zone})", "share of the time of all vehicles"]
    return csv_file(f"week-{fleet.slug}-{found.period.first}-{found.period.last}", head, rows)
