"""What driving events are: kinds, limits, and what lasts (speeding, idling). Pure functions, SI units.

Harsh events are found in fleet/behaviour/manoeuvres.py. Where the limits come from: docs/score.md.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from fleet.alerting.conditions import Condition
from fleet.alerting.conditions import Sample as Held

FINDER_VERSION: Final = 2
"""Change it with what finds events: every fleet's are then found anew."""
SECOND_US: Final = 1_000_000
G: Final = 9.81
"""m/s²; limits are given in parts of it."""
MERGED_US: Final = 3 * SECOND_US
"""Events of a kind that are closer than this are one."""
REACH_US: Final = 30 * SECOND_US
"""A record further away than this changes nothing about a harsh event."""
SPEED_GAP_US, IDLE_GAP_US = 60 * SECOND_US, 300 * SECOND_US
STANDING_MPS: Final = 1.0
_STARTED_RPM: Final = 300.0

ACCELERATION, BRAKING, CORNERING = "harsh_acceleration", "harsh_braking", "harsh_cornering"
SPEEDING, IDLING = "speeding", "idling"
HARSH: Final = (ACCELERATION, BRAKING, CORNERING)
LASTING: Final = (SPEEDING, IDLING)
SOURCES: Final = {SPEEDING: "speed", IDLING: "ignition"}
SENT_SPEED, SENT_ACCELERATION, SENT_LATERAL, SENT_YAW, SENT_HEADING = 1, 2, 4, 8, 16


class Sample(NamedTuple):
    """What one record of one device says. None: it does not say, or cannot be relied on."""

    time_us: int
    device: int = 0
    speed_mps: float | None = None
    acceleration: float | None = None
    lateral: float | None = None
    yaw_degps: float | None = None
    heading_deg: float | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    ignition: bool | None = None
    rpm: float | None = None
    charging: bool | None = None
    sent: int = 31
    """Which of the values came over the air: SENT_… added up. The others were reconstructed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts; of a fleet. Changing them finds all events anew."""

    acceleration: float = round(0.35 * G, 2)
    braking: float = round(0.35 * G, 2)
    cornering: float = round(0.40 * G, 2)
    speed_mps: float | None = 130 / 3.6
    """None: nothing is speeding."""
    speeding_s: float = 5.0
    idling_s: float = 300.0
    gate_mps: float = 10 / 3.6
    corner_gate_mps: float = 30 / 3.6

    def of(self, kind: str) -> float:
        return {ACCELERATION: self.acceleration, BRAKING: self.braking, CORNERING: self.cornering}[kind]


class Found(NamedTuple):
    """An event. `peak`: m/s² of a harsh one, m/s of speeding. `rate_hz`: of the readings it was seen in."""

    kind: str
    started_us: int
    ended_us: int
    peak: float | None = None
    speed_before_mps: float | None = None
    source: str = ""
    rate_hz: float | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    going_on: bool = False


def condition_of(kind: str, limits: Limits) -> Condition | None:
    """What lasts, as a condition of `held`. None: there is no such limit."""
    if kind == IDLING:
        return Condition(IDLING, "above", 0.5, 0.5, round(limits.idling_s * SECOND_US), IDLE_GAP_US)
    if limits.speed_mps is None:
        return None
    limit = limits.speed_mps
    return Condition(SPEEDING, "above", limit, limit, round(limits.speeding_s * SECOND_US), SPEED_GAP_US)


def held(kind: str, sample: Sample) -> Held | None:
    """Of speeding the speed, m/s; of idling whether it stands with its engine on. None: not known."""
    if sample.speed_mps is None:
        return None
    speed = abs(sample.speed_mps)
    if kind == SPEEDING:
        return Held(sample.time_us, speed)
    if speed >= STANDING_MPS or sample.ignition is False or sample.charging:
        return Held(sample.time_us, 0.0)
    on = sample.ignition if sample.ignition is not None else _turns(sample.rpm)
    return None if on is None else Held(sample.time_us, float(on))


def _turns(rpm: float | None) -> bool | None:
    """An engine that idles turns; an electric motor that stands does not, so that its standing says nothing."""
    return True if rpm is not None and rpm >= _STARTED_RPM else None


def strength(found: Found, limits: Limits) -> int:
    """1 to 3: of a harsh event by its peak (from 1.3 and 1.6 times the limit), of speeding from 10 and 20 km/h on."""
    if found.peak is None:
        return 1
    if found.kind in HARSH:
        times = found.peak / limits.of(found.kind)
        return 1 if times < 1.3 else 2 if times < 1.6 else 3
    over_kmh = (found.peak - (limits.speed_mps or found.peak)) * 3.6
    return 1 if over_kmh < 10 else 2 if over_kmh < 20 else 3


def visible(rate_hz: float | None) -> tuple[tuple[str, bool], ...]:
    """What can be seen at a rate of records, and what cannot."""
    rate = rate_hz or 0.0
    return (
        ("speeding, idling, driving at night", rate > 0.015),
        ("harsh braking, acceleration and cornering that last a second", rate >= 0.4),
        ("those that last 0.3 s", rate >= 5.0),
    )
