"""What a vehicle's records say about its motion: standing or moving, and how far it went. Pure functions, SI units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
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
    power_w: float | None = None
    """Positive when the battery discharges."""
    battery_percent: float | None = None
    values: int = 0
    """How many of these values are known, and of them how many were reconstructed."""
    filled: int = 0

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


Fix = tuple[int, float, float]
"""Time in microseconds, latitude and longitude in degrees."""


def fix_of(sample: Sample) -> Fix:
    """Of a placed sample."""
    assert sample.latitude_deg is not None and sample.longitude_deg is not None
    return sample.time_us, sample.latitude_deg, sample.longitude_deg


def apart_m(one: Fix, other: Fix) -> float:
    """Great-circle distance (haversine)."""
    a, b = radians(one[1]), radians(other[1])
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(other[2] - one[2]) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(half)))


def between_m(one: Sample, other: Sample) -> float:
    """Great-circle distance of two placed samples."""
    return apart_m(fix_of(one), fix_of(other))


_FIX_ERROR_M = 30.0
"""A standing receiver's fixes wander about this far."""


def motion_of(sample: Sample, placed: Fix | None, moving_mps: float) -> Motion:
    """`placed`: where it was when it last said so."""
    if sample.speed_mps is not None:
        return Motion.MOVING if abs(sample.speed_mps) > moving_mps else Motion.STANDING
    if sample.placed and placed is not None:
        seconds = (sample.time_us - placed[0]) / 1e6
        metres = apart_m(placed, fix_of(sample))
        moved = metres > _FIX_ERROR_M and metres > moving_mps * seconds
        return Motion.MOVING if moved else Motion.STANDING
    if sample.ignition is False or sample.charging:
        return Motion.STANDING
    return Motion.UNKNOWN


@dataclass(slots=True)
class Path:
    """Along the plausible positions.

    A jump that nothing can drive is refused. Three fixes beside each other in the new place are believed, and the way
    there is not counted. Steps within a receiver's error are put together, so that standing adds nothing.
    """

    metres: float = 0.0
    fixes: int = 0
    first: Fix | None = None
    last: Fix | None = None
    """The newest plausible one."""
    counted: Fix | None = None
    """Up to where the way is counted."""
    stray: Fix | None = None
    strays: int = 0

    def add(self, sample: Sample) -> None:
        if sample.latitude_deg is None or sample.longitude_deg is None:
            return
        fix = sample.time_us, sample.latitude_deg, sample.longitude_deg
        self.fixes += 1
        if self.counted is None or self.last is None:
            self.first = self.counted = self.last = fix
        elif _follows(self.counted, fix):
            self.stray, self.strays, self.last = None, 0, fix
            metres = apart_m(self.counted, fix)
            if metres > _FIX_ERROR_M / 2:
                self.metres += metres
                self.counted = fix
        else:
            beside = self.stray is not None and _follows(self.stray, fix)
            self.stray, self.strays = fix, self.strays + 1 if beside else 1
            if self.strays == _BELIEVED:
                self.counted = self.last = fix
                self.stray, self.strays = None, 0

    @property
    def told_m(self) -> float | None:
        """None when fewer than two fixes say where it is."""
        return self.metres if self.fixes > 1 else None


_BELIEVED = 3


def _follows(one: Fix, other: Fix) -> bool:
    return apart_m(one, other) <= IMPOSSIBLE_MPS * max((other[0] - one[0]) / 1e6, 1.0)


@dataclass(slots=True)
class Integral:
    """Of a quantity over time (trapezoids). A pause of more than `hold_us` between two values says nothing."""

    total: float = 0.0
    covered_us: int = 0
    last_us: int | None = None
    last: float = 0.0

    def add(self, time_us: int, value: float | None, hold_us: int) -> None:
        if value is None:
            return
        if self.last_us is not None and time_us - self.last_us <= hold_us:
            self.total += (self.last + value) / 2 * (time_us - self.last_us) / 1e6
            self.covered_us += time_us - self.last_us
        self.last_us, self.last = time_us, value

    def over(self, whole_us: int, least: float = 0.5) -> float | None:
        """None when it is known for less than this part of the time."""
        return self.total if whole_us > 0 and self.covered_us >= least * whole_us else None


@dataclass(slots=True)
class Odometer:
    """Readings that grow as far as a vehicle can drive. One that does not is a misreading; two in a row are a fault."""

    first_m: float | None = None
    last_m: float = 0.0
    last_us: int = 0
    readings: int = 0
    misread: bool = False
    broken: bool = False

    def add(self, time_us: int, reading_m: float | None) -> None:
        if reading_m is None or self.broken:
            return
        self.readings += 1
        if self.first_m is None:
            self.first_m, self.last_m, self.last_us = reading_m, reading_m, time_us
            return
        most = IMPOSSIBLE_MPS * (time_us - self.last_us) / 1e6 + ODOMETER_STEP_M
        if 0 <= reading_m - self.last_m <= most:
            self.last_m, self.last_us, self.misread = reading_m, time_us, False
        else:
            self.misread, self.broken = True, self.misread

    @property
    def told_m(self) -> float | None:
        """Last less first reading; None where nothing, or nonsense, was read."""
        if self.broken or self.first_m is None or self.readings < 2:
            return None
        return self.last_m - self.first_m


def along_positions_m(samples: Iterable[Sample]) -> float | None:
    path = Path()
    for sample in samples:
        path.add(sample)
    return path.told_m


def by_speed_m(samples: Sequence[Sample], hold_us: int) -> float | None:
    """The integral of speed; None when less than half of the time has a speed."""
    integral = Integral()
    for sample in samples:
        integral.add(sample.time_us, None if sample.speed_mps is None else abs(sample.speed_mps), hold_us)
    return integral.over(samples[-1].time_us - samples[0].time_us) if samples else None


def by_odometer_m(samples: Iterable[Sample]) -> float | None:
    odometer = Odometer()
    for sample in samples:
        odometer.add(sample.time_us, sample.odometer_m)
    return odometer.told_m


SPARSE_S = 60.0
"""Records further apart than this on average do not show what lies between them, which an odometer counts."""


def measured(
    odometer: float | None, speed: float | None, positions: float | None, *, sparse: bool
) -> Distance:
    """The odometer's where it is long enough to be exact and nothing contradicts it; else the speed's, which knows
    curves between fixes; else the positions'. Of sparse records places are a lower bound, and speeds are guesses."""
    others = [value for value in (speed, positions) if value is not None]
    if odometer is not None:
        near = others and min(abs(odometer - value) for value in others) <= 0.15 * odometer
        beyond = (
            sparse
            and odometer >= 5 * ODOMETER_STEP_M
            and odometer >= 0.9 * (positions or 0.0) - ODOMETER_STEP_M
        )
        if not others or beyond or (odometer >= 10 * ODOMETER_STEP_M and near):
            return Distance(odometer, "odometer")
    if speed is not None and (positions is None or positions <= 1.25 * speed + 200):
        return Distance(speed, "speed")
    if positions is not None:
        return Distance(positions, "positions")
    return Distance(0.0, "speed")


def distance(samples: Sequence[Sample], hold_us: int) -> Distance:
    whole_s = (samples[-1].time_us - samples[0].time_us) / 1e6 if samples else 0.0
    return measured(
        by_odometer_m(samples),
        by_speed_m(samples, hold_us),
        along_positions_m(samples),
        sparse=whole_s > SPARSE_S * (len(samples) - 1),
    )
