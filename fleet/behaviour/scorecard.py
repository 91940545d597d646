"""The score of one driver or vehicle explained: what each component cost in the last thirty days, and how much of the
driving could be seen at all. Read from sums by day."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Sum

from fleet.aggregation import rollups, statistics
from fleet.aggregation.columns import DRIVEN, SEEN
from fleet.aggregation.days import Period, day_of, starts
from fleet.aggregation.sums import Sums
from fleet.behaviour import scoring
from fleet.behaviour.scoring import Component
from fleet.models import Driver, DriverDay, DrivingSettings, Fleet, FleetDay, Vehicle, VehicleDay

DAYS = 30


@dataclass(frozen=True, slots=True)
class Scorecard:
    period: Period
    sums: Sums
    mean: float | None
    """Of the whole fleet, by distance."""
    asked: dict[str, str]
    """What the list of driving events is asked for to show these."""
    trips: dict[str, str]
    """The same of the list of trips."""
    waiting: int
    """Days of vehicles that the fleet has left to sum up anew."""
    finding: bool
    """The fleet's events are being found anew."""

    @property
    def components(self) -> list[Component]:
        return scoring.explained(self.sums)

    @property
    def own(self) -> float | None:
        return scoring.safety_score(self.sums)

    @property
    def score(self) -> float | None:
        """Towards the fleet's mean where too little was driven."""
        return scoring.shrunk(self.own, self.sums, self.mean)

    @property
    def eligible(self) -> bool:
        return scoring.is_ranked(self.sums)

    @property
    def to_go_km(self) -> float:
        return max(0.0, scoring.RANKED_FROM_M - self.sums.distance_m) / 1000

    @property
    def seen_percent(self) -> float | None:
        """Of the distance, as far as records were dense enough to show braking and acceleration."""
        return _percent(self.sums.seen_mm, self.sums.distance_mm)

    @property
    def turning_percent(self) -> float | None:
        return _percent(self.sums.turning_mm, self.sums.distance_mm)

    def covers(self, moment: datetime) -> bool:
        return self.period.first <= day_of(self.period.zone, moment) <= self.period.last

    @property
    def lost(self) -> float:
        return sum(one.lost or 0.0 for one in self.components)

    @property
    def largest(self) -> Component | None:
        """What cost most: what would improve the score most."""
        found = max(self.components, key=lambda one: one.lost or 0.0)
        return found if found.lost else None

    @property
    def trips_query(self) -> str:
        """Its trips of the period."""
        return urlencode({**self.trips, "from": self.period.first.isoformat()})

    @property
    def events_query(self) -> str:
        first = starts(self.period.zone, self.period.first)
        return urlencode({**self.asked, "from": f"{first:%Y-%m-%dT%H:%M:%SZ}"})


def _percent(part: int, whole: int) -> float | None:
    return min(100.0, 100 * part / whole) if whole else None


def of_driver(driver: Driver, now: datetime) -> Scorecard:
    """Needs `fleet` selected. Four queries."""
    days = DriverDay.objects.filter(fleet=driver.fleet_id)
    period = Period.newest(DAYS, driver.fleet.time_zone, now)
    asked = {"fleet": driver.fleet.slug, "driver": driver.slug, "lost": "driver"}
    trips = {"fleet": driver.fleet.slug, "driver": driver.slug}
    mine = _sums(days.filter(driver_id=driver.slug), period, DRIVEN)
    return _card(driver.fleet, period, mine, _sums(days, period, DRIVEN), (asked, trips))


def of_vehicle(vehicle: Vehicle, now: datetime) -> Scorecard:
    """Needs `fleet` selected. Four queries."""
    period = Period.newest(DAYS, vehicle.fleet.time_zone, now)
    mine = _sums(VehicleDay.objects.filter(fleet=vehicle.fleet_id, vehicle=vehicle), period, SEEN)
    everybody = _sums(FleetDay.objects.filter(fleet=vehicle.fleet_id), period, SEEN)
    asked = {"fleet": vehicle.fleet.slug, "vehicle": vehicle.slug, "lost": "vehicle"}
    trips = {"fleet": vehicle.fleet.slug, "vehicle": str(vehicle.pk)}
    return _card(vehicle.fleet, period, mine, everybody, (asked, trips))


def _card(
    fleet: Fleet, period: Period, mine: Sums, everybody: Sums, asked: tuple[dict[str, str], dict[str, str]]
) -> Scorecard:
    settings = DrivingSettings.objects.filter(pk=fleet.pk).first()
    mean = scoring.safety_score(everybody)
    finding = settings is None or not settings.up_to_date
    return Scorecard(period, mine, mean, *asked, rollups.rebuilding(fleet.pk), finding)


def _sums(rows: Any, period: Period, names: tuple[str, ...]) -> Sums:
    within = rows.filter(day__gte=period.first, day__lte=period.last)
    return Sums.of(within.aggregate(**{name: Sum(name) for name in names}))


def rounded(value: float | None, digits: int = statistics.DIGITS) -> float | None:
    return None if value is None else round(value, digits)
