"""From many samples to as many as a screen can show, without losing a peak. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

POINTS = 2_000


class Sample(NamedTuple):
    time: float
    value: float | None
    sent: bool


@dataclass(frozen=True, slots=True)
class Line:
    """Columns for a chart. None among the values is a gap: nothing is drawn across it."""

    times: list[float]
    values: list[float | None]
    sent: list[int]


def thin(samples: Sequence[Sample], points: int = POINTS) -> list[Sample]:
    """At most `points` samples: of each slice the lowest and the highest, in order of time."""
    if len(samples) <= points:
        return list(samples)
    kept: list[Sample] = []
    slices = max(1, points // 3)
    for number in range(slices):
        part = samples[len(samples) * number // slices : len(samples) * (number + 1) // slices]
        known = [sample for sample in part if sample.value is not None]
        if not known:
            kept.append(part[0])
            continue
        chosen = {min(known, key=_value), max(known, key=_value)}
        hole = next((sample for sample in part if sample.value is None), None)
        if hole is not None:
            chosen.add(hole)
        kept += sorted(chosen, key=_time)
    return kept


def line(samples: Sequence[Sample], silence_s: float) -> Line:
    """Columns, with a hole wherever nothing came for longer than `silence_s`."""
    times: list[float] = []
    values: list[float | None] = []
    sent: list[int] = []
    for sample in samples:
        if times and sample.time - times[-1] > silence_s:
            times.append(times[-1] + 0.001)
            values.append(None)
            sent.append(0)
        times.append(round(sample.time, 3))
        values.append(sample.value)
        sent.append(int(sample.sent and sample.value is not None))
    return Line(times, values, sent)


def silence_after(times: Sequence[float], least_s: float = 15.0) -> float:
    """How long a pause must be to count as a gap: well above the usual distance between records."""
    distances = sorted(b - a for a, b in pairwise(times))
    usual = distances[len(distances) // 2] if distances else 0.0
    return max(least_s, 6 * usual)


def _value(sample: Sample) -> float:
    return sample.value if sample.value is not None else 0.0


def _time(sample: Sample) -> float:
    return sample.time
