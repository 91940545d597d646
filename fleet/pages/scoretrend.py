"""A driver's score week by week, and their newest trips. Read from sums by day."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum

from fleet.access import Principal
from fleet.aggregation import statistics
from fleet.aggregation.columns import DRIVEN
from fleet.aggregation.days import Period
from fleet.aggregation.metrics import METRICS
from fleet.aggregation.statistics import Point
from fleet.aggregation.sums import Sums
from fleet.behaviour.tripscores import state_of
from fleet.models import Driver, DriverDay, Trip
from fleet.pages.chart import chart
from fleet.pages.figures import number

WEEKS, TRIPS = 12, 8


def of(principal: Principal, driver: Driver, now: datetime) -> dict[str, Any]:
    """What fleet/_score_trend.html needs; `fleet` selected. Two queries."""
    period = Period.newest(7 * WEEKS, driver.fleet.time_zone, now)
    points = _weeks(driver, period)
    metric = METRICS["safety_score"]
    mine = Trip.objects.visible_to(principal).filter(driver=driver).select_related("vehicle__fleet")
    return {
        "trend": chart("Safety score", metric, [("Safety score", points)]),
        "weeks": [
            (point.day - timedelta(days=6), point.day, number(metric, point.value)) for point in points
        ],
        "newest": [(trip, state_of(trip)) for trip in mine.order_by("-started_at")[:TRIPS]],
    }


def _weeks(driver: Driver, period: Period) -> list[Point]:
    """Each of seven days, the last of them today; named by its last day."""
    rows = DriverDay.objects.filter(
        fleet=driver.fleet_id, driver_id=driver.slug, day__gte=period.first, day__lte=period.last
    )
    sums = {week: Sums() for week in range(WEEKS)}
    for row in rows.values("day").annotate(**{name: Sum(name) for name in DRIVEN}):
        week = (row["day"] - period.first).days // 7
        sums[week] = sums[week].plus(Sums.of(row))
    metric = METRICS["safety_score"]
    return [
        Point(period.first + timedelta(days=7 * week + 6), statistics.value_of(metric, one))
        for week, one in sorted(sums.items())
    ]
