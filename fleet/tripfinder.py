"""Trips and the stops between them, found in a vehicle's records in event time. Pure functions.

A trip goes from where a vehicle starts moving to where it stops for good: it stands for `stop_s`, its ignition goes
off for `off_s`, it is charged, or nothing is heard of it for `gap_s` and it cannot have driven on meanwhile. What a
trip is depends only on the records between the stops around it; so a late record changes its own trip, and those it
joins or splits, and no other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fleet.movement import Distance, Motion, Sample, between_m, distance, motions

_S = 1_000_000


@dataclass(frozen=True, slots=True)
class TripSettings:
    """What counts as a trip. Printed on every report; changing them finds all trips anew."""

    moving_mps: float = 1.0
    stop_s: float = 180.0
    off_s: float = 30.0
    gap_s: float = 600.0
    longest_gap_s: float = 3_600.0
    """Over a longer silence no trip goes on, wherever the vehicle is afterwards."""
    drove_on_mps: float = 3.0
    """A vehicle that got on this fast through a silence was driving: a tunnel, a dead spot."""
    least_m: float = 200.0
    least_s: float = 60.0


@dataclass(frozen=True, slots=True)
class FoundTrip:
    """Times in microseconds since 1970; `first` and `last` are places in the sequence of samples, inclusive."""

    start_us: int
    end_us: int
    first: int
    last: int
    distance: Distance
    moving_s: float
    unheard_s: float
    """Of it, silences during which it drove on."""
    max_speed_mps: float | None

    @property
    def seconds(self) -> float:
        return (self.end_us - self.start_us) / _S


def find_trips(samples: Sequence[Sample], settings: TripSettings) -> list[FoundTrip]:
    """`samples` in order of time. The trips in order, each long enough to be one."""
    found = motions(samples, settings.moving_mps)
    trips = (_trip(samples, found, group, settings) for group in _groups(samples, found, settings))
    return [
        trip
        for trip in trips
        if trip.distance.metres >= settings.least_m and trip.seconds >= settings.least_s
    ]


def _groups(
    samples: Sequence[Sample], found: Sequence[Motion], settings: TripSettings
) -> Iterator[tuple[int, int]]:
    """First and last moving sample of each trip, short ones included."""
    moving = [place for place, motion in enumerate(found) if motion is Motion.MOVING]
    if not moving:
        return
    first = moving[0]
    for before, after in pairwise(moving):
        if _ends(samples[before : after + 1], found[before : after + 1], settings):
            yield first, before
            first = after
    yield first, moving[-1]


def _ends(pause: Sequence[Sample], found: Sequence[Motion], settings: TripSettings) -> bool:
    """Does what lies between two moving samples, which are its ends, end the trip?"""
    if len(pause) > 2 and _stood(pause, found, settings):
        return True
    for one, other in pairwise(pause):
        silent_s = (other.time_us - one.time_us) / _S
        if silent_s > settings.gap_s and not _drove_on(one, other, settings):
            return True
    return False


def _stood(pause: Sequence[Sample], found: Sequence[Motion], settings: TripSettings) -> bool:
    """From the first record that says so to the last: silence before and after may have been driving."""
    standing = [sample for sample, motion in zip(pause, found, strict=True) if motion is Motion.STANDING]
    if not standing:
        return False
    stood_s = (standing[-1].time_us - standing[0].time_us) / _S
    off = [sample for sample in standing if sample.ignition is False or sample.charging]
    off_s = (off[-1].time_us - off[0].time_us) / _S if off else -1.0
    return stood_s >= settings.stop_s or off_s >= settings.off_s or any(s.charging for s in standing)


def _drove_on(one: Sample, other: Sample, settings: TripSettings) -> bool:
    silent_s = (other.time_us - one.time_us) / _S
    if silent_s > settings.longest_gap_s:
        return False
    if one.odometer_m is not None and other.odometer_m is not None:
        return other.odometer_m - one.odometer_m >= settings.drove_on_mps * silent_s
    if one.placed and other.placed:
        return between_m(one, other) >= settings.drove_on_mps * silent_s
    return False


def _trip(
    samples: Sequence[Sample], found: Sequence[Motion], group: tuple[int, int], settings: TripSettings
) -> FoundTrip:
    first, last = group
    gap_us = int(settings.gap_s * _S)
    # It started to move after the last record that says it stood, and stopped before the next that does.
    if first and samples[first].time_us - samples[first - 1].time_us <= gap_us:
        first -= 1
    if last + 1 < len(samples) and samples[last + 1].time_us - samples[last].time_us <= gap_us:
        last += 1
    part, motion = samples[first : last + 1], found[first : last + 1]
    moving_us = unheard_us = 0
    for (one, was), (other, now) in pairwise(zip(part, motion, strict=True)):
        span = other.time_us - one.time_us
        unheard_us += span if span > gap_us else 0
        if Motion.MOVING in (was, now):
            # Half of a leg that begins or ends with standing.
            moving_us += span if was is now else span // 2
    speeds = [abs(sample.speed_mps) for sample in part if sample.speed_mps is not None]
    return FoundTrip(
        part[0].time_us,
        part[-1].time_us,
        first,
        last,
        distance(part, gap_us),
        moving_us / _S,
        unheard_us / _S,
        max(speeds, default=None),
    )
