"""A fleet's figures: against the period before, as a trend, vehicle by vehicle. `/statistics`, the API's numbers."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from fleet.aggregation import rollups, statistics, trends
from fleet.aggregation.metrics import METRICS, Better, Metric, Use, usable
from fleet.aggregation.spans import Span
from fleet.aggregation.statistics import Place
from fleet.aggregation.sums import Sums
from fleet.behaviour.scoring import RANKED_FROM_M
from fleet.models import Fleet, Vehicle
from fleet.pages.chart import chart
from fleet.pages.csvfile import csv_file, plain
from fleet.pages.figures import Change, change, number, unit
from fleet.pages.periods import CHOICES, Wish
from fleet.pages.session import page
from fleet.pages.trends import titled, trend_file, week, week_file

SHOWN = 25
_KEY = ("trips", "distance", "driving_hours", "safety_score", "alerts")


@page
def overview(request: HttpRequest) -> HttpResponse:
    """The page, its lower part when htmx asks, or with `?export=trend`, `week` or `vehicles` a file."""
    wish = Wish.of(request, Use.TRENDS)
    if wish.fleet is None:
        return render(request, "fleet/statistics.html", {"wish": wish})
    match request.GET.get("export"):
        case "trend":
            return trend_file(wish.fleet, wish.period, _resolution(wish), timezone.now())
        case "week":
            return week_file(wish.fleet, timezone.now())
        case "vehicles":
            return _vehicles_file(wish.fleet, wish.period)
    content = {
        "wish": wish,
        "periods": CHOICES,
        "metrics": usable(Use.TRENDS),
        **_content(wish, wish.fleet),
    }
    whole = not request.headers.get("HX-Request")
    return render(request, "fleet/statistics.html" if whole else "fleet/_statistics.html", content)


def _content(wish: Wish, fleet: Fleet) -> dict[str, Any]:
    metric, period = wish.metric, wish.period
    now, resolution = timezone.now(), _resolution(wish)
    points = trends.points(metric, period, resolution, trends.of_fleet(fleet.pk, period, resolution), now)
    vehicles = statistics.vehicles_of(fleet.pk)
    # A fleet's active vehicles become a vehicle's active days.
    ranking = metric if Use.RANKINGS in metric.uses else METRICS["active_days"]
    places = statistics.vehicle_ranking(fleet.pk, ranking, period, vehicles)
    rows = [_row(place, vehicles[place.who], ranking) for place in places]
    chosen = [row for row in rows if row["vehicle"].slug in wish.vehicles]
    return {
        "updating": rollups.rebuilding(fleet.pk),
        "figures": _figures(fleet, period, len(vehicles)),
        "unit": unit(metric),
        "trend": chart(metric.label, metric, [(metric.label, points)]),
        "trend_unit": resolution.value,
        "points": [(point, number(metric, point.value)) for point in points],
        **week(fleet, now),
        "ranking": ranking,
        "ranking_unit": unit(ranking),
        "least_km": RANKED_FROM_M / 1000 if ranking.is_rate else 0,
        "rows": rows[:SHOWN],
        "more": max(0, len(rows) - SHOWN),
        **(_compared(wish, fleet, ranking, chosen) if chosen else {}),
    }


def _resolution(wish: Wish) -> trends.Resolution:
    return trends.fitting(wish.period, wish.metric, timezone.now())


def _figures(fleet: Fleet, period: Span, vehicles: int) -> list[dict[str, Any]]:
    now, before = (statistics.summary(fleet.pk, one).sums for one in (period, period.before))
    active = {
        "label": "Active vehicles", "value": f"{now.active:,}", "unit": f"of {vehicles:,}",
        "change": change(now.active, before.active, Better.HIGHER),
    }  # fmt: skip
    return [active, *(_figure(METRICS[name], now, before) for name in _KEY)]


def _figure(metric: Metric, now: Sums, before: Sums) -> dict[str, Any]:
    value, value_before = (statistics.value_of(metric, sums) for sums in (now, before))
    told: Change | None = change(value, value_before, metric.better, points=metric.name == "safety_score")
    return {
        "label": metric.label,
        "value": number(metric, value),
        "unit": "" if value is None else unit(metric),
        "change": told,
    }


def _row(place: Place[int], vehicle: Vehicle, metric: Metric) -> dict[str, Any]:
    return {
        "place": place,
        "vehicle": vehicle,
        "value": number(metric, place.value),
        "distance": number(METRICS["distance"], place.sums.distance_m),
    }


def _compared(wish: Wish, fleet: Fleet, metric: Metric, chosen: list[dict[str, Any]]) -> dict[str, Any]:
    pks = [row["vehicle"].pk for row in chosen]
    resolution, now = trends.fitting(wish.period, metric, timezone.now()), timezone.now()
    found = trends.of_vehicles(fleet.pk, wish.period, resolution, pks)
    charted = metric if Use.TRENDS in metric.uses else METRICS["distance"]
    lines = [
        (row["vehicle"].name, trends.points(charted, wish.period, resolution, found[row["vehicle"].pk], now))
        for row in chosen
    ]
    table = [
        (one, unit(one), [number(one, statistics.value_of(one, row["place"].sums)) for row in chosen])
        for one in usable(Use.COMPARISON)
    ]
    return {
        "compared": chosen,
        "comparison": chart(f"{charted.label}, {resolution} by {resolution}", charted, lines),
        "comparison_unit": unit(charted),
        "comparison_table": table,
    }


def _vehicles_file(fleet: Fleet, period: Span) -> HttpResponse:
    metrics, sums = usable(Use.RANKINGS), statistics.by_vehicle(fleet.pk, period)
    rows = (
        [vehicle.slug, plain(vehicle.name), plain(vehicle.plate)]
        + [statistics.value_of(metric, sums.get(pk, Sums())) for metric in metrics]
        for pk, vehicle in statistics.vehicles_of(fleet.pk).items()
    )
    head = ["vehicle_id", "name", "plate", *map(titled, metrics)]
    return csv_file(f"vehicles-{fleet.slug}-{period.first}-{period.last}", head, rows)
