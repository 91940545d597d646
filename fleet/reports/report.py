"""A report: columns, and a source that gives rows. A new one is a module of its own and a line in registry.py."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Protocol

from django.db.models import F, Max, Min, QuerySet, Sum

from fleet.aggregation.days import Period
from fleet.models import Fleet, ReportFormat, Units
from fleet.reports.columns import Column, Total
from fleet.reports.columns import Sum as Running

Row = Sequence[Any]
"""One value for each of the report's columns."""
Setting = tuple[Column, Any]
"""Something that the fleet has chosen, as a column would hold it."""
CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Ask:
    """About what. `vehicles`, `drivers`: None means all of the fleet; drivers are what cars call them."""

    fleet: Fleet
    period: Period
    vehicles: tuple[int, ...] | None = None
    drivers: tuple[str, ...] | None = None
    units: str = Units.METRIC
    """For rows that name a unit of their own; all others are SI."""


@dataclass(frozen=True, slots=True)
class Order:
    column: str
    down: bool = False


class Source(Protocol):
    def count(self, columns: Sequence[Column], ask: Ask) -> int: ...

    def rows(
        self, columns: Sequence[Column], ask: Ask, order: Order, part: slice | None = None
    ) -> Iterator[Row]:
        """All of them bounded in memory, or a part of them."""
        ...

    def totals(self, columns: Sequence[Column], ask: Ask) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Report:
    name: str
    title: str
    text: str
    columns: tuple[Column, ...]
    source: Source
    order: Order
    by_driver: bool = False
    """Can be asked about some drivers."""
    by_vehicle: bool = True
    """Can be asked about some vehicles."""
    definition: str = ""
    """What counts, printed with the report."""
    settings: Callable[[Fleet], Sequence[Setting]] | None = None
    """The fleet's own of them, printed with their values in the reader's units."""
    formats: tuple[ReportFormat, ...] = (ReportFormat.CSV, ReportFormat.XLSX, ReportFormat.JSON)
    dated: bool = True
    """False: about now, whatever the period."""

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def totals(self, ask: Ask) -> dict[str, Any]:
        return derived(self.columns, self.source.totals(self.columns, ask))


def derived(columns: Iterable[Column], plain: dict[str, Any]) -> dict[str, Any]:
    """The plain totals, and those that follow from them."""
    found = dict(plain)
    for column in columns:
        if not isinstance(column.total, Total):
            found[column.name] = column.total(plain)
    return found


_AGGREGATES = {Total.SUM: Sum, Total.MAX: Max, Total.MIN: Min}


@dataclass(frozen=True, slots=True)
class QuerySource:
    """Rows of the database, read through a cursor: a million cost no more memory than a page."""

    query: Callable[[Ask], "QuerySet[Any, Any]"]
    tie: tuple[str, ...] = ("pk",)
    """Makes every order complete."""

    def _named(self, columns: Sequence[Column], ask: Ask) -> Any:
        fields = {column.name: column.field or column.name for column in columns}
        return self.query(ask).annotate(
            **{f"c_{name}": F(where) if isinstance(where, str) else where for name, where in fields.items()}
        )

    def count(self, columns: Sequence[Column], ask: Ask) -> int:
        return int(self.query(ask).count())

    def rows(
        self, columns: Sequence[Column], ask: Ask, order: Order, part: slice | None = None
    ) -> Iterator[Row]:
        sign = "-" if order.down else ""
        found = self._named(columns, ask)
        found = found.order_by(_by(found.model, columns, order), *(f"{sign}{name}" for name in self.tie))
        rows = found.values_list(*(f"c_{column.name}" for column in columns))
        return iter(rows[part]) if part else iter(rows.iterator(chunk_size=CHUNK))

    def totals(self, columns: Sequence[Column], ask: Ask) -> dict[str, Any]:
        wanted = {
            column.name: _AGGREGATES[column.total](f"c_{column.name}")
            for column in columns
            if isinstance(column.total, Total) and column.adds_up
        }
        return dict(self._named(columns, ask).aggregate(**wanted)) if wanted else {}


def _by(model: Any, columns: Sequence[Column], order: Order) -> Any:
    """What is not known comes last; where that cannot be, without a word of it, so that an index may serve."""
    field = next(column.field or column.name for column in columns if column.name == order.column)
    plain = isinstance(field, str) and "__" not in field and not model._meta.get_field(field).null
    by = F(f"c_{order.column}")
    last = None if plain else True
    return by.desc(nulls_last=last) if order.down else by.asc(nulls_last=last)


@dataclass(frozen=True, slots=True)
class ListSource:
    """Rows that are computed: at most one for each vehicle, driver or device of a fleet."""

    build: Callable[[Ask], Iterable[Row]]
    counted: Callable[[Ask], int] | None = field(default=None)

    def count(self, columns: Sequence[Column], ask: Ask) -> int:
        return self.counted(ask) if self.counted else sum(1 for _ in self.build(ask))

    def rows(
        self, columns: Sequence[Column], ask: Ask, order: Order, part: slice | None = None
    ) -> Iterator[Row]:
        place = next(n for n, column in enumerate(columns) if column.name == order.column)
        known: list[Row] = []
        unknown: list[Row] = []
        for row in self.build(ask):
            (unknown if row[place] is None else known).append(row)
        known.sort(key=itemgetter(place), reverse=order.down)
        rows = known + unknown
        return iter(rows[part] if part else rows)

    def totals(self, columns: Sequence[Column], ask: Ask) -> dict[str, Any]:
        sums = {
            column.name: (place, Running(column.total))
            for place, column in enumerate(columns)
            if isinstance(column.total, Total) and column.adds_up
        }
        for row in self.build(ask):
            for place, one in sums.values():
                one.take(row[place])
        return {name: one.value for name, (_, one) in sums.items()}
