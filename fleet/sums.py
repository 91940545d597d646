"""What was driven, counted and received in some period, by whom it may be; and the figures that follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Sums:
    """Columns of fleet.models.rollups, added up."""

    trips: int = 0
    distance_mm: int = 0
    driving_ms: int = 0
    risk_mm: int = 0
    scored_mm: int = 0
    counted_mm: int = 0
    trip_info: int = 0
    trip_warning: int = 0
    trip_critical: int = 0
    alerts_info: int = 0
    alerts_warning: int = 0
    alerts_critical: int = 0
    records: int = 0
    active: int = 0
    """Days with driving or records; of a fleet, its vehicles that had such days."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row of sums; what is missing or NULL is 0."""
        return cls(**{name: int(row.get(name) or 0) for name in NAMES})

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    @property
    def distance_m(self) -> float:
        return self.distance_mm / 1e3

    @property
    def driving_s(self) -> float:
        return self.driving_ms / 1e3

    @property
    def risk(self) -> float | None:
        """Mean risk of the kilometres whose risk is known, 0 to 1."""
        return self.risk_mm / self.scored_mm if self.scored_mm else None

    @property
    def alerts(self) -> int:
        return self.alerts_info + self.alerts_warning + self.alerts_critical

    @property
    def trip_alerts(self) -> int:
        return self.trip_info + self.trip_warning + self.trip_critical


NAMES = tuple(field.name for field in fields(Sums))
