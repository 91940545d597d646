"""How readings are shown to people: label, unit, digits, order. The signals themselves are edge.protocol's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from fleet.models import SensorType

Catalogue = Mapping[str, SensorType]
"""What a fleet's managers say of its sensor types, by type."""


@dataclass(frozen=True, slots=True)
class Shown:
    label: str
    unit: str = ""
    digits: int = 0
    low: float | None = None
    high: float | None = None
    """Ends of the bar; None: a number alone."""


READINGS: Final[dict[str, Shown]] = {
    "speed": Shown("Speed", "km/h", 0, 0, 150),
    "battery": Shown("State of charge", "%", 1, 0, 100),
    "power": Shown("Power", "kW", 1, -100, 150),
    "heading": Shown("Heading"),
    "range": Shown("Range", "km"),
    "voltage": Shown("Voltage", "V", 1),
    "current": Shown("Current", "A", 1),
    "odometer": Shown("Odometer", "km", 1),
    "battery_temperature": Shown("Battery temperature", "°C", 1),
    "motor_temperature": Shown("Motor temperature", "°C", 1),
    "cabin_temperature": Shown("Cabin temperature", "°C", 1),
    "outdoor_temperature": Shown("Outdoor temperature", "°C", 1),
    "coolant_temperature": Shown("Coolant temperature", "°C", 1),
    "intake_temperature": Shown("Intake temperature", "°C", 1),
    "hvac_power": Shown("Climate power", "kW", 2),
    "aux_voltage": Shown("12 V battery", "V", 1),
    "acceleration": Shown("Acceleration", "m/s²", 2),
    "lateral_acceleration": Shown("Lateral acceleration", "m/s²", 2),
    "yaw_rate": Shown("Yaw rate", "°/s", 1),
    "throttle": Shown("Accelerator pedal", "%"),
    "torque": Shown("Torque", "N m"),
    "rpm": Shown("Motor speed", "1/min"),
    "fuel_level": Shown("Fuel level", "%", 1),
    "engine_load": Shown("Engine load", "%"),
    "air_flow": Shown("Air flow", "g/s", 1),
    "altitude": Shown("Altitude", "m"),
    "ignition": Shown("Ignition"),
    "charging": Shown("Charging"),
    "latitude": Shown("Latitude", "°", 5),
    "longitude": Shown("Longitude", "°", 5),
}
SWITCHES: Final = frozenset({"ignition", "charging"})
_POINTS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True, slots=True)
class Gauge:
    name: str
    value: float
    shown: Shown
    reconstructed: bool

    @property
    def text(self) -> str:
        return text_of(self.name, self.value, self.shown)

    @property
    def bar(self) -> tuple[float, float] | None:
        """Where the filled part begins and how long it is, % of the bar; from zero, so that −20 kW goes left."""
        low, high = self.shown.low, self.shown.high
        if low is None or high is None:
            return None
        zero, at = ((min(max(v, low), high) - low) / (high - low) * 100 for v in (0.0, self.value))
        return round(min(zero, at), 1), round(abs(at - zero), 1)


def catalogue_of(fleet_id: int) -> Catalogue:
    return {row.type: row for row in SensorType.objects.filter(fleet=fleet_id)}


def gauges(
    values: Mapping[str, Any], reconstructed: list[str], catalogue: Catalogue | None = None
) -> Iterator[Gauge]:
    """What is known, in the order people look for it."""
    for name in sorted(values, key=lambda name: (_ORDER.get(name, len(_ORDER)), name)):
        if isinstance(values[name], int | float):
            yield Gauge(name, float(values[name]), shown_as(name, catalogue), name in reconstructed)


def shown_as(name: str, catalogue: Catalogue | None = None) -> Shown:
    """As the fleet's catalogue says; what that leaves open, as usual."""
    usual = READINGS.get(name) or Shown(_words(name), digits=2)
    told = (catalogue or {}).get(name)
    if told is None:
        return usual
    return replace(
        usual,
        label=told.label or usual.label,
        unit=told.unit or usual.unit,
        digits=usual.digits if told.decimals is None else told.decimals,
        low=usual.low if told.low is None else told.low,
        high=usual.high if told.high is None else told.high,
    )


def _words(name: str) -> str:
    words = name.replace("_", " ").replace(".", " ").strip() or name
    return words[0].upper() + words[1:]


def text_of(name: str, value: float, shown: Shown | None = None) -> str:
    """The number as it stands beside its unit; static/js/live.js writes the same."""
    if name in SWITCHES:
        return "on" if value else "off"
    number = f"{value:,.{(shown or shown_as(name)).digits}f}".replace("-", "−")
    if name == "heading":
        return f"{number}° {_POINTS[round(value / 45) % 8]}"
    return number if number.strip("−0.") else number.lstrip("−")


_ORDER = {name: position for position, name in enumerate(READINGS)}
