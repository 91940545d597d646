"""Harsh acceleration, braking and cornering in a vehicle's records, in event time. Pure functions, SI units.

A harsh event is a stretch of readings beyond a limit. A reading comes from a signal that the record has (acceleration,
lateral acceleration, yaw rate), else from the change of speed or heading over about a second. It is never taken over
more than 2.5 s: a difference of that length shows no manoeuvre. What a reading says depends only on records of a few
seconds around it, so that a late record changes what lies beside it and nothing else (`REACH_US`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from math import radians
from typing import Final, NamedTuple

from fleet.behaviour.believed import (
    LEAST_US,
    MOST_US,
    POSSIBLE,
    driven_speeds,
    joined,
    leaps,
    placed,
    rate_hz,
    steady_headings,
    turn_deg,
)
from fleet.behaviour.driving import (
    ACCELERATION,
    BRAKING,
    CORNERING,
    HARSH,
    MERGED_US,
    SECOND_US,
    SENT_ACCELERATION,
    SENT_HEADING,
    SENT_LATERAL,
    SENT_SPEED,
    SENT_YAW,
    Found,
    Limits,
    Sample,
)

SUSTAINED_US: Final = 300_000
_DIFFERENCES: Final = ("speed", "heading")
_NEAR: Final = 60
"""Readings looked at on either side: more than 2.5 s have at 20 a second."""
_RATE_US: Final = 5 * SECOND_US
SPEED_TOLERANCE: Final = 1 / 3.6
HEADING_TOLERANCE_DEG: Final = 5.0
"""How far a reconstructed value may be from the reading: taken off whatever is concluded from it."""


class _Reading(NamedTuple):
    time_us: int
    value: float
    """m/s²; along the road positive when faster, across it without a sign."""
    speed_mps: float
    """Before it."""
    sent: bool
    source: str
    held_us: int
    """The time it stands for: since the record before."""


def harsh_events(samples: Iterable[Sample], limits: Limits) -> list[Found]:
    """Samples in order of time, of any devices: readings of two are never subtracted from each other. Of samples of one
    device and moment the first that says a thing counts. Events in order of their begin."""
    samples = list(samples)
    by_device: dict[int, list[Sample]] = {}
    for sample in samples:
        own = by_device.setdefault(sample.device, [])
        if own and own[-1].time_us == sample.time_us:
            own[-1] = joined(own[-1], sample)
        else:
            own.append(sample)
    seen: dict[str, list[Found]] = {kind: [] for kind in HARSH}
    for own in by_device.values():
        speeds = driven_speeds(own)
        times = [sample.time_us for sample in own]
        along = _spaced(_along(own, speeds, limits), times)
        across = _spaced(_across(own, speeds, limits), times)
        for kind, readings, sign in ((ACCELERATION, along, 1), (BRAKING, along, -1), (CORNERING, across, 1)):
            found = _beyond(readings, limits.of(kind), sign)
            seen[kind] += (one._replace(kind=kind, rate_hz=_rate_hz(times, one)) for one in found)
    merged = [one for kind in HARSH for one in _merged(sorted(seen[kind], key=lambda f: f.started_us))]
    return [placed(one, samples) for one in sorted(merged, key=lambda f: (f.started_us, f.kind))]


def _along(samples: Sequence[Sample], speeds: dict[int, float], limits: Limits) -> Iterator[_Reading]:
    tail = 0
    past: list[tuple[int, float, bool]] = []
    for place, sample in enumerate(samples):
        speed, here_us = speeds.get(place), sample.time_us
        if speed is not None:
            if past and leaps(past[-1], here_us, speed):
                tail, past = 0, []
            past.append((here_us, speed, bool(sample.sent & SENT_SPEED)))
        # The latest speed that is old enough; the list only grows, and so does the place.
        while tail + 1 < len(past) and here_us - past[tail + 1][0] >= LEAST_US:
            tail += 1
        if sample.acceleration is not None:
            if past and here_us - past[-1][0] <= MOST_US and abs(sample.acceleration) <= POSSIBLE:
                now = past[-1][1]
                if now >= limits.gate_mps:
                    sent = bool(sample.sent & SENT_ACCELERATION)
                    yield _Reading(here_us, sample.acceleration, now, sent, "acceleration", 0)
        elif speed is not None and len(past) > 1:
            reading = _by_speed(past[tail], past[-1], limits)
            if reading is not None:
                yield reading


def _by_speed(
    before: tuple[int, float, bool], now: tuple[int, float, bool], limits: Limits
) -> _Reading | None:
    took_us = now[0] - before[0]
    if not LEAST_US <= took_us <= MOST_US or before[1] < limits.gate_mps:
        return None
    change = now[1] - before[1]
    if not before[2]:
        change = _less(change, SPEED_TOLERANCE)
    value = change / took_us * 1e6
    return None if abs(value) > POSSIBLE else _Reading(now[0], value, before[1], now[2], "speed", 0)


def _across(samples: Sequence[Sample], speeds: dict[int, float], limits: Limits) -> Iterator[_Reading]:
    headings = steady_headings(samples)
    tail = 0
    past: list[tuple[int, float, bool]] = []
    last: tuple[int, float] | None = None
    for place, sample in enumerate(samples):
        here_us = sample.time_us
        if place in speeds:
            last = here_us, speeds[place]
        if place in headings:
            past.append((here_us, headings[place], bool(sample.sent & SENT_HEADING)))
        while tail + 1 < len(past) and here_us - past[tail + 1][0] >= LEAST_US:
            tail += 1
        if last is None or here_us - last[0] > MOST_US or last[1] < limits.corner_gate_mps:
            continue
        turned = _turned(past[tail], past[-1]) if place in headings and len(past) > 1 else None
        reading = _sideways(sample, last[1], turned)
        if reading is not None and reading.value <= POSSIBLE:
            yield reading


def _sideways(sample: Sample, speed: float, turned_degps: float | None) -> _Reading | None:
    """By the best that the record has."""
    if sample.lateral is not None:
        value, sent, source = abs(sample.lateral), SENT_LATERAL, "lateral_acceleration"
    elif sample.yaw_degps is not None:
        value, sent, source = abs(radians(sample.yaw_degps)) * speed, SENT_YAW, "yaw_rate"
    elif turned_degps is not None:
        value, sent, source = abs(radians(turned_degps)) * speed, SENT_HEADING, "heading"
    else:
        return None
    return _Reading(sample.time_us, value, speed, bool(sample.sent & sent), source, 0)


def _turned(before: tuple[int, float, bool], now: tuple[int, float, bool]) -> float | None:
    """Degrees a second."""
    took_us = now[0] - before[0]
    if not LEAST_US <= took_us <= MOST_US:
        return None
    turn = turn_deg(before[1], now[1])
    return (turn if before[2] else _less(turn, HEADING_TOLERANCE_DEG)) / took_us * 1e6


def _less(value: float, tolerance: float) -> float:
    """Nearer to zero by the tolerance."""
    return max(0.0, abs(value) - tolerance) * (1 if value > 0 else -1)


def _spaced(readings: Iterable[_Reading], times: Sequence[int]) -> list[_Reading]:
    """With the time each stands for. After a gap that is none: how long it lasted nobody saw."""
    before = dict(zip(times[1:], times, strict=False))
    spaced = ((one, one.time_us - before.get(one.time_us, 0)) for one in readings)
    return [one._replace(held_us=min(gap, SECOND_US) if gap <= MOST_US else 0) for one, gap in spaced]


def _rate_hz(times: Sequence[int], event: Found) -> float | None:
    """Of the device's records from five seconds before it to its end."""
    return rate_hz(
        times[bisect_left(times, event.started_us - _RATE_US) : bisect_right(times, event.ended_us)]
    )


