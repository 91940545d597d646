"""What an alert of a rule says: value and unit as the fleet's sensor catalogue has them."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.geofencing.hours import text_of as text_of_hours
from fleet.models import AlertRule, Crossing, RuleKind
from fleet.readings import Catalogue, shown_as, text_of

_PLACE: Final = re.compile(r"\{(\w*)\}")
_PLACES: Final = frozenset({"vehicle", "value", "unit", "limit"})
MESSAGE_LIMIT: Final = 500
_CROSSED: Final = {"enter": "Entered", "leave": "Left", "dwell": "In", "outside": "Outside of"}


def unknown_places(template: str) -> list[str]:
    return [name for name in _PLACE.findall(template) if name not in _PLACES]


def filled(template: str, values: Mapping[str, str]) -> str:
    """Not str.format: a template is people's own text and may reach nothing but these values."""
    place: Callable[[re.Match[str]], str] = lambda found: values.get(found[1], found[0])  # noqa: E731
    return " ".join(_PLACE.sub(place, template).split())


def duration_text(seconds: float) -> str:
    """7200 → 2 h; 5400 → 90 min; 45 → 45 s."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            whole = seconds / size
            return f"{whole:.3g} {unit if seconds != 86_400 else 'day'}"
    return f"{seconds:.3g} s"


def least_s_of(rule: AlertRule) -> float:
    """How long it must last, of a rule about a geofence; a stay takes the geofence's dwell time where it says none."""
    if rule.crossing == Crossing.DWELL and not rule.min_duration_s and rule.geofence:
        return rule.geofence.dwell_s or 0.0
    return rule.min_duration_s


def message_of(rule: AlertRule, vehicle: str, peak: float, codes: list[str], catalogue: Catalogue) -> str:
    values = _values(rule, vehicle, peak, codes, catalogue)
    return filled(rule.message or _usual(rule), values)[:MESSAGE_LIMIT] or rule.name


def _values(
    rule: AlertRule, vehicle: str, peak: float, codes: list[str], catalogue: Catalogue
) -> dict[str, str]:
    values = {"vehicle": vehicle, "unit": "", "limit": "", "value": ", ".join(codes)}
    if rule.kind == RuleKind.SILENCE:
        limit = duration_text(rule.silent_after_s or 0)
        return {**values, "value": limit, "limit": limit}
    if rule.geofence is not None:
        return {**values, "value": rule.geofence.name, "limit": duration_text(least_s_of(rule))}
    shown = shown_as(rule.field, catalogue)
    values["label"] = shown.label
    if rule.kind != RuleKind.FAULT:
        values["value"] = text_of(rule.field, peak, shown)
        values["limit"] = text_of(rule.field, rule.limit or 0.0, shown)
        values["unit"] = shown.unit
    return values


def _usual(rule: AlertRule) -> str:
    if rule.kind == RuleKind.SILENCE:
        return "Nothing received for {limit}"
    if rule.kind == RuleKind.GEOFENCE:
        lasting = " for {limit}" if least_s_of(rule) else ""
        return f"{_CROSSED[rule.crossing]} {{value}}{lasting}"
    if rule.kind == RuleKind.FAULT:
        return "{label}: {value}"
    return f"{{label}} {{value}} {{unit}}, {rule.direction} {{limit}} {{unit}}"


def data_of(rule: AlertRule, peak: float, codes: list[str], catalogue: Catalogue) -> dict[str, Any]:
    """The same for machines."""
    found: dict[str, Any] = {"rule": rule.pk}
    if rule.kind == RuleKind.SILENCE:
        return found
    if rule.kind == RuleKind.GEOFENCE:
        return {**found, "geofence": rule.geofence_id, "crossing": rule.crossing}
    found["field"] = rule.field
    if rule.kind == RuleKind.FAULT:
        return {**found, "codes": codes}
    shown = shown_as(rule.field, catalogue)
    # As exact as the text, so that both change together.
    return {**found, "value": float(f"{peak:.{shown.digits}f}"), "limit": rule.limit, "unit": shown.unit}


def summary_of(rule: AlertRule, catalogue: Catalogue) -> str:
    """The condition in a line: `Coolant temperature above 105 °C (until 100 °C) for 60 s`."""
    if rule.kind == RuleKind.SILENCE:
        parked = ", unless parked" if rule.ignore_parked else ""
        return f"Nothing received for {duration_text(rule.silent_after_s or 0)}{parked}"
    if rule.geofence is not None:
        lasting = f" for {duration_text(least_s_of(rule))}" if least_s_of(rule) else ""
        hours = f", {text_of_hours(rule.geofence.schedule)}" if rule.geofence.schedule else ""
        return f"{Crossing(rule.crossing).label.capitalize()} {rule.geofence.name}{lasting}{hours}"
    shown = shown_as(rule.field, catalogue)
    lasting = f" for {duration_text(rule.min_duration_s)}" if rule.min_duration_s else ""
    if rule.kind == RuleKind.FAULT:
        return f"{shown.label}: {', '.join(rule.codes) or 'any fault'}{lasting}"
    unit = f" {shown.unit}" if shown.unit else ""
    limit = text_of(rule.field, rule.limit or 0.0, shown)
    if rule.clear is None or rule.clear == rule.limit:
        return f"{shown.label} {rule.direction} {limit}{unit}{lasting}"
    until = text_of(rule.field, rule.clear, shown)
    return f"{shown.label} {rule.direction} {limit}{unit} (until {until}{unit}){lasting}"
