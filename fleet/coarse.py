"""Positions made coarse: two decimals of a degree, about a kilometre. What is finer never leaves this module."""

import re
from typing import Any

DECIMALS = 2
_COORDINATES = {"lat", "latitude", "lng", "lon", "long", "longitude"}
_PLACES = {
    "gps", "gnss", "position", "positions", "location", "locations", "coordinate", "coordinates", "coords", "route",
    "track", "path", "polyline", "geometry", "geojson", "geohash", "wkt", "waypoint", "waypoints", "place", "address",
    "bbox", "nmea", "origin", "destination", "utm", "mgrs", "olc", "pluscode",
}  # fmt: skip
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PRECISE = re.compile(r"[-+]?\d{1,3}\.\d{3,}")
_NUMBER = re.compile(r"\s*[-+]?\d{1,3}(\.\d*)?\s*")


def rounded(degrees: float) -> float:
    return round(degrees, DECIMALS) + 0.0  # never -0.0


def coarse(value: Any, inside: bool = False) -> Any:
    """JSON with every position in it made coarse.

    Under a key that names a place, numbers are rounded and text is taken out, for a place can be written in many
    ways. Elsewhere, text with two numbers of three decimals or more next to each other has them rounded.
    """
    match value:
        case dict():
            return {key: coarse(inner, inside or names_a_place(key)) for key, inner in value.items()}
        case list():
            inside = inside or _is_a_pair(value)
            return [coarse(inner, inside) for inner in value]
        case float() if inside:
            return rounded(value)
        case str() if inside:
            return rounded(float(value)) if _NUMBER.fullmatch(value) else None
        case str() if len(_PRECISE.findall(value)) > 1:
            return _PRECISE.sub(lambda found: f"{float(found[0]):.{DECIMALS}f}", value)
    return value


def without_places(value: Any) -> Any:
    """JSON without any position: what a key that names a place holds is gone, and so are pairs of precise numbers."""
    match value:
        case dict():
            return {key: without_places(inner) for key, inner in value.items() if not names_a_place(key)}
        case list() if _is_a_pair(value):
            return []
        case list():
            return [without_places(inner) for inner in value]
        case str() if len(_PRECISE.findall(value)) > 1:
            return _PRECISE.sub("…", value)
    return value


def names_a_place(key: str) -> bool:
    words = {word.lower() for word in _WORDS.findall(key)} | {key.lower()}
    return bool(words & (_COORDINATES | _PLACES))


def _is_a_pair(value: list[Any]) -> bool:
    """[52.5163, 13.3777], whatever it is called."""
    return len(value) in {2, 3} and all(isinstance(x, float) and abs(x) <= 180 for x in value[:2])
