"""A report asked about something, for somebody: what pages, files and the API show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any

from fleet.aggregation.days import bounds
from fleet.models import Units
from fleet.reports.columns import Column, Sum, Total
from fleet.reports.report import Ask, Order, Report, Row, Setting, derived
from fleet.reports.style import Style


@dataclass
class Table:
    report: Report
    ask: Ask
    columns: tuple[Column, ...]
    style: Style
    order: Order
    about: dict[str, str] = field(default_factory=dict)
    """What it was narrowed to, in words."""

    def count(self) -> int:
        return self.report.source.count(self.report.columns, self.ask)

    def page(self, number: int, size: int) -> list[Row]:
        part = slice((number - 1) * size, number * size)
        rows = self.report.source.rows(self.report.columns, self.ask, self.order, part)
        return [self._chosen(row) for row in rows]

    def totals(self) -> dict[str, Any]:
        return self.report.totals(self.ask)

    def body(self) -> "Body":
        return Body(self)

    @cached_property
    def _pick(self) -> tuple[int, ...]:
        places = {column.name: place for place, column in enumerate(self.report.columns)}
        return tuple(places[column.name] for column in self.columns)

    def _chosen(self, row: Row) -> Row:
        return [row[place] for place in self._pick]

    @property
    def first_moment(self) -> Any:
        return bounds(self.ask.period.zone, self.ask.period.first)[0]

    @property
    def days(self) -> str:
        """`2026-11-01 to 2026-11-30`, or `now`."""
        period = self.ask.period
        if not self.report.dated:
            return "now"
        return str(period.first) if period.days == 1 else f"{period.first} to {period.last}"

    @property
    def filename(self) -> str:
        """Without its ending: which report, of which fleet, of when."""
        period = self.ask.period
        dates = f"{period.first}" if period.days == 1 else f"{period.first}-{period.last}"
        return f"{self.report.name}-{self.ask.fleet.slug}-{dates}"

    @cached_property
    def settings(self) -> Sequence[Setting]:
        return self.report.settings(self.ask.fleet) if self.report.settings else ()

    @property
    def settings_text(self) -> str:
        """`moves above 3.6 km/h; standing ends a trip after 180 s; …`"""
        return "; ".join(f"{one.label} {self.style.with_unit(one, value)}" for one, value in self.settings)

    def facts(self) -> list[tuple[str, str]]:
        """What a file says of itself."""
        definition = [("What counts", self.report.definition)] if self.report.definition else []
        return [
            ("Report", self.report.title),
            ("Fleet", self.ask.fleet.name),
            ("Days", f"{self.days} (of {self.ask.period.zone})" if self.report.dated else "now"),
            *self.about.items(),
            ("Times", self.style.zone),
            ("Units", Units(self.style.units).label),
            *definition,
            *([("Settings", self.settings_text)] if self.settings else []),
        ]


class Body:
    """The rows, once; when they have gone by, `totals` are those of exactly these rows."""

    def __init__(self, table: Table) -> None:
        self._table = table
        columns = table.report.columns
        self._sums = [
            (column.name, place, Sum(column.total))
            for place, column in enumerate(columns)
            if isinstance(column.total, Total) and column.adds_up
        ]

    def __iter__(self) -> Iterator[Row]:
        table = self._table
        pick = table._pick
        chosen = itemgetter(*pick) if len(pick) > 1 else lambda row: (row[pick[0]],)
        sums = [(place, one.take) for _, place, one in self._sums]
        for row in table.report.source.rows(table.report.columns, table.ask, table.order):
            for place, take in sums:
                take(row[place])
            yield chosen(row)

    @property
    def totals(self) -> dict[str, Any]:
        return derived(self._table.report.columns, {name: one.value for name, _, one in self._sums})
