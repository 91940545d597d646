"""The figures a fleet can be ranked, charted and compared by: one list for API and pages."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fleet.aggregation.sums import Sums
from fleet.behaviour.scoring import safety_score


class Use(StrEnum):
    RANKINGS = "rankings"
    TRENDS = "trends"
    COMPARISON = "comparison"
    LEADERBOARD = "leaderboard"


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"
    """Listed from the largest down."""


EVERYWHERE = frozenset(Use)
OF_VEHICLES = frozenset({Use.RANKINGS, Use.TRENDS, Use.COMPARISON})


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    label: str
    unit: str
    better: Better
    description: str
    value: Callable[[Sums], float | None]
    digits: int = 0
    uses: frozenset[Use] = EVERYWHERE
    is_rate: bool = False
    """Nothing without driving (null, a gap in a chart), and no place in a ranking below the minimum distance."""
    shrinks: bool = False
    """Below the minimum distance it is pulled towards the mean of all."""
    shown: tuple[str, float] | None = None
    """For people: the unit, and what to multiply by."""

    @property
    def without_data(self) -> float | None:
        return self.value(Sums())


def _rate(amount: float, base: float) -> float | None:
    return amount / base if base else None


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "safety_score", "Safety score", "points", Better.HIGHER,
            "0 to 100: harsh manoeuvres, speeding, night, and the risk and alerts that vehicles report, by distance.",
            safety_score, 1, is_rate=True, shrinks=True,
        ),
        Metric(
            "distance", "Distance", "m", Better.NEITHER, "Driven in trips.",
            lambda s: s.distance_m, shown=("km", 1e-3),
        ),
        Metric(
            "driving_hours", "Driving time", "h", Better.NEITHER, "Time in trips.",
            lambda s: s.driving_s / 3600, 1,
        ),
        Metric("trips", "Trips", "", Better.NEITHER, "Trips begun.", lambda s: float(s.trips)),
        Metric(
            "average_risk_score", "Mean risk", "", Better.LOWER,
            "0 to 1: the mean risk of trips, weighted by distance.",
            lambda s: s.risk, 3, is_rate=True,
        ),
        Metric(
            "trip_alerts_per_100km", "Alerts in trips", "per 100 km", Better.LOWER,
            "Alerts the device counted while driving, of any urgency.",
            lambda s: _rate(s.trip_alerts, s.counted_mm / 1e8), 1, is_rate=True,
        ),
        Metric(
            "harsh_per_100km", "Harsh events", "per 100 km", Better.LOWER,
            "Harsh acceleration, braking and cornering, by the distance whose records are dense enough to show them.",
            lambda s: _rate(s.harsh, s.seen_mm / 1e8), 1, is_rate=True,
        ),
        Metric(
            "speeding_share", "Speeding", "%", Better.LOWER, "Of the driving time, above the fleet's limit.",
            lambda s: None if s.speeding_share is None else 100 * s.speeding_share, 1, is_rate=True,
        ),
        Metric(
            "night_share", "Night driving", "%", Better.NEITHER, "Of the time in trips, in the fleet's night.",
            lambda s: None if s.night_share is None else 100 * s.night_share, 1, is_rate=True,
        ),
        Metric(
            "idling_hours", "Idling", "h", Better.LOWER, "Standing longer than the fleet allows, engine on.",
            lambda s: s.idling_ms / 3_600_000, 1,
        ),
        Metric(
            "average_speed", "Mean speed", "m/s", Better.NEITHER, "Distance by time in trips.",
            lambda s: _rate(s.distance_m, s.driving_s), 1, is_rate=True, shown=("km/h", 3.6),
        ),
        Metric(
            "alerts", "Alerts raised", "", Better.LOWER, "Alerts first reported in the period.",
            lambda s: float(s.alerts), uses=OF_VEHICLES,
        ),
        Metric(
            "critical_alerts", "Critical alerts", "", Better.LOWER, "Of these, the critical ones.",
            lambda s: float(s.alerts_critical), uses=OF_VEHICLES,
        ),
        Metric(
            "records", "Telemetry records", "", Better.NEITHER, "Records measured in the period.",
            lambda s: float(s.records), uses=OF_VEHICLES,
        ),
        Metric(
            "active_days", "Active days", "days", Better.NEITHER, "Days with a trip (vehicles: or with telemetry).",
            lambda s: float(s.active), uses=frozenset({Use.RANKINGS, Use.COMPARISON, Use.LEADERBOARD}),
        ),
        Metric(
            "active_vehicles", "Active vehicles", "", Better.HIGHER, "Vehicles with a trip or telemetry on the day.",
            lambda s: float(s.active), uses=frozenset({Use.TRENDS}),
        ),
    )
}  # fmt: skip


def usable(use: Use) -> list[Metric]:
    return [metric for metric in METRICS.values() if use in metric.uses]
