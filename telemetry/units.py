"""Units as senders write them: the same quantity in another unit is turned into the one that is kept.

Factors are exact by definition (SI Brochure, 9th edition; international mile, foot and pound; mechanical horsepower of
550 ft lbf/s, metric of 75 kgf m/s).
"""

from typing import Final, NamedTuple


class Unit(NamedTuple):
    """value in the quantity's base unit = value * factor + offset."""

    quantity: str
    factor: float
    offset: float = 0.0


_G: Final = 9.80665
_POUND_FORCE: Final = 4.4482216152605
_PSI: Final = _POUND_FORCE / 0.0254**2
_QUANTITIES: Final[dict[str, dict[str, float]]] = {
    "speed": {
        "m/s mps": 1.0, "km/h kmh kph kmph": 1 / 3.6, "mph mi/h": 0.44704, "kn kt knot knots": 1852 / 3600,
    },
    "share": {"% percent percentage pct": 0.01, "1 ratio fraction": 1.0},
    "voltage": {"v volt volts": 1.0, "mV mv millivolt": 1e-3, "kv": 1e3},
    "current": {"a amp amps ampere amperes": 1.0, "mA ma milliamp": 1e-3, "ka": 1e3},
    "power": {
        "w watt watts": 1.0, "mW": 1e-3, "kw kilowatt": 1e3, "MW": 1e6,
        "hp": 550 * 0.3048 * _POUND_FORCE, "ps": 75 * _G,
    },
    "energy": {"j": 1.0, "kj": 1e3, "MJ": 1e6, "wh": 3.6e3, "kwh": 3.6e6, "MWh": 3.6e9},
    "length": {
        "m metre meter metres meters": 1.0, "km kilometre kilometer kilometres kilometers": 1e3,
        "cm": 1e-2, "mm": 1e-3, "mi mile miles": 1609.344, "ft foot feet": 0.3048, "in inch": 0.0254,
    },
    "pressure": {
        "pa": 1.0, "hpa mbar": 1e2, "kpa": 1e3, "MPa": 1e6, "bar": 1e5, "psi": _PSI, "atm": 101_325.0,
    },
    "frequency": {"hz 1/s": 1.0, "1/min rpm r/min": 1 / 60},
    "angle": {"deg degree degrees °": 1.0, "rad": 180 / 3.141592653589793},
    "angular rate": {"deg/s °/s": 1.0, "rad/s": 180 / 3.141592653589793},
    "acceleration": {"m/s2 m/s² m/s^2": 1.0, "g": _G},
    "torque": {"nm n·m": 1.0},
    "mass flow": {"g/s": 1.0, "kg/s": 1e3, "kg/h": 1 / 3.6},
    "time": {"s sec second seconds": 1.0, "ms": 1e-3, "min minute minutes": 60.0, "h hour hours": 3600.0},
}  # fmt: skip
_TEMPERATURES: Final = {
    "degc °c c celsius": Unit("temperature", 1.0, 273.15),
    "degf °f f fahrenheit": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "k kelvin": Unit("temperature", 1.0),
}


def _listed() -> dict[str, Unit]:
    found = {"n m": Unit("torque", 1.0)}
    for quantity, units in _QUANTITIES.items():
        for names, factor in units.items():
            found |= {name: Unit(quantity, factor) for name in names.split()}
    for names, unit in _TEMPERATURES.items():
        found |= dict.fromkeys(names.split(), unit)
    return found


_UNITS: Final = _listed()


def unit_named(text: str) -> Unit | None:
    """Case counts where it makes a difference: mW and MW."""
    text = " ".join(text.split())
    return _UNITS.get(text) or _UNITS.get(text.lower())


def convert(value: float, sent: str, kept: str) -> float:
    """`value` in the unit `kept`. Raises ValueError when that is another quantity, or nobody knows."""
    if " ".join(sent.lower().split()) == kept.lower():
        return value
    one, other = unit_named(sent), unit_named(kept)
    if one is None or other is None or one.quantity != other.quantity:
        raise ValueError(f"{sent[:24]!r} cannot be turned into {kept}, the unit of this sensor here")
    if one == other:
        return value
    # Twelve digits, more than any sensor has: 0.1 + 0.2 is 0.3 for who reads it.
    return float(f"{(value * one.factor + one.offset - other.offset) / other.factor:.12g}")
