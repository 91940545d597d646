"""Lines over minutes to months as SVG: where everything is, for templates/fleet/_chart.html to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.aggregation.metrics import Metric
from fleet.aggregation.statistics import Point
from fleet.pages.figures import number

WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 26
_LABELS_MOST, _DOTS_MOST = 7, 62


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    number: int
    """From 1: which colour and dashes."""
    path: str
    dots: list[Dot]


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    lines: list[Line]
    levels: list[Tick]
    days: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM


def chart(title: str, metric: Metric, series: Sequence[tuple[str, Sequence[Point]]]) -> Chart | None:
    """None when there is no value to draw. All series have the same moments."""
    values = [point.value for _, points in series for point in points if point.value is not None]
    if not values:
        return None
    step = _step(max(values) or 1.0)
    top = math.ceil((max(values) or 1.0) / step) * step
    return Chart(
        title=title,
        lines=[_line(n, name, points, metric, top) for n, (name, points) in enumerate(series, 1)],
        levels=[Tick(_y(k * step, top), number(metric, k * step)) for k in range(round(top / step) + 1)],
        days=_ticks(series[0][1]),
    )


def _line(order: int, name: str, points: Sequence[Point], metric: Metric, top: float) -> Line:
    """A day without a value interrupts the line."""
    path, pen_down, dots = [], False, []
    for place, point in enumerate(points):
        if point.value is None:
            pen_down = False
            continue
        x, y = _x(place, len(points)), _y(point.value, top)
        alone = not pen_down and (place + 1 == len(points) or points[place + 1].value is None)
        path.append(f"{'L' if pen_down else 'M'}{x} {y}")
        pen_down = True
        if alone or len(points) <= _DOTS_MOST:
            dots.append(Dot(x, y, f"{name}, {_moment(point)}: {number(metric, point.value)}"))
    return Line(name, order, "".join(path), dots)


def _x(place: int, count: int) -> float:
    inner = WIDTH - _LEFT - _RIGHT
    return round(_LEFT + inner * (place / (count - 1) if count > 1 else 0.5), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top, 1)


def _step(most: float) -> float:
    """Between three and six steps of 1, 2 or 5 times a power of ten."""
    rough = most / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)


def _moment(point: Point) -> str:
    return f"{point.at:%-d %b, %H:%M}" if point.at else f"{point.day:%-d %b %Y}"


def _ticks(points: Sequence[Point]) -> list[Tick]:
    every = max(1, math.ceil(len(points) / _LABELS_MOST))
    form = "%b %Y" if (points[-1].day - points[0].day).days > 180 else "%-d %b"
    return [
        Tick(_x(k, len(points)), point.clock or f"{point.day:{form}}")
        for k, point in enumerate(points)
        if k % every == 0
    ]
