"""What a vehicle's records say about its motion: standing or moving, and how far it went. Pure functions, SI units."""

from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of WGS 84 (IUGG)."""
IMPOSSIBLE_MPS = 80.0
"""A position that would need more speed than this is refused: no road vehicle of a fleet drives 288 km/h."""
ODOMETER_STEP_M = 1_000.0
"""Odometers are read in steps of 1 km at the coarsest; a shorter distance is measured better otherwise."""


class Sample(NamedTuple):
    """What one record says. None: it does not say."""

    time_us: int
    speed_mps: float | None = None
    ignition: bool | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    odometer_m: float | None = None
    charging: bool | None = None

    @property
    def placed(self) -> bool:
        return self.latitude_deg is not None and self.longitude_deg is not None


class Motion(IntEnum):
    UNKNOWN = 0
    STANDING = 1
    MOVING = 2


class Distance(NamedTuple):
    metres: float
    source: str
    """odometer, positions or speed: what measured it."""


def between_m(one: Sample, other: Sample) -> float:
    """Great-circle distance of two placed samples (haversine)."""
    assert one.latitude_deg is not None and one.longitude_deg is not None
    assert other.latitude_deg is not None and other.longitude_deg is not None
    a, b = radians(one.latitude_deg), radians(other.latitude_deg)
    half = (
        sin((b - a) / 2) ** 2
        + cos(a) * cos(b) * sin(radians(other.longitude_deg - one.longitude_deg) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(half)))


def motions(samples: Sequence[Sample], moving_mps: float) -> list[Motion]:
    """Of each sample: by its speed, else by the change of place since the last one, else by its ignition."""
    found: list[Motion] = []
    placed: Sample | None = None
    for sample in samples:
        found.append(_motion(sample, placed, moving_mps))
        if sample.placed:
            placed = sample
    return found


_FIX_ERROR_M = 30.0
"""A standing receiver's fixes wander about this far."""


def _motion(sample: Sample, placed: Sample | None, moving_mps: float) -> Motion:
    if sample.speed_mps is not None:
        return Motion.MOVING if abs(sample.speed_mps) > moving_mps else Motion.STANDING
    if sample.placed and placed is not None:
        seconds = (sample.time_us - placed.time_us) / 1e6
        metres = between_m(placed, sample)
        moved = metres > _FIX_ERROR_M and metres > moving_mps * seconds
        return Motion.MOVING if moved else Motion.STANDING
    if sample.ignition is False or sample.charging:
        return Motion.STANDING
    return Motion.UNKNOWN


def along_positions_m(samples: Sequence[Sample]) -> float | None:
    """Along the plausible positions; None when fewer than two say where they are.

    A jump that nothing can drive is refused. Three fixes beside each other in the new place are believed, and the way
    there is not counted. Steps within a receiver's error are put together, so that standing adds nothing.
    """
    last: Sample | None = None
    strays: list[Sample] = []
    total, seen = 0.0, 0
    for sample in samples:
        if not sample.placed:
            continue
        seen += 1
        if last is None or _follows(last, sample):
            strays = []
            metres = between_m(last, sample) if last else 0.0
            if last is None or metres > _FIX_ERROR_M / 2:
                total += metres
                last = sample
        else:
            strays = [*strays, sample] if strays and _follows(strays[-1], sample) else [sample]
            if len(strays) == _BELIEVED:
                last, strays = sample, []
    return total if seen > 1 else None


_BELIEVED = 3


def _follows(one: Sample, other: Sample) -> bool:
    return between_m(one, other) <= IMPOSSIBLE_MPS * max((other.time_us - one.time_us) / 1e6, 1.0)


def by_speed_m(samples: Sequence[Sample], hold_us: int) -> float | None:
    """The integral of speed (trapezoids); None when less than half of the time has a speed. A pause of more than
    `hold_us` between two speeds says nothing."""
    total, covered = 0.0, 0
    known = [(s.time_us, abs(s.speed_mps)) for s in samples if s.speed_mps is not None]
    for (begin_us, before), (end_us, after) in pairwise(known):
        if end_us - begin_us <= hold_us:
            total += (before + after) / 2 * (end_us - begin_us) / 1e6
            covered += end_us - begin_us
    whole = samples[-1].time_us - samples[0].time_us if samples else 0
    return total if whole and covered * 2 >= whole else None


def by_odometer_m(samples: Sequence[Sample]) -> float | None:
    """Last less first reading; None when there are none or it ever runs backwards."""
    readings = [sample.odometer_m for sample in samples if sample.odometer_m is not None]
    if len(readings) < 2 or any(b < a for a, b in pairwise(readings)):
        return None
    return readings[-1] - readings[0]


def distance(samples: Sequence[Sample], hold_us: int) -> Distance:
    """The odometer's where it is long enough to be exact and nothing contradicts it; else the speed's, which knows
    curves between fixes; else the positions'."""
    speed, positions = by_speed_m(samples, hold_us), along_positions_m(samples)
    others = [value for value in (speed, positions) if value is not None]
    odometer = by_odometer_m(samples)
    if odometer is not None and (
        not others
        or (odometer >= 10 * ODOMETER_STEP_M and min(abs(odometer - v) for v in others) <= 0.15 * odometer)
    ):
        return Distance(odometer, "odometer")
    if speed is not None and (positions is None or positions <= 1.25 * speed + 200):
        return Distance(speed, "speed")
    if positions is not None:
        return Distance(positions, "positions")
    return Distance(0.0, "speed")
