"""The safety score: one formula, for vehicles, drivers and fleets. docs/score.md explains it, with sources.

It reads sums, so that the score of a month is no mean of thirty scores but the score of the month's kilometres.
"""

from dataclasses import dataclass
from typing import Final

from fleet.aggregation.sums import Sums

VERSION: Final = 2
"""Change it with the formula or its inputs: every fleet is then summed up anew."""
RANKED_FROM_M: Final = 50_000.0
"""Less in a period says too little for a place in a ranking."""
LEAST_MM: Final = 50_000_000
LEAST_MS: Final = 3_600_000
"""What is counted per distance or time is taken over at least so much of it: three events in two kilometres say little
about a hundred."""
ACCELERATION_POINTS, BRAKING_POINTS, CORNERING_POINTS = 1.5, 2.5, 1.5
"""For each harsh event per 100 km of which records show it."""
HARSH_POINTS_MOST: Final = 40.0
SPEEDING_POINTS, SPEEDING_POINTS_MOST = 1.0, 20.0
"""For each per cent of the driving time above the fleet's limit."""
NIGHT_POINTS, NIGHT_POINTS_MOST = 0.05, 5.0
"""For each per cent of the time in trips in the fleet's night."""
RISK_POINTS: Final = 40.0
"""For a risk of 1 that the vehicle reported of all its kilometres."""
ALERT_POINTS: Final = (0.5, 2.0, 6.0)
"""For each information, warning and critical alert that the device counted per 100 km."""
ALERT_POINTS_MOST: Final = 20.0


@dataclass(frozen=True, slots=True)
class Component:
    """One reason for losing points."""

    name: str
    label: str
    lost: float | None
    """None: nothing is known of it, and nothing is lost."""
    most: float
    basis: str
    """In words: what was counted, over what."""
    kind: str = ""
    """The driving events that cost them."""
    each: float | None = None
    """Points that one such event costs."""

    @property
    def share(self) -> float:
        """Of the most it can cost, in per cent."""
        return 100 * (self.lost or 0.0) / self.most


def safety_score(sums: Sums) -> float | None:
    """0 to 100, 100 is best; None where neither the risk of a kilometre is known nor how one was driven."""
    if sums.risk is None and not sums.seen_mm:
        return None
    return max(0.0, 100.0 - sum(one.lost or 0.0 for one in explained(sums)))


def explained(sums: Sums) -> list[Component]:
    """Every component, whether or not it cost points."""
    return [*_harsh(sums), _speeding(sums), _night(sums), _risk(sums), _alerts(sums)]


def _harsh(sums: Sums) -> list[Component]:
    """Together at most HARSH_POINTS_MOST: where there are more, each loses the same share less."""
    kinds: tuple[tuple[str, str, int, int, float], ...] = (
        (
            "harsh_acceleration",
            "Harsh acceleration",
            sums.harsh_accelerations,
            sums.seen_mm,
            ACCELERATION_POINTS,
        ),
        ("harsh_braking", "Harsh braking", sums.harsh_brakings, sums.seen_mm, BRAKING_POINTS),
        ("harsh_cornering", "Harsh cornering", sums.harsh_corners, sums.turning_mm, CORNERING_POINTS),
    )
    each = [points / (max(seen, LEAST_MM) / 1e8) if seen else None for *_, seen, points in kinds]
    total = sum((cost or 0.0) * count for cost, (_, _, count, *_) in zip(each, kinds, strict=True))
    share = min(1.0, HARSH_POINTS_MOST / total) if total else 1.0
    return [
        Component(
            name,
            label,
            None if cost is None else count * cost * share,
            HARSH_POINTS_MOST,
            f"{count} in {_km(seen)} km whose records show it"
            if seen
            else "No records dense enough to show it",
            name,
            None if cost is None else cost * share,
        )
        for cost, (name, label, count, seen, _) in zip(each, kinds, strict=True)
    ]


def _speeding(sums: Sums) -> Component:
    share = min(1.0, sums.speeding_ms / max(sums.timed_ms, LEAST_MS)) if sums.timed_ms else None
    lost = None if share is None else min(SPEEDING_POINTS_MOST, 100 * share * SPEEDING_POINTS)
    basis = (
        "No driving time whose speed is known"
        if share is None
        else f"{sums.speeding_ms / 60_000:,.1f} of {sums.timed_ms / 60_000:,.0f} minutes above the limit"
    )
    return Component("speeding", "Speeding", lost, SPEEDING_POINTS_MOST, basis, "speeding")


def _night(sums: Sums) -> Component:
    share = sums.night_share
    lost = None if share is None else min(NIGHT_POINTS_MOST, 100 * share * NIGHT_POINTS)
    basis = "No trips" if share is None else f"{100 * share:.1f} % of the time in trips"
    return Component("night", "Driving at night", lost, NIGHT_POINTS_MOST, basis)


def _risk(sums: Sums) -> Component:
    risk = sums.risk
    lost = None if risk is None else RISK_POINTS * risk
    basis = (
        "No vehicle reported one"
        if risk is None
        else f"Mean risk {risk:.2f} of {_km(sums.scored_mm)} km in trips"
    )
    return Component("risk", "Risk reported by the vehicle", lost, RISK_POINTS, basis)


def _alerts(sums: Sums) -> Component:
    lost = alert_points(sums)
    basis = (
        "No vehicle counted any"
        if lost is None
        else f"{sums.trip_info} information, {sums.trip_warning} warning, {sums.trip_critical} critical in "
        f"{_km(sums.counted_mm)} km"
    )
    return Component(
        "alerts", "Alerts counted in trips", None if lost is None else min(ALERT_POINTS_MOST, lost), ALERT_POINTS_MOST,
        basis,
    )  # fmt: skip


def alert_points(sums: Sums) -> float | None:
    """None where the device does not count any."""
    if not sums.counted_mm:
        return None
    counted = (sums.trip_info, sums.trip_warning, sums.trip_critical)
    lost = sum(points * count for points, count in zip(ALERT_POINTS, counted, strict=True))
    return lost / (sums.counted_mm / 1e8)


def _km(millimetres: int) -> str:
    return f"{millimetres / 1e6:,.0f}" if millimetres >= 1e7 else f"{millimetres / 1e6:,.1f}"


def is_ranked(sums: Sums) -> bool:
    return sums.distance_m >= RANKED_FROM_M


def shrunk(value: float | None, sums: Sums, mean: float | None) -> float | None:
    """Who drove less than RANKED_FROM_M is pulled towards the fleet's mean, the more the less they drove."""
    if value is None or mean is None or is_ranked(sums):
        return value
    share = sums.distance_m / RANKED_FROM_M
    return share * value + (1 - share) * mean
