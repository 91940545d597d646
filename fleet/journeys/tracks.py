"""A stretch of a vehicle's records summed up as they come, so that nobody reads them twice. SI units, no I/O."""

from copy import copy
from dataclasses import dataclass, field
from typing import Any

from fleet.journeys.movement import SPARSE_S, Distance, Integral, Motion, Odometer, Path, Sample, measured

KNOWN_FOR = 0.9
"""An energy is told where power is known for so much of the time."""


@dataclass(slots=True)
class Track:
    """From its first record to its last, both included. A leg lies between two records."""

    first_us: int
    last_us: int
    records: int = 0
    moving_us: int = 0
    unheard_us: int = 0
    idle_us: int = 0
    """Standing with the ignition on."""
    ignition_told: bool = False
    fastest_mps: float | None = None
    strongest_w: float | None = None
    """The greatest power into the battery."""
    battery_first: float | None = None
    battery_last: float | None = None
    values: int = 0
    filled: int = 0
    speed: Integral = field(default_factory=Integral)
    power: Integral = field(default_factory=Integral)
    odometer: Odometer = field(default_factory=Odometer)
    path: Path = field(default_factory=Path)

    @classmethod
    def of(cls, sample: Sample) -> "Track":
        track = cls(sample.time_us, sample.time_us)
        track._take(sample, 0)
        return track

    def add(self, sample: Sample, was: Motion, now: Motion, gap_us: int, *, on: bool = False) -> None:
        """`was` and `on`: what the record before said of motion and ignition; `gap_us`: more is a silence."""
        span = sample.time_us - self.last_us
        if span > gap_us:
            self.unheard_us += span
        elif on and Motion.MOVING not in (was, now):
            self.idle_us += span
        if Motion.MOVING in (was, now):
            # Half of a leg that begins or ends with standing.
            self.moving_us += span if was is now else span // 2
        self.last_us = sample.time_us
        self._take(sample, gap_us)

    def _take(self, sample: Sample, gap_us: int) -> None:
        self.records += 1
        self.values += sample.values
        self.filled += sample.filled
        if sample.ignition is not None:
            self.ignition_told = True
        if sample.speed_mps is not None:
            speed = abs(sample.speed_mps)
            self.speed.add(sample.time_us, speed, gap_us)
            if self.fastest_mps is None or speed > self.fastest_mps:
                self.fastest_mps = speed
        if sample.power_w is not None:
            self.power.add(sample.time_us, sample.power_w, gap_us)
            if self.strongest_w is None or -sample.power_w > self.strongest_w:
                self.strongest_w = -sample.power_w
        if sample.battery_percent is not None:
            self.battery_last = sample.battery_percent
            if self.battery_first is None:
                self.battery_first = sample.battery_percent
        self.odometer.add(sample.time_us, sample.odometer_m)
        self.path.add(sample)

    def absorb(self, later: "Track") -> None:
        """Go on to the end of one that begins where this ends: what a stop is told by."""
        self.last_us = later.last_us
        self.records += later.records
        self.unheard_us += later.unheard_us
        self.idle_us += later.idle_us
        self.ignition_told |= later.ignition_told
        self.values += later.values
        self.filled += later.filled
        if later.odometer.first_m is not None:
            self.odometer.add(later.odometer.last_us, later.odometer.last_m)
        self.path.last = later.path.last or self.path.last
        self.path.first = self.path.first or later.path.first
        if later.battery_last is not None:
            self.battery_last = later.battery_last
            if self.battery_first is None:
                self.battery_first = later.battery_first

    def copied(self) -> "Track":
        twin = copy(self)
        twin.speed, twin.power = copy(self.speed), copy(self.power)
        twin.odometer, twin.path = copy(self.odometer), copy(self.path)
        return twin

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Track":
        track = cls(**told)
        track.speed, track.power = Integral(**told["speed"]), Integral(**told["power"])
        track.odometer, track.path = Odometer(**told["odometer"]), Path(**told["path"])
        return track

    @property
    def whole_us(self) -> int:
        return self.last_us - self.first_us

    @property
    def distance(self) -> Distance:
        return measured(
            self.odometer.told_m,
            self.speed.over(self.whole_us),
            self.path.told_m,
            sparse=self.whole_us / 1e6 > SPARSE_S * (self.records - 1),
        )

    @property
    def energy_j(self) -> float | None:
        """Out of the battery less what came back; None where power is not known for nearly all of the time."""
        return self.power.over(self.whole_us - self.unheard_us, KNOWN_FOR)
