"""What a record costs among geofences: the index beside a scan of all of them, in one process and without a database.

    python -m benchmarks.geofences               # 10, 100 and 1,000 geofences; under a minute

Vehicles drive at random through a city of 40 km by 35 km with circles, polygons and corridors all over it. A pass
brings some records of one vehicle, as the drain does. The index side finds visits, with crossings and times; they must
be those of a scan that does all of that for each geofence, else the run stops. What it is timed against is less: a scan
which only asks each geofence, by its prepared shape, whether the positions of the pass are within.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import shapely

from fleet.geofencing.fences import Fence, Fences
from fleet.geofencing.presence import Position, Track, stays
from fleet.geofencing.shapes import shape_of

VEHICLES, ROUNDS = 40, 5
WEST, SOUTH, EAST, NORTH = 13.1, 52.35, 13.7, 52.67
Found = list[tuple[int, int, int | None]]
"""Geofence, entered, left."""


def fences(count: int, chance: random.Random) -> Fences:
    made = []
    for number in range(count):
        east, north = chance.uniform(WEST, EAST), chance.uniform(SOUTH, NORTH)
        kind = ("circle", "polygon", "corridor")[number % 3]
        ring = [
            [east, north],
            [east + 4e-3, north],
            [east + 4e-3, north + 3e-3],
            [east, north + 3e-3],
            [east, north],
        ]
        line = [[east + step * 3e-3, north + chance.gauss(0, 1e-3)] for step in range(8)]
        geometries: dict[str, dict[str, Any]] = {
            "circle": {"type": "Point", "coordinates": [east, north]},
            "polygon": {"type": "Polygon", "coordinates": [ring]},
            "corridor": {"type": "LineString", "coordinates": line},
        }
        reach_m = {"circle": chance.uniform(50, 300), "polygon": 0.0, "corridor": 40.0}[kind]
        shape = shape_of(kind, geometries[kind], reach_m, 20.0)
        made.append(Fence(number + 1, 1, 0, shape, None, 0, None, (), "UTC"))
    return Fences.of(made)


def drive(count: int, chance: random.Random) -> list[Position]:
    """A record every two seconds at some 50 km/h."""
    east, north = chance.uniform(WEST, EAST), chance.uniform(SOUTH, NORTH)
    way = []
    for step in range(count):
        east, north = east + chance.gauss(2e-4, 2e-4), north + chance.gauss(1e-4, 1e-4)
        way.append(Position(step * 2_000_000, north, east))
    return way


def passes(way: list[Position], size: int) -> Iterator[list[Position]]:
    """Each with the last position of the one before."""
    for start in range(1, len(way), size):
        yield way[start - 1 : start + size]


def indexed(ready: Fences, part: list[Position]) -> Found:
    return _stays(ready, sorted(ready.touched(1, part)), part)


def scanned(ready: Fences, part: list[Position]) -> Found:
    return _stays(ready, sorted(ready.fences), part)


def tested(ready: Fences, part: list[Position]) -> Found:
    """The least that a scan can do."""
    east = np.array([position.longitude for position in part[1:]])
    north = np.array([position.latitude for position in part[1:]])
    for fence in ready.fences.values():
        shapely.intersects_xy(fence.shape.inner, fence.shape.along(east), north)
    return []


def _stays(ready: Fences, asked: list[int], part: list[Position]) -> Found:
    found: Found = []
    for number in asked:
        ended, now = stays(Track(ready.fences[number].shape, part), None, 1)
        found += [(number, stay.entered_us, stay.left_us) for stay in [*ended, *([now] if now else [])]]
    return found


def microseconds(
    look: Callable[[Fences, list[Position]], Found], ready: Fences, parts: list[list[Position]]
) -> float:
    """A record's, over all of these passes."""
    records = sum(len(part) - 1 for part in parts)
    began = time.perf_counter()
    for part in parts:
        look(ready, part)
    return (time.perf_counter() - began) / records * 1e6


def main() -> None:
    chance = random.Random(1)
    print("| geofences | records a pass | index, µs a record | scan, µs a record | ratio (least–most) |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in (10, 100, 1_000):
        began = time.perf_counter()
        ready = fences(count, chance)
        built_ms = (time.perf_counter() - began) * 1e3
        for size in (1, 30):
            parts = [part for _ in range(VEHICLES) for part in passes(drive(1 + 2 * size, chance), size)]
            assert all(indexed(ready, part) == scanned(ready, part) for part in parts)
            pairs = [
                (microseconds(indexed, ready, parts), microseconds(tested, ready, parts))
                for _ in range(ROUNDS)
            ]
            ratios = sorted(scan / index for index, scan in pairs)
            index, scan = (statistics.median(side) for side in zip(*pairs, strict=True))
            print(
                f"| {count:,} | {size} | {index:.1f} | {scan:.1f} | {statistics.median(ratios):.0f} "
                f"({ratios[0]:.0f}–{ratios[-1]:.0f}) |"
            )
        print(f"| | | ready after {built_ms:.0f} ms | | |")


if __name__ == "__main__":
    main()
