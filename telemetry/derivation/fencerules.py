"""Alert rules about geofences: their episodes follow the visits, wherever those changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from fleet.alerting.rules import judged
from fleet.alerting.ruletext import least_s_of
from fleet.geofencing import hours
from fleet.geofencing.crossings import CONDITION, Presence, Wanted, crossings
from fleet.geofencing.presence import SECOND_US
from fleet.models import AlertRule, Crossing, Episode, RuleKind, Visit
from fleet.models.geofences import Edge
from telemetry.derivation import readback, watch
from telemetry.derivation.around import Watch
from telemetry.derivation.fencing import stay_of
from telemetry.derivation.positions import PLACES, positions_of
from telemetry.derivation.touched import Span
from telemetry.frames import from_us, to_us

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class News:
    """What a pass over spans found out."""

    spans: Sequence[Span]
    fleets: Mapping[int, int]
    changed: Mapping[Pair, int]
    """Vehicle and geofence, and from when on its visits changed."""
    newest: Mapping[int, int]
    """Of each vehicle, when it was last somewhere."""


def follow(news: News) -> None:
    fleets = {news.fleets[span.vehicle_id] for span in news.spans}
    watches = [
        Watch(rule, CONDITION, to_us(rule.since), members)
        for rule, members in judged(sorted(fleets))
        if rule.kind == RuleKind.GEOFENCE
    ]
    if watches:
        watch.write(_judged(news, watches))


def _judged(news: News, watches: Sequence[Watch]) -> Iterator[watch.Judged]:
    steady = _steady(news, watches)
    for span in news.spans:
        vehicle = span.vehicle_id
        for each in watches:
            if news.fleets[vehicle] != each.rule.fleet_id or not each.concerns(vehicle):
                continue
            begin_us = _begin(news, span, each.rule, (each.rule.pk, vehicle) in steady)
            if begin_us is not None and vehicle in news.newest:
                yield _followed(each, vehicle, begin_us, news.newest[vehicle])


def _begin(news: News, span: Span, rule: AlertRule, is_steady: bool) -> int | None:
    """From when on the rule must look; None: nothing can have changed."""
    assert rule.geofence_id is not None
    changed_us = news.changed.get((span.vehicle_id, rule.geofence_id))
    if not span.appends:
        return min(span.first_us, changed_us or span.first_us)
    if changed_us is None and rule.crossing == Crossing.OUTSIDE and not is_steady:
        return span.first_us
    return changed_us


def _steady(news: News, watches: Sequence[Watch]) -> set[Pair]:
    """Rules and vehicles of which a further position outside changes nothing: it is told already, at any hour."""
    rules = [each.rule for each in watches if each.rule.crossing == Crossing.OUTSIDE]
    always = [rule.pk for rule in rules if rule.geofence and not rule.geofence.schedule]
    if not rules:
        return set()
    vehicles = [span.vehicle_id for span in news.spans]
    told = Episode.objects.filter(rule__in=always, vehicle__in=vehicles, ended_at=None)
    there = Visit.objects.filter(
        geofence__rules__in=rules, vehicle__in=vehicles, left_at=None, confirmed=True
    )
    return {*told.values_list("rule", "vehicle"), *there.values_list("geofence__rules", "vehicle")}


def _followed(each: Watch, vehicle: int, begin_us: int, newest_us: int) -> watch.Judged:
    rule = each.rule
    mine = Visit.objects.filter(geofence=rule.geofence_id, vehicle=vehicle, confirmed=True)
    if rule.crossing == Crossing.LEAVE:
        mine = mine.exclude(exit=Edge.CHANGED)
    prior = mine.filter(left_at__lt=from_us(begin_us)).order_by("-entered_at").first()
    rows = mine.filter(Q(left_at=None) | Q(left_at__gte=from_us(begin_us))).order_by("entered_at")
    visits = [presence_of(row) for row in ([prior] if prior else []) + list(rows)]
    stored = Episode.objects.filter(rule=rule, vehicle=vehicle, started_at__gte=rule.since)
    if prior is not None:
        stored = stored.filter(started_at__gte=prior.entered_at)
        seen_us: tuple[int, int] | None = (to_us(prior.entered_at), newest_us)
    else:
        seen_us = _seen(each, vehicle, newest_us) if rule.crossing == Crossing.OUTSIDE else None
    return watch.Judged(each, vehicle, list(stored), crossings(wanted_by(rule), visits, seen_us))


def presence_of(row: Visit) -> Presence:
    stay = stay_of(row)
    return Presence(stay.entered_us, stay.left_us, stay.known_us)


def _seen(each: Watch, vehicle: int, newest_us: int) -> tuple[int, int] | None:
    """From the first position that the rule and its geofence look at."""
    assert each.rule.geofence is not None
    floor_us = max(each.since_us, to_us(each.rule.geofence.since))
    first = next(positions_of(readback.after(PLACES, vehicle, floor_us - 1)), None)
    return (first.time_us, max(newest_us, first.time_us)) if first else None


def wanted_by(rule: AlertRule) -> Wanted:
    """Needs the geofence and its fleet selected."""
    fence = rule.geofence
    assert fence is not None

    def windows(begin_us: int, end_us: int) -> Iterator[Pair]:
        if not fence.schedule:
            yield begin_us, end_us
            return
        for begin, end in hours.windows(
            fence.schedule, fence.fleet.time_zone, from_us(begin_us), from_us(end_us)
        ):
            yield to_us(begin), to_us(end)

    return Wanted(rule.crossing, round(least_s_of(rule) * SECOND_US), to_us(rule.since), windows)
