"""A fleet's figures: against the period before, day by day, vehicle by vehicle. `/statistics`, the API's numbers."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fleet import rollups, statistics
from fleet.days import Period
from fleet.metrics import METRICS, Better, Metric, Use, usable
from fleet.models import Fleet, Vehicle
from fleet.pages.chart import chart
from fleet.pages.csvfile import csv_file, plain
from fleet.pages.figures import Change, change, number, unit
from fleet.pages.periods import PERIODS, Wish
from fleet.pages.session import page
from fleet.scoring import RANKED_FROM_M
from fleet.statistics import Place
from fleet.sums import Sums

SHOWN = 25
_KEY = ("trips", "distance", "driving_hours", "safety_score", "alerts")


@page
def overview(request: HttpRequest) -> HttpResponse:
    """The page, its lower part when htmx asks, or with `?export=days` or `vehicles` a file."""
    wish = Wish.of(request, Use.TRENDS)
    if wish.fleet is None:
        return render(request, "fleet/statistics.html", {"wish": wish})
    match request.GET.get("export"):
        case "days":
            return _days_file(wish.fleet, wish.period)
        case "vehicles":
            return _vehicles_file(wish.fleet, wish.period)
    content = {
        "wish": wish,
        "periods": PERIODS,
        "metrics": usable(Use.TRENDS),
        **_content(wish, wish.fleet),
    }
    whole = not request.headers.get("HX-Request")
    return render(request, "fleet/statistics.html" if whole else "fleet/_statistics.html", content)


def _content(wish: Wish, fleet: Fleet) -> dict[str, Any]:
    metric, period = wish.metric, wish.period
    points = statistics.points(metric, period, statistics.by_day(fleet.pk, period))
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
        "points": [(point.day, number(metric, point.value)) for point in points],
        "ranking": ranking,
        "ranking_unit": unit(ranking),
        "least_km": RANKED_FROM_M / 1000 if ranking.is_rate else 0,
        "rows": rows[:SHOWN],
        "more": max(0, len(rows) - SHOWN),
        **(_compared(wish, fleet, ranking, chosen) if chosen else {}),
    }


def _figures(fleet: Fleet, period: Period, vehicles: int) -> list[dict[str, Any]]:
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
    days = statistics.by_vehicle_and_day(fleet.pk, wish.period, pks)
    by_day = metric if Use.TRENDS in metric.uses else METRICS["distance"]
    lines = [
        (row["vehicle"].name, statistics.points(by_day, wish.period, days[row["vehicle"].pk]))
        for row in chosen
    ]
    table = [
        (one, unit(one), [number(one, statistics.value_of(one, row["place"].sums)) for row in chosen])
        for one in usable(Use.COMPARISON)
    ]
    return {
        "compared": chosen,
        "comparison": chart(f"{by_day.label}, day by day", by_day, lines),
        "comparison_unit": unit(by_day),
        "comparison_table": table,
    }


def _days_file(fleet: Fleet, period: Period) -> HttpResponse:
    metrics, days = usable(Use.TRENDS), statistics.by_day(fleet.pk, period)
    rows = (
        [day.isoformat(), *(statistics.value_of(metric, days.get(day, Sums())) for metric in metrics)]
        for day in period
    )
    head = [f"day ({fleet.time_zone})", *map(_titled, metrics)]
    return csv_file(f"statistics-{fleet.slug}-{period.first}-{period.last}", head, rows)


def _vehicles_file(fleet: Fleet, period: Period) -> HttpResponse:
    metrics, sums = usable(Use.RANKINGS), statistics.by_vehicle(fleet.pk, period)
    rows = (
        [vehicle.slug, plain(vehicle.name), plain(vehicle.plate)]
        + [statistics.value_of(metric, sums.get(pk, Sums())) for metric in metrics]
        for pk, vehicle in statistics.vehicles_of(fleet.pk).items()
    )
    head = ["vehicle_id", "name", "plate", *map(_titled, metrics)]
    return csv_file(f"vehicles-{fleet.slug}-{period.first}-{period.last}", head, rows)


def _titled(metric: Metric) -> str:
    return f"{metric.name} ({metric.unit})" if metric.unit else metric.name
