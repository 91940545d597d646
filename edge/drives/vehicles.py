"""The twelve vehicles of the demo fleet: who they are and how they are driven. All of them are made up."""

from dataclasses import dataclass

_VIN_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)), strict=True)
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_YEAR_CODES = {2022: "N", 2023: "P", 2024: "R", 2025: "S", 2026: "T"}


@dataclass(frozen=True)
class Style:
    """How somebody drives, in the terms of SUMO's car-following model (m, s)."""

    name: str
    accel: float
    decel: float
    speed_factor: float
    sigma: float
    headway: float


@dataclass(frozen=True)
class Model:
    """What the energy model needs to know of a car."""

    name: str
    vclass: str
    descriptor: str
    length_m: float
    mass_kg: float
    front_m2: float
    drag: float
    battery_kwh: float


@dataclass(frozen=True)
class Vehicle:
    number: int
    model: Model
    year: int
    style: Style
    soc_start: float
    odometer_km: float
    auxiliary_kw: float
    route_seed: int
    plan_s: int

    @property
    def slug(self) -> str:
        return f"berlin-{self.number:02d}"

    @property
    def name(self) -> str:
        return f"{'Van' if self.model.vclass == 'delivery' else 'Car'} {self.number:02d}"

    @property
    def plate(self) -> str:
        return f"B-CV {1000 + self.number}E"

    @property
    def vin(self) -> str:
        blank = f"WCV{self.model.descriptor}0{_YEAR_CODES[self.year]}B{310_000 + 137 * self.number:06d}"
        return f"{blank[:8]}{check_digit(blank)}{blank[9:]}"


def check_digit(vin: str) -> str:
    """Position 9 of a VIN: the weighted sum of the other sixteen, modulo 11, where ten is written X."""
    values = (int(char) if char.isdigit() else _VIN_VALUES[char] for char in vin)
    rest = sum(value * weight for value, weight in zip(values, _VIN_WEIGHTS, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


CALM = Style("calm", accel=1.4, decel=2.2, speed_factor=0.92, sigma=0.2, headway=1.8)
NORMAL = Style("normal", accel=2.0, decel=3.0, speed_factor=1.0, sigma=0.35, headway=1.3)
SPORTY = Style("sporty", accel=3.4, decel=4.4, speed_factor=1.16, sigma=0.6, headway=0.8)

LONG_VAN = Model("E-Transporter L2 75 kWh", "delivery", "ET2L7", 5.9, 2650, 4.2, 0.36, 75)
SHORT_VAN = Model("E-Transporter L1 50 kWh", "delivery", "ET1K5", 5.1, 2200, 3.6, 0.34, 50)
CITY_CAR = Model("E-Stadt 42 kWh", "passenger", "ES4H4", 4.0, 1550, 2.2, 0.29, 42)
ESTATE = Model("E-Kombi 64 kWh", "passenger", "EK6H6", 4.7, 1980, 2.4, 0.26, 64)

FLEET = (
    Vehicle(1, LONG_VAN, 2024, NORMAL, 88.4, 31_204.6, 1.1, 122, 1240),
    Vehicle(2, LONG_VAN, 2024, CALM, 71.9, 28_977.1, 0.9, 102, 1040),
    Vehicle(3, SHORT_VAN, 2023, NORMAL, 63.2, 52_618.3, 0.8, 103, 1200),
    Vehicle(4, SHORT_VAN, 2023, SPORTY, 54.7, 60_143.9, 1.0, 104, 1400),
    Vehicle(5, LONG_VAN, 2025, NORMAL, 94.6, 12_840.2, 1.2, 105, 1300),
    Vehicle(6, SHORT_VAN, 2022, CALM, 47.5, 81_392.7, 0.7, 106, 1040),
    Vehicle(7, SHORT_VAN, 2025, NORMAL, 79.8, 9_415.4, 0.8, 107, 1230),
    Vehicle(8, LONG_VAN, 2022, NORMAL, 36.1, 97_026.8, 1.0, 108, 1170),
    Vehicle(9, CITY_CAR, 2024, NORMAL, 82.3, 18_530.5, 0.5, 109, 1090),
    Vehicle(10, CITY_CAR, 2025, CALM, 58.0, 7_288.0, 0.4, 110, 980),
    Vehicle(11, ESTATE, 2023, SPORTY, 67.7, 44_751.2, 0.6, 111, 1240),
    Vehicle(12, ESTATE, 2026, NORMAL, 91.2, 2_163.9, 0.6, 112, 1000),
)
