"""Driving events over touched spans: what the stored records say there was, written by fleet.behaviour.drivingevents.

A harsh event depends on the records of half a minute around it, so that only those around the span are read again.
Speeding and idling that go on are taken up where they stand; late records are judged again from the last moment at
which neither held, to the first one after them.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from django.db.models import Q

from fleet.alerting.conditions import ABOVE, Condition, Level, Stretch, merged, stretches
from fleet.alerting.conditions import Sample as Held
from fleet.behaviour import drivingevents
from fleet.behaviour.believed import begun_at
from fleet.behaviour.driving import (
    HARSH,
    LASTING,
    MERGED_US,
    REACH_US,
    SOURCES,
    SPEEDING,
    Found,
    Limits,
    Sample,
    condition_of,
    held,
)
from fleet.behaviour.drivingevents import Judged, moment
from fleet.behaviour.manoeuvres import harsh_events
from fleet.models import DrivingEvent, DrivingSettings, Vehicle
from telemetry.derivation import driving_rows
from telemetry.derivation.driving_kept import Edge, edges
from telemetry.derivation.readback import Range
from telemetry.derivation.touched import Span
from telemetry.frames import to_us
from telemetry.models import TelemetryRecord

_AROUND_US = 3 * REACH_US
"""Read on either side of a span at first: enough unless an event lies across the end of it."""
_LATER_S = 300
"""Days in which an event only goes on are summed up this often."""


@dataclass(frozen=True, slots=True)
class _Of:
    """What is known of a span's vehicle."""

    span: Span
    limits: Limits
    samples: Sequence[Sample]
    """Of the span and around it."""
    stored: Sequence[DrivingEvent]
    """Of the span and around it, and whatever goes on."""
    edge: Edge


