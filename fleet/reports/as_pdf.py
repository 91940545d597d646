"""The management summary on paper: key figures beside the period before, the distance day by day, who leads.

Only the summary is drawn; every other report is a table, and better in a spreadsheet.
"""

from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from fleet.access import Principal
from fleet.aggregation import statistics
from fleet.aggregation.leaderboard import leaderboard
from fleet.aggregation.metrics import METRICS, Metric
from fleet.aggregation.sums import Sums
from fleet.pages.figures import Change, change, number, shown, unit
from fleet.reports.table import Table

_INK, _QUIET, _LINE, _ACCENT = (28, 36, 48), (98, 108, 122), (215, 221, 229), (29, 91, 191)
_GOOD, _BAD, _SOFT = (20, 122, 72), (190, 40, 40), (240, 244, 249)
_LEFT, _WIDTH = 16.0, 178.0
_LISTED = 10
_TILES = ("distance", "driving_hours", "trips", "safety_score", "alerts")
_FAMILY = "dejavu"
Color = tuple[int, int, int]


class Pen(NamedTuple):
    size: float
    color: Color = _QUIET
    bold: bool = False


class _Paper(FPDF):
    """A4 with the fonts that the product brings: nothing is asked for elsewhere."""

    def __init__(self, table: Table) -> None:
        super().__init__("portrait", "mm", "A4")
        self.told = table
        for style, name in (("", "DejaVuSansCondensed"), ("B", "DejaVuSansCondensed-Bold")):
            self.add_font(_FAMILY, style, settings.PDF_FONTS / f"{name}.ttf")
        self.set_title(f"{table.report.title}: {table.ask.fleet.name}, {table.days}")
        self.set_creator("Convoy")
        self.set_lang("en")
        self.set_margins(_LEFT, 16, _LEFT)
        self.set_auto_page_break(True, 22)
        self.made = timezone.now().astimezone(ZoneInfo(table.style.zone))

    def footer(self) -> None:
        self.set_y(-16)
        self.write_in(f"Made {self.made:%Y-%m-%d %H:%M} ({self.told.style.zone}) by Convoy", 7.5, _QUIET)
        self.set_y(-16)
        self.write_in(f"Page {self.page_no()} of {{nb}}", 7.5, _QUIET, align="R")

    def write_in(
        self, text: str, size: float, color: Color = _INK, *, bold: bool = False, align: str = "L"
    ) -> None:
        """A line over the whole width."""
        self.set_font(_FAMILY, "B" if bold else "", size)
        self.set_text_color(*color)
        self.set_x(_LEFT)
        self.cell(_WIDTH, size * 0.5, text, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def heading(self, text: str) -> None:
        if self.get_y() > 235:
            self.add_page()
        self.ln(6)
        self.write_in(text, 11.5, bold=True)
        self.ln(1.5)


def write_pdf(table: Table, out: BinaryIO, progress: Callable[[int], None]) -> int:
    """How many figures it tells."""
    ask, paper = table.ask, _Paper(table)
    paper.add_page()
    paper.write_in(ask.fleet.name, 19, bold=True)
    paper.ln(1.5)
    paper.write_in(f"{table.report.title} · {table.days} · days of {ask.period.zone}", 9.5, _QUIET)
    paper.ln(5)
    _tiles(paper)
    _trend(paper)
    _vehicles(paper)
    _drivers(paper)
    paper.ln(5)
    paper.set_font(_FAMILY, "", 7.5)
    paper.set_text_color(*_QUIET)
    paper.multi_cell(
        _WIDTH,
        3.8,
        f"{table.report.definition} The safety score is explained in docs/score.md. "
        f"Settings of the fleet: {table.settings_text}.",
    )
    out.write(bytes(paper.output()))
    return table.count()


def _tiles(paper: _Paper) -> None:
    ask = paper.told.ask
    now, before = (statistics.summary(ask.fleet.pk, one).sums for one in (ask.period, ask.period.before))
    tiles: list[tuple[str, str, str, Change | None]] = [
        (
            "Active vehicles",
            f"{now.active:,}",
            "",
            change(now.active, before.active, METRICS["active_vehicles"].better),
        )
    ]
    for name in _TILES:
        metric = METRICS[name]
        value, earlier = (statistics.value_of(metric, sums) for sums in (now, before))
        told = change(value, earlier, metric.better, points=name == "safety_score")
        what = "" if value is None else unit(metric, ask.units)
        tiles.append((metric.label, number(metric, value, ask.units), what, told))
    width, height, gap = (_WIDTH - 8) / 3, 21.0, 4.0
    top = paper.get_y()
    for place, tile in enumerate(tiles):
        x, y = _LEFT + (place % 3) * (width + gap), top + (place // 3) * (height + gap)
        _tile(paper, (x, y, width, height), tile)
    paper.set_y(top + 2 * height + gap)


def _tile(
    paper: _Paper, box: tuple[float, float, float, float], tile: tuple[str, str, str, Change | None]
) -> None:
    x, y, width, height = box
    label, value, what, told = tile
    paper.set_fill_color(*_SOFT)
    paper.rect(x, y, width, height, "F", round_corners=True, corner_radius=2)
    _put(paper, (x + 4, y + 3.2), label, Pen(8))
    _put(paper, (x + 4, y + 8), value, Pen(16, _INK, bold=True))
    paper.set_font(_FAMILY, "B", 16)
    _put(paper, (x + 5.5 + paper.get_string_width(value), y + 10.4), what, Pen(8))
    if told:
        color = _QUIET if told.good is None else _GOOD if told.good else _BAD
        _put(paper, (x + 4, y + 15.8), told.text, Pen(8, color))


def _put(paper: _Paper, at: tuple[float, float], text: str, pen: Pen) -> None:
    paper.set_xy(*at)
    paper.set_font(_FAMILY, "B" if pen.bold else "", pen.size)
    paper.set_text_color(*pen.color)
    paper.cell(0, pen.size * 0.42, text)


def _trend(paper: _Paper) -> None:
    """A bar for every day; of longer periods, every week."""
    ask, metric = paper.told.ask, METRICS["distance"]
    points = statistics.points(metric, ask.period, statistics.by_day(ask.fleet.pk, ask.period))
    step = 1 if len(points) <= 93 else 7
    paper.heading(f"Distance {'day by day' if step == 1 else 'week by week'} ({unit(metric, ask.units)})")
    factor = shown(metric, ask.units)[1]
    values = [
        sum(point.value or 0.0 for point in points[n : n + step]) * factor
        for n in range(0, len(points), step)
    ]
    highest = max(values, default=0.0)
    if not highest:
        paper.write_in("Nobody drove.", 9, _QUIET)
        return
    top, height, left = paper.get_y(), 36.0, _LEFT + 13
    paper.set_draw_color(*_LINE)
    for share in (0.0, 0.5, 1.0):
        y = top + height * (1 - share)
        paper.line(left, y, _LEFT + _WIDTH, y)
        text = f"{highest * share:,.0f}"
        paper.set_font(_FAMILY, "", 7)
        _put(paper, (left - 2 - paper.get_string_width(text), y - 1.4), text, Pen(7))
    slot = (_LEFT + _WIDTH - left) / len(values)
    paper.set_fill_color(*_ACCENT)
    for place, value in enumerate(values):
        bar = height * value / highest
        paper.rect(left + place * slot + slot * 0.14, top + height - bar, slot * 0.72, bar, "F")
    paper.set_y(top + height + 1.5)
    paper.set_font(_FAMILY, "", 7)
    every = max(1, -(-len(values) // 7))
    for place in range(0, len(values), every):
        _put(paper, (left + place * slot, top + height + 1.5), f"{points[place * step].day:%d %b}", Pen(7))
    paper.set_y(top + height + 5)


def _vehicles(paper: _Paper) -> None:
    ask = paper.told.ask
    vehicles, sums = statistics.vehicles_of(ask.fleet.pk), statistics.by_vehicle(ask.fleet.pk, ask.period)
    furthest = sorted(
        (pk for pk in vehicles if sums.get(pk, Sums()).distance_mm),
        key=lambda pk: (-sums[pk].distance_mm, vehicles[pk].name),
    )
    paper.heading(f"Vehicles that drove furthest ({min(_LISTED, len(furthest))} of {len(vehicles)})")
    names = ("distance", "driving_hours", "trips", "safety_score", "alerts")
    rows = [[vehicles[pk].name, *_figures(names, sums[pk], ask.units)] for pk in furthest[:_LISTED]]
    _list(paper, ["Vehicle", *(_titled(METRICS[name], ask.units) for name in names)], rows)


def _drivers(paper: _Paper) -> None:
    ask, metric = paper.told.ask, METRICS["safety_score"]
    everybody = Principal("report", sees_everything=True)
    standings = leaderboard(everybody, ask.fleet.pk, metric, ask.period)
    ranked = [one for one in standings if one.place.rank is not None]
    paper.heading(f"Drivers by safety score ({min(_LISTED, len(ranked))} of {len(standings)})")
    names = ("safety_score", "distance", "driving_hours", "trips")
    rows = [
        [f"{one.place.rank}. {one.name or one.place.who}", *_figures(names, one.place.sums, ask.units)]
        for one in ranked[:_LISTED]
    ]
    _list(paper, ["Driver", *(_titled(METRICS[name], ask.units) for name in names)], rows)


def _figures(names: Sequence[str], sums: Sums, units: str) -> list[str]:
    return [number(METRICS[name], statistics.value_of(METRICS[name], sums), units) for name in names]


def _titled(metric: Metric, units: str) -> str:
    what = unit(metric, units).removeprefix("points")
    return f"{metric.label} ({what})" if what else metric.label


def _list(paper: _Paper, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        paper.write_in("Nothing to list in this period.", 9, _QUIET)
        return
    first = 54.0
    widths = [first, *[(_WIDTH - first) / (len(head) - 1)] * (len(head) - 1)]
    paper.set_draw_color(*_LINE)
    for number_, row in enumerate([head, *rows]):
        paper.set_font(_FAMILY, "" if number_ else "B", 8.5 if number_ else 7.5)
        paper.set_text_color(*(_INK if number_ else _QUIET))
        paper.set_x(_LEFT)
        for place, (text, width) in enumerate(zip(row, widths, strict=True)):
            paper.cell(width, 6, _fitting(paper, text, width - 1), border="B", align="R" if place else "L")
        paper.ln(6)


def _fitting(paper: Any, text: str, width: float) -> str:
    """Cut where it would run into the next column."""
    if paper.get_string_width(text) <= width:
        return text
    while text and paper.get_string_width(text + "…") > width:
        text = text[:-1]
    return text + "…"
