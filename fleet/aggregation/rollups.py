"""Keeps the sums that statistics read. Whoever changes a trip or an alert touches its days in the same transaction;
a task sums the touched days up again from stored rows. Killed anywhere, it does the rest next time.

Nothing is ever added to a sum. A touch carries a version: one that came while its day was being summed up stays.
"""

import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from fleet.aggregation import reassigned, rebuild
from fleet.aggregation.buckets import recompute
from fleet.aggregation.days import touching
from fleet.aggregation.hourly import SLICE
from fleet.aggregation.sources import Bucket
from fleet.behaviour import scoring
from fleet.models import AssignmentChange, Fleet, Part, RollupState, TouchedDay, TouchedSlice
from fleet.ranges import Range

log = logging.getLogger(__name__)
AT_ONCE, AT_ONCE_SQLITE = 3_000, 200
"""Touched days of one transaction; on SQLite everybody else who writes waits for it."""
LONG_AT_ONCE, LONG_AT_ONCE_SQLITE = 40, 4
"""Of days whose minutes are summed up from all of their records."""
_TURN_S, _BREATH_S = 60.0, 0.03
"""How long one task goes on; and on SQLite the pause in which others may write."""
_FLAG, _FLAG_S = "rollups-nudged", 5


@dataclass(frozen=True, slots=True, order=True)
class Touch:
    vehicle_id: int
    part: Part
    day: date
    """UTC."""
    fleet_id: int
    slot: int = 0
    """Unix seconds before which it is not summed up; 0: at once."""


def touch(touches: Iterable[Touch]) -> None:
    """Note days to be summed up again, in the transaction that changes what they are made of. One statement."""
    # In one order for everybody, so that two who touch the same days never wait for each other crosswise.
    rows = [
        TouchedDay(
            fleet_id=one.fleet_id,
            vehicle_id=one.vehicle_id,
            part=one.part,
            day=one.day,
            slot=one.slot,
            version=secrets.randbits(62),
        )
        for one in sorted(set(touches))
    ]
    if not rows:
        return
    TouchedDay.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["vehicle", "part", "day", "slot"],
        update_fields=["version", "fleet"],
    )
    if any(not row.slot for row in rows):
        transaction.on_commit(nudge)


def driving(fleet_id: int, vehicle_id: int, days: Iterable[date]) -> list[Touch]:
    return [Touch(vehicle_id, Part.DRIVING, day, fleet_id) for day in days]


def nudge() -> None:
    """Queue the task unless that was done just now. May be lost: the sweep comes."""
    from fleet.tasks import keep_rollups

    try:
        if cache.add(_FLAG, 1, _FLAG_S):
            keep_rollups.apply_async(retry=False)
    except Exception:
        log.warning("could not queue the rollups; the sweep will", exc_info=True)


def keep_up(now: datetime) -> int:
    """Sum up what is due, fleet by fleet, for a minute at most; answers how many touched days it was."""
    with suppress(Exception):  # a cache that is down costs time, not the sums
        cache.delete(_FLAG)  # before the first look: what is touched from here on queues another
    _know_all_fleets()
    _take_up_assignments()
    done, failed, until = 0, set[int](), time.monotonic() + _TURN_S
    while time.monotonic() < until:
        fleet_id = None
        try:
            with transaction.atomic():
                state = _claim(now, failed)
                if state is None:
                    return done
                fleet_id = state.pk
                done += _work(state, now)
            if not connection.features.has_select_for_update_skip_locked:
                time.sleep(_BREATH_S)
        except (OperationalError, InterfaceError):
            raise  # the database is away: the same again, later
        except Exception:
            if fleet_id is None:
                raise
            log.exception("fleet %s cannot be summed up; others go on, it is tried again", fleet_id)
            failed.add(fleet_id)
    nudge()
    return done


def waiting(fleet_id: int) -> int:
    """How many touched days are due and not yet summed up."""
    return TouchedDay.objects.filter(fleet=fleet_id, slot__lte=int(time.time())).count()


