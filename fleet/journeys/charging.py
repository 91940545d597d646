"""Charging sessions, found as records come: told by the vehicle's charging signal, else by a charge that rises while it
stands. Pure."""

from dataclasses import dataclass
from typing import Any

from fleet.journeys.movement import Motion, Sample, apart_m, fix_of
from fleet.journeys.tracks import Track

LEAST_RISE = 3.0
"""Percentage points: less may be a reading that wavers."""
_FALL = 1.0
_FULL_US = 3_600 * 1_000_000
"""A level that has not risen for so long has stopped charging."""
_ELSEWHERE_M = 500.0


@dataclass(frozen=True, slots=True)
class FoundCharge:
    """`settled_us`: the record after which nothing but late ones can change it. None: it may go on."""

    start_us: int
    end_us: int
    settled_us: int | None
    track: Track
    told: str
    """signal or level: what says that it was charged."""


@dataclass(slots=True)
class Charger:
    """The session under way."""

    track: Track | None = None
    by_level: bool = False
    kept: Track | None = None
    """Of a session by level: up to the last rise."""

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Charger":
        kept, track = told["kept"], told["track"]
        return cls(track and Track.from_json(track), told["by_level"], kept and Track.from_json(kept))

    def step(
        self, sample: Sample, now: Motion, last: Sample | None, was: Motion, gap_us: int
    ) -> FoundCharge | None:
        """The session that this record ends, if it does."""
        done: FoundCharge | None = None
        if sample.charging:
            if self.track is not None and (self.by_level or self._elsewhere(sample)):
                done = self._settle(sample.time_us)
            if self.track is None:
                self.track, self.by_level = Track.of(sample), False
            else:
                self.track.add(sample, Motion.STANDING, Motion.STANDING, gap_us)
        elif sample.charging is False or now is Motion.MOVING:
            done = self._settle(sample.time_us)
        elif self.track is None:
            self._maybe_rises(sample, last, was, gap_us)
        elif self.by_level:
            done = self._level(sample, gap_us)
        return done

    def _maybe_rises(self, sample: Sample, last: Sample | None, was: Motion, gap_us: int) -> None:
        if last is None or was is Motion.MOVING or last.charging is not None:
            return
        if last.battery_percent is None or sample.battery_percent is None:
            return
        if sample.battery_percent > last.battery_percent:
            self.track, self.by_level = Track.of(last), True
            self.track.add(sample, Motion.STANDING, Motion.STANDING, gap_us)
            self.kept = self.track.copied()

    def _level(self, sample: Sample, gap_us: int) -> FoundCharge | None:
        assert self.track is not None and self.kept is not None
        before = self.track.battery_last
        assert before is not None
        level = sample.battery_percent
        stopped = sample.time_us - self.kept.last_us > _FULL_US and (level is None or level <= before)
        if stopped or (level is not None and level < before - _FALL):
            return self._settle(sample.time_us)
        self.track.add(sample, Motion.STANDING, Motion.STANDING, gap_us)
        if level is not None and level > before:
            self.kept = self.track.copied()
        return None

    def _elsewhere(self, sample: Sample) -> bool:
        assert self.track is not None
        last = self.track.path.last
        return last is not None and sample.placed and apart_m(last, fix_of(sample)) > _ELSEWHERE_M

    def _settle(self, time_us: int) -> FoundCharge | None:
        found = self.open(time_us)
        self.track = self.kept = None
        self.by_level = False
        return found

    def open(self, settled_us: int | None = None) -> FoundCharge | None:
        """The session as it is told so far."""
        track = self.kept if self.by_level else self.track
        if track is None:
            return None
        if self.by_level and (track.battery_last or 0.0) - (track.battery_first or 0.0) < LEAST_RISE:
            return None
        return FoundCharge(
            track.first_us, track.last_us, settled_us, track, "level" if self.by_level else "signal"
        )
