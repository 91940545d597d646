"""Where a vehicle drove on one day of its fleet's calendar."""

import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from fleet.access import vehicle_or_404
from fleet.pages.session import part
from telemetry.furthersql import column_of
from telemetry.pages.period import json, rows_between
from telemetry.pages.thinning import POINTS, silence_after

Point = tuple[float, float, float, float | None]
"""Unix time, latitude, longitude, speed in km/h."""
STANDING_M = 4.0
JUMP_KMH = 400.0


@part
def track(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    """`day` as YYYY-MM-DD, else today. Lines of points; a pause in the records ends a line."""
    found = vehicle_or_404(request.user, fleet, vehicle)
    zone = ZoneInfo(found.fleet.time_zone)
    day = _day(request.GET.get("day"), zone)
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    follows = day + timedelta(days=1)
    end = datetime(follows.year, follows.month, follows.day, tzinfo=zone)
    columns = (column_of("latitude"), column_of("longitude"), "speed_kmh")
    points = [
        (row[0].timestamp(), row[1], row[2], row[3])
        for row in rows_between(found, begin, end, columns)
        if row[1] is not None and row[2] is not None
    ]
    lines = [list(_driven(piece)) for piece in _pieces(points)]
    metres = sum(_metres(a, b) for each in lines for a, b in pairwise(each))
    content = {
        "day": day.isoformat(),
        "time_zone": found.fleet.time_zone,
        "distance_km": round(metres / 1000, 2),
        "lines": _fewer(lines),
    }
    return json(content)


def _day(text: str | None, zone: ZoneInfo) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return timezone.now().astimezone(zone).date()


def _pieces(points: Sequence[Point]) -> Iterator[list[Point]]:
    silence = silence_after([point[0] for point in points])
    piece: list[Point] = []
    for point in points:
        if piece and (point[0] - piece[-1][0] > silence or _jumps(piece[-1], point)):
            yield piece
            piece = []
        piece.append(point)
    if piece:
        yield piece


def _driven(piece: Sequence[Point]) -> Iterator[Point]:
    """Without the points at which it only stood."""
    last: Point | None = None
    for point in piece:
        if last is None or _metres(last, point) >= STANDING_M:
            yield point
            last = point
    if last is not None and last != piece[-1]:
        yield piece[-1]


def _fewer(lines: list[list[Point]]) -> list[list[Point]]:
    """At most about POINTS in all, the ends of every line kept."""
    total = sum(map(len, lines))
    if total <= POINTS:
        return lines
    step = -(-total // POINTS)
    return [[*each[:-1:step], each[-1]] for each in lines[-POINTS // 2 :]]


def _metres(a: Sequence[Any], b: Sequence[Any]) -> float:
    """Flat-earth distance: the points are seconds apart."""
    north = (b[1] - a[1]) * 111_195
    east = (b[2] - a[2]) * 111_195 * math.cos(math.radians(a[1]))
    return math.hypot(north, east)


def _jumps(a: Point, b: Point) -> bool:
    """Faster than anything drives: a replay starting again, or a receiver gone wrong."""
    metres = _metres(a, b)
    return metres > 50 and metres > JUMP_KMH / 3.6 * max(1.0, b[0] - a[0])
