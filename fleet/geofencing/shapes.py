"""Geometry of geofences: GeoJSON in, shapes to ask out. Pure; distances in metres on a sphere of 6,371,008.8 m.

A shape lives in degrees around its own meridian, so that the date line is nothing special to it. Lines are straight in
longitude and latitude, as RFC 7946 has them; circles and corridors are outlined on the sphere.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

EARTH_M: Final = 6_371_008.8
DEGREE_M: Final = EARTH_M * math.pi / 180
MOST_LATITUDE: Final = 85.0
"""Nearer to a pole a degree of longitude is no measure any more."""
MOST_WIDTH_DEG: Final = 90.0
MOST_POINTS: Final = 5_000
RADIUS_M: Final = (5.0, 500_000.0)
WIDTH_M: Final = (5.0, 100_000.0)
_CORNERS: Final = 128
_PIECE_DEG: Final = 1.0
"""A corridor longer than this from south to north is widened piece by piece, each with its own scale."""
_TYPES: Final = {"circle": ("Point",), "polygon": ("Polygon", "MultiPolygon"), "corridor": ("LineString",)}
Position = tuple[float, float]
"""Longitude, latitude."""


class GeometryError(ValueError):
    """What is wrong with the geometry, or with the field named."""

    def __init__(self, reason: str, field: str = "geometry") -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class Shape:
    """`inner`: within; between it and `outer` a vehicle has not left yet. In degrees, longitude from `meridian`."""

    meridian: float
    inner: BaseGeometry
    outer: BaseGeometry

    def along(self, longitudes: np.ndarray) -> np.ndarray:
        """Degrees from the meridian, -180 to 180."""
        turned: np.ndarray = (longitudes - self.meridian + 180.0) % 360.0 - 180.0
        return turned


def checked(kind: str, geometry: Any, radius_m: float | None, width_m: float | None) -> dict[str, Any]:
    """In its stored form: no altitudes, rings closed, longitudes from -180 to 180. Raises GeometryError."""
    if kind not in _TYPES:
        raise GeometryError("Choose circle, polygon or corridor.", "kind")
    if not isinstance(geometry, dict) or geometry.get("type") not in _TYPES[kind]:
        raise GeometryError(f"A {kind} takes a GeoJSON {' or '.join(_TYPES[kind])}.")
    if kind == "circle":
        _within(radius_m, RADIUS_M, "radius_m")
    if kind == "corridor":
        _within(width_m, WIDTH_M, "width_m")
    found = {
        "type": geometry["type"],
        "coordinates": _COORDINATES[geometry["type"]](geometry.get("coordinates")),
    }
    shape = shape_of(kind, found, radius_m or width_m or 0.0, 0.0)
    west, south, east, north = shape.outer.bounds
    if max(abs(south), abs(north)) > MOST_LATITUDE:
        raise GeometryError(f"Reaches beyond {MOST_LATITUDE:.0f}° of latitude, where no map shows it.")
    if east - west > MOST_WIDTH_DEG:
        raise GeometryError(f"Is wider than {MOST_WIDTH_DEG:.0f}° of longitude.")
    return found


def _within(value: float | None, limits: tuple[float, float], field: str) -> None:
    if value is None or not limits[0] <= value <= limits[1]:
        raise GeometryError(f"Between {limits[0]:.0f} and {limits[1]:,.0f} m.", field)


def _position(value: Any) -> list[float]:
    numbers = value if isinstance(value, list | tuple) else ()
    if not 2 <= len(numbers) <= 4 or not all(
        isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers
    ):
        raise GeometryError("A position is [longitude, latitude] in degrees.")
    longitude, latitude = float(numbers[0]), float(numbers[1])
    if not -90 <= latitude <= 90 or not -540 <= longitude <= 540:
        raise GeometryError(
            f"[{longitude:g}, {latitude:g}] is no place: longitude comes first, then latitude."
        )
    return [
        round(longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180, 7),
        round(latitude, 7),
    ]


def _line(value: Any) -> list[list[float]]:
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise GeometryError("A line takes at least two positions.")
    if len(value) > MOST_POINTS:
        raise GeometryError(f"At most {MOST_POINTS:,} positions.")
    found = [_position(each) for each in value]
    found = [found[0], *(after for before, after in pairwise(found) if before != after)]
    if len(found) < 2:
        raise GeometryError("All positions of the line are the same.")
    return found


def _ring(value: Any) -> list[list[float]]:
    ring = _line(value)
    if ring[0] != ring[-1]:
        ring.append(ring[0])
    if len(ring) < 4:
        raise GeometryError("A ring takes at least three different positions.")
    return ring


def _rings(value: Any) -> list[list[list[float]]]:
    if not isinstance(value, list | tuple) or not value:
        raise GeometryError("A Polygon takes a list of rings, the outer one first.")
    return [_ring(ring) for ring in value]


def _polygons(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise GeometryError("A MultiPolygon takes a list of polygons.")
    found = [_rings(polygon) for polygon in value]
    if sum(len(ring) for rings in found for ring in rings) > MOST_POINTS:
        raise GeometryError(f"At most {MOST_POINTS:,} positions.")
    return found


_COORDINATES: Final = {"Point": _position, "LineString": _line, "Polygon": _rings, "MultiPolygon": _polygons}


def shape_of(kind: str, geometry: dict[str, Any], reach_m: float, hysteresis_m: float) -> Shape:
    """`reach_m`: a circle's radius, a corridor's width. `geometry` as `checked` answers it."""
    coordinates = geometry["coordinates"]
    if kind == "circle":
        longitude, latitude = coordinates
        inner = _circle(latitude, reach_m)
        return _prepared(
            longitude, inner, _circle(latitude, reach_m + hysteresis_m) if hysteresis_m else inner
        )
    if kind == "corridor":
        meridian = coordinates[0][0]
        line = [*_turned(coordinates, meridian)]
        inner = _widened(line, reach_m / 2)
        return _prepared(
            meridian, inner, _widened(line, reach_m / 2 + hysteresis_m) if hysteresis_m else inner
        )
    polygons = coordinates if geometry["type"] == "MultiPolygon" else [coordinates]
    meridian = polygons[0][0][0][0]
    inner = _area([[[*_turned(ring, meridian)] for ring in rings] for rings in polygons])
    return _prepared(meridian, inner, _grown(inner, hysteresis_m) if hysteresis_m else inner)


def _prepared(meridian: float, inner: BaseGeometry, outer: BaseGeometry) -> Shape:
    shapely.prepare([inner, outer])
    return Shape(meridian, inner, outer)


def _turned(line: Iterable[Any], meridian: float) -> Iterator[Position]:
    """Longitudes from the meridian, without a jump where the line crosses the date line."""
    before = 0.0
    for longitude, latitude in line:
        east = longitude - meridian
        east += round((before - east) / 360.0) * 360.0
        before = east
        yield east, latitude


def _circle(latitude: float, radius_m: float) -> Polygon:
    """Points at that distance along great circles."""
    north, far = math.radians(latitude), radius_m / EARTH_M
    if abs(latitude) + math.degrees(far) > 89.0:
        raise GeometryError(f"Reaches beyond {MOST_LATITUDE:.0f}° of latitude, where no map shows it.")
    bearing = np.linspace(0.0, 2 * math.pi, _CORNERS, endpoint=False)
    sine = math.sin(north) * math.cos(far) + math.cos(north) * math.sin(far) * np.cos(bearing)
    east = np.arctan2(
        np.sin(bearing) * math.sin(far) * math.cos(north), math.cos(far) - math.sin(north) * sine
    )
    return Polygon(np.column_stack([np.degrees(east), np.degrees(np.arcsin(sine))]))


def _area(polygons: list[list[list[Position]]]) -> BaseGeometry:
    """Parts may touch or overlap, as those of an area that was cut at the date line do."""
    parts = [Polygon(rings[0], rings[1:]) for rings in polygons]
    for part in parts:
        if not part.is_valid:
            raise GeometryError(_reason(explain_validity(part)))
        if part.area <= 0:
            raise GeometryError("Has no area.")
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def _reason(told: str) -> str:
    """GEOS's words, with the place left out: it is counted from our own meridian."""
    words = told.partition("[")[0].strip()
    return {
        "Self-intersection": "Its outline crosses itself.",
        "Ring Self-intersection": "Its outline touches itself.",
        "Hole lies outside shell": "A hole lies outside of its outline.",
    }.get(words, f"Is not a valid polygon: {words.lower()}.")


