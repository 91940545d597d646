"""A fleet's drivers by a metric, who climbed and who fell. `/leaderboard`, the API's numbers."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fleet import leaderboard, rollups
from fleet.access import principal_of
from fleet.leaderboard import Standing
from fleet.metrics import METRICS, Metric, Use, usable
from fleet.pages.csvfile import csv_file, plain
from fleet.pages.figures import number, unit
from fleet.pages.periods import PERIODS, Wish
from fleet.pages.session import page
from fleet.scoring import RANKED_FROM_M

SHOWN = 100


@page
def drivers(request: HttpRequest) -> HttpResponse:
    """The page, its list when htmx asks, or with `?export=csv` everybody as a file."""
    wish = Wish.of(request, Use.LEADERBOARD)
    if wish.fleet is None:
        return render(request, "fleet/leaderboard.html", {"wish": wish})
    found = leaderboard.leaderboard(principal_of(request.user), wish.fleet.pk, wish.metric, wish.period)
    if request.GET.get("export") == "csv":
        return _file(wish, found)
    content = {
        "wish": wish,
        "periods": PERIODS,
        "metrics": usable(Use.LEADERBOARD),
        "unit": unit(wish.metric),
        "rows": [_row(one, wish.metric) for one in found[:SHOWN]],
        "more": max(0, len(found) - SHOWN),
        "least_km": RANKED_FROM_M / 1000 if wish.metric.is_rate else 0,
        "updating": rollups.rebuilding(wish.fleet.pk),
    }
    whole = not request.headers.get("HX-Request")
    return render(request, "fleet/leaderboard.html" if whole else "fleet/_leaderboard.html", content)


def _row(one: Standing, metric: Metric) -> dict[str, Any]:
    sums = one.place.sums
    return {
        "standing": one,
        "place": one.place,
        "value": number(metric, one.place.value),
        "distance": number(METRICS["distance"], sums.distance_m),
        "hours": number(METRICS["driving_hours"], sums.driving_s / 3600),
        "trips": number(METRICS["trips"], sums.trips),
        "to_go": "" if one.place.eligible else f"{max(0.1, (RANKED_FROM_M - sums.distance_m) / 1000):,.1f}",
    }


def _file(wish: Wish, found: list[Standing]) -> HttpResponse:
    assert wish.fleet
    metric = wish.metric
    rows = (
        [
            one.place.rank, one.place.rank_before, plain(one.place.who), plain(one.name), one.place.value,
            one.place.eligible, one.place.sums.distance_m, one.place.sums.trips,
        ]
        for one in found
    )  # fmt: skip
    value = f"{metric.name} ({metric.unit})" if metric.unit else metric.name
    head = ("rank", "previous_rank", "driver_id", "name", value, "eligible", "distance (m)", "trips")
    return csv_file(f"leaderboard-{wish.fleet.slug}-{wish.period.first}-{wish.period.last}", head, rows)