def _beyond(readings: Sequence[_Reading], limit: float, sign: int) -> Iterator[Found]:
    run: list[int] = []
    for place, one in enumerate(readings):
        if run and one.time_us - readings[run[-1]].time_us > MOST_US:
            yield from _confirmed(readings, run, sign)
            run = []
        if sign * one.value >= limit:
            run.append(place)
        elif run:
            yield from _confirmed(readings, run, sign)
            run = []
    if run:
        yield from _confirmed(readings, run, sign)


def _confirmed(readings: Sequence[_Reading], run: Sequence[int], sign: int) -> Iterator[Found]:
    """Nothing where it did not last, or where no value of it was sent: what is reconstructed within a tolerance may
    carry an event on, but is no reason for one."""
    first, last = readings[run[0]], readings[run[-1]]
    sent = [readings[place] for place in run if readings[place].sent]
    lasted_us = last.time_us - first.time_us + first.held_us
    if not sent or lasted_us < SUSTAINED_US:
        return
    peak = max(sent, key=lambda one: (sign * one.value, -one.time_us))
    if peak.source in _DIFFERENCES and not _supported(readings, run, sign * peak.value / 4, sign):
        return
    speed = round(first.speed_mps, 3)
    yield Found("", first.time_us, last.time_us, round(abs(peak.value), 3), speed, peak.source)


def _supported(readings: Sequence[_Reading], run: Sequence[int], least: float, sign: int) -> bool:
    """Does it show in two differences that do not overlap? A sensor that repeats itself leaps in one: a vehicle that
    brakes for a second slows down in two of them."""
    first, last = readings[run[0]], readings[run[-1]]
    if last.time_us - first.time_us >= LEAST_US:
        return True
    near = [one for one in readings[max(0, run[0] - _NEAR) : run[-1] + _NEAR] if sign * one.value >= least]
    return any(
        LEAST_US <= first.time_us - one.time_us <= MOST_US
        or LEAST_US <= one.time_us - last.time_us <= MOST_US
        for one in near
    )


def _merged(events: Sequence[Found]) -> Iterator[Found]:
    """Of one kind, in order: those closer than three seconds are one."""
    held: Found | None = None
    for one in events:
        if held is not None and one.started_us - held.ended_us < MERGED_US:
            worse = one if (one.peak or 0) > (held.peak or 0) else held
            held = held._replace(
                ended_us=max(held.ended_us, one.ended_us), peak=worse.peak, source=worse.source,
                rate_hz=worse.rate_hz,
            )  # fmt: skip
            continue
        if held is not None:
            yield held
        held = one
    if held is not None:
        yield held