def consume(spans: Sequence[Span]) -> None:
    """A consumer of telemetry.derivation.derive."""
    vehicles = Vehicle.objects.filter(pk__in=[span.vehicle_id for span in spans])
    fleets = dict(vehicles.values_list("pk", "fleet_id"))
    settings = DrivingSettings.objects.in_bulk(set(fleets.values()))
    # A fleet that is new gets its settings, and its vehicles their turn, from take_up.
    known = [span for span in spans if fleets.get(span.vehicle_id) in settings]
    around = [(span.vehicle_id, span.first_us - _AROUND_US, span.last_us + _AROUND_US) for span in known]
    rows = driving_rows.samples(around)
    stored = _stored(around)
    kept = edges({span.vehicle_id: fleets[span.vehicle_id] for span in known})
    judged = []
    for span in known:
        vehicle, fleet = span.vehicle_id, fleets[span.vehicle_id]
        one = _Of(span, settings[fleet].limits, rows[vehicle], stored[vehicle], kept[vehicle])
        for old, found in chain([_harsh(one)], (_lasting(one, kind) for kind in LASTING)):
            judged.append(Judged(vehicle, fleet, one.limits, old, found))
    drivingevents.keep(judged, int(time.time() // _LATER_S + 1) * _LATER_S)


def _stored(ranges: Sequence[Range]) -> Mapping[int, list[DrivingEvent]]:
    found: dict[int, list[DrivingEvent]] = defaultdict(list)
    wanted = Q(pk__in=())
    for vehicle, first, last in ranges:
        begun = Q(started_at__lte=moment(last), ended_at__gte=moment(first))
        wanted |= Q(vehicle=vehicle) & (begun | Q(going_on=True))
    for row in DrivingEvent.objects.filter(wanted).order_by("started_at", "pk"):
        found[row.vehicle_id].append(row)
    return found


def _harsh(one: _Of) -> tuple[list[DrivingEvent], list[Found]]:
    """Grown until neither a stored event nor one that is found reaches beyond what is looked at."""
    begin, end = one.span.first_us - REACH_US, one.span.last_us + REACH_US
    room, rows, stored = _AROUND_US - 2 * REACH_US, one.samples, one.stored
    first, last = begin - room, end + room
    while True:
        old = [row for row in stored if row.kind in HARSH and _meets(row, begin, end)]
        found = [
            event
            for event in harsh_events(rows, one.limits)
            if event.started_us <= end + MERGED_US and event.ended_us >= begin - MERGED_US
        ]
        reached = [(to_us(row.started_at), to_us(row.ended_at)) for row in old]
        reached += [(event.started_us, event.ended_us) for event in found]
        lowest = min([begin, *(low for low, _ in reached)])
        highest = max([end, *(high for _, high in reached)])
        if (lowest, highest) == (begin, end):
            return one.edge.judged(old, found)
        begin, end = lowest, highest
        if begin < first or end > last:
            first, last = begin - room, end + room
            vehicle = one.span.vehicle_id
            wider = (vehicle, first - REACH_US, last + REACH_US)
            rows, stored = driving_rows.samples([wider])[vehicle], _stored([wider])[vehicle]


def _meets(row: DrivingEvent, begin: int, end: int) -> bool:
    return to_us(row.started_at) <= end + MERGED_US and to_us(row.ended_at) >= begin - MERGED_US


def _lasting(one: _Of, kind: str) -> tuple[list[DrivingEvent], list[Found]]:
    condition, span = condition_of(kind, one.limits), one.span
    mine = [row for row in one.stored if row.kind == kind]
    if condition is None:
        return one.edge.judged(mine, [])
    within = _held(kind, (s for s in one.samples if span.first_us <= s.time_us <= span.last_us))
    open_one = next((row for row in mine if row.going_on), None)
    if span.appends and open_one is not None and to_us(open_one.ended_at) < span.first_us:
        found = stretches(condition, within, _stretch(open_one))
        return [open_one], [
            _event(one, kind, condition, stretch, open_one) for stretch in _confirmed(found, condition)
        ]
    judging = _Judging(one, kind, condition)
    begin = judging.begin()
    before = _held(kind, judging.between(begin, span.first_us - 1))
    after, stop = judging.after(within[-1].time_us if within else None)
    found = stretches(condition, [*before, *within, *after])
    last = max([span.last_us, *(sample.time_us for sample in after)])
    old = judging.stored(mine, begin, last if stop is None else stop - 1)
    new = [stretch for stretch in _confirmed(found, condition) if stop is None or stretch.started_us < stop]
    outlived = open_one is not None and open_one not in old and to_us(open_one.ended_at) < begin
    old, events = one.edge.judged(old, [_event(one, kind, condition, stretch) for stretch in new])
    if open_one is not None and outlived and (before or within):
        # It went on when its records were the newest; now there are others, after too long a silence.
        stretch = _stretch(open_one)
        ended = replace(stretch, ended_us=stretch.last_us)
        old, events = [*old, open_one], [*events, _event(one, kind, condition, ended, open_one)]
    return old, events


def _held(kind: str, samples: Iterable[Sample]) -> list[Held]:
    """Of distinct moments; of several samples of one the worst."""
    said = (held(kind, sample) for sample in samples)
    return list(merged(Condition(kind, ABOVE), (one for one in said if one is not None)))


def _confirmed(found: Iterable[Stretch], condition: Condition) -> list[Stretch]:
    return [stretch for stretch in found if stretch.confirmed(condition)]


def _stretch(row: DrivingEvent) -> Stretch:
    """Of one that goes on."""
    last_us = to_us(row.ended_at)
    return Stretch(
        to_us(row.started_at), last_us, None, 1.0 if row.top_speed_m_s is None else row.top_speed_m_s
    )


def _event(
    one: _Of, kind: str, condition: Condition, stretch: Stretch, known: DrivingEvent | None = None
) -> Found:
    """`known`: its row, when it was only gone on from."""
    peak = stretch.peak if kind == SPEEDING else None
    going_on = stretch.ended_us is None
    ended_us = stretch.last_us if stretch.ended_us is None else stretch.ended_us
    found = Found(kind, stretch.started_us, ended_us, peak, source=SOURCES[kind], going_on=going_on)
    if known is not None and to_us(known.started_at) == stretch.started_us:
        return found._replace(
            rate_hz=known.rate_hz, latitude_deg=known.latitude_deg, longitude_deg=known.longitude_deg
        )
    # Of its first moments, which were all there when it had lasted long enough.
    first, vehicle = stretch.started_us, one.span.vehicle_id
    opening = driving_rows.samples([(vehicle, first, first + condition.min_us)])[vehicle]
    return begun_at(found, opening)


@dataclass(frozen=True, slots=True)
class _Judging:
    """Late records: the stretch of time about which they may say something else now."""

    of: _Of
    kind: str
    condition: Condition

    def begin(self) -> int:
        """A moment not after the span before which nothing held: of a record that says so, or the end of a gap."""
        span, gap_us = self.of.span, self.condition.gap_us
        place, edge = span.first_us, span.first_us - _AROUND_US
        near = reversed([sample for sample in self.of.samples if sample.time_us < span.first_us])
        samples: Iterable[Sample] = near
        while True:
            for sample in samples:
                said = held(self.kind, sample)
                if said is None:
                    continue
                if place - said.time_us > gap_us:
                    return place
                place = said.time_us
                if self.condition.level(said.value) is Level.CLEAR:
                    return place
            floor = place - gap_us
            if floor >= edge:
                return place
            samples, edge = driving_rows.backwards(span.vehicle_id, edge, floor), floor

    def between(self, begin: int, end: int) -> Sequence[Sample]:
        if begin >= self.of.span.first_us - _AROUND_US:
            return [sample for sample in self.of.samples if begin <= sample.time_us <= end]
        vehicle = self.of.span.vehicle_id
        return driving_rows.samples([(vehicle, begin, end)])[vehicle]

    def after(self, last_us: int | None) -> tuple[list[Held], int | None]:
        """On to the first that is clear. The moment from which on nothing can have changed, where there is a gap."""
        span, gap_us = self.of.span, self.condition.gap_us
        found: list[Held] = []
        if span.appends:
            return found, None
        place, edge = last_us or span.last_us, span.last_us + _AROUND_US
        samples: Iterable[Sample] = [sample for sample in self.of.samples if sample.time_us > span.last_us]
        while True:
            for sample in samples:
                said = held(self.kind, sample)
                if said is None:
                    continue
                found.append(said)
                if said.time_us - place > gap_us:
                    return _held_once(found), said.time_us
                place = said.time_us
                if self.condition.level(said.value) is Level.CLEAR:
                    return _held_once(found), None
            ceiling = place + gap_us + 1
            if ceiling <= edge:
                return self._beyond(edge, found)
            samples, edge = driving_rows.forwards(span.vehicle_id, edge, ceiling), ceiling

    def _beyond(self, edge: int, found: list[Held]) -> tuple[list[Held], int | None]:
        """Nothing was heard for too long: if anything is later, what held has ended. Read only as far as the first."""
        newest = TelemetryRecord.objects.filter(vehicle=self.of.span.vehicle_id).order_by("-time")
        last = newest.values_list("time", flat=True).first()
        for sample in driving_rows.forwards(self.of.span.vehicle_id, edge, to_us(last) if last else edge):
            said = held(self.kind, sample)
            if said is not None:
                return _held_once([*found, said]), said.time_us
        return _held_once(found), None

    def stored(self, known: Sequence[DrivingEvent], begin: int, end: int) -> list[DrivingEvent]:
        """Begun in between."""
        span = self.of.span
        if begin >= span.first_us - _AROUND_US and end <= span.last_us + _AROUND_US:
            return [row for row in known if begin <= to_us(row.started_at) <= end]
        mine = DrivingEvent.objects.filter(vehicle=span.vehicle_id, kind=self.kind)
        return list(mine.filter(started_at__gte=moment(begin), started_at__lte=moment(end)))


def _held_once(found: Sequence[Held]) -> list[Held]:
    return list(merged(Condition(SPEEDING, ABOVE), found))
