"""Figures as people read them: their own units, thousands apart, and how they changed."""

from dataclasses import dataclass

from fleet.metrics import Better, Metric


def unit(metric: Metric) -> str:
    return metric.shown[0] if metric.shown else metric.unit


def number(metric: Metric, value: float | None) -> str:
    """Without its unit; nothing known is a dash."""
    if value is None:
        return "–"
    return f"{value * (metric.shown[1] if metric.shown else 1.0):,.{metric.digits}f}"


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
