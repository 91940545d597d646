"""A drive as the course a vehicle takes: once, or lap after lap with a stop to charge in between."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from edge.drive import Drive, Row

LONGEST_GAP_S: Final = 3600.0
"""A longer silence in the recording is replayed as this."""
PARKED_S: Final = 5
LONGEST_CHARGE_S: Final = 45
"""A real charge takes as long as the drive; a demonstration must not."""
CHARGE_KW: Final = 50.0
_CHARGE_S_PER_PERCENT: Final = 60.0 / 100 / CHARGE_KW * 3600
"""A 60 kWh battery at CHARGE_KW."""
_RAMP_S: Final = 5
_ZERO_WHEN_PARKED: Final = frozenset(
    {
        "speed",
        "power",
        "current",
        "acceleration",
        "lateral_acceleration",
        "yaw_rate",
        "rpm",
        "torque",
        "throttle",
        "engine_load",
        "air_flow",
        "hvac_power",
        "ignition",
    }
)
_HELD_WHEN_PARKED: Final = frozenset({"latitude", "longitude", "heading", "altitude", "odometer"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where on its course the vehicle is; saved with every record so that a restart goes on from there."""

    lap: int = 0
    row: int = -1
    """The last row sent, -1 before the first. Rows beyond the file are the stop between laps."""
    odometer_km: float = 0.0
    """What earlier laps added."""
    start: float | None = None
    done: bool = False

    def dump(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def restore(cls, content: Mapping[str, Any]) -> Self:
        return cls(**{name: content[name] for name in cls.__slots__ if name in content})


@dataclass(frozen=True, slots=True)
class Step:
    """One set of readings, due `gap_s` seconds of the drive after the one before it."""

    gap_s: float
    row: Row
    place: Place


def course(drive: Drive, place: Place, *, loop: bool, offset_s: float = 0.0) -> Iterator[Step]:
    """The steps after `place`. `offset_s`: on a fresh start, begin that far into the drive."""
    if place.done and not loop:
        return
    place = replace(place, done=False)
    skip_s = offset_s if place == Place(start=place.start) else 0.0
    while True:
        lap = _Lap(drive, loop)
        yield from lap.steps(place, skip_s)
        if not loop or lap.first_time is None:
            return
        place = Place(place.lap + 1, -1, place.odometer_km + lap.driven_km, place.start)
        skip_s = 0.0


class _Lap:
    """One pass over the recording; remembers how it began and ended."""

    def __init__(self, drive: Drive, loop: bool) -> None:
        self._drive, self._loop = drive, loop
        self._began: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self.first_time: float | None = None

    @property
    def driven_km(self) -> float:
        return max(0.0, self._ended.get("odometer", 0.0) - self._began.get("odometer", 0.0))

    def steps(self, place: Place, skip_s: float) -> Iterator[Step]:
        before: float | None = None
        for row in self._rows():
            assert self.first_time is not None
            if row.number <= place.row or row.time - self.first_time < skip_s:
                continue
            gap = 0.0 if before is None else min(max(row.time - before, 0.0), LONGEST_GAP_S)
            if before is None and place.lap:
                gap = 1.0
            before = row.time
            yield Step(gap, self._moved(row, place), replace(place, row=row.number))

    def _rows(self) -> Iterator[Row]:
        row = None
        for row in self._drive.rows():
            if self.first_time is None:
                self.first_time = row.time
            if self._loop:
                self._ended |= row.readings
                self._began = {**row.readings, **self._began} if self._missing(row) else self._began
            yield row
        if self._loop and row is not None:
            yield from rest(self._began, self._ended, row)

    def _missing(self, row: Row) -> bool:
        return not row.readings.keys() <= self._began.keys()

    def _moved(self, row: Row, place: Place) -> Row:
        """The row with the laps before it added; a vehicle that charges says so all the time."""
        if not self._loop:
            return row
        readings = dict(row.readings)
        if "odometer" in readings:
            readings["odometer"] += place.odometer_km
        if "battery" in readings:
            readings.setdefault("charging", 0.0)
        return replace(row, readings=readings)


def rest(began: Mapping[str, float], ended: Mapping[str, float], last: Row) -> Iterator[Row]:
    """The stop between two laps at one row a second: parked, charged back to where the lap began, parked.

    What changes slowly (charge, voltage, temperatures) goes back gently; the place does not move.
    """
    needed = began.get("battery", 0.0) - ended.get("battery", 0.0)
    seconds = round(min(LONGEST_CHARGE_S, max(0.0, needed) * _CHARGE_S_PER_PERCENT))
    charging = seconds > 2 * _RAMP_S
    if not charging:
        seconds = PARKED_S
    rates = [min(1.0, (k + 0.5) / _RAMP_S, (seconds - k - 0.5) / _RAMP_S) for k in range(seconds)]
    rates = [0.0] * PARKED_S + rates + [0.0] * PARKED_S
    done, total = 0.0, sum(rates)
    for number, rate in enumerate(rates, 1):
        done += rate
        readings = _parked(began, ended, done / total)
        if charging and rate:
            readings |= {"charging": 1.0, **_charge(readings, rate)}
        yield Row(last.number + number, last.time + number, readings)


def _parked(began: Mapping[str, float], ended: Mapping[str, float], part: float) -> dict[str, float]:
    readings = {}
    for name, value in ended.items():
        if name in _ZERO_WHEN_PARKED:
            readings[name] = 0.0
        elif name in _HELD_WHEN_PARKED:
            readings[name] = value
        else:
            readings[name] = value + (began.get(name, value) - value) * part
    return readings


def _charge(readings: Mapping[str, float], rate: float) -> dict[str, float]:
    """Power and current into the battery, for a vehicle that has such sensors."""
    flow = {"power": -CHARGE_KW * rate} if "power" in readings else {}
    voltage = readings.get("voltage", 0.0)
    if "current" in readings and voltage > 0:
        flow["current"] = -CHARGE_KW * rate * 1000 / voltage
    return flow
