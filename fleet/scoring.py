"""The safety score: one formula, for vehicles, drivers and fleets. docs/score.md explains it.

It reads sums, so that the score of a month is no mean of thirty scores but the score of the month's kilometres.
"""

from fleet.sums import Sums

VERSION = 1
"""Change it with the formula or its inputs: every fleet is then summed up anew."""
RANKED_FROM_M = 50_000.0
"""Less in a period says too little for a place in a ranking."""
RISK_POINTS = 60.0
ALERT_POINTS = (0.5, 2.0, 6.0)
"""For each information, warning and critical alert that the device counted per 100 km."""
ALERT_POINTS_MOST = 40.0


def safety_score(sums: Sums) -> float | None:
    """0 to 100, 100 is best; None without a kilometre whose risk is known."""
    risk = sums.risk
    if risk is None:
        return None
    points = 100.0 - RISK_POINTS * risk - min(ALERT_POINTS_MOST, alert_points(sums))
    return max(0.0, points)


def alert_points(sums: Sums) -> float:
    """Lost for alerts; 0 where the device does not count any."""
    if not sums.counted_mm:
        return 0.0
    counted = (sums.trip_info, sums.trip_warning, sums.trip_critical)
    lost = sum(points * count for points, count in zip(ALERT_POINTS, counted, strict=True))
    return lost / (sums.counted_mm / 1e8)


def is_ranked(sums: Sums) -> bool:
    return sums.distance_m >= RANKED_FROM_M
