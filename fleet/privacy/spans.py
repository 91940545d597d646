"""Private time of vehicles: a function of the rules, and of summaries and assignments that say who drove, whatever came
when.

A switch: from its moment to its end. A schedule: its hours of the week between its begin and its end. A driver: each of
their trips that begins while the rule holds, as far as its summary says, and while a vehicle is assigned to them. Rules
are only begun and ended, never changed, so that what was private stays so. Hours are written down for weeks ahead, and
the sweep goes on from there.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from fleet.aggregation.legs import LONGEST, span
from fleet.geofencing import hours
from fleet.models import DriverAssignment, PrivateKind, PrivateRule, PrivateSpan, TripSummary, Vehicle
from fleet.models.privacy import FOREVER
from fleet.privacy import files, masks
from fleet.privacy.gate import Stretch

AHEAD: Final = timedelta(days=30)
_RENEWED: Final = timedelta(days=20)
_SETTLED: Final = timedelta(minutes=3)
Key = tuple[int, int | None, datetime, datetime]
"""Vehicle, summary, begin and end of a span."""


@dataclass
class _Followers:
    """What only telemetry can do about time that became private, or is so no more: (vehicle, begin, end)."""

    changed: list[Callable[[list[Stretch]], None]] = field(default_factory=list)


followers = _Followers()


def renew(rules: Iterable[PrivateRule], now: datetime | None = None) -> None:
    """Bring the spans of these rules in line with what they say. Call in the transaction that changes them."""
    horizon = (now or timezone.now()) + AHEAD
    for rule in rules:
        _bring(rule, dict.fromkeys(_wanted(rule, horizon)), Q(rule=rule))


def follow(summaries: Collection[TripSummary]) -> None:
    """Trips came or changed: those of private drivers. One query where they are nobody's of them, and never were."""
    fleets, ids = {one.fleet_id for one in summaries}, [one.pk for one in summaries]
    rules = PrivateRule.objects.filter(fleet__in=fleets, kind=PrivateKind.DRIVER).select_related("driver")
    named = Q(driver__slug__in={one.driver_id for one in summaries})
    concerned = named | Exists(PrivateSpan.objects.filter(rule=OuterRef("pk"), summary__in=ids))
    for rule in rules.filter(concerned):
        mine = {
            key: None for one in summaries if one.fleet_id == rule.fleet_id for key in _of_trip(rule, one)
        }
        _bring(rule, mine, Q(rule=rule, summary__in=ids))


def keep_up(now: datetime) -> None:
    """Hours are written down far enough ahead, for vehicles too that came later."""
    # A pass of the drain that began before a switch may have kept a state that did not know of it.
    recent = PrivateRule.objects.filter(kind=PrivateKind.SWITCH, since__gt=now - _SETTLED)
    if fresh := set(recent.values_list("vehicle", flat=True)):
        masks.apply(fresh)
    open_ones = PrivateRule.objects.filter(kind=PrivateKind.SCHEDULE, until=None).select_related("fleet")
    for rule in open_ones:
        vehicles = set(_vehicles(rule))
        ahead = rule.spans.filter(begins_at__gt=now + _RENEWED).values_list("vehicle", flat=True)
        if rule.hours and vehicles - set(ahead):
            renew([rule], now)


def take_in(vehicle: Vehicle) -> None:
    """A new vehicle: its fleet's hours are its own from the first record on."""
    renew(PrivateRule.objects.filter(fleet=vehicle.fleet_id, kind=PrivateKind.SCHEDULE, vehicle=None))


def _wanted(rule: PrivateRule, horizon: datetime) -> Iterator[Key]:
    if rule.kind == PrivateKind.DRIVER:
        trips = TripSummary.objects.filter(fleet=rule.fleet_id, start_time__gte=rule.since)
        assert rule.driver
        for trip in trips.filter(driver_id=rule.driver.slug):
            yield from _of_trip(rule, trip)
        yield from _of_assignments(rule)
        return
    windows = [(rule.since, rule.until or FOREVER)]
    if rule.kind == PrivateKind.SCHEDULE:
        end = min(rule.until or horizon, horizon)
        windows = list(hours.windows(rule.hours, rule.time_zone, rule.since, end)) if rule.hours else []
    for vehicle in _vehicles(rule):
        yield from ((vehicle, None, begin, end) for begin, end in windows if begin < end)


