"""Figures as people read them: their own units, thousands apart, and how they changed."""

from dataclasses import dataclass

from fleet.aggregation.metrics import Better, Metric
from fleet.models import Units

_MILE_M = 1609.344
_IMPERIAL = {
    "km": ("mi", 1 / _MILE_M),
    "km/h": ("mph", 3600 / _MILE_M),
    "per 100 km": ("per 100 mi", _MILE_M / 1000),
}


def shown(metric: Metric, units: str = Units.METRIC) -> tuple[str, float]:
    """The unit people read, and what to multiply by."""
    found = metric.shown or (metric.unit, 1.0)
    return _IMPERIAL.get(found[0], found) if units == Units.IMPERIAL else found


def unit(metric: Metric, units: str = Units.METRIC) -> str:
    return shown(metric, units)[0]


def number(metric: Metric, value: float | None, units: str = Units.METRIC) -> str:
    """Without its unit; nothing known is a dash."""
    if value is None:
        return "–"
    return f"{value * shown(metric, units)[1]:,.{metric.digits}f}"


@dataclass(frozen=True, slots=True)
class Change:
    """Against the period before. `good`: None where more is neither better nor worse."""

    text: str
    good: bool | None


def change(now: float | None, before: float | None, better: Better, *, points: bool = False) -> Change | None:
    """In per cent of what it was, or in points; None where there is nothing to compare with."""
    if now is None or before is None or (not points and not before):
        return None
    difference = now - before
    amount = difference if points else 100 * difference / before
    if abs(amount) < (0.05 if points else 0.5):
        return Change("as before", None)
    sign, unit_shown = ("+" if amount > 0 else "−"), (" points" if points else " %")
    text = f"{sign}{abs(amount):,.{1 if points else 0}f}{unit_shown}"
    return Change(text, None if better is Better.NEITHER else (difference > 0) == (better is Better.HIGHER))
