"""Which speeds and headings of a device can be believed, and what of several samples of one moment. Pure functions."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from fleet.behaviour.driving import (
    SENT_ACCELERATION,
    SENT_HEADING,
    SENT_LATERAL,
    SENT_SPEED,
    SENT_YAW,
    Found,
    Sample,
)
from fleet.journeys.movement import IMPOSSIBLE_MPS, between_m
from fleet.journeys.movement import Sample as Fix

LEAST_US: Final = 800_000
MOST_US: Final = 2_500_000
"""Over so long a change of speed or heading is taken."""
POSSIBLE: Final = 12.0
"""m/s²: tyres on a dry road hold little more than 1 g. What claims more is a fault of measurement."""
SPIKE: Final = 3.0
"""m/s²: a speed that leaps away and back at this rate within two records was never driven."""
SPIKE_DEG: Final = 20.0
_FIX_US: Final = 15_000_000


def joined(one: Sample, other: Sample) -> Sample:
    filled = {name: getattr(other, name) for name in Sample._fields if getattr(one, name) is None}
    sent = one.sent
    for name, bit in _BITS.items():
        if name in filled:
            sent = sent & ~bit | other.sent & bit
    return one._replace(**{**filled, "sent": sent})


_BITS: Final = {
    "speed_mps": SENT_SPEED, "acceleration": SENT_ACCELERATION, "lateral": SENT_LATERAL, "yaw_degps": SENT_YAW,
    "heading_deg": SENT_HEADING,
}  # fmt: skip


def driven_speeds(samples: Sequence[Sample]) -> dict[int, float]:
    """Speeds by place in the sequence, absolute, without those that nothing drove."""
    known = [(n, s.time_us, abs(s.speed_mps)) for n, s in enumerate(samples) if s.speed_mps is not None]
    kept = {n: speed for n, _, speed in known}
    for (_, t0, before), (n, t1, here), (_, t2, after) in zip(known, known[1:], known[2:], strict=False):
        if not (0 < t1 - t0 <= MOST_US and 0 < t2 - t1 <= MOST_US):
            continue
        there, back = (here - before) / (t1 - t0) * 1e6, (after - here) / (t2 - t1) * 1e6
        if there * back < 0 and min(abs(there), abs(back)) >= SPIKE:
            del kept[n]
    return kept


def leaps(before: tuple[int, float, bool], here_us: int, speed: float) -> bool:
    """Nothing is taken across a change that no tyre holds: the record before was out of date."""
    took_us = here_us - before[0]
    return took_us <= MOST_US and abs(speed - before[1]) > POSSIBLE * max(took_us, 1) / 1e6


def steady_headings(samples: Sequence[Sample]) -> dict[int, float]:
    """Headings by place, without those that leap away and back."""
    known = [(n, s.time_us, s.heading_deg) for n, s in enumerate(samples) if s.heading_deg is not None]
    kept = {n: heading for n, _, heading in known}
    for (_, t0, before), (n, t1, here), (_, t2, after) in zip(known, known[1:], known[2:], strict=False):
        if t1 - t0 <= MOST_US and t2 - t1 <= MOST_US:
            there, back = turn_deg(before, here), turn_deg(here, after)
            if there * back < 0 and min(abs(there), abs(back)) >= SPIKE_DEG:
                del kept[n]
    return kept


def turn_deg(one: float, other: float) -> float:
    """From −180 to 180, to the right positive."""
    return (other - one + 180.0) % 360.0 - 180.0


def placed(event: Found, samples: Sequence[Sample]) -> Found:
    """Where the vehicle was when it began: the last plausible fix of the seconds before."""
    fixes = [
        Fix(s.time_us, latitude_deg=s.latitude_deg, longitude_deg=s.longitude_deg)
        for s in samples
        if s.latitude_deg is not None
        and s.longitude_deg is not None
        and event.started_us - _FIX_US <= s.time_us <= event.started_us
    ]
    while len(fixes) > 1:
        seconds = max((fixes[-1].time_us - fixes[-2].time_us) / 1e6, 1.0)
        if between_m(fixes[-2], fixes[-1]) <= IMPOSSIBLE_MPS * seconds:
            break
        del fixes[-1]
    if not fixes:
        return event
    return event._replace(latitude_deg=fixes[-1].latitude_deg, longitude_deg=fixes[-1].longitude_deg)


def begun_at(event: Found, opening: Sequence[Sample]) -> Found:
    """One that lasts, with place and rate of the samples it began with."""
    fix = next((s for s in opening if s.latitude_deg is not None and s.longitude_deg is not None), None)
    rate = rate_hz(sorted({sample.time_us for sample in opening}))
    if fix is None:
        return event._replace(rate_hz=rate)
    return event._replace(rate_hz=rate, latitude_deg=fix.latitude_deg, longitude_deg=fix.longitude_deg)


def rate_hz(times: Sequence[int]) -> float | None:
    """Moments in order; None: there are fewer than two."""
    steps = [after - before for before, after in pairwise(times)]
    return round(1e6 / median(steps), 2) if steps else None
