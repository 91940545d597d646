"""A fleet's geofences ready to be asked: which of a thousand may a way touch? Pure; `fencerows` keeps them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from fleet.geofencing.presence import Position
from fleet.geofencing.shapes import Shape

_WAY: Final = 32
"""Positions looked up at once: longer ways have larger boxes, shorter ones cost more calls."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A geofence as records meet it."""

    pk: int
    version: int
    since_us: int
    shape: Shape
    members: frozenset[int] | None
    """Vehicles it is for; None: all."""
    min_stay_us: int
    dwell_us: int | None
    schedule: tuple[dict[str, Any], ...]
    zone: str

    def concerns(self, vehicle: int) -> bool:
        return self.members is None or vehicle in self.members


@dataclass(slots=True)
class Fences:
    """Of one fleet."""

    fences: dict[int, Fence]
    _places: list[int] = field(default_factory=list)
    _tree: shapely.STRtree = field(default_factory=lambda: shapely.STRtree([]))

    @classmethod
    def of(cls, fences: Sequence[Fence]) -> "Fences":
        """A geofence that crosses the date line stands in the index on both sides of it."""
        found = [(fence.pk, box) for fence in fences for box in _boxes(fence.shape)]
        return cls(
            {fence.pk: fence for fence in fences},
            [pk for pk, _ in found],
            shapely.STRtree([box for _, box in found]),
        )

    @property
    def since_us(self) -> int:
        """From when on records matter to any of them."""
        return min((fence.since_us for fence in self.fences.values()), default=0)

    def touched(self, vehicle: int, positions: Sequence[Position]) -> set[int]:
        """Geofences of the vehicle that this way may have to do with; seldom more."""
        ways = list(_ways(positions))
        if not ways or not self._places:
            return set()
        hits = np.unique(self._tree.query(ways, predicate="intersects")[1])
        found = {self._places[hit] for hit in hits}
        return {pk for pk in found if self.fences[pk].concerns(vehicle)}


def _boxes(shape: Shape) -> Iterator[BaseGeometry]:
    """The outer shape in true longitudes, and again wherever it goes beyond 180."""
    for turn in (-360.0, 0.0, 360.0):
        east = shape.meridian + turn
        west, _, end, _ = shape.outer.bounds
        if end + east >= -180.0 and west + east <= 180.0:
            yield shapely.transform(shape.outer, lambda places, by=east: places + np.array([by, 0.0]))


def _ways(positions: Sequence[Position]) -> Iterator[BaseGeometry]:
    """Lines and points to ask the index for; a step across the date line is asked on both sides."""
    way: list[tuple[float, float]] = []
    for before, after in pairwise([None, *positions]):
        assert after is not None
        if way and (len(way) > _WAY or (before and abs(after.longitude - before.longitude) > 180)):
            yield _line(way)
            way = []
            if before and abs(after.longitude - before.longitude) > 180:
                yield from _across(before, after)
            elif before:
                way = [(before.longitude, before.latitude)]
        way.append((after.longitude, after.latitude))
    if way:
        yield _line(way)


def _across(before: Position, after: Position) -> Iterator[BaseGeometry]:
    turn = 360.0 if before.longitude > after.longitude else -360.0
    for east in (0.0, -turn):
        yield _line(
            [(before.longitude + east, before.latitude), (after.longitude + turn + east, after.latitude)]
        )


def _line(way: Sequence[tuple[float, float]]) -> BaseGeometry:
    return shapely.linestrings(way) if len(way) > 1 else shapely.points(way[0])
