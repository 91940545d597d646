"""How a reader wants values: in which units and time zone, and as what text."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fleet.behaviour.driving import G
from fleet.models import Dialect, Units
from fleet.reports.columns import Column, Kind

_MILE_M = 1609.344
_SHOWN: dict[str, dict[Kind, tuple[str, float]]] = {
    Units.METRIC: {
        Kind.DISTANCE: ("km", 1e-3), Kind.SPEED: ("km/h", 3.6), Kind.CONSUMPTION: ("kWh/100 km", 1.0),
        Kind.FREQUENCY: ("per 100 km", 1.0),
    },
    Units.IMPERIAL: {
        Kind.DISTANCE: ("mi", 1 / _MILE_M), Kind.SPEED: ("mph", 3600 / _MILE_M),
        Kind.CONSUMPTION: ("kWh/100 mi", _MILE_M / 1000), Kind.FREQUENCY: ("per 100 mi", _MILE_M / 1000),
    },
}  # fmt: skip
_ALWAYS = {
    Kind.DURATION: ("h", 1 / 3600), Kind.SHARE: ("%", 100.0), Kind.BYTES: ("kB", 1e-3), Kind.ENERGY: ("kWh", 1e-3),
    Kind.POWER: ("kW", 1e-3), Kind.ACCELERATION: ("g", 1 / G),
}  # fmt: skip

_FINE = {Kind.DURATION, Kind.ACCELERATION}


@dataclass(frozen=True, slots=True)
class Style:
    zone: str = "UTC"
    units: str = Units.METRIC
    dialect: str = Dialect.COMMA

    def shown(self, column: Column) -> tuple[str, float]:
        """The unit people read, and what to multiply by."""
        if column.kind is Kind.MOMENT:
            return self.zone, 1.0
        return (_SHOWN[self.units] | _ALWAYS).get(column.kind, (column.unit, 1.0))

    def head(self, column: Column) -> str:
        """`Distance (km)`, `Start (Europe/Berlin)`."""
        unit = self.shown(column)[0]
        return f"{column.label} ({unit})" if unit else column.label

    def with_unit(self, column: Column, value: Any) -> str:
        unit = self.shown(column)[0]
        return f"{self.text(column, value)} {unit}" if unit else self.text(column, value)

    def value(self, column: Column, value: Any) -> Any:
        """In the reader's units; a moment by the reader's clock, still with its zone."""
        if value is None or value == "":
            return None
        if column.words is not None:
            return column.words.get(value, value)
        if column.kind is Kind.MOMENT:
            return value.astimezone(ZoneInfo(self.zone))
        if column.kind is Kind.FLAG:
            return "yes" if value else "no"
        if column.kind in {Kind.TEXT, Kind.DAY, Kind.WHOLE}:
            return value
        return round(value * self.shown(column)[1], self.digits(column))

    def digits(self, column: Column) -> int:
        if column.kind is Kind.WHOLE:
            return 0
        return max(column.digits, 2) if column.kind in _FINE else column.digits

    def text(self, column: Column, value: Any) -> str:
        """For people, without its unit; nothing known is a dash."""
        if column.kind is Kind.DURATION and value is not None:
            minutes = round(value / 60)
            return f"{minutes // 60:,}:{minutes % 60:02}"
        shown = self.value(column, value)
        match shown:
            case None:
                return "–"
            case datetime():
                return f"{shown:%Y-%m-%d %H:%M}"
            case date():
                return shown.isoformat()
            case int() | float():
                text = f"{shown:,.{self.digits(column)}f}"
                return text.rstrip("0").rstrip(".") if column.loose else text
        return str(shown)
