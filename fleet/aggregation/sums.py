"""What was driven, counted and received in some period, by whom it may be; and the figures that follow from it."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
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
    harsh_accelerations: int = 0
    harsh_brakings: int = 0
    harsh_corners: int = 0
    speeding_ms: int = 0
    idling_ms: int = 0
    night_ms: int = 0
    seen_mm: int = 0
    turning_mm: int = 0
    timed_ms: int = 0
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

    def plus(self, other: "Sums") -> "Sums":
        return Sums(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

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
    def harsh(self) -> int:
        return self.harsh_accelerations + self.harsh_brakings + self.harsh_corners

    @property
    def speeding_share(self) -> float | None:
        """Of the driving time whose speed is known, 0 to 1."""
        return min(1.0, self.speeding_ms / self.timed_ms) if self.timed_ms else None

    @property
    def night_share(self) -> float | None:
        """Of the time in trips, 0 to 1."""
        return self.night_ms / self.driving_ms if self.driving_ms else None

    @property
    def trip_alerts(self) -> int:
        return self.trip_info + self.trip_warning + self.trip_critical


NAMES = tuple(field.name for field in fields(Sums))
