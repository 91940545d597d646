"""When does a rule's condition hold? Pure functions over frozen values; the same samples, the same stretches."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from fleet.models import AlertRule

ABOVE, BELOW, FAULT = "above", "below", "fault"
SECOND_US: Final = 1_000_000
GAP_S: Final = 7 * 86_400
"""What is not measured for longer than this is not known to have gone on."""
DRIVING_GAP_S: Final = 300
"""The same for what changes within seconds: nobody knows how a car drove where records are missing."""
ALL_CLEAR: Final = frozenset(
    [
        "0",
        "0.0",
        "false",
        "no",
        "none",
        "null",
        "nil",
        "ok",
        "okay",
        "clear",
        "cleared",
        "normal",
        "healthy",
        "running",
        "on",
        "started",
        "starting",
        "idle",
        "idling",
        "ready",
        "true",
        "off",
        "stopped",
        "stopping",
        "parked",
    ]
)
"""Words that report no fault, in whatever field. `true` and `on` say that an engine runs."""
_BETWEEN_CODES: Final = re.compile(r"[\s,;|]+")


class Level(IntEnum):
    CLEAR = 0
    BETWEEN = 1
    """Neither: what held goes on, what did not does not begin."""
    BEYOND = 2


@dataclass(frozen=True, slots=True)
class Condition:
    """`limit` and `clear` are equal without hysteresis. Durations in microseconds."""

    field: str
    direction: str
    limit: float = 0.0
    clear: float = 0.0
    min_us: int = 0
    gap_us: int = GAP_S * SECOND_US
    codes: frozenset[str] = frozenset()

    def level(self, value: float) -> Level:
        sign = -1 if self.direction == BELOW else 1
        if sign * value > sign * self.limit:
            return Level.BEYOND
        return Level.CLEAR if sign * value <= sign * self.clear else Level.BETWEEN

    def worse(self, one: float, other: float) -> float:
        return min(one, other) if self.direction == BELOW else max(one, other)


class Sample(NamedTuple):
    """What a record says about a condition. Of faults the value is the number of codes."""

    time_us: int
    value: float
    codes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stretch:
    """The condition held from `started_us`; `last_us` is the last sample in which it did."""

    started_us: int
    last_us: int
    ended_us: int | None
    peak: float
    codes: frozenset[str] = frozenset()

    def confirmed(self, condition: Condition) -> bool:
        return self.last_us - self.started_us >= condition.min_us


def sample_of(condition: Condition, time_us: int, values: Mapping[str, Any]) -> Sample | None:
    """None: the record says nothing about it."""
    value = values.get(condition.field)
    if value is None:
        return None
    if condition.direction == FAULT:
        codes = codes_in(value, condition.codes)
        return Sample(time_us, float(len(codes)), codes)
    return Sample(time_us, float(value)) if isinstance(value, int | float) else None


def codes_in(value: Any, wanted: frozenset[str] = frozenset()) -> frozenset[str]:
    """The faults that a text or number reports: `P0301 P0420`, `["P0301"]`, `error`, 2. Upper case."""
    if isinstance(value, int | float):
        value = f"{value:g}"
    words = _words(str(value))
    if wanted:
        return frozenset(word.upper() for word in words if word.casefold() in wanted)
    return frozenset(word.upper() for word in words if word.casefold() not in ALL_CLEAR)


def _words(text: str) -> Iterator[str]:
    if text[:1] == "[":
        try:
            listed = json.loads(text)
        except ValueError:
            listed = None
        if isinstance(listed, list):
            text = " ".join(word for word in listed if isinstance(word, str))
    return (word for word in _BETWEEN_CODES.split(text.strip()) if word)


def merged(condition: Condition, samples: Iterable[Sample]) -> Iterator[Sample]:
    """Of several samples of one moment the worst, whatever their order. Takes them in order of time."""
    held: Sample | None = None
    for sample in samples:
        if held is not None and held.time_us == sample.time_us:
            codes = held.codes | sample.codes
            value = float(len(codes)) if codes else condition.worse(held.value, sample.value)
            held = Sample(held.time_us, value, codes)
            continue
        if held is not None:
            yield held
        held = sample
    if held is not None:
        yield held


def stretches(condition: Condition, samples: Iterable[Sample], begun: Stretch | None = None) -> list[Stretch]:
    """Samples of distinct moments, in order. `begun`: what held before the first of them.

    The last one may be open. Ended ones that did not last are left out.
    """
    found: list[Stretch] = []
    now = begun
    for sample in samples:
        if now is not None and sample.time_us - now.last_us > condition.gap_us:
            found.append(replace(now, ended_us=now.last_us))
            now = None
        level = condition.level(sample.value)
        if now is None:
            if level is Level.BEYOND:
                now = Stretch(sample.time_us, sample.time_us, None, sample.value, sample.codes)
        elif level is Level.CLEAR:
            found.append(replace(now, ended_us=sample.time_us))
            now = None
        else:
            peak = condition.worse(now.peak, sample.value)
            now = replace(now, last_us=sample.time_us, peak=peak, codes=now.codes | sample.codes)
    if now is not None:
        found.append(now)
    return [one for one in found if one.ended_us is None or one.confirmed(condition)]


def closed(condition: Condition, found: list[Stretch]) -> list[Stretch]:
    """The same where it is known that whatever follows their last sample comes after a gap."""
    ended = [replace(one, ended_us=one.last_us) if one.ended_us is None else one for one in found]
    return [one for one in ended if one.confirmed(condition)]


def condition_of(rule: "AlertRule") -> Condition:
    """Of any rule that is judged by records, which silence and geofence are not."""
    limit = rule.limit or 0.0
    return Condition(
        field=rule.field,
        direction=FAULT if rule.kind == "fault" else rule.direction,
        limit=limit,
        clear=limit if rule.clear is None else rule.clear,
        min_us=round(rule.min_duration_s * SECOND_US),
        gap_us=(DRIVING_GAP_S if rule.kind == "overspeed" else GAP_S) * SECOND_US,
        codes=frozenset(str(code).casefold() for code in rule.codes),
    )


def settled(rule: "AlertRule") -> dict[str, list[str]]:
    """Fills what the kind decides, empties what it has no use for; answers what is wrong, by field."""
    from fleet.alerting.ruletext import unknown_places

    wrong: dict[str, list[str]] = {}
    if rule.kind == "low_charge":
        rule.field, rule.direction = "battery", BELOW
    elif rule.kind == "overspeed":
        rule.field, rule.direction = "speed", ABOVE
    if rule.kind in {"fault", "silence", "geofence"}:
        rule.direction, rule.limit, rule.clear = "", None, None
    _check_geofence(rule, wrong)
    if rule.kind == "silence":
        rule.field, rule.min_duration_s = "", 0
        if rule.silent_after_s is None:
            wrong["silent_after_s"] = ["Say after how long without any data."]
    else:
        rule.silent_after_s, rule.ignore_parked = None, False
        if not rule.field.strip():
            wrong["field"] = [
                "Name a signal or a further value, such as coolant_temperature or fruiting.temp."
            ]
    _check_codes(rule, wrong)
    if rule.kind in {"threshold", "low_charge", "overspeed"}:
        _check_limits(rule, wrong)
    if places := unknown_places(rule.message):
        wrong["message"] = [
            f"There is no {{{places[0]}}}; there are {{vehicle}}, {{value}}, {{unit}}, {{limit}}."
        ]
    return wrong


def _check_geofence(rule: "AlertRule", wrong: dict[str, list[str]]) -> None:
    if rule.kind != "geofence":
        rule.geofence, rule.crossing = None, ""
        return
    rule.field = "geofence"
    if rule.geofence is None or rule.geofence.fleet_id != rule.fleet_id:
        wrong["geofence"] = ["Choose one of this fleet's geofences."]
    if rule.crossing not in {"enter", "leave", "dwell", "outside"}:
        wrong["crossing"] = ["Send enter, leave, dwell or outside."]
    elif rule.crossing in {"enter", "leave"}:
        rule.min_duration_s = 0


def _check_codes(rule: "AlertRule", wrong: dict[str, list[str]]) -> None:
    if rule.kind != "fault":
        rule.codes = []
    elif not isinstance(rule.codes, list) or not all(
        isinstance(code, str) and 0 < len(code.strip()) <= 40 for code in rule.codes
    ):
        wrong["codes"] = ["Send a list of codes or words of up to 40 characters."]
    elif len(rule.codes) > 100:
        wrong["codes"] = ["At most 100."]
    else:
        rule.codes = [code.strip() for code in rule.codes]


def _check_limits(rule: "AlertRule", wrong: dict[str, list[str]]) -> None:
    if rule.direction not in {ABOVE, BELOW}:
        wrong["direction"] = ["Send above or below."]
    if rule.limit is None:
        wrong["limit"] = ["Say where the limit is."]
    elif rule.kind == "low_charge" and not 0 < rule.limit <= 100:
        wrong["limit"] = ["A charge is between 0 and 100 %."]
    elif rule.kind == "overspeed" and not 0 < rule.limit <= 500:
        wrong["limit"] = ["A speed limit is between 0 and 500 km/h."]
    elif rule.clear is not None and rule.direction == ABOVE and rule.clear > rule.limit:
        wrong["clear"] = ["Must not be above the limit, else the condition would end before it began."]
    elif rule.clear is not None and rule.direction == BELOW and rule.clear < rule.limit:
        wrong["clear"] = ["Must not be below the limit, else the condition would end before it began."]
