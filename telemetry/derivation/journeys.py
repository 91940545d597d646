"""Trips, stops and charging sessions that the stored records say there were. A consumer of telemetry.derivation.derive.

A `tripfinder.Finder` walks over a vehicle's records in event time; where it stands is kept (`TripHead`), and so
is where it stood now and then on the way (`TripMark`). Records at the end go on from the head. Late ones go on from the
last mark before them, to the first mark after them at which the finder stands as it stood before: what lies beyond
cannot have changed. So the rows are a function of the records, whatever came when.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from fleet.journeys.found import Found
from fleet.journeys.movement import Sample
from fleet.journeys.tripfinder import Finder
from fleet.journeys.triprules import settings_of
from fleet.models import Kind, TripHead, TripMark, TripRules, Vehicle
from telemetry.derivation import samples
from telemetry.derivation.journeyrows import Result, keep
from telemetry.derivation.samples import Wanted
from telemetry.derivation.touched import Span
from telemetry.retention import since_us

MARK_EVERY: Final = 400
"""Records. A late one makes so many be read again, and then those to the end of its trip."""
LEAST, FIRST, PAGE = 200, 800, 20_000
"""Records read of each vehicle at least; of all together at first, for late ones mostly need few, and at most."""
PAGES: Final = 5
"""In one transaction, each four times as long as the one before."""


@dataclass
class Work:
    """One vehicle's records from its head on."""

    fleet_id: int
    head: TripHead
    finder: Finder
    began_us: int
    again: bool
    """Records are looked at that were looked at before."""
    marks: list[TripMark] = field(default_factory=list)
    """Stored ones beyond the head, in order."""
    made: list[TripMark] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    found: Found = field(default_factory=Found)
    converged: bool = False
    end_us: int = 0
    """Converged: where it goes on."""
    done: bool = False
    kept_us: int = 0
    """Before it records may be gone; 0: none are."""

    def walk(self, page: Sequence[Sample]) -> None:
        for sample in page:
            if self.marks and self.marks[0].time_us < sample.time_us and self._passes(sample.time_us):
                return
            self.finder.step(sample)
            self.head.reached_us = sample.time_us
            self.head.since_mark += 1
            if self.head.since_mark >= MARK_EVERY:
                self._mark(sample.time_us)

    def finish(self) -> None:
        """There are no more records."""
        if not self.converged and not self._passes(self.head.until_us + 1):
            self.head.reached_us = self.head.until_us
            self.done = True

    def _passes(self, time_us: int) -> bool:
        """Marks before this moment: does the finder stand at one of them as it stood there before?"""
        while self.marks and self.marks[0].time_us < time_us:
            mark = self.marks.pop(0)
            self._take()
            state = self.finder.written()
            if mark.time_us >= self.head.changed_until_us and mark.state == state:
                self._jump(mark)
                return True
            if self.head.since_mark < MARK_EVERY // 2:
                self.gone.append(mark.pk)
            else:
                self._mark(mark.time_us)
        return False

    def _jump(self, mark: TripMark) -> None:
        """To the last mark: it is where the head was before."""
        self.converged = True
        self.head.reached_us = mark.time_us
        last = self.marks[-1] if self.marks else mark
        self.head.state, self.end_us = last.state, last.time_us
        self.gone.append(last.pk)

    def _mark(self, time_us: int) -> None:
        self._take()
        self.head.since_mark = 0
        self.made.append(
            TripMark(vehicle_id=self.head.vehicle_id, time_us=time_us, state=self.finder.written())
        )

    def _take(self) -> None:
        more = self.finder.take()
        self.found.trips += more.trips
        self.found.stops += more.stops
        self.found.charges += more.charges

    def result(self) -> Result:
        """What stands now between `began_us` and where the head is; with `done` also what may still go on."""
        self._take()
        upto_us = self.head.reached_us
        if self.converged:
            self.head.reached_us = self.end_us
        else:
            self.head.state = self.finder.written()
        self.head.behind = not self.done and self.head.reached_us < self.head.until_us
        open_ones = self.finder.under_way() if self.done else None
        return Result(
            self.fleet_id, self.head.vehicle_id, self.began_us, upto_us, self.again, self.found, open_ones
        )


def consume(spans: Sequence[Span]) -> None:
    """A consumer of telemetry.derivation.derive."""
    by_vehicle = {span.vehicle_id: span for span in spans}
    works = []
    for work in _taken_up(sorted(by_vehicle)):
        span, head = by_vehicle[work.head.vehicle_id], work.head
        head.until_us = max(head.until_us, span.last_us)
        if span.first_us <= head.reached_us:
            _rewind(work, span.first_us)
        if head.behind:
            head.changed_until_us = max(head.changed_until_us, span.last_us)
        works.append(work)
    _work(works)


