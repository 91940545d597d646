"""What fleet.journeys.tripfinder finds: trips, stops and charging sessions as plain values."""

from dataclasses import dataclass, field

from fleet.journeys.charging import FoundCharge
from fleet.journeys.movement import Distance
from fleet.journeys.tracks import Track


@dataclass(frozen=True, slots=True)
class FoundTrip:
    """Times in microseconds since 1970. `settled_us`: the record that ended it; None: it may go on."""

    start_us: int
    end_us: int
    settled_us: int | None
    track: Track

    @property
    def seconds(self) -> float:
        return self.track.whole_us / 1e6

    @property
    def distance(self) -> Distance:
        return self.track.distance

    @property
    def moving_s(self) -> float:
        return self.track.moving_us / 1e6

    @property
    def unheard_s(self) -> float:
        """Of it, silences during which it drove on."""
        return self.track.unheard_us / 1e6

    @property
    def max_speed_mps(self) -> float | None:
        return self.track.fastest_mps


@dataclass(frozen=True, slots=True)
class FoundStop:
    """`settled_us`: the record that ended the trip after it; None: the vehicle stands, or that trip goes on."""

    start_us: int
    end_us: int
    settled_us: int | None
    track: Track
    first: bool
    """Nothing is known of what was before."""


@dataclass(slots=True)
class Found:
    """In order of time."""

    trips: list[FoundTrip] = field(default_factory=list)
    stops: list[FoundStop] = field(default_factory=list)
    charges: list[FoundCharge] = field(default_factory=list)
