"""What a report's column is: a name, a kind of value, how it adds up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Values are SI: metres, metres a second, seconds; watt-hours, and what is counted by 100 km, as everywhere in the
    API; shares from 0 to 1; moments with a zone. None: not known."""

    TEXT = "text"
    FLAG = "flag"
    WHOLE = "whole"
    NUMBER = "number"
    SHARE = "share"
    DAY = "day"
    MOMENT = "moment"
    DURATION = "duration"
    DISTANCE = "distance"
    SPEED = "speed"
    BYTES = "bytes"
    ENERGY = "energy"
    POWER = "power"
    ACCELERATION = "acceleration"
    CONSUMPTION = "consumption"
    FREQUENCY = "frequency"
    """How often by distance."""


SI = {
    Kind.DURATION: "s", Kind.DISTANCE: "m", Kind.SPEED: "m/s", Kind.BYTES: "B", Kind.ENERGY: "Wh", Kind.POWER: "W",
    Kind.ACCELERATION: "m/s²", Kind.CONSUMPTION: "kWh/100 km", Kind.FREQUENCY: "per 100 km",
}  # fmt: skip
NUMERIC = frozenset(Kind) - {Kind.TEXT, Kind.FLAG, Kind.DAY, Kind.MOMENT}


class Total(StrEnum):
    NONE = "none"
    SUM = "sum"
    MAX = "max"
    MIN = "min"


Sums = Mapping[str, Any]
"""The totals of a report's other columns, by name."""
Rule = Total | Callable[[Sums], Any]
"""How a column adds up; a function where the total follows from other totals (a mean speed from metres and seconds)."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    label: str
    kind: Kind = Kind.TEXT
    field: Any = ""
    """Where the database has it: a path or an expression; empty: under the column's name."""
    total: Rule = Total.NONE
    digits: int = 1
    loose: bool = False
    """`digits` at most: the column mixes counts and rates."""
    unit: str = ""
    """Of a number that has no kind of its own."""
    usual: bool = True
    """Shown until the reader chooses columns."""
    about: str = ""
    words: Mapping[Any, str] | None = None
    """What people read instead of the value it is ordered by."""

    @property
    def is_number(self) -> bool:
        return self.kind in NUMERIC

    @property
    def si(self) -> str:
        return SI.get(self.kind, self.unit)

    @property
    def adds_up(self) -> bool:
        return self.total is not Total.NONE


def rate(amount: Any, base: Any) -> float | None:
    """For totals: nothing known, or nothing to divide by, is None."""
    return amount / base if amount is not None and base else None


def consumption(sums: Sums) -> float | None:
    """kWh/100 km of all `energy`, by the distance whose energy is known (`energy_distance`)."""
    return None if sums["energy"] is None else rate(sums["energy"] * 100, sums["energy_distance"])


class Sum:
    """Adds a column's values up while rows go by."""

    __slots__ = ("rule", "value")

    def __init__(self, rule: Total) -> None:
        self.rule, self.value = rule, None

    def take(self, value: Any) -> None:
        if value is None:
            return
        known: Any = self.value
        if known is None:
            self.value = value
        elif self.rule is Total.SUM:
            self.value = known + value
        else:
            self.value = max(known, value) if self.rule is Total.MAX else min(known, value)
