"""The fleet in figures, beside the period before; as PDF a page for the management (as_pdf.py)."""

from collections.abc import Iterator

from fleet.aggregation import statistics
from fleet.aggregation.metrics import METRICS
from fleet.models import ReportFormat
from fleet.pages.figures import shown
from fleet.reports.columns import Column, Kind, rate
from fleet.reports.report import Ask, ListSource, Order, Report, Row
from fleet.reports.rules import driving_limits, trip_rules

FIGURES = (
    "distance", "driving_hours", "trips", "safety_score", "average_risk_score", "average_speed",
    "trip_alerts_per_100km", "alerts", "critical_alerts", "records",
)  # fmt: skip


def rows(ask: Ask) -> Iterator[Row]:
    """Six queries."""
    now, before = (statistics.summary(ask.fleet.pk, one) for one in (ask.period, ask.period.before))
    counts = (
        ("Active vehicles", now.sums.active, before.sums.active),
        ("Active drivers", now.drivers, before.drivers),
    )
    for place, (label, count, earlier) in enumerate(counts, 1):
        yield place, label, float(count), "", float(earlier), _change(count, earlier)
    for place, name in enumerate(FIGURES, len(counts) + 1):
        metric = METRICS[name]
        unit, factor = shown(metric, ask.units)
        value, value_before = (_times(statistics.value_of(metric, one.sums), factor) for one in (now, before))
        yield place, metric.label, value, unit, value_before, _change(value, value_before)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _change(value: float | None, earlier: float | None) -> float | None:
    return None if value is None or earlier is None else rate(value - earlier, earlier)


REPORT = Report(
    name="summary",
    title="Management summary",
    text="The fleet’s key figures beside the period before; as PDF with trend and rankings.",
    by_vehicle=False,
    order=Order("number"),
    definition="Before: as many days just before the period. Rates are those of the whole distance, no means of means.",
    settings=lambda fleet: [*trip_rules(fleet), *driving_limits(fleet)],
    source=ListSource(rows),
    formats=(ReportFormat.PDF, ReportFormat.CSV, ReportFormat.XLSX, ReportFormat.JSON),
    columns=(
        Column("number", "No.", Kind.WHOLE, usual=False),
        Column("figure", "Figure"),
        Column("value", "Value", Kind.NUMBER, digits=2, loose=True),
        Column("unit", "Unit"),
        Column("before", "Before", Kind.NUMBER, digits=2, loose=True),
        Column("change", "Change", Kind.SHARE),
    ),
)