def go_on(shard: int) -> int:
    """One vehicle that has more to look at than fits into one transaction, or whose fleet has other rules by now;
    answers how many that was."""
    heads = behind().annotate(shard=F("vehicle_id") % settings.DRAIN_SHARDS).filter(shard=shard)
    vehicle = heads.order_by("vehicle_id").values_list("vehicle_id", flat=True).first()
    if vehicle is None:
        return 0
    works = list(_taken_up([vehicle]))
    _work(works)
    if not works:  # it is no vehicle any more
        TripHead.objects.filter(pk=vehicle).delete()
    return 1


def behind() -> "QuerySet[TripHead]":
    return TripHead.objects.filter(
        Q(behind=True) | ~Q(rules_version=Coalesce(F("vehicle__fleet__trip_rules__version"), 0))
    )


def backlog() -> list[int]:
    """Shards with vehicles for `go_on`."""
    shards = behind().annotate(shard=F("vehicle_id") % settings.DRAIN_SHARDS)
    return sorted(set(shards.values_list("shard", flat=True)))


def _taken_up(vehicles: Sequence[int]) -> Iterator[Work]:
    rows = Vehicle.objects.filter(pk__in=vehicles, kind=Kind.VEHICLE).order_by("pk")
    fleets = dict(rows.values_list("pk", "fleet_id"))
    rules = {row.fleet_id: row for row in TripRules.objects.filter(fleet__in=set(fleets.values()))}
    heads = TripHead.objects.in_bulk(list(fleets))
    kept = since_us(set(fleets.values()))
    for vehicle, fleet_id in fleets.items():
        rule = rules.get(fleet_id)
        version = rule.version if rule else 0
        wanted = settings_of(rule)
        head = heads.get(vehicle) or TripHead(vehicle_id=vehicle, rules_version=version)
        if head.rules_version != version:
            _restart(head, version, kept.get(fleet_id, 0))
        work = Work(fleet_id, head, Finder.read(wanted, head.state), head.reached_us, head.behind)
        work.kept_us = kept.get(fleet_id, 0)
        if head.behind:
            work.marks = list(
                TripMark.objects.filter(vehicle=vehicle, time_us__gt=head.reached_us).order_by("time_us")
            )
        yield work


def _restart(head: TripHead, version: int, kept_us: int) -> None:
    """With other settings: from the first record on that is kept. What was found in older ones stays."""
    TripMark.objects.filter(vehicle=head.vehicle_id).delete()
    head.reached_us = kept_us - 1 if kept_us else 0
    head.changed_until_us = head.until_us
    head.state, head.since_mark, head.rules_version, head.behind = "", 0, version, True


def _rewind(work: Work, first_us: int) -> None:
    """To the last mark before this moment. Where the head was becomes a mark, unless it was on its way itself: then
    the marks before it tell nothing about those beyond it."""
    head = work.head
    if head.behind:
        head.changed_until_us = max(head.changed_until_us, head.reached_us)
    else:
        TripMark.objects.update_or_create(
            vehicle_id=head.vehicle_id, time_us=head.reached_us, defaults={"state": head.state}
        )
        head.changed_until_us = 0
    mark = TripMark.objects.filter(vehicle=head.vehicle_id, time_us__lt=first_us).order_by("-time_us").first()
    kept_us = work.kept_us
    if mark is not None and mark.time_us < kept_us:
        mark = None  # what lies between it and the first record that is kept is gone
    head.reached_us = mark.time_us if mark else kept_us - 1 if kept_us else 0
    head.state = mark.state if mark else ""
    head.since_mark, head.behind = 0, True
    work.began_us, work.again = head.reached_us, True
    work.finder = Finder.read(work.finder.settings, head.state)
    later = TripMark.objects.filter(vehicle=head.vehicle_id, time_us__gt=head.reached_us)
    work.marks = list(later.order_by("time_us"))


def _work(works: Sequence[Work]) -> None:
    left = list(works)
    for turn in range(PAGES):
        if not left:
            break
        wanted = [Wanted(w.head.vehicle_id, w.head.reached_us, w.head.until_us) for w in left]
        pages = samples.read(wanted, max(LEAST, min(PAGE, FIRST * 4**turn) // len(left)))
        for work in left:
            page = pages[work.head.vehicle_id]
            work.walk(page.samples)
            if page.whole and not work.converged:
                work.finish()
        left = [work for work in left if not work.done and not work.converged]
    keep([work.result() for work in works])
    TripMark.objects.filter(pk__in=[pk for work in works for pk in work.gone]).delete()
    TripMark.objects.bulk_create(
        [mark for work in works for mark in work.made],
        update_conflicts=True,
        unique_fields=["vehicle", "time_us"],
        update_fields=["state"],
    )
    fields = [f.name for f in TripHead._meta.local_concrete_fields if not f.primary_key]
    TripHead.objects.bulk_create(
        [work.head for work in works],
        update_conflicts=True,
        unique_fields=["vehicle"],
        update_fields=fields,
    )
