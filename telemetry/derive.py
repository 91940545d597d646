"""What follows from stored records: each touched span of each vehicle once, and again whenever it is touched.

One pass is one transaction: the consumers' results and the removal of what was touched. Killed anywhere, all of it
happened or none, and the row is still there. A shard is derived by one worker at a time. Consumers are functions of
the spans that read history themselves, from wherever they can be sure of, and write what it says now, so that doing it
twice changes nothing.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from fleet.models import AlertRule, Episode, RuleKind, Vehicle, VehicleState
from fleet.rules import settle_all
from telemetry import nudge, readback, touched, watch
from telemetry.drain import LOCK_CLASS as DRAIN_LOCK_CLASS
from telemetry.frames import to_us
from telemetry.sql import on_postgresql
from telemetry.touched import Span

log = logging.getLogger(__name__)
CONSUMERS: Final[tuple[Callable[[Sequence[Span]], None], ...]] = (watch.consume,)
"""Who wants to know; `vehicle_state._shown` decides whose records are noted for them."""
_LOCK_CLASS = 7_309
AT_ONCE = 50
LONG_US = 600 * 1_000_000
RECORDS = 5_000
"""Of a long span so many are worked in one transaction."""
_BREATH_S = 0.2
"""Between rounds, so that records which come meanwhile are one span."""
_RUN_S = 60.0


def derive(shard: int, alive: Callable[[], None] = lambda: None) -> bool:
    """Until nothing is touched, or a minute is over; was it that?"""
    began = time.monotonic()
    while _round(shard):
        if time.monotonic() - began > _RUN_S:
            return True
        alive()
        time.sleep(_BREATH_S)
    return False


def _round(shard: int) -> int:
    """Every touched vehicle once; answers how many were worked on."""
    place, worked = 0, 0
    while spans := touched.waiting(shard, place, AT_ONCE):
        place = spans[-1].vehicle_id
        short = [span.vehicle_id for span in spans if span.last_us - span.first_us <= LONG_US]
        # Long ones alone: the shorter the transaction, the less likely the row is touched meanwhile.
        long = [[span.vehicle_id] for span in spans if span.last_us - span.first_us > LONG_US]
        for vehicles in [short, *long]:
            worked += _carefully(shard, vehicles)
    return worked


def _carefully(shard: int, vehicles: Sequence[int]) -> int:
    """A vehicle that cannot be derived from holds up nobody else, and is tried again by the sweep."""
    try:
        return _pass(shard, vehicles)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the same again, later
    except Exception:
        if len(vehicles) == 1:
            log.exception("vehicle %s cannot be derived from; trying again later", vehicles[0])
            return 0
    return sum(_carefully(shard, [vehicle]) for vehicle in vehicles)


def _pass(shard: int, vehicles: Sequence[int]) -> int:
    if not vehicles:
        return 0
    with transaction.atomic():
        if not _lock(shard):
            return 0
        spans, rest = _cut(touched.of(vehicles))
        for consume in CONSUMERS:
            consume(spans)
        touched.done(spans, rest)
    return len(spans)


def _lock(shard: int) -> bool:
    if not on_postgresql():
        return True  # SQLite: the transaction itself is the only writer
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK_CLASS, shard])
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
    """Rules that were made or changed: stored records from then on are judged. Answers how many rules."""
    if not AlertRule.objects.filter(replay_from__isnull=False).exists():
        return 0
    with transaction.atomic():
        _lock_everything()
        rules = AlertRule.objects.select_for_update().filter(replay_from__isnull=False)
        vehicles = {vehicle for rule in rules for vehicle in _take_up(rule)}
        taken = rules.update(replay_from=None)
    nudge.derive(vehicles)
    return taken


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
        touched.widen([(vehicle, first, max(first, last)) for vehicle in judged])
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
            for lock_class in (DRAIN_LOCK_CLASS, _LOCK_CLASS):
                for shard in range(settings.DRAIN_SHARDS):
                    cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock_class, shard])
