"""Shapes of geofences: what is within, on the sphere, at the date line, and what is refused."""

from typing import Any

import pytest

from fleet.geofencing.fences import Fence, Fences
from fleet.geofencing.presence import Position, Stay, Track, stays
from fleet.geofencing.shapes import DEGREE_M, GeometryError, Shape, area_km2, centre, checked, shape_of


def point(longitude: float, latitude: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def made(kind: str, geometry: dict[str, Any], reach_m: float = 0.0, hysteresis_m: float = 0.0) -> Shape:
    told = checked(kind, geometry, reach_m or None, reach_m or None)
    return shape_of(kind, told, reach_m, hysteresis_m)


def within(shape: Shape, longitude: float, latitude: float) -> bool:
    return Track(shape, [Position(0, latitude, longitude)]).inside[0]


def fences(*shapes: Shape) -> Fences:
    return Fences.of(
        [Fence(number, 1, 0, shape, None, 0, None, (), "UTC") for number, shape in enumerate(shapes, 1)]
    )


class TestWithin:
    @pytest.mark.parametrize("latitude", [0.0, 52.43, -70.0, 84.0])
    def test_a_circle_is_as_wide_as_it_is_high(self, latitude: float) -> None:
        from math import cos, radians

        shape = made("circle", point(13.53, latitude), 1000.0)
        for share, inside in ((0.99, True), (1.01, False)):
            assert within(shape, 13.53, latitude + share * 1000 / DEGREE_M) is inside
            east = share * 1000 / (DEGREE_M * cos(radians(latitude)))
            assert within(shape, 13.53 + east, latitude) is inside
        assert area_km2(shape) == pytest.approx(3.1416, rel=0.002)

    def test_a_large_circle_is_one_on_the_sphere(self) -> None:
        """200 km around Berlin: Hannover is 249 km away, Leipzig 149, Dresden 165."""
        shape = made("circle", point(13.405, 52.52), 200_000.0)
        assert within(shape, 12.3731, 51.3397) and within(shape, 13.7373, 51.0504)
        assert not within(shape, 9.732, 52.3759)

    def test_a_polygon_with_a_hole_and_one_of_two_parts(self) -> None:
        outer, hole = box(13.0, 52.0, 13.4, 52.4), box(13.1, 52.1, 13.2, 52.2)
        shape = made(
            "polygon", {"type": "Polygon", "coordinates": outer["coordinates"] + hole["coordinates"]}
        )
        assert within(shape, 13.3, 52.3) and not within(shape, 13.15, 52.15)
        parts = {
            "type": "MultiPolygon",
            "coordinates": [hole["coordinates"], box(14, 52, 15, 53)["coordinates"]],
        }
        shape = made("polygon", parts)
        assert within(shape, 13.15, 52.15) and within(shape, 14.5, 52.5) and not within(shape, 13.3, 52.3)

    def test_a_corridor_from_south_to_north_keeps_its_width(self) -> None:
        from math import cos, radians

        shape = made("corridor", {"type": "LineString", "coordinates": [[10, 48], [10, 54]]}, 2_000.0)
        for latitude in (48.5, 51.0, 53.5):
            metre = 1 / (DEGREE_M * cos(radians(latitude)))
            assert within(shape, 10 + 980 * metre, latitude) and not within(
                shape, 10 + 1020 * metre, latitude
            )


class TestDateLine:
    SHAPES = (
        made("circle", point(179.999, -17.0), 2_000.0),
        made("polygon", box(179.99, -17.02, -179.99, -16.98)),
        made(
            "polygon",
            {
                "type": "MultiPolygon",
                "coordinates": [
                    box(179.99, -17.02, 180, -16.98)["coordinates"], box(-180, -17.02, -179.99, -16.98)["coordinates"],
                ],
            },
        ),
        made("corridor", {"type": "LineString", "coordinates": [[179.9, -17], [-179.9, -17]]}, 500.0),
    )  # fmt: skip

    @pytest.mark.parametrize("shape", SHAPES, ids=["circle", "polygon", "cut polygon", "corridor"])
    def test_both_sides_are_within(self, shape: Shape) -> None:
        assert within(shape, 179.995, -17.0) and within(shape, -179.995, -17.0)
        assert (
            not within(shape, 179.5, -17.0)
            and not within(shape, -179.5, -17.0)
            and not within(shape, 0.0, -17.0)
        )
        assert abs(centre(shape)[0]) > 179.9

    @pytest.mark.parametrize("shape", SHAPES, ids=["circle", "polygon", "cut polygon", "corridor"])
    def test_a_way_across_is_found_and_timed(self, shape: Shape) -> None:
        way = [Position(0, -17.0, 179.8), Position(40_000_000, -17.0, -179.8)]
        assert fences(shape).touched(1, way) == {1}
        found, now = stays(Track(shape, way))
        assert len(found) == 1 and now is None and 0 < found[0].entered_us < 20_000_000

    def test_the_other_side_of_the_world_is_not_on_the_way(self) -> None:
        """179.8 to -179.8 is a short step, and does not lead past Greenwich."""
        greenwich = made("circle", point(0.0, -17.0), 50_000.0)
        way = [Position(0, -17.0, 179.8), Position(40_000_000, -17.0, -179.8)]
        assert fences(greenwich).touched(1, way) == set() and stays(Track(greenwich, way)) == ([], None)


class TestRefused:
    @pytest.mark.parametrize(
        ("kind", "geometry", "reach_m", "field", "words"),
        [
            ("circle", point(13, 52), None, "radius_m", "Between 5"),
            ("circle", point(13, 52), 2e6, "radius_m", "Between 5"),
            ("circle", point(52, 133), 100.0, "geometry", "longitude comes first"),
            ("circle", point(13, 84.9), 50_000.0, "geometry", "beyond 85°"),
            ("circle", point(13, 89.99), 50_000.0, "geometry", "beyond 85°"),
            ("circle", box(1, 1, 2, 2), 100.0, "geometry", "takes a GeoJSON Point"),
            ("circle", {"type": "Point", "coordinates": ["a", 1]}, 100.0, "geometry", "in degrees"),
            ("polygon", None, None, "geometry", "takes a GeoJSON Polygon"),
            ("polygon", {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]}, None,
             "geometry", "crosses itself"),
            ("polygon", {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}, None, "geometry", "three"),
            ("polygon", {"type": "Polygon", "coordinates": []}, None, "geometry", "list of rings"),
            ("polygon", box(-60, 0, 60, 10), None, "geometry", "wider than 90°"),
            ("polygon", {"type": "Polygon", "coordinates": [[[n / 1e4, 1] for n in range(6000)]]}, None, "geometry",
             "At most 5,000"),
            ("corridor", {"type": "LineString", "coordinates": [[13, 52], [13, 52]]}, 50.0, "geometry", "the same"),
            ("corridor", {"type": "LineString", "coordinates": [[13, 52], [13, 53]]}, None, "width_m", "Between 5"),
            ("corridor", {"type": "LineString", "coordinates": [[13, 86], [13, 87]]}, 50.0, "geometry", "beyond 85°"),
            ("star", point(13, 52), None, "kind", "Choose"),
        ],
    )  # fmt: skip
    def test_with_its_reason(
        self, kind: str, geometry: Any, reach_m: float | None, field: str, words: str
    ) -> None:
        with pytest.raises(GeometryError, match=words) as refused:
            checked(kind, geometry, reach_m, reach_m)
        assert refused.value.field == field

    def test_what_maps_write_is_put_right(self) -> None:
        open_ring = {"type": "Polygon", "coordinates": [[[373, 52, 30], [373.1, 52], [373.1, 52.1]]]}
        assert checked("polygon", open_ring, None, None)["coordinates"] == [
            [[13.0, 52.0], [13.1, 52.0], [13.1, 52.1], [13.0, 52.0]]
        ]


def test_the_index_answers_what_a_scan_would() -> None:
    """A thousand circles and boxes, and ways among them."""
    import random

    chance = random.Random(4)
    shapes = []
    for number in range(300):
        west, south = chance.uniform(13.0, 13.6), chance.uniform(52.3, 52.6)
        square = box(west, south, west + 0.004, south + 0.003)
        shapes.append(
            made("circle", point(west, south), 300.0, 20.0) if number % 2 else made("polygon", square)
        )
    index = fences(*shapes)
    for _ in range(40):
        east, north = chance.uniform(13.0, 13.6), chance.uniform(52.3, 52.6)
        way = []
        for step in range(chance.choice([1, 2, 80])):
            east, north = east + chance.gauss(0, 0.002), north + chance.gauss(0, 0.001)
            way.append(Position(step * 10_000_000, north, east))
        met: dict[int, tuple[list[Stay], Stay | None]] = {
            number: stays(Track(shape, way)) for number, shape in enumerate(shapes, 1)
        }
        assert {number for number, (found, now) in met.items() if found or now} <= index.touched(1, way)
