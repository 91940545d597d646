"""The signals a record may carry: number on the wire, name, unit, plausible range, column.

Read by the encoder, the validator and the server's store; the numbers are those of telemetry.proto.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Signal:
    number: int
    name: str
    unit: str
    low: float
    high: float
    column: str
    """Where the server stores it: the name, with the unit where that is not SI."""


SIGNALS: Final[tuple[Signal, ...]] = (
    Signal(6, "speed", "km/h", -100, 500, "speed_kmh"),
    Signal(7, "battery", "%", 0, 100, "battery_percent"),
    Signal(8, "power", "kW", -5_000, 5_000, "power_kw"),
    Signal(9, "heading", "deg", 0, 360, "heading_deg"),
    Signal(10, "latitude", "deg", -90, 90, "latitude_deg"),
    Signal(11, "longitude", "deg", -180, 180, "longitude_deg"),
    Signal(12, "voltage", "V", -2_000, 2_000, "voltage"),
    Signal(13, "current", "A", -5_000, 5_000, "current"),
    Signal(14, "odometer", "km", 0, 10_000_000, "odometer_km"),
    Signal(16, "altitude", "m", -1_000, 10_000, "altitude"),
    Signal(17, "rpm", "1/min", -40_000, 40_000, "rpm"),
    Signal(18, "battery_temperature", "degC", -80, 200, "battery_temperature_c"),
    Signal(19, "motor_temperature", "degC", -80, 400, "motor_temperature_c"),
    Signal(20, "cabin_temperature", "degC", -80, 120, "cabin_temperature_c"),
    Signal(21, "outdoor_temperature", "degC", -80, 80, "outdoor_temperature_c"),
    Signal(22, "coolant_temperature", "degC", -80, 300, "coolant_temperature_c"),
    Signal(23, "acceleration", "m/s2", -200, 200, "acceleration"),
    Signal(24, "throttle", "%", -10, 110, "throttle_percent"),
    Signal(25, "torque", "N m", -50_000, 50_000, "torque"),
    Signal(26, "ignition", "0/1", 0, 1, "ignition"),
    Signal(27, "charging", "0/1", 0, 1, "charging"),
    Signal(28, "range", "km", 0, 5_000, "range_km"),
    Signal(29, "fuel_level", "%", 0, 110, "fuel_percent"),
    Signal(30, "engine_load", "%", 0, 300, "engine_load_percent"),
    Signal(31, "aux_voltage", "V", 0, 100, "aux_voltage"),
    Signal(32, "intake_temperature", "degC", -80, 300, "intake_temperature_c"),
    Signal(33, "air_flow", "g/s", 0, 2_000, "air_flow_gps"),
    Signal(34, "lateral_acceleration", "m/s2", -200, 200, "lateral_acceleration"),
    Signal(35, "yaw_rate", "deg/s", -1_000, 1_000, "yaw_rate_degps"),
    Signal(36, "hvac_power", "kW", -100, 100, "hvac_power_kw"),
)

BY_NUMBER: Final[dict[int, Signal]] = {s.number: s for s in SIGNALS}
BY_NAME: Final[dict[str, Signal]] = {s.name: s for s in SIGNALS}

HEADING: Final = BY_NAME["heading"].number


def mask_of(numbers: "set[int] | dict[int, object] | list[int]") -> int:
    """Signal numbers as one integer, bit n for signal n."""
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask


def names_in(mask: int) -> list[str]:
    """Names of the signals whose bit is set, in wire order."""
    return [s.name for s in SIGNALS if mask >> s.number & 1]
