"""What the statistics answer looks like: the objects, and their schema."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from fleet.aggregation import rollups
from fleet.aggregation.metrics import METRICS, Better, Metric, Use
from fleet.aggregation.spans import Span, Window, moments
from fleet.aggregation.statistics import Place, Point, Summary, summary, value_of
from fleet.aggregation.sums import Sums
from fleet.aggregation.trends import Resolution
from fleet.aggregation.utilisation import Week
from fleet.api.problems import ProblemSerializer
from fleet.behaviour.scoring import RANKED_FROM_M, VERSION, safety_score
from fleet.models import Fleet, Kind, Vehicle

ERRORS = dict.fromkeys((400, 401, 404, 429), ProblemSerializer)


class SeveritiesSerializer(serializers.Serializer[Any]):
    info = serializers.IntegerField()
    warning = serializers.IntegerField()
    critical = serializers.IntegerField()
    total = serializers.IntegerField()


class FiguresSerializer(serializers.Serializer[Any]):
    active_vehicles = serializers.IntegerField(help_text="With a trip or telemetry.")
    active_drivers = serializers.IntegerField()
    total_trips = serializers.IntegerField(help_text="Begun in the period.")
    total_distance = serializers.FloatField(help_text="m")
    total_distance_km = serializers.FloatField()
    total_duration = serializers.FloatField(help_text="Time in trips, s.")
    total_driving_hours = serializers.FloatField()
    average_safety_score = serializers.FloatField(allow_null=True, help_text="0 to 100, of all kilometres.")
    average_risk_score = serializers.FloatField(allow_null=True, help_text="0 to 1.")
    alerts = SeveritiesSerializer(help_text="First reported in the period.")
    trip_alerts = SeveritiesSerializer(help_text="Counted by the vehicles while driving.")
    total_alerts = serializers.IntegerField()
    records = serializers.IntegerField(help_text="Telemetry records.")


class HeadSerializer(serializers.Serializer[Any]):
    fleet_id = serializers.CharField()
    first_day = serializers.DateField()
    last_day = serializers.DateField(help_text="Included.")
    days = serializers.IntegerField()
    hours = serializers.IntegerField(allow_null=True, help_text="Where hours were asked for.")
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField(help_text="Not included.")
    time_zone = serializers.CharField(help_text="Whose days they are.")


class StatisticsSerializer(HeadSerializer, FiguresSerializer):
    total_vehicles = serializers.IntegerField(help_text="Now.")
    score_version = serializers.IntegerField()
    updating = serializers.IntegerField(help_text="Days of vehicles that wait to be summed up again.")
    previous = FiguresSerializer()


class MetricSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    unit = serializers.CharField()
    better = serializers.ChoiceField([better.value for better in Better])
    description = serializers.CharField()
    uses = serializers.ListField(child=serializers.ChoiceField([use.value for use in Use]))
    without_data = serializers.FloatField(allow_null=True, help_text="Its value where there is no data.")
    minimum_distance = serializers.FloatField(allow_null=True, help_text="m; below it there is no rank.")


class MetricListSerializer(serializers.Serializer[Any]):
    metrics = MetricSerializer(many=True)


class OfMetricSerializer(HeadSerializer):
    metric = serializers.CharField()
    unit = serializers.CharField()
    better = serializers.ChoiceField([better.value for better in Better])


class PlaceSerializer(serializers.Serializer[Any]):
    rank = serializers.IntegerField(allow_null=True, help_text="null: no value, or not eligible.")
    value = serializers.FloatField(allow_null=True)
    eligible = serializers.BooleanField(help_text="Drove the minimum distance, where the metric has one.")
    previous_rank = serializers.IntegerField(allow_null=True, help_text="In as many days before.")
    distance = serializers.FloatField(help_text="m")
    trips = serializers.IntegerField()


class VehiclePlaceSerializer(PlaceSerializer):
    vehicle_id = serializers.CharField()
    name = serializers.CharField()


class DriverPlaceSerializer(PlaceSerializer):
    driver_id = serializers.CharField()
    name = serializers.CharField(help_text="Empty for devices.")


class RankingsSerializer(OfMetricSerializer):
    minimum_distance = serializers.FloatField(allow_null=True, help_text="m")
    results = VehiclePlaceSerializer(many=True)


class LeaderboardSerializer(OfMetricSerializer):
    minimum_distance = serializers.FloatField(allow_null=True, help_text="m")
    results = DriverPlaceSerializer(many=True)


class PointSerializer(serializers.Serializer[Any]):
    date = serializers.DateField(help_text="Of a month its first day.")
    time = serializers.DateTimeField(required=False, help_text="Of an hour or minute its first moment.")
    value = serializers.FloatField(allow_null=True)


class TrendsSerializer(OfMetricSerializer):
    vehicle_id = serializers.CharField(required=False, help_text="When one was asked for.")
    name = serializers.CharField(required=False, help_text="Of the vehicle.")
    driver_id = serializers.CharField(required=False, help_text="When one was asked for.")
    resolution = serializers.ChoiceField([one.value for one in Resolution])
    points = PointSerializer(many=True)


class UtilisedHourSerializer(serializers.Serializer[Any]):
    weekday = serializers.IntegerField(help_text="1: Monday, to 7.")
    hour = serializers.IntegerField(help_text="Of the fleet's clock, 0 to 23.")
    share = serializers.FloatField(allow_null=True, help_text="Of the time of all vehicles, 0 to 1.")


class UtilisationSerializer(HeadSerializer):
    total_vehicles = serializers.IntegerField(help_text="Now.")
    cells = UtilisedHourSerializer(many=True, help_text="168, from Monday 0 on.")


class ComparedSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.CharField()
    name = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    metrics = serializers.DictField(child=serializers.FloatField(allow_null=True), help_text="All of them.")
    points = PointSerializer(many=True)


class ComparisonSerializer(OfMetricSerializer):
    results = ComparedSerializer(many=True)


STATISTICS = OpenApiExample(
    "A fleet's month",
    {
        "fleet_id": "fleet_alpha", "first_day": "2024-10-19", "last_day": "2024-11-17", "days": 30,
        "hours": None, "begins": "2024-10-18T22:00:00Z", "ends": "2024-11-17T23:00:00Z",
        "time_zone": "Europe/Berlin", "total_vehicles": 12, "active_vehicles": 11, "active_drivers": 9,
        "total_trips": 412, "total_distance": 6120400.0, "total_distance_km": 6120.4, "total_duration": 541800.0,
        "total_driving_hours": 150.5, "average_safety_score": 84.2, "average_risk_score": 0.18,
        "alerts": {"info": 4, "warning": 2, "critical": 0, "total": 6},
        "trip_alerts": {"info": 40, "warning": 17, "critical": 1, "total": 58}, "total_alerts": 6,
        "records": 540123, "score_version": 2, "updating": 0,
    },
    response_only=True,
)  # fmt: skip


def statistics(fleet: Fleet, period: Span) -> dict[str, Any]:
    vehicles = Vehicle.objects.filter(fleet=fleet, kind=Kind.VEHICLE).count()
    return {
        **_period(fleet, period),
        "total_vehicles": vehicles,
        **_figures(summary(fleet.pk, period)),
        "score_version": VERSION,
        "updating": rollups.waiting(fleet.pk),
        "previous": _figures(summary(fleet.pk, period.before)),
    }


def head(fleet: Fleet, period: Span, metric: Metric) -> dict[str, Any]:
    return {
        **_period(fleet, period),
        "metric": metric.name,
        "unit": metric.unit,
        "better": metric.better.value,
    }


def ranking(fleet: Fleet, period: Span, metric: Metric, rows: list[dict[str, Any]]) -> dict[str, Any]:
    least = RANKED_FROM_M if metric.is_rate else None
    return head(fleet, period, metric) | {"minimum_distance": least, "results": rows}


def place(one: Place[Any], who: dict[str, Any]) -> dict[str, Any]:
    return {
        "rank": one.rank,
        **who,
        "value": one.value,
        "eligible": one.eligible,
        "previous_rank": one.rank_before,
        "distance": one.sums.distance_m,
        "trips": one.sums.trips,
    }


def vehicle(one: Vehicle) -> dict[str, Any]:
    return {"vehicle_id": one.slug, "name": one.name}


def driver(driver_id: str, name: str) -> dict[str, Any]:
    return {"driver_id": driver_id, "name": name}


def figures(metric: Metric, sums: Sums) -> dict[str, Any]:
    every = [one for one in METRICS.values() if Use.COMPARISON in one.uses]
    return {"value": value_of(metric, sums), "metrics": {one.name: value_of(one, sums) for one in every}}


def points(found: Iterable[Point]) -> list[dict[str, Any]]:
    return [
        {"date": point.day.isoformat()}
        | ({"time": _told(point.at)} if point.at else {})
        | {"value": point.value}
        for point in found
    ]


def utilisation(fleet: Fleet, week: Week) -> dict[str, Any]:
    cells = [
        {"weekday": weekday + 1, "hour": hour, "share": share}
        for (weekday, hour), share in sorted(week.shares.items())
    ]
    return _period(fleet, week.period) | {"total_vehicles": week.vehicles, "cells": cells}


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def described(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "label": metric.label,
        "unit": metric.unit,
        "better": metric.better.value,
        "description": metric.description,
        "uses": sorted(use.value for use in metric.uses),
        "without_data": metric.without_data,
        "minimum_distance": RANKED_FROM_M if metric.is_rate else None,
    }


def _period(fleet: Fleet, period: Span) -> dict[str, Any]:
    begins, ends = moments(period)
    return {
        "fleet_id": fleet.slug,
        "first_day": period.first.isoformat(),
        "last_day": period.last.isoformat(),
        "days": period.days,
        "hours": period.hours if isinstance(period, Window) else None,
        "begins": _told(begins),
        "ends": _told(ends),
        "time_zone": period.zone,
    }


def _figures(found: Summary) -> dict[str, Any]:
    sums = found.sums
    score, risk = safety_score(sums), sums.risk
    return {
        "active_vehicles": sums.active,
        "active_drivers": found.drivers,
        "total_trips": sums.trips,
        "total_distance": sums.distance_m,
        "total_distance_km": round(sums.distance_m / 1000, 3),
        "total_duration": sums.driving_s,
        "total_driving_hours": round(sums.driving_s / 3600, 2),
        "average_safety_score": None if score is None else round(score, 2),
        "average_risk_score": None if risk is None else round(risk, 4),
        "alerts": _severities(sums.alerts_info, sums.alerts_warning, sums.alerts_critical),
        "trip_alerts": _severities(sums.trip_info, sums.trip_warning, sums.trip_critical),
        "total_alerts": sums.alerts,
        "records": sums.records,
    }


def _severities(info: int, warning: int, critical: int) -> dict[str, int]:
    return {"info": info, "warning": warning, "critical": critical, "total": info + warning + critical}
