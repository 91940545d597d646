"""What follows from stored records: each touched span of each vehicle once, and again whenever it is touched.

There are two lanes. Alert rules look at their vehicles at once; all that can wait some seconds looks at every vehicle
at a bounded pace, and rests as long as it worked.

One pass is one transaction: the consumers' results and the removal of what was touched. Killed anywhere, all of it
happened or none, and the row is still there. A shard is derived by one worker at a time. Consumers are functions of
the spans that read history themselves, from wherever they can be sure of, and write what it says now, so that doing it
twice changes nothing.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from fleet.alerting.rules import settle_all
from fleet.models import AlertRule, Episode, Geofence, RuleKind, Vehicle, VehicleState
from telemetry import nudge
from telemetry.derivation import (
    driving,
    fencechanges,
    journeys,
    minutes,
    readback,
    tripsagain,
    visits,
    watch,
)
from telemetry.derivation.touched import PACED, QUICK, Lane, Span
from telemetry.drain import LOCK_CLASS as DRAIN_LOCK_CLASS
from telemetry.frames import to_us
from telemetry.sql import on_postgresql

log = logging.getLogger(__name__)
Consumer = Callable[[Sequence[Span]], None]
WATCHERS: Final[tuple[Consumer, ...]] = (watch.consume, visits.consume)
"""Who wants to know at once; `vehicle_state._shown` decides whose records are noted for them."""
CONSUMERS: Final[tuple[Consumer, ...]] = (
    journeys.consume,
    driving.consume,
    tripsagain.consume,
    minutes.consume,
)
"""Who can wait; every vehicle's records are noted for them."""
BACKLOGS: Final[tuple[Callable[[int], int], ...]] = (journeys.go_on,)
"""What is more than a pass can do: given a shard, some of it, and how much that was."""
_LOCK_CLASSES = {QUICK: 7_309, PACED: 7_310}
AT_ONCE = 50
LONG_US = 600 * 1_000_000
RECORDS = 5_000
"""Of a long span so many are worked in one transaction."""
_BREATH_S = 0.2
"""Between rounds, so that records which come meanwhile are one span."""
_RUN_S = 60.0
_REST_MOST_S = 2.0


def derive(shard: int, alive: Callable[[], None] = lambda: None, lane: Lane = QUICK) -> bool:
    """Until nothing is touched, or a minute is over; was it that?"""
    began = time.monotonic()
    while _round(shard, lane):
        if time.monotonic() - began > _RUN_S:
            return True
        alive()
        time.sleep(_BREATH_S)
    return False


def _round(shard: int, lane: Lane) -> int:
    """Every touched vehicle once; answers how many were worked on."""
    place, worked = 0, 0
    while spans := lane.waiting(shard, place, AT_ONCE):
        place = spans[-1].vehicle_id
        short = [span.vehicle_id for span in spans if span.last_us - span.first_us <= LONG_US]
        # Long ones alone: the shorter the transaction, the less likely the row is touched meanwhile.
        long = [[span.vehicle_id] for span in spans if span.last_us - span.first_us > LONG_US]
        for vehicles in [short, *long]:
            worked += _resting(lane, partial(_carefully, shard, vehicles, lane))
    if lane is PACED:
        for backlog in BACKLOGS:
            worked += _resting(lane, partial(_backlog, shard, backlog))
    return worked


def _resting(lane: Lane, work: Callable[[], int]) -> int:
    """Whatever can wait leaves half of a processor to others."""
    began = time.monotonic()
    done = work()
    if done and lane is PACED:
        time.sleep(min(time.monotonic() - began, _REST_MOST_S))
    return done


def _carefully(shard: int, vehicles: Sequence[int], lane: Lane) -> int:
    """A vehicle that cannot be derived from holds up nobody else, and is tried again by the sweep."""
    try:
        return _pass(shard, vehicles, lane)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the same again, later
    except Exception:
        if len(vehicles) == 1:
            log.exception("vehicle %s cannot be derived from; trying again later", vehicles[0])
            return 0
    return sum(_carefully(shard, [vehicle], lane) for vehicle in vehicles)


