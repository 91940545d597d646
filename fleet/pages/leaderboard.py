"""A fleet's drivers or vehicles by a metric, who climbed and who fell. `/leaderboard`, the API's numbers."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from fleet.access import principal_of
from fleet.aggregation import leaderboard, rollups, statistics
from fleet.aggregation.metrics import METRICS, Metric, Use, usable
from fleet.aggregation.statistics import Place
from fleet.behaviour.scoring import RANKED_FROM_M
from fleet.models import Vehicle
from fleet.pages.csvfile import csv_file, plain
from fleet.pages.figures import number, unit
from fleet.pages.periods import CHOICES, Wish
from fleet.pages.session import page

SHOWN = 100
OF = (("", "Drivers"), ("vehicles", "Vehicles"))


@dataclass(frozen=True, slots=True)
class Row:
    """Of a driver or a vehicle. `who`: the id; `address`: of the page, where the reader may open it."""

    place: Place[Any]
    who: str
    name: str
    address: str


@page
def standings(request: HttpRequest) -> HttpResponse:
    """The page, its list when htmx asks, or with `?export=csv` everybody as a file."""
    of = "vehicles" if request.GET.get("of") == "vehicles" else ""
    use = Use.RANKINGS if of else Use.LEADERBOARD
    wish = Wish.of(request, use)
    if wish.fleet is None:
        return render(request, "fleet/leaderboard.html", {"wish": wish})
    found = _vehicles(wish) if of else _drivers(request, wish)
    if request.GET.get("export") == "csv":
        return _file(wish, of, found)
    content = {
        "wish": wish,
        "of": of,
        "others": [(f"{wish.query}&{urlencode({'of': value})}", label, value == of) for value, label in OF],
        "periods": CHOICES,
        "metrics": usable(use),
        "unit": unit(wish.metric),
        "rows": [_row(one, wish.metric) for one in found[:SHOWN]],
        "more": max(0, len(found) - SHOWN),
        "least_km": RANKED_FROM_M / 1000 if wish.metric.is_rate else 0,
        "updating": rollups.rebuilding(wish.fleet.pk),
    }
    whole = not request.headers.get("HX-Request")
    return render(request, "fleet/leaderboard.html" if whole else "fleet/_leaderboard.html", content)


def _drivers(request: HttpRequest, wish: Wish) -> list[Row]:
    assert wish.fleet
    found = leaderboard.leaderboard(principal_of(request.user), wish.fleet.pk, wish.metric, wish.period)
    return [
        Row(one.place, one.place.who, one.name, _driver_page(wish, one.place.who) if one.known else "")
        for one in found
    ]


def _driver_page(wish: Wish, slug: str) -> str:
    assert wish.fleet
    return reverse("driver", args=[wish.fleet.slug, slug])


def _vehicles(wish: Wish) -> list[Row]:
    """Who may read the fleet sees all of its vehicles."""
    assert wish.fleet
    vehicles: dict[int, Vehicle] = statistics.vehicles_of(wish.fleet.pk)
    places = statistics.vehicle_ranking(wish.fleet.pk, wish.metric, wish.period, vehicles)
    rows = []
    for place in places:
        one = vehicles[place.who]
        if place.sums.trips or place.sums.records or place.rank is not None:
            rows.append(Row(place, one.slug, one.name, reverse("vehicle", args=[wish.fleet.slug, one.slug])))
    return rows


def _row(one: Row, metric: Metric) -> dict[str, Any]:
    sums = one.place.sums
    return {
        "one": one,
        "place": one.place,
        "value": number(metric, one.place.value),
        "distance": number(METRICS["distance"], sums.distance_m),
        "hours": number(METRICS["driving_hours"], sums.driving_s / 3600),
        "trips": number(METRICS["trips"], sums.trips),
        "to_go": "" if one.place.eligible else f"{max(0.1, (RANKED_FROM_M - sums.distance_m) / 1000):,.1f}",
    }


def _file(wish: Wish, of: str, found: list[Row]) -> HttpResponse:
    assert wish.fleet
    metric = wish.metric
    rows = (
        [
            one.place.rank, one.place.rank_before, plain(one.who), plain(one.name), one.place.value,
            one.place.eligible, one.place.sums.distance_m, one.place.sums.trips,
        ]
        for one in found
    )  # fmt: skip
    value = f"{metric.name} ({metric.unit})" if metric.unit else metric.name
    who = "vehicle_id" if of else "driver_id"
    head = ("rank", "previous_rank", who, "name", value, "eligible", "distance (m)", "trips")
    name = f"{of}-leaderboard" if of else "leaderboard"
    return csv_file(f"{name}-{wish.fleet.slug}-{wish.period.first}-{wish.period.last}", head, rows)