def _widened(line: list[Position], half_m: float) -> BaseGeometry:
    latitudes = [latitude for _, latitude in line]
    if max(map(abs, latitudes)) > MOST_LATITUDE:
        raise GeometryError(f"Reaches beyond {MOST_LATITUDE:.0f}° of latitude, where no map shows it.")
    if max(latitudes) - min(latitudes) <= _PIECE_DEG:
        return _grown(LineString(line), half_m)
    pieces = (piece for before, after in pairwise(line) for piece in _pieces(before, after))
    return shapely.union_all([_grown(LineString(piece), half_m) for piece in pieces])


def _pieces(before: Position, after: Position) -> Iterator[tuple[Position, Position]]:
    count = max(1, math.ceil(abs(after[1] - before[1]) / _PIECE_DEG))
    places = [
        (before[0] + (after[0] - before[0]) * n / count, before[1] + (after[1] - before[1]) * n / count)
        for n in range(count + 1)
    ]
    yield from pairwise(places)


def _grown(core: BaseGeometry, by_m: float) -> BaseGeometry:
    """On a plane that is true to scale in the middle of it."""
    _, south, _, north = core.bounds
    scale = np.array([DEGREE_M * math.cos(math.radians((south + north) / 2)), DEGREE_M])
    plane = shapely.transform(core, lambda places: places * scale)
    return shapely.transform(plane.buffer(by_m, quad_segs=16), lambda places: places / scale)


def outline(shape: Shape) -> BaseGeometry:
    """What is within, in true longitudes, which may go beyond 180; for maps."""
    return shapely.transform(shape.inner, lambda places: places + np.array([shape.meridian, 0.0]))


def area_km2(shape: Shape) -> float:
    """Of what is within, by the scale of its middle."""
    _, south, _, north = shape.inner.bounds
    middle = math.cos(math.radians((south + north) / 2))
    return float(shape.inner.area) * middle * (DEGREE_M / 1000) ** 2


def centre(shape: Shape) -> Position:
    place: Point = shape.inner.centroid
    return (place.x + shape.meridian + 180) % 360 - 180, place.y