def _pass(shard: int, vehicles: Sequence[int], lane: Lane = QUICK) -> int:
    if not vehicles:
        return 0
    with transaction.atomic():
        if not _lock(shard, lane):
            return 0
        spans, rest = _cut(lane.of(vehicles))
        for consume in WATCHERS if lane is QUICK else CONSUMERS:
            consume(spans)
        lane.done(spans, rest)
    return len(spans)


def _backlog(shard: int, work: Callable[[int], int]) -> int:
    with transaction.atomic():
        return work(shard) if _lock(shard, PACED) else 0


def waiting(lane: Lane) -> list[int]:
    """Shards with something to do."""
    return sorted({*lane.shards(), *(journeys.backlog() if lane is PACED else ())})


def _lock(shard: int, lane: Lane) -> bool:
    if not on_postgresql():
        return True  # SQLite: the transaction itself is the only writer
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK_CLASSES[lane], shard])
        return bool(cursor.fetchone()[0])


def _cut(spans: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Spans of a bounded number of records, and what is left of those that had more."""
    short: list[Span] = []
    rest: list[Span] = []
    for span in spans:
        end = None
        if span.last_us - span.first_us > LONG_US:
            end = readback.nth_time(span.vehicle_id, span.first_us, span.last_us, RECORDS)
        if end is None or end >= span.last_us:
            short.append(span)
        else:
            short.append(span._replace(last_us=end))
            rest.append(span._replace(first_us=end + 1))
    return short, rest


def take_up() -> int:
    """Rules and geofences that were made or changed: stored records from then on are judged. Answers how many."""
    waiting = (model.objects.filter(replay_from__isnull=False) for model in (AlertRule, Geofence))
    if not any(rows.exists() for rows in waiting):
        return 0
    with transaction.atomic():
        _lock_everything()
        rules = AlertRule.objects.select_for_update().filter(replay_from__isnull=False)
        vehicles = {vehicle for rule in rules for vehicle in _take_up(rule)}
        taken = rules.update(replay_from=None)
        fences, ours = fencechanges.take_up()
        vehicles |= ours
    nudge.derive(vehicles)
    return taken + fences


def _take_up(rule: AlertRule) -> list[int]:
    """The vehicles to look at. Records that were being stored while the rule was made are not missed: no drain works
    now, and every later one sees the rule."""
    members = Vehicle.objects.filter(fleet=rule.fleet_id)
    if not rule.all_vehicles:
        members = members.filter(pk__in=rule.vehicles.all())
    _set_deadlines(rule.fleet_id)
    judged = list(members.order_by("pk").values_list("pk", flat=True)) if rule.enabled else []
    strangers = Episode.objects.filter(rule=rule, started_at__gte=rule.since).exclude(vehicle__in=judged)
    gone = list(strangers.values_list("vehicle", flat=True).distinct())
    strangers.delete()
    settle_all(rule, gone)
    assert rule.replay_from is not None
    if rule.kind != RuleKind.SILENCE and judged:
        first, last = to_us(rule.replay_from), to_us(timezone.now())
        QUICK.widen([(vehicle, first, max(first, last)) for vehicle in judged])
    return judged


def _set_deadlines(fleet_id: int) -> None:
    silences = AlertRule.objects.filter(fleet=fleet_id, enabled=True, kind=RuleKind.SILENCE)
    shortest = silences.order_by("silent_after_s").values_list("silent_after_s", flat=True).first()
    states = VehicleState.objects.filter(vehicle__fleet=fleet_id)
    if shortest is None:
        states.filter(silent_at__isnull=False).update(silent_at=None)
    else:
        states.update(silent_at=F("received_at") + timedelta(seconds=shortest))


def _lock_everything() -> None:
    """Wait until no drain and no derivation works; they find their shards taken until this commits."""
    if on_postgresql():
        with connection.cursor() as cursor:
            for lock_class in (DRAIN_LOCK_CLASS, _LOCK_CLASSES[QUICK]):
                for shard in range(settings.DRAIN_SHARDS):
                    cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock_class, shard])
