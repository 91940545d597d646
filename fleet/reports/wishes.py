"""What somebody wants to see of a report: kept with exports and schedules as plain values, resolved when it is made."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Self

from fleet.access import Principal
from fleet.aggregation.days import LONGEST_DAYS, Period
from fleet.models import Dialect, Driver, Fleet, ReportColumns, ReportStyle, Role, Units, User, Vehicle
from fleet.reports.columns import Column
from fleet.reports.registry import known, named
from fleet.reports.report import Ask, Order, Report
from fleet.reports.style import Style
from fleet.reports.table import Table

CHOSEN_MOST = 200
"""Vehicles or drivers by name; more are chosen by label."""


class WishError(ValueError):
    """What is wanted is not there; `field` says which part of it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class Wish:
    """Names of vehicles and drivers, none of them: all. `columns` empty: the report's own choice."""

    first: date | None = None
    last: date | None = None
    vehicles: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    label: str = ""
    columns: tuple[str, ...] = ()
    sort: str = ""
    units: str = Units.METRIC
    dialect: str = Dialect.COMMA
    zone: str = "UTC"
    only: tuple[str, ...] = ()
    """Drivers that its reader is limited to, whatever else is wanted; none: no limit. Never from a request."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """From what `stored` has made; unknown names are left out."""
        told = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        for name in ("vehicles", "drivers", "columns", "only"):
            told[name] = tuple(told.get(name, ()))
        for name in ("first", "last"):
            told[name] = date.fromisoformat(told[name]) if told.get(name) else None
        return cls(**told)

    @property
    def stored(self) -> dict[str, Any]:
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in asdict(self).items()
            if value
        }

    def within(self, period: Period) -> Self:
        return replace(self, first=period.first, last=period.last)


def may_read(principal: Principal, fleet: Fleet) -> bool:
    """Everything; devices nothing."""
    return principal.user_id is not None and principal.can(Role.VIEWER, fleet.pk)


def limit_of(principal: Principal, fleet: Fleet) -> tuple[str, ...] | None:
    """Whose rows somebody may read. None: all; a member with the role driver: those of the driver they are; empty: no
    report at all."""
    if may_read(principal, fleet):
        return None
    if principal.user_id is None or not principal.can(Role.DRIVER, fleet.pk):
        return ()
    return tuple(Driver.objects.filter(fleet=fleet, user=principal.user_id).values_list("slug", flat=True))


def readable(limit: tuple[str, ...] | None) -> list[Report]:
    """Under a limit only reports that know drivers."""
    return [report for report in known() if limit is None or (limit and report.by_driver)]


def report_named(name: str) -> Report:
    report = named(name)
    if report is None:
        raise WishError("report", f"{name[:40]!r} is no report: see the list of reports.")
    return report


def table_of(report: Report, fleet: Fleet, wish: Wish) -> Table:
    """Raises WishError for what there is not."""
    if wish.only and not report.by_driver:
        raise WishError("report", "This report knows no drivers, so it has no rows of your own.")
    if wish.first is None or wish.last is None:
        raise WishError("from", "Say from which day to which.")
    period = Period(wish.first, wish.last, fleet.time_zone)
    if not 0 < period.days <= LONGEST_DAYS:
        raise WishError("from", f"From 1 to {LONGEST_DAYS} days.")
    ask = Ask(fleet, period, _vehicles(report, fleet, wish), _drivers(report, fleet, wish), wish.units)
    return Table(
        report,
        ask,
        columns_of(report, wish.columns),
        Style(wish.zone, wish.units, wish.dialect),
        order_of(report, wish.sort),
        _about(wish),
    )


def order_of(report: Report, sort: str) -> Order:
    if not sort:
        return report.order
    name = sort.removeprefix("-")
    if report.column(name) is None:
        raise WishError("sort", f"{name[:40]!r} is no column of this report.")
    return Order(name, sort.startswith("-"))


def columns_of(report: Report, names: Iterable[str]) -> tuple[Column, ...]:
    chosen = []
    for name in dict.fromkeys(names):
        column = report.column(name)
        if column is None:
            raise WishError("columns", f"{name[:40]!r} is no column of this report.")
        chosen.append(column)
    return tuple(chosen) or tuple(column for column in report.columns if column.usual)


def _vehicles(report: Report, fleet: Fleet, wish: Wish) -> tuple[int, ...] | None:
    if not (wish.vehicles or wish.label):
        return None
    if not report.by_vehicle:
        raise WishError("vehicles", "This report is about the whole fleet.")
    rows = Vehicle.objects.filter(fleet=fleet)
    if wish.vehicles:
        rows = rows.filter(slug__in=wish.vehicles)
    found = list(rows.values_list("pk", "slug", "labels"))
    missing = set(wish.vehicles) - {slug for _, slug, _ in found}
    if missing:
        raise WishError("vehicles", f"{min(missing)[:40]!r} is no vehicle of this fleet.")
    return tuple(pk for pk, _, labels in found if not wish.label or wish.label in labels)


def _drivers(report: Report, fleet: Fleet, wish: Wish) -> tuple[str, ...] | None:
    if not wish.drivers:
        return wish.only or None
    if not report.by_driver:
        raise WishError("drivers", "This report knows no drivers.")
    there = set(Driver.objects.filter(fleet=fleet, slug__in=wish.drivers).values_list("slug", flat=True))
    missing = set(wish.drivers) - (there & set(wish.only) if wish.only else there)
    if missing:
        raise WishError(
            "drivers", f"{min(missing)[:40]!r} is no driver of this fleet{' that you are' * bool(wish.only)}."
        )
    return wish.drivers


def _about(wish: Wish) -> dict[str, str]:
    told = {"Vehicles": ", ".join(wish.vehicles), "Drivers": ", ".join(wish.drivers), "Label": wish.label}
    return {name: text for name, text in told.items() if text}


def labels_of(fleet: Fleet) -> list[str]:
    """Words that group the fleet's vehicles."""
    rows = Vehicle.objects.filter(fleet=fleet).exclude(labels=[]).values_list("labels", flat=True)
    return sorted({str(label) for labels in rows for label in labels})


def remembered(user: User, report: Report) -> Wish:
    """The reader's units, separators, zone, and columns of this report; columns there are no more are forgotten."""
    style = ReportStyle.objects.filter(pk=user.pk).first() or ReportStyle()
    row = ReportColumns.objects.filter(user=user, report=report.name).first()
    names = tuple(name for name in (row.columns if row else ()) if report.column(name))
    return Wish(columns=names, units=style.units, dialect=style.dialect, zone=user.time_zone)


def remember(user: User, report: Report, wish: Wish) -> None:
    """Empty columns, or the report's own choice: nothing to remember of them."""
    ReportStyle.objects.update_or_create(user=user, defaults={"units": wish.units, "dialect": wish.dialect})
    usual = [column.name for column in report.columns if column.usual]
    if wish.columns and list(wish.columns) != usual:
        ReportColumns.objects.update_or_create(
            user=user, report=report.name, defaults={"columns": list(wish.columns)}
        )
    else:
        ReportColumns.objects.filter(user=user, report=report.name).delete()
