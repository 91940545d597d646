"""How pages show what trips, stops and charging sessions are made of. What is not known is a dash."""

from typing import Any

from django import template

from fleet.behaviour.tripscores import state_of

register = template.Library()
DASH = "–"


@register.filter
def score_state(row: Any) -> str:
    """Why a trip or a summary has no score."""
    return state_of(row)


@register.filter
def points(value: float | None) -> str:
    """`{{ 2.5|points }}`: −2.50; what costs nothing is 0."""
    return DASH if value is None else f"−{value:.2f}" if value else "0"


@register.filter
def km(metres: float | None) -> str:
    return DASH if metres is None else f"{metres / 1000:,.1f} km"


@register.filter
def kmh(mps: float | None) -> str:
    return DASH if mps is None else f"{mps * 3.6:.0f}"


@register.filter
def kwh(wh: float | None) -> str:
    return DASH if wh is None else f"{wh / 1000:.2f} kWh"


@register.filter
def thousandth(value: float) -> str:
    return f"{value / 1000:.1f}"


@register.filter
def lasting(seconds: float | None) -> str:
    """`{{ 4265|lasting }}`: 1 h 11 min."""
    if seconds is None:
        return DASH
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    told = [(count, unit) for count, unit in parts if count]
    return " ".join(f"{count} {unit}" for count, unit in told[:2]) or "0 s"


@register.filter
def share(value: float | None, sign: str = "") -> str:
    """`{{ 0.031|share:"+" }}`: +3.1 %."""
    return DASH if value is None else f"{value * 100:{sign}.1f} %"


@register.filter
def charge(row: Any) -> str:
    """From which state of charge to which."""
    low, high = row.battery_from_percent, row.battery_to_percent
    return DASH if low is None or high is None else f"{low:.0f} → {high:.0f} %"


@register.filter
def place(latitude: float | None, longitude: float | None) -> str:
    return DASH if latitude is None or longitude is None else f"{latitude:.5f}, {longitude:.5f}"


@register.filter
def fixed(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:,.{digits}f}"


@register.filter
def signed(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:+,.{digits}f}"
