"""How far late records reach: from the last moment before them at which nothing held, to the first one after."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fleet.alerting.conditions import Condition, Level, Sample, merged, sample_of
from fleet.models import AlertRule, Episode
from telemetry.derivation import readback
from telemetry.derivation.readback import Columns, Row
from telemetry.derivation.touched import Span
from telemetry.frames import to_us


class Watch(NamedTuple):
    """A rule as it applies to records."""

    rule: AlertRule
    condition: Condition
    since_us: int
    members: frozenset[int] | None

    def concerns(self, vehicle: int) -> bool:
        return self.members is None or vehicle in self.members


def samples_of(watch: Watch, rows: Iterable[Row]) -> Iterator[Sample]:
    """Of distinct moments, from the rule's beginning on."""
    condition = watch.condition
    found = (sample_of(condition, row.time_us, row.values) for row in rows if row.time_us >= watch.since_us)
    return merged(condition, (sample for sample in found if sample is not None))


@dataclass
class Around:
    """One rule's samples of one vehicle beside a span."""

    watch: Watch
    vehicle: int
    end_us: int | None = None
    """Known when `samples` is used up: nothing after it can have changed. None: it was the end."""

    @property
    def columns(self) -> Columns:
        return Columns.of([self.watch.condition.field])

    def begin(self, first_us: int, earlier: Episode | None) -> int:
        """A moment not after `first_us` before which nothing held. `earlier`: the last episode begun before it."""
        floor, gap = self.watch.since_us, self.watch.condition.gap_us
        if earlier is not None:
            floor = max(floor, to_us(earlier.started_at))
            if earlier.ended_at is None or to_us(earlier.ended_at) >= first_us:
                return floor
        place = first_us
        while place > floor:
            edge, before = max(floor, place - gap), place
            for sample in samples_of(self.watch, readback.before(self.columns, self.vehicle, place, edge)):
                if place - sample.time_us > gap:
                    return place
                place = sample.time_us
                if self.watch.condition.level(sample.value) is Level.CLEAR:
                    return place
            if place == before:
                break
        return place

    def samples(self, begin: int, span: Span, within: Iterable[Sample]) -> Iterator[Sample]:
        """From `begin` on, those of the span, and on to the first that is clear."""
        last: int | None = None
        if begin < span.first_us:
            for sample in self._after(begin - 1):
                if sample.time_us >= span.first_us:
                    break
                last = sample.time_us
                yield sample
        for sample in within:
            last = sample.time_us
            yield sample
        for sample in self._after(span.last_us):
            if last is not None and sample.time_us - last > self.watch.condition.gap_us:
                self.end_us = last
                return
            last = sample.time_us
            yield sample
            if self.watch.condition.level(sample.value) is Level.CLEAR:
                self.end_us = last
                return

    def _after(self, time_us: int) -> Iterator[Sample]:
        return samples_of(self.watch, readback.after(self.columns, self.vehicle, time_us))
