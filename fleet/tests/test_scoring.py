"""The score: worked examples of every weight, and what is drawn towards the mean."""

from typing import Any

import pytest

from fleet.aggregation import statistics
from fleet.aggregation.metrics import METRICS
from fleet.aggregation.sums import Sums
from fleet.behaviour import scoring
from fleet.behaviour.scoring import explained, safety_score, shrunk

KM = 10**6
"""In millimetres."""
SEEN = {"seen_mm": 200 * KM, "turning_mm": 100 * KM, "distance_mm": 200 * KM}


@pytest.mark.parametrize(
    ("sums", "component", "lost"),
    [
        # 3 in 200 km are 1.5 per 100 km.
        ({**SEEN, "harsh_accelerations": 3}, "harsh_acceleration", 1.5 * 1.5),
        ({**SEEN, "harsh_brakings": 3}, "harsh_braking", 1.5 * 2.5),
        # Cornering shows on 100 km only.
        ({**SEEN, "harsh_corners": 3}, "harsh_cornering", 3 * 1.5),
        # 6 of 300 minutes are 2 %.
        ({**SEEN, "speeding_ms": 360_000, "timed_ms": 18_000_000}, "speeding", 2.0),
        ({**SEEN, "speeding_ms": 9_000_000, "timed_ms": 18_000_000}, "speeding", 20.0),
        # 90 of 180 minutes are 50 %.
        ({**SEEN, "night_ms": 5_400_000, "driving_ms": 10_800_000}, "night", 2.5),
        # Little of it was seen: taken over 50 km, and over an hour.
        ({"seen_mm": 2 * KM, "harsh_brakings": 3}, "harsh_braking", 3 * 2.5 / 0.5),
        ({**SEEN, "speeding_ms": 36_000, "timed_ms": 72_000}, "speeding", 1.0),
        ({"scored_mm": 100 * KM, "risk_mm": 50 * KM}, "risk", 20.0),
        ({**SEEN, "counted_mm": 100 * KM, "trip_warning": 3, "trip_info": 2}, "alerts", 7.0),
        ({**SEEN, "counted_mm": 100 * KM, "trip_critical": 1000}, "alerts", 20.0),
    ],
)
def test_every_weight(sums: dict[str, int], component: str, lost: float) -> None:
    told = {one.name: one for one in explained(Sums(**sums))}
    assert told[component].lost == pytest.approx(lost)
    assert safety_score(Sums(**sums)) == pytest.approx(100 - lost)
    assert all(not one.lost for name, one in told.items() if name != component)


def test_what_is_not_known_costs_nothing_and_says_so() -> None:
    assert safety_score(Sums()) is None and safety_score(Sums(distance_mm=10**9)) is None
    assert [one.lost for one in explained(Sums())] == [None] * 7
    assert safety_score(Sums(scored_mm=KM)) == 100
    only_risk = {one.name: one for one in explained(Sums(scored_mm=KM, distance_mm=KM, harsh_brakings=9))}
    assert only_risk["harsh_braking"].lost is None and "dense" in only_risk["harsh_braking"].basis


def test_harsh_events_share_what_they_cost_at_most() -> None:
    many = Sums(seen_mm=100 * KM, turning_mm=100 * KM, harsh_brakings=24, harsh_corners=40)
    harsh = [one for one in explained(many) if one.name.startswith("harsh")]
    assert sum(one.lost or 0 for one in harsh) == pytest.approx(scoring.HARSH_POINTS_MOST)
    assert harsh[1].lost == pytest.approx(20) and harsh[1].each == pytest.approx(20 / 24)


def test_never_below_zero() -> None:
    sums: Any = {"scored_mm": KM, "risk_mm": KM, "counted_mm": KM, "trip_critical": 99, "seen_mm": KM}
    assert safety_score(Sums(**sums, harsh_brakings=99, speeding_ms=9, timed_ms=9)) == 0


def test_who_drove_little_is_drawn_towards_the_mean() -> None:
    ten, fifty = Sums(distance_mm=10 * KM), Sums(distance_mm=50 * KM)
    assert shrunk(40.0, ten, 80.0) == pytest.approx(0.2 * 40 + 0.8 * 80)
    assert shrunk(40.0, fifty, 80.0) == 40.0 and shrunk(None, ten, 80.0) is None
    drove = {
        "a": Sums(distance_mm=400 * KM, scored_mm=400 * KM, risk_mm=40 * KM),
        "b": Sums(distance_mm=10 * KM, scored_mm=10 * KM, risk_mm=10 * KM),
    }
    mean = 100 - 40 * 50 / 410
    a, b = statistics.ranked(METRICS["safety_score"], drove, {}, {name: name for name in drove})
    assert a.rank == 1 and a.value == pytest.approx(96.0)
    assert b.rank is None and not b.eligible
    assert b.value == pytest.approx(0.2 * 60 + 0.8 * mean, abs=1e-3)
