"""A fleet's statistics over the API, as a FleetManager in a car asks for them. Days are those of the fleet's zone."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets
from fleet.aggregation import statistics, trends, utilisation
from fleet.aggregation.days import LONGEST_DAYS, Period
from fleet.aggregation.leaderboard import leaderboard, may_see
from fleet.aggregation.metrics import METRICS, Metric, Use
from fleet.aggregation.spans import Span
from fleet.aggregation.sums import Sums
from fleet.aggregation.trends import Resolution
from fleet.api import statistics_shape as shape
from fleet.api.drivers import asked as text_asked
from fleet.api.periods import (
    HOW_MANY,
    LONGEST_TREND,
    PERIOD,
    RESOLUTION,
    SPAN,
    limit_of,
    metric_of,
    metric_parameter,
    period_of,
    resolution_of,
    span_of,
    whole_of,
)
from fleet.models import Fleet, Vehicle

COMPARED = 20
OF_ONE = (
    OpenApiParameter("vehicle", str, description="Only this one: slug, VIN or plate."),
    OpenApiParameter(
        "driver",
        str,
        description="Only what was driven by this one, as cars call them. Role driver: oneself only.",
    ),
)


def fleet_asked(request: Request, slug: str) -> Fleet:
    fleet: Fleet = get_object_or_404(visible_fleets(request.user), slug=slug)
    return fleet


class StatisticsView(APIView):
    @extend_schema(
        summary="Key figures of a fleet",
        description="Also of as many days or hours before, in `previous`.",
        parameters=SPAN,
        responses={200: shape.StatisticsSerializer, **shape.ERRORS},
        examples=[shape.STATISTICS],
    )
    def get(self, request: Request, fleet: str) -> Response:
        found = fleet_asked(request, fleet)
        period = span_of(request, found.time_zone, timezone.now())
        return Response(shape.statistics(found, period))


class MetricsView(APIView):
    @extend_schema(
        summary="What a fleet can be ranked, charted and compared by",
        responses={200: shape.MetricListSerializer, **shape.ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        fleet_asked(request, fleet)
        return Response({"metrics": [shape.described(metric) for metric in METRICS.values()]})


class RankingsView(APIView):
    @extend_schema(
        summary="Vehicles by a metric, best first",
        parameters=[metric_parameter(Use.RANKINGS), HOW_MANY, *SPAN],
        responses={200: shape.RankingsSerializer, **shape.ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        found = fleet_asked(request, fleet)
        metric, limit = metric_of(request, Use.RANKINGS), limit_of(request)
        period = span_of(request, found.time_zone, timezone.now())
        vehicles = statistics.vehicles_of(found.pk)
        places = statistics.vehicle_ranking(found.pk, metric, period, vehicles)
        rows = [shape.place(one, shape.vehicle(vehicles[one.who])) for one in places[:limit]]
        return Response(shape.ranking(found, period, metric, rows))


class TrendsView(APIView):
    @extend_schema(
        summary="A metric minute by minute, hour by hour, day by day or month by month",
        parameters=[metric_parameter(Use.TRENDS), RESOLUTION, *SPAN, *OF_ONE],
        responses={200: shape.TrendsSerializer, **shape.ERRORS},
        description="One point for every minute, hour, day or month, up to now. One without data is 0 for what can be "
        "counted and null for rates. By minute distance and time are those of records, else those of trips. By month "
        f"up to {LONGEST_TREND} days. Of the whole fleet, or of one vehicle or driver.",
    )
    def get(self, request: Request, fleet: str) -> Response:
        found, now = fleet_asked(request, fleet), timezone.now()
        metric = metric_of(request, Use.TRENDS)
        far = request.query_params.get("resolution") in {"month", "auto"}
        span = span_of(request, found.time_zone, now, LONGEST_TREND if far else LONGEST_DAYS)
        resolution = resolution_of(request, span, metric, now)
        told, sums = _sums_asked(request, found, metric, span, resolution)
        points = shape.points(trends.points(metric, span, resolution, sums, now))
        return Response(
            shape.head(found, span, metric) | told | {"resolution": resolution.value, "points": points}
        )


def _sums_asked(
    request: Request, fleet: Fleet, metric: Metric, span: Span, resolution: Resolution
) -> tuple[dict[str, str], dict[Any, Sums]]:
    """Whose they are, and the sums by moment."""
    vehicle, driver = text_asked(request, "vehicle"), text_asked(request, "driver")
    if vehicle and driver:
        raise exceptions.ValidationError({"driver": ["Send either vehicle or driver."]})
    if vehicle:
        vehicles = statistics.vehicles_of(fleet.pk)
        pk = _called("vehicle", vehicle, vehicles)
        return shape.vehicle(vehicles[pk]), trends.of_vehicle(fleet.pk, pk, span, resolution)
    if driver:
        if Use.LEADERBOARD not in metric.uses:
            raise exceptions.ValidationError({"metric": [f"{metric.name} is not known of drivers."]})
        if not may_see(principal_of(request.user), fleet.pk, driver):
            raise exceptions.NotFound("There is no such driver that you may see.")
        return {"driver_id": driver}, trends.of_driver(fleet.pk, driver, span, resolution)
    return {}, trends.of_fleet(fleet.pk, span, resolution)


class UtilisationView(APIView):
    @extend_schema(
        summary="How much of a week's hours the vehicles are driven",
        description="The mean of the last whole weeks, up to yesterday, by weekday and hour of the fleet's clock.",
        parameters=[
            OpenApiParameter(
                "weeks", int, description=f"1 to {utilisation.WEEKS_MOST}, else {utilisation.WEEKS}."
            )
        ],
        responses={200: shape.UtilisationSerializer, **shape.ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        found = fleet_asked(request, fleet)
        weeks = whole_of(request, "weeks", utilisation.WEEKS, utilisation.WEEKS_MOST)
        week = utilisation.week_of(found.pk, found.time_zone, timezone.now(), weeks)
        return Response(shape.utilisation(found, week))


class ComparisonView(APIView):
    @extend_schema(
        summary="Vehicles side by side",
        description=f"At most {COMPARED}, in the order asked for; without `vehicles` those that drove furthest.",
        parameters=[
            OpenApiParameter("vehicles", str, description="Slugs, VINs or plates, with commas or repeated."),
            metric_parameter(Use.COMPARISON),
            *PERIOD,
        ],
        responses={200: shape.ComparisonSerializer, **shape.ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        found = fleet_asked(request, fleet)
        metric = metric_of(request, Use.COMPARISON)
        period = period_of(request, found.time_zone, timezone.now())
        vehicles = statistics.vehicles_of(found.pk)
        chosen = _chosen(request, found, period, vehicles)
        sums = statistics.by_vehicle(found.pk, period, chosen) if chosen else {}
        days = statistics.by_vehicle_and_day(found.pk, period, chosen)
        rows = [
            shape.vehicle(vehicles[pk])
            | shape.figures(metric, sums.get(pk, Sums()))
            | {"points": shape.points(statistics.points(metric, period, days[pk]))}
            for pk in chosen
        ]
        return Response(shape.head(found, period, metric) | {"results": rows})


class LeaderboardView(APIView):
    @extend_schema(
        summary="Drivers by a metric, best first",
        description="Also under /fleet/{id}/drivers/leaderboard. Who has the role driver sees their own row only.",
        parameters=[
            OpenApiParameter("fleet", str, description="Fleet id; needed when you have several."),
            metric_parameter(Use.LEADERBOARD),
            HOW_MANY,
            *SPAN,
        ],
        responses={200: shape.LeaderboardSerializer, **shape.ERRORS},
    )
    def get(self, request: Request, fleet: str = "") -> Response:
        found = fleet_asked(request, fleet) if fleet else _only_fleet(request)
        metric, limit = metric_of(request, Use.LEADERBOARD), limit_of(request)
        period = span_of(request, found.time_zone, timezone.now())
        standings = leaderboard(principal_of(request.user), found.pk, metric, period)
        rows = [shape.place(one.place, shape.driver(one.place.who, one.name)) for one in standings[:limit]]
        return Response(shape.ranking(found, period, metric, rows))


def _chosen(request: Request, fleet: Fleet, period: Period, vehicles: dict[int, Vehicle]) -> list[int]:
    names = [name.strip() for given in request.query_params.getlist("vehicles") for name in given.split(",")]
    names = [name for name in dict.fromkeys(names) if name]
    if len(names) > COMPARED:
        raise exceptions.ValidationError({"vehicles": [f"{len(names)} vehicles: at most {COMPARED}."]})
    if not names:
        driven = statistics.by_vehicle(fleet.pk, period)
        furthest = sorted(vehicles, key=lambda pk: -driven.get(pk, Sums()).distance_mm)
        return furthest[:COMPARED]
    chosen = []
    for name in names:
        chosen.append(_called("vehicles", name, vehicles))
    return list(dict.fromkeys(chosen))


def _called(parameter: str, name: str, vehicles: dict[int, Vehicle]) -> int:
    pk = next((pk for pk, vehicle in vehicles.items() if vehicle.is_called(name)), None)
    if pk is None:
        raise exceptions.ValidationError({parameter: [f"{name[:40]!r} is no vehicle of this fleet."]})
    return pk


def _only_fleet(request: Request) -> Fleet:
    if slug := text_asked(request, "fleet"):
        return fleet_asked(request, slug)
    fleets = list(visible_fleets(request.user).order_by("id")[:2])
    if not fleets:
        raise exceptions.NotFound("There is no fleet that you may see.")
    if len(fleets) > 1:
        raise exceptions.ValidationError({"fleet": ["You have several fleets: add ?fleet=…"]})
    only: Fleet = fleets[0]
    return only
