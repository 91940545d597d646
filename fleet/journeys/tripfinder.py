"""Trips, the stops between them and charging sessions, found in a vehicle's records in event time. Pure.

A trip goes from where a vehicle starts moving to where it stops for good: it stands for `stop_s`, its ignition goes
off for `off_s`, it is charged, or nothing is heard of it for `gap_s` and it cannot have driven on meanwhile. What is
too short to be a trip belongs to the stop around it. Trips and stops take turns without a hole between them.

`Finder` is fed one record after the other. It can be written down at any moment and go on later from there, with
exactly the same result: that is how stored trips follow appended records without reading what came before.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from fleet.journeys.charging import Charger
from fleet.journeys.found import Found, FoundStop, FoundTrip
from fleet.journeys.movement import (
    IMPOSSIBLE_MPS,
    ODOMETER_STEP_M,
    SPARSE_S,
    Fix,
    Motion,
    Sample,
    between_m,
    fix_of,
    motion_of,
)
from fleet.journeys.tracks import Track

_S = 1_000_000


@dataclass(frozen=True, slots=True)
class TripSettings:
    """What counts as a trip. Printed on every report; changing them finds all trips anew."""

    moving_mps: float = 1.0
    stop_s: float = 180.0
    off_s: float = 30.0
    gap_s: float = 600.0
    longest_gap_s: float = 3_600.0
    """Over a longer silence no trip goes on, wherever the vehicle is afterwards."""
    drove_on_mps: float = 3.0
    """A vehicle that got on this fast through a silence was driving: a tunnel, a dead spot."""
    least_m: float = 200.0
    least_s: float = 60.0


@dataclass(slots=True)
class Pause:
    """What a vehicle said since it moved last: does it end the trip? First and last moments."""

    stood: tuple[int, int] | None = None
    off: tuple[int, int] | None = None
    charged: bool = False

    def note(self, sample: Sample, motion: Motion) -> None:
        if motion is not Motion.STANDING:
            return
        now = sample.time_us
        self.stood = (self.stood[0], now) if self.stood else (now, now)
        if sample.ignition is False or sample.charging:
            self.off = (self.off[0], now) if self.off else (now, now)
        self.charged |= bool(sample.charging)

    def ends(self, settings: TripSettings) -> bool:
        """From the first record that says so to the last: silence before and after may have been driving."""
        if self.charged:
            return True
        stood = self.stood is not None and self.stood[1] - self.stood[0] >= settings.stop_s * _S
        return stood or (self.off is not None and self.off[1] - self.off[0] >= settings.off_s * _S)


@dataclass(slots=True)
class Finder:
    """Feed it samples of distinct, growing moments."""

    settings: TripSettings
    found: Found = field(default_factory=Found)
    """What was settled since somebody took it."""
    last: Sample | None = None
    was: Motion = Motion.UNKNOWN
    placed: Fix | None = None
    metered: tuple[int, float] | None = None
    """The last reading of the odometer, and when."""
    stop: Track | None = None
    first: bool = True
    """The stop is the first that is known of."""
    trip: Track | None = None
    """Under way, the present pause included; and how it ends if that pause ends it."""
    kept: Track | None = None
    rest: Track | None = None
    pause: Pause | None = None
    charger: Charger = field(default_factory=Charger)

    def step(self, sample: Sample) -> None:
        now = motion_of(sample, self.placed, self.settings.moving_mps)
        if now is Motion.STANDING and not sample.charging and self._counted_on(sample):
            now = Motion.MOVING
        gap_us = round(self.settings.gap_s * _S)
        charge = self.charger.step(sample, now, self.last, self.was, gap_us)
        if charge:
            self.found.charges.append(charge)
        if self.last is None:
            self._begin(sample, now)
        elif self.trip is None:
            self._standing(sample, now, gap_us)
        elif self._cut_off(self.last, sample):
            self._silenced(sample, now, gap_us)
        elif now is Motion.MOVING:
            self._extend(self.trip, sample, now, gap_us)
            self.kept = self.rest = self.pause = None
        else:
            self._pausing(self.trip, sample, now, gap_us)
        if sample.placed:
            self.placed = fix_of(sample)
        if sample.odometer_m is not None:
            self.metered = sample.time_us, sample.odometer_m
        self.last, self.was = sample, now

    def _counted_on(self, sample: Sample) -> bool:
        """Did the odometer count on since a reading long ago? Some vehicles tell no speed but 0 between far records."""
        if self.metered is None or sample.odometer_m is None:
            return False
        metres, seconds = sample.odometer_m - self.metered[1], (sample.time_us - self.metered[0]) / _S
        if not SPARSE_S <= seconds <= self.settings.gap_s or metres < ODOMETER_STEP_M:
            return False
        return self.settings.moving_mps < metres / seconds <= IMPOSSIBLE_MPS

    def _begin(self, sample: Sample, now: Motion) -> None:
        if now is Motion.MOVING:
            self.trip = Track.of(sample)
        else:
            self.stop = Track.of(sample)

    def _standing(self, sample: Sample, now: Motion, gap_us: int) -> None:
        assert self.last is not None and self.stop is not None
        if now is not Motion.MOVING:
            self._extend(self.stop, sample, now, gap_us)
        elif not self._cut_off(self.last, sample):
            # It started to move after the last record that says it stood.
            self.trip = Track.of(self.last)
            self._extend(self.trip, sample, now, gap_us)
        else:
            self._extend(self.stop, sample, Motion.UNKNOWN, gap_us)
            self.trip = Track.of(sample)

    def _pausing(self, trip: Track, sample: Sample, now: Motion, gap_us: int) -> None:
        self._extend(trip, sample, now, gap_us)
        if self.pause is None or self.rest is None:
            # It stopped before the first record that says it stands.
            self.kept, self.rest, self.pause = trip.copied(), Track.of(sample), Pause()
        else:
            self._extend(self.rest, sample, now, gap_us)
        self.pause.note(sample, now)
        if self.pause.ends(self.settings):
            self._settle(sample.time_us)

    def _silenced(self, sample: Sample, now: Motion, gap_us: int) -> None:
        """The trip ended before the silence from which this record comes."""
        assert self.last is not None
        if self.rest is None:
            self.rest = Track.of(self.last)
        self._extend(self.rest, sample, Motion.UNKNOWN if now is Motion.MOVING else now, gap_us)
        self._settle(sample.time_us)
        if now is Motion.MOVING:
            self.trip = Track.of(sample)

    def _settle(self, time_us: int) -> None:
        trip, rest = self.kept or self.trip, self.rest
        assert trip is not None and rest is not None
        self.trip = self.kept = self.rest = self.pause = None
        if self._is_one(trip):
            if self.stop is not None:
                self.found.stops.append(_stop(self.stop, time_us, first=self.first))
            self.found.trips.append(_trip(trip, time_us))
            self.stop, self.first = rest, False
            return
        if self.stop is None:
            self.stop = Track(trip.first_us, trip.first_us)
        self.stop.absorb(trip)
        self.stop.absorb(rest)

    def _extend(self, track: Track, sample: Sample, now: Motion, gap_us: int) -> None:
        assert self.last is not None
        was = Motion.STANDING if track is self.rest or track is self.stop else self.was
        track.add(sample, was, now, gap_us, on=bool(self.last.ignition))

    def _is_one(self, trip: Track) -> bool:
        return trip.whole_us >= self.settings.least_s * _S and trip.distance.metres >= self.settings.least_m

    def _cut_off(self, one: Sample, other: Sample) -> bool:
        silent_s = (other.time_us - one.time_us) / _S
        return silent_s > self.settings.gap_s and not self._drove_on(one, other, silent_s)

    def _drove_on(self, one: Sample, other: Sample, silent_s: float) -> bool:
        if silent_s > self.settings.longest_gap_s:
            return False
        if one.odometer_m is not None and other.odometer_m is not None:
            return other.odometer_m - one.odometer_m >= self.settings.drove_on_mps * silent_s
        if one.placed and other.placed:
            return between_m(one, other) >= self.settings.drove_on_mps * silent_s
        return False

    def take(self) -> Found:
        """What was settled since the last time."""
        found, self.found = self.found, Found()
        return found

    def under_way(self) -> Found:
        """What more there is if nothing follows; the records decide anew when something does."""
        found = Found()
        trip = self.kept or self.trip
        if trip is not None and self._is_one(trip):
            if self.stop is not None:
                found.stops.append(_stop(self.stop, None, first=self.first))
            found.trips.append(_trip(trip, None))
            if self.rest is not None:
                found.stops.append(_stop(self.rest, None, first=False))
        elif self.stop is not None:
            whole = self.stop.copied()
            for later in (trip, self.rest):
                if later is not None:
                    whole.absorb(later)
            found.stops.append(_stop(whole, None, first=self.first))
        charge = self.charger.open()
        if charge is not None:
            found.charges.append(charge)
        return found

    def written(self) -> str:
        """Everything that what follows depends on; equal texts go on equally. Call after `take`."""
        told = {
            "last": self.last and list(self.last),
            "was": int(self.was),
            "placed": self.placed,
            "metered": self.metered,
            "first": self.first,
            "pause": self.pause and asdict(self.pause),
            "charger": self.charger,
            "stop": self.stop,
            "trip": self.trip,
            "kept": self.kept,
            "rest": self.rest,
        }
        return orjson.dumps(told).decode()

    @classmethod
    def read(cls, settings: TripSettings, text: str) -> "Finder":
        """What `written` told; an empty text begins anew."""
        if not text:
            return cls(settings)
        told: dict[str, Any] = orjson.loads(text)
        return cls(
            settings,
            last=told["last"] and Sample(*told["last"]),
            was=Motion(told["was"]),
            placed=told["placed"],
            metered=told["metered"],
            first=told["first"],
            pause=told["pause"] and Pause(**told["pause"]),
            charger=Charger.from_json(told["charger"]),
            stop=_track(told["stop"]),
            trip=_track(told["trip"]),
            kept=_track(told["kept"]),
            rest=_track(told["rest"]),
        )


def _track(told: dict[str, Any] | None) -> Track | None:
    return None if told is None else Track.from_json(told)


def _trip(track: Track, settled_us: int | None) -> FoundTrip:
    return FoundTrip(track.first_us, track.last_us, settled_us, track)


def _stop(track: Track, settled_us: int | None, *, first: bool) -> FoundStop:
    return FoundStop(track.first_us, track.last_us, settled_us, track, first)


def find_trips(samples: Sequence[Sample], settings: TripSettings) -> list[FoundTrip]:
    """`samples` in order of time. The trips in order, each long enough to be one."""
    finder = Finder(settings)
    for sample in samples:
        finder.step(sample)
    return [*finder.found.trips, *finder.under_way().trips]