def _of_assignments(rule: PrivateRule) -> Iterator[Key]:
    """While a vehicle is theirs, whoever drives it: what nobody sums up may be their trip. What has been private by an
    assignment stays so when that is changed or deleted."""
    until, now = rule.until or FOREVER, timezone.now()
    rows = DriverAssignment.objects.filter(driver=rule.driver, fleet=rule.fleet_id, started_at__lt=until)
    held = [
        (vehicle, max(begin, rule.since), min(end or FOREVER, until))
        for vehicle, begin, end in rows.values_list("vehicle", "started_at", "ended_at")
    ]
    past = rule.spans.filter(summary=None, begins_at__lt=now)
    for vehicle, begin, end in past.values_list("vehicle", "begins_at", "ends_at"):
        lasted = vehicle, begin, min(end, now)
        if not any(one[0] == vehicle and one[1] <= begin and one[2] >= lasted[2] for one in held):
            held.append(lasted)
    yield from ((vehicle, None, begin, end) for vehicle, begin, end in held if begin < end)


def assigned(drivers: Collection[int]) -> None:
    """Vehicles were given to these drivers, or taken from them: in the same transaction."""
    rules = PrivateRule.objects.filter(kind=PrivateKind.DRIVER, driver__in=drivers)
    renew(rules.select_related("driver"))


def _vehicles(rule: PrivateRule) -> list[int]:
    if rule.vehicle_id is not None:
        return [rule.vehicle_id]
    return list(Vehicle.objects.filter(fleet=rule.fleet_id).order_by("pk").values_list("pk", flat=True))


def _of_trip(rule: PrivateRule, trip: TripSummary) -> Iterator[Key]:
    assert rule.driver
    mine = trip.driver_id == rule.driver.slug and rule.since <= trip.start_time
    if mine and (rule.until is None or trip.start_time < rule.until):
        # One that goes on is private to an end that is still unknown, at most so long.
        end = span(trip)[1] if trip.end_time else trip.start_time + LONGEST
        # The moment of the end belongs to the trip.
        yield trip.vehicle_id, trip.pk, trip.start_time, end + timedelta(microseconds=1)


def _bring(rule: PrivateRule, wanted: dict[Key, None], stored: Q) -> None:
    rows = {
        (s.vehicle_id, s.summary_id, s.begins_at, s.ends_at): s.pk for s in PrivateSpan.objects.filter(stored)
    }
    fresh = [key for key in wanted if key not in rows]
    gone = {key: pk for key, pk in rows.items() if key not in wanted}
    PrivateSpan.objects.filter(pk__in=gone.values()).delete()
    PrivateSpan.objects.bulk_create(
        [
            PrivateSpan(rule=rule, vehicle_id=vehicle, summary_id=summary, begins_at=begin, ends_at=end)
            for vehicle, summary, begin, end in fresh
        ],
        ignore_conflicts=True,
        batch_size=1000,
    )
    now = timezone.now()
    if begun := {vehicle for vehicle, _, begin, _ in fresh if begin <= now}:
        masks.apply(begun)
    changed = [one for one in _apart(fresh, gone) if one[1] <= now]
    files.withdraw(rule, [(begin, end) for _, begin, end in changed if fresh and begin < now])
    if changed:
        for follower in followers.changed:
            follower(changed)


def _apart(fresh: Iterable[Key], gone: Iterable[Key]) -> list[Stretch]:
    """Stretches that lie in one of the two and not in the other."""
    edges: dict[int, dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
    for keys, weight in ((fresh, 1), (gone, -1)):
        for vehicle, _, begin, end in keys:
            edges[vehicle][begin] += weight
            edges[vehicle][end] -= weight
    found: list[Stretch] = []
    for vehicle, steps in edges.items():
        level = 0
        for (moment, step), (after, _) in pairwise(sorted(steps.items())):
            level += step
            if level:
                found.append((vehicle, moment, after))
    return found


def private_at(vehicle: Vehicle, now: datetime) -> dict[str, Any] | None:
    """Why the vehicle is private now, and until when; None: it is not."""
    mine = PrivateSpan.objects.filter(vehicle=vehicle, begins_at__lte=now, ends_at__gt=now)
    found = mine.select_related("rule").order_by("-ends_at").first()
    if found is None:
        return None
    until = None if found.ends_at == FOREVER else found.ends_at
    return {"kind": found.rule.kind, "since": found.begins_at, "until": until}
