"""A detected trip as pages show it, beside what its device says."""

from dataclasses import dataclass
from typing import Any

from fleet.behaviour.tripscores import state_of
from fleet.models import Trip, TripSummary

KMH = 3.6


@dataclass(frozen=True)
class Difference:
    """Of one figure: detected, as the device says, and how far apart."""

    label: str
    unit: str
    digits: int
    here: float | None
    told: float | None

    @property
    def apart(self) -> float | None:
        return None if self.here is None or self.told is None else self.told - self.here


@dataclass(frozen=True)
class Shown:
    trip: Trip
    summaries: list[TripSummary]

    @property
    def driver(self) -> str:
        """Empty: not known. Until it was set: as the device's summaries name them."""
        return self.trip.driven_by or ", ".join(
            dict.fromkeys(s.driver_id for s in self.summaries if s.driver_id)
        )

    @property
    def score_state(self) -> str:
        return state_of(self.trip)

    @property
    def told_distance_m(self) -> float | None:
        return _sum([s.distance_m for s in self.summaries])

    @property
    def told_duration_s(self) -> float | None:
        return _sum([s.duration_s for s in self.summaries])

    @property
    def distance_apart(self) -> float | None:
        """Share of the detected distance by which the device's differs."""
        told = self.told_distance_m
        return None if told is None or not self.trip.distance_m else told / self.trip.distance_m - 1

    @property
    def differences(self) -> list[Difference]:
        trip, told = self.trip, self.summaries
        return [
            Difference("Distance", "km", 2, trip.distance_m / 1000, _scaled(self.told_distance_m, 0.001)),
            Difference("Duration", "min", 1, trip.duration_s / 60, _scaled(self.told_duration_s, 1 / 60)),
            Difference(
                "Mean speed", "km/h", 1, _scaled(trip.mean_speed_mps, KMH), _scaled(self._told_mean, KMH)
            ),
            Difference(
                "Max speed",
                "km/h",
                1,
                _scaled(trip.max_speed_mps, KMH),
                _scaled(
                    max((s.max_speed_m_s for s in told if s.max_speed_m_s is not None), default=None), KMH
                ),
            ),
        ]

    @property
    def _told_mean(self) -> float | None:
        if len(self.summaries) == 1:
            return self.summaries[0].mean_speed_m_s
        way, time = self.told_distance_m, self.told_duration_s
        return None if way is None or not time else way / time


def shown(trip: Trip, summaries: list[TripSummary]) -> Shown:
    return Shown(trip, summaries)


def _sum(values: list[Any]) -> float | None:
    """None where one is not known: a part is no sum."""
    return None if not values or None in values else float(sum(values))


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