def rebuilding(fleet_id: int) -> int:
    """How many days of vehicles the last rebuild has left to sum up."""
    return TouchedDay.objects.filter(fleet=fleet_id, slot=rebuild.SLOT).count()


def _take_up_assignments() -> None:
    if AssignmentChange.objects.exists():
        with transaction.atomic():
            days = reassigned.take_up()
            touch(one for (fleet, vehicle), some in days.items() for one in driving(fleet, vehicle, some))


def _know_all_fleets() -> None:
    unknown = Fleet.objects.filter(rollups=None).values_list("pk", flat=True)
    RollupState.objects.bulk_create([RollupState(fleet_id=pk) for pk in unknown], ignore_conflicts=True)


def _claim(now: datetime, failed: set[int]) -> RollupState | None:
    """A fleet with something to do that nobody else works on. Held until the transaction ends."""
    due = TouchedDay.objects.filter(fleet=OuterRef("pk"), slot__lte=int(now.timestamp()))
    slices = TouchedSlice.objects.filter(fleet=OuterRef("pk"), slot__lte=int(now.timestamp()))
    outdated = ~Q(time_zone=F("fleet__time_zone")) | ~Q(score_version=scoring.VERSION)
    found: QuerySet[RollupState] = RollupState.objects.filter(
        Exists(due) | Exists(slices) | outdated
    ).exclude(pk__in=failed)
    found = found.select_related("fleet").order_by("updated_at", "pk")
    if connection.features.has_select_for_update_skip_locked:
        found = found.select_for_update(skip_locked=True, of=("self",), no_key=True)
    return found.first()


def _work(state: RollupState, now: datetime) -> int:
    zone = state.fleet.time_zone
    if (state.time_zone, state.score_version) != (zone, scoring.VERSION):
        state.waiting_at_start = rebuild.touch_everything(state.pk)
        state.time_zone, state.score_version = zone, scoring.VERSION
        log.info("fleet %s is summed up anew: %s days", state.pk, state.waiting_at_start)
    touched, slices = _due(state, now), _due_slices(state, now)
    wanted: dict[Part, set[Bucket]] = defaultdict(set)
    for row in touched:
        wanted[Part(row.part)] |= {(row.vehicle_id, day) for day in touching(zone, row.day)}
    ranges = {Range(row.vehicle_id, row.opens, row.opens + SLICE) for row in slices}
    recompute(state.pk, zone, wanted, ranges)
    _forget(touched)
    TouchedSlice.objects.filter(pk__in=[row.pk for row in slices]).delete()
    state.updated_at = datetime.now(UTC)
    state.save()
    return len(touched) + len(slices)


def _due(state: RollupState, now: datetime) -> list[TouchedDay]:
    """By day, because a day's sums of the fleet are made for all of its vehicles; newest first, for whoever waits."""
    many, few = AT_ONCE, LONG_AT_ONCE
    if not connection.features.has_select_for_update_skip_locked:
        many, few = AT_ONCE_SQLITE, LONG_AT_ONCE_SQLITE
    due = TouchedDay.objects.filter(fleet=state.pk, slot__lte=int(now.timestamp())).order_by(
        "-day", "vehicle"
    )
    return [*due.exclude(part=Part.MINUTES)[:many], *due.filter(part=Part.MINUTES)[:few]]


def _due_slices(state: RollupState, now: datetime) -> list[TouchedSlice]:
    skipping = connection.features.has_select_for_update_skip_locked
    due = TouchedSlice.objects.filter(fleet=state.pk, slot__lte=int(now.timestamp())).order_by(
        "-opens", "vehicle"
    )
    return list(due[: AT_ONCE if skipping else AT_ONCE_SQLITE])


def _forget(touched: list[TouchedDay]) -> None:
    """Unless touched again meanwhile; a row somebody is touching right now is not waited for."""
    same = TouchedDay.objects.filter(pk__in=[row.pk for row in touched])
    if connection.features.has_select_for_update_skip_locked:
        same = same.select_for_update(skip_locked=True)
    versions = dict(same.values_list("pk", "version"))
    done = [row.pk for row in touched if versions.get(row.pk) == row.version]
    TouchedDay.objects.filter(pk__in=done).delete()
