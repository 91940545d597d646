"""When was a vehicle in a geofence? Pure functions over its positions in order of time: the same ones, the same stays.

A stay begins at the border and ends at the border: where the straight line between two positions close in time crosses
it. It is over only when the vehicle is beyond the hysteresis, and ends when it last crossed the border before that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import shapely

from fleet.geofencing.shapes import Shape

SECOND_US: Final = 1_000_000
CLOSE_US: Final = 120 * SECOND_US
"""Between two positions no farther apart in time, the vehicle is taken to have gone straight."""
GAP_US: Final = 7 * 86_400 * SECOND_US
"""Whoever was there before and after a longer silence is not known to have stayed."""
RECORD, BETWEEN, GAP = "record", "between", "gap"


class Position(NamedTuple):
    time_us: int
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Stay:
    """Times in microseconds. `border_us`: it crossed the border then, and is not beyond the hysteresis yet."""

    entered_us: int
    entry: str
    first_us: int | None = None
    last_us: int | None = None
    border_us: int | None = None
    left_us: int | None = None
    exit: str = ""

    @property
    def known_us(self) -> int:
        """Up to when it is known to have lasted."""
        return self.left_us or self.border_us or self.last_us or self.entered_us

    def lasted(self, least_us: int) -> bool:
        return self.known_us - self.entered_us >= least_us


class Track:
    """Positions of distinct moments in order, as one shape sees them."""

    def __init__(self, shape: Shape, positions: Sequence[Position]) -> None:
        self.times = [position.time_us for position in positions]
        self.east = shape.along(np.array([position.longitude for position in positions], dtype=float))
        self.north = np.array([position.latitude for position in positions], dtype=float)
        self.shape = shape
        self.inside: list[bool] = shapely.intersects_xy(shape.inner, self.east, self.north).tolist()
        near = shapely.intersects_xy(shape.outer, self.east, self.north)
        self.near: list[bool] = (near | np.array(self.inside, dtype=bool)).tolist()
        """Within, or not yet beyond the hysteresis."""
        self._passing = self._find_passing()

    def __len__(self) -> int:
        return len(self.times)

    def close(self, place: int) -> bool:
        """Is it known which way the vehicle came to this position?"""
        return place > 0 and self.times[place] - self.times[place - 1] <= CLOSE_US and self._short(place)

    def _short(self, place: int) -> bool:
        """Not half around the world from the shape, where a straight line has no meaning."""
        return bool(abs(self.east[place] - self.east[place - 1]) < 180.0)

    def _find_passing(self) -> set[int]:
        """Places whose way from the one before, outside at both ends, meets the shape."""
        if len(self) < 2:
            return set()
        west, south, east, north = self.shape.inner.bounds
        a, b, c, d = self.east[:-1], self.east[1:], self.north[:-1], self.north[1:]
        outside = ~np.array(self.inside, dtype=bool)
        may = outside[:-1] & outside[1:] & (np.abs(a - b) < 180.0)
        may &= (np.minimum(a, b) <= east) & (np.maximum(a, b) >= west)
        may &= (np.minimum(c, d) <= north) & (np.maximum(c, d) >= south)
        places = np.flatnonzero(may)
        if not len(places):
            return set()
        ends = np.stack(
            [np.column_stack([a[places], c[places]]), np.column_stack([b[places], d[places]])], axis=1
        )
        met = shapely.intersects(self.shape.inner, shapely.linestrings(ends))
        return {int(place) + 1 for place in places[met]}

    def passes(self, place: int) -> bool:
        return place in self._passing and self.close(place)

    def parts(self, place: int) -> list[tuple[int, int]]:
        """Moments on the way to this position between which the vehicle was within; in order."""
        start, end = (self.east[place - 1], self.north[place - 1]), (self.east[place], self.north[place])
        way = shapely.linestrings([start, end])
        length = way.length
        if not length:
            return []
        begin_us, end_us = self.times[place - 1], self.times[place]
        found = []
        for part in shapely.get_parts(shapely.intersection(way, self.shape.inner)):
            ends = shapely.get_coordinates(part)
            shares = sorted(float(np.hypot(*(each - start))) / length for each in (ends[0], ends[-1]))
            found.append(tuple(begin_us + round(min(1.0, share) * (end_us - begin_us)) for share in shares))
        return sorted((first, last) for first, last in found)


def stays(track: Track, begun: Stay | None = None, start: int = 0) -> tuple[list[Stay], Stay | None]:
    """Those that end on the track, and the one that goes on at its end.

    `begun`: what went on at the position before `start`, which is then at least 1.
    """
    found: list[Stay] = []
    now = begun
    for place in range(start, len(track)):
        at = track.times[place]
        if now is not None and at - track.times[place - 1] > GAP_US:
            found.append(_lost(now))
            now = None
        if now is None:
            if track.inside[place]:
                now = _entered(track, place)
            elif track.passes(place) and (passed := _passed(track, place)):
                now = passed if track.near[place] else None
                if now is None:
                    found.append(replace(passed, left_us=passed.border_us, border_us=None))
        elif track.inside[place]:
            first_us = at if now.first_us is None else now.first_us
            now = replace(now, first_us=first_us, last_us=at, border_us=None, exit="")
        else:
            now = _outside(track, place, now)
            if not track.near[place]:
                found.append(replace(now, left_us=now.border_us, border_us=None))
                now = None
    return found, now


def _entered(track: Track, place: int) -> Stay:
    at = track.times[place]
    if track.close(place) and (parts := track.parts(place)):
        entered = min(max(parts[-1][0], track.times[place - 1] + 1), at)
        return Stay(entered, BETWEEN, at, at)
    return Stay(at, GAP if place else RECORD, at, at)


def _passed(track: Track, place: int) -> Stay | None:
    """In and out again on the way to this position."""
    before, at = track.times[place - 1], track.times[place]
    if at - before < 2 or not (parts := track.parts(place)):
        return None
    entered = min(max(parts[0][0], before + 1), at - 1)
    return Stay(entered, BETWEEN, border_us=min(max(parts[-1][1], entered), at - 1), exit=BETWEEN)


def _outside(track: Track, place: int, now: Stay) -> Stay:
    """The way to a position outside: when did it last cross the border?"""
    before = track.times[place - 1]
    if track.close(place) and (track.inside[place - 1] or track.passes(place)):
        parts = track.parts(place)
        crossed = (parts[0] if track.inside[place - 1] else parts[-1])[1] if parts else before
        return replace(now, border_us=min(max(crossed, before), track.times[place]), exit=BETWEEN)
    if now.border_us is None:
        return replace(now, border_us=before, exit=GAP)
    return now


def _lost(now: Stay) -> Stay:
    """A silence too long: it ended when it was last known."""
    return replace(now, left_us=now.known_us, border_us=None, exit=now.exit or GAP)
