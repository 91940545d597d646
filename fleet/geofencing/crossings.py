"""What a rule about a geofence says of visits. Pure; the same visits, the same stretches.

Only what was in the geofence's hours counts: an entry, a leaving, a stay or an absence of the wanted length.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from fleet.alerting.conditions import ABOVE, Condition, Stretch

NAME = "geofence"
CONDITION = Condition(field=NAME, direction=ABOVE)
"""Stands in for the condition of rules that are not judged by samples: their stretches have lasted already."""
Windows = Callable[[int, int], Iterable[tuple[int, int]]]
"""Parts of a stretch of time that are in the hours, microseconds."""


class Presence(NamedTuple):
    """A visit. `known_us`: up to when it is known to have lasted."""

    entered_us: int
    left_us: int | None
    known_us: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule's terms. `since_us`: what was before does not count."""

    crossing: str
    least_us: int
    since_us: int
    windows: Windows


def crossings(wanted: Wanted, visits: Sequence[Presence], seen_us: tuple[int, int] | None) -> list[Stretch]:
    """Visits in order. `seen_us`: where the vehicle is known to have been, first and last, visits included."""
    match wanted.crossing:
        case "enter":
            found: Iterable[Stretch] = _entered(wanted, visits)
        case "leave":
            found = _left(wanted, visits)
        case "dwell":
            inside = [(visit.entered_us, visit.left_us, visit.known_us) for visit in visits]
            found = _lasted(wanted, inside)
        case _:
            found = _lasted(wanted, _absences(visits, seen_us))
    return list(found)


def _entered(wanted: Wanted, visits: Sequence[Presence]) -> Iterator[Stretch]:
    for visit in visits:
        if _counts(wanted, visit.entered_us):
            yield Stretch(visit.entered_us, visit.known_us, visit.left_us, 0.0)


def _left(wanted: Wanted, visits: Sequence[Presence]) -> Iterator[Stretch]:
    """It holds until the vehicle is back."""
    for visit, after in pairwise([*visits, None]):
        if visit and visit.left_us is not None and _counts(wanted, visit.left_us):
            back_us = after.entered_us if after else None
            yield Stretch(visit.left_us, back_us or visit.left_us, back_us, 0.0)


def _counts(wanted: Wanted, at_us: int) -> bool:
    return at_us >= wanted.since_us and any(True for _ in wanted.windows(at_us, at_us))


def _absences(
    visits: Sequence[Presence], seen_us: tuple[int, int] | None
) -> Iterator[tuple[int, int | None, int]]:
    first_us, last_us = seen_us or (0, 0)
    if not visits:
        if seen_us:
            yield first_us, None, last_us
        return
    if seen_us and first_us < visits[0].entered_us:
        yield first_us, visits[0].entered_us, visits[0].entered_us
    for visit, after in pairwise([*visits, None]):
        if visit and visit.left_us is not None:
            if after:
                yield visit.left_us, after.entered_us, after.entered_us
            else:
                yield visit.left_us, None, max(last_us, visit.left_us)


def _lasted(wanted: Wanted, stretches: Iterable[tuple[int, int | None, int]]) -> Iterator[Stretch]:
    for begin_us, end_us, known_us in stretches:
        first_us = max(begin_us, wanted.since_us)
        if first_us > known_us:
            continue
        for start_us, stop_us in wanted.windows(first_us, known_us):
            if stop_us - start_us >= wanted.least_us:
                over = end_us is not None or stop_us < known_us
                yield Stretch(start_us, stop_us, stop_us if over else None, 0.0)
