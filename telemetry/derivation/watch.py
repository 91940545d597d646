"""Alert rules over touched spans: the episodes that the stored records say there were, and the alerts that follow.

Records that only add at the end go on from where the open episode stands. Late ones are judged again from the last
moment at which nothing held, to the first one after them: whatever lies outside cannot have changed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Min, Q

from fleet.alerting import causes, silence
from fleet.alerting.conditions import Sample, Stretch, closed, condition_of, stretches
from fleet.alerting.rules import judged
from fleet.models import AlertRule, Episode, RuleKind, Vehicle
from fleet.readings import Catalogue, catalogue_of, shown_as
from telemetry.derivation import readback
from telemetry.derivation.around import Around, Watch, samples_of
from telemetry.derivation.readback import Columns
from telemetry.derivation.touched import Span
from telemetry.frames import from_us, to_us
from telemetry.models import TelemetryRecord

_UPDATED: Final = ("last_at", "ended_at", "peak", "codes", "confirmed", "severity")


@dataclass(frozen=True, slots=True)
class Judged:
    """Stored episodes of a rule and a vehicle, and what stands in their place now."""

    watch: Watch
    vehicle: int
    stored: list[Episode]
    found: list[Stretch]


@dataclass
class _Changes:
    """What a pass writes."""

    kept: list[Episode] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    told: dict[tuple[int, int], int] = field(default_factory=dict)
    """Vehicle and rule whose alerts must follow, and the begin of the first episode that changed."""
    rules: dict[int, AlertRule] = field(default_factory=dict)
    catalogues: dict[int, Catalogue] = field(default_factory=dict)

    def tell(self, vehicle: int, rule: int, started_us: int) -> None:
        key = vehicle, rule
        self.told[key] = min(started_us, self.told.get(key, started_us))

    def catalogue(self, fleet: int) -> Catalogue:
        if fleet not in self.catalogues:
            self.catalogues[fleet] = catalogue_of(fleet)
        return self.catalogues[fleet]


def consume(spans: Sequence[Span]) -> None:
    """A consumer of telemetry.derivation.derive."""
    vehicles = Vehicle.objects.filter(pk__in=[span.vehicle_id for span in spans])
    fleets = dict(vehicles.values_list("pk", "fleet_id"))
    known = [span for span in spans if span.vehicle_id in fleets]
    rules = judged(sorted(set(fleets.values())))
    by_fleet: dict[int, list[Watch]] = defaultdict(list)
    for rule, members in rules:
        if rule.kind not in {RuleKind.SILENCE, RuleKind.GEOFENCE}:
            by_fleet[rule.fleet_id].append(Watch(rule, condition_of(rule), to_us(rule.since), members))
    if any(rule.kind == RuleKind.SILENCE for rule, _ in rules):
        _hear(known)
    watched = {
        span.vehicle_id: [w for w in by_fleet[fleets[span.vehicle_id]] if w.concerns(span.vehicle_id)]
        for span in known
    }
    write(_judge([span for span in known if watched[span.vehicle_id]], watched))


def _hear(spans: Sequence[Span]) -> None:
    """End the silences of vehicles that were heard of."""
    by_vehicle = {span.vehicle_id: span for span in spans}
    silences = Episode.objects.filter(
        vehicle__in=by_vehicle, ended_at=None, rule__kind=RuleKind.SILENCE
    ).select_related("rule", "vehicle")
    for episode in silences.order_by("vehicle", "rule"):
        span = by_vehicle[episode.vehicle_id]
        records = TelemetryRecord.objects.filter(
            vehicle=episode.vehicle_id,
            time__gte=from_us(span.first_us),
            time__lte=from_us(span.last_us),
            received_at__gt=episode.started_at,
        )
        at = records.aggregate(at=Min("received_at"))["at"]
        if at is not None:
            silence.heard(episode, at)


def _judge(spans: Sequence[Span], watched: Mapping[int, Sequence[Watch]]) -> Iterator[Judged]:
    names = {watch.condition.field for span in spans for watch in watched[span.vehicle_id]}
    rows = readback.between(
        Columns.of(names), [(span.vehicle_id, span.first_us, span.last_us) for span in spans]
    )
    begun = _open([span.vehicle_id for span in spans])
    for span in spans:
        for watch in watched[span.vehicle_id]:
            samples = list(samples_of(watch, rows[span.vehicle_id]))
            stored = begun.get((span.vehicle_id, watch.rule.pk))
            last_us = to_us(stored.last_at) if stored else None
            if not span.appends or (last_us is not None and last_us >= span.first_us):
                yield from _again(span, watch, samples)
            elif samples:
                found = stretches(watch.condition, samples, _stretch(stored) if stored else None)
                yield Judged(watch, span.vehicle_id, [stored] if stored else [], found)


def _open(vehicles: Sequence[int]) -> dict[tuple[int, int], Episode]:
    rows = Episode.objects.filter(vehicle__in=vehicles, ended_at=None)
    rows = rows.exclude(rule__kind=RuleKind.SILENCE)
    return {(row.vehicle_id, row.rule_id): row for row in rows}


def _again(span: Span, watch: Watch, samples: list[Sample]) -> Iterator[Judged]:
    """Late records: judge the whole stretch of time that they may have changed."""
    mine = Episode.objects.filter(rule=watch.rule, vehicle=span.vehicle_id, started_at__gte=watch.rule.since)
    overlapping = mine.filter(started_at__lte=from_us(span.last_us)).filter(
        Q(ended_at=None) | Q(ended_at__gte=from_us(span.first_us))
    )
    if not samples and not overlapping.exists():
        return
    around = Around(watch, span.vehicle_id)
    earlier = mine.filter(started_at__lt=from_us(span.first_us)).order_by("-started_at").first()
    begin = around.begin(span.first_us, earlier)
    found = stretches(watch.condition, around.samples(begin, span, samples))
    inside = mine.filter(started_at__gte=from_us(begin))
    if around.end_us is not None:
        found = closed(watch.condition, found)  # open still only where a gap ended the search
        inside = inside.filter(started_at__lte=from_us(around.end_us))
    yield Judged(watch, span.vehicle_id, list(inside), found)


def _stretch(row: Episode) -> Stretch:
    return Stretch(
        to_us(row.started_at),
        to_us(row.last_at),
        to_us(row.ended_at) if row.ended_at else None,
        row.peak,
        frozenset(row.codes),
    )


def write(judged: Iterable[Judged]) -> None:
    """The episodes where they differ, and the alerts that follow."""
    changes = _Changes()
    for one in judged:
        _compare(one, changes)
    if changes.gone:
        Episode.objects.filter(pk__in=changes.gone).delete()
    Episode.objects.bulk_create(
        changes.kept,
        update_conflicts=True,
        unique_fields=["rule", "vehicle", "started_at"],
        update_fields=_UPDATED,
    )
    vehicles = Vehicle.objects.in_bulk({vehicle for vehicle, _ in changes.told})
    # In order of vehicles, as everybody locks them.
    for (vehicle, rule), started_us in sorted(changes.told.items()):
        catalogue = changes.catalogue(vehicles[vehicle].fleet_id)
        causes.settle(changes.rules[rule], vehicles[vehicle], catalogue, from_us(started_us))


def _compare(one: Judged, changes: _Changes) -> None:
    rule, condition = one.watch.rule, one.watch.condition
    stored = {to_us(row.started_at): row for row in one.stored}
    digits = shown_as(rule.field, changes.catalogue(rule.fleet_id)).digits if one.found or stored else 0
    for stretch in one.found:
        row = stored.pop(stretch.started_us, None)
        confirmed = stretch.confirmed(condition)
        if row is not None and row.confirmed == confirmed and _stretch(row) == stretch:
            continue
        changes.kept.append(_episode(one, stretch, confirmed))
        if _shown(row, digits) != _shown(changes.kept[-1], digits):
            changes.tell(one.vehicle, rule.pk, stretch.started_us)
    for started_us, row in stored.items():
        changes.gone.append(row.pk)
        if row.confirmed:
            changes.tell(one.vehicle, rule.pk, started_us)
    changes.rules[rule.pk] = rule


def _episode(one: Judged, stretch: Stretch, confirmed: bool) -> Episode:
    rule = one.watch.rule
    return Episode(
        rule=rule,
        vehicle_id=one.vehicle,
        started_at=from_us(stretch.started_us),
        last_at=from_us(stretch.last_us),
        ended_at=None if stretch.ended_us is None else from_us(stretch.ended_us),
        peak=stretch.peak,
        codes=sorted(stretch.codes),
        confirmed=confirmed,
        severity=rule.severity,
        rule_version=rule.version,
    )


def _shown(row: Episode | None, digits: int) -> tuple[object, ...] | None:
    """What an alert shows of it: it is brought in line only when that changes."""
    if row is None or not row.confirmed:
        return None
    return row.ended_at, f"{row.peak:.{digits}f}", row.codes, row.severity
