"""What each trip of a list cost in points of a component that whole trips cost: night, risk, alerts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from django.utils import timezone

from fleet.access import Principal
from fleet.behaviour import lost, scorecard, tripscores
from fleet.behaviour.scorecard import Scorecard
from fleet.models import Driver, Trip, TripSummary, Vehicle
from fleet.pages.tripfigures import Shown

Row = TypeVar("Row", Shown, TripSummary)


@dataclass(frozen=True, slots=True)
class Cost:
    """None: not known, or not in the score's days."""

    of_trip: float | None = None
    """Of the trip's own score."""
    of_score: float | None = None
    """Of the score of its driver, or of its vehicle."""


@dataclass(frozen=True, slots=True)
class Costs:
    component: str
    """One of lost.OF_TRIPS; empty: the list is not about points."""
    card: Scorecard | None = None

    @property
    def label(self) -> str:
        """Whose score it is."""
        whose = self.card.trips if self.card else {}
        return "driver" if "driver" in whose else "vehicle" if whose else ""

    @property
    def lost(self) -> float | None:
        """By the whole score."""
        found = [one.lost for one in self.card.components if one.name == self.component] if self.card else []
        return found[0] if found else None

    def beside(self, rows: Iterable[Row]) -> list[tuple[Row, Cost]]:
        return [(one, self.of(one.trip if isinstance(one, Shown) else one)) for one in rows]

    def of(self, row: Trip | TripSummary) -> Cost:
        if not self.component:
            return Cost()
        sums, card = tripscores.sums_of(row), self.card
        begun = row.started_at if isinstance(row, Trip) else row.start_time
        return Cost(
            None if row.score is None else tripscores.lost(row)[self.component],
            lost.share_of(self.component, sums, card.sums) if card and card.covers(begun) else None,
        )


def costs(principal: Principal, component: str, fleet: str, driver: str, vehicle: int | None) -> Costs:
    """Of the driver's score, where the list is of one driver; of the vehicle's, where it is of one vehicle."""
    card = None
    if component and fleet and driver:
        found = Driver.objects.visible_to(principal).select_related("fleet")
        one = found.filter(fleet__slug=fleet, slug=driver).first()
        card = scorecard.of_driver(one, timezone.now()) if one else None
    elif component and fleet and vehicle:
        known = Vehicle.objects.visible_to(principal).select_related("fleet")
        car = known.filter(fleet__slug=fleet, pk=vehicle).first()
        card = scorecard.of_vehicle(car, timezone.now()) if car else None
    return Costs(component, card)
