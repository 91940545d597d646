"""From the inbox to history: every vehicle in order, records and decoder state in one transaction.

A killed worker loses nothing and repeats nothing: either the transaction committed, or the frames are still
in the inbox with the state that precedes them. Vehicles are spread over shards; one drain works a shard at a
time, so no vehicle is ever drained twice at once.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from fleet.models import Vehicle
from telemetry import inbox, live, nudge, partitions, store, vehicle_state
from telemetry.derivation import activity, touched
from telemetry.frames import Pending
from telemetry.retention import Cutoffs
from telemetry.sql import on_postgresql
from telemetry.streamwork import StreamWork, load_streams, save_streams

log = logging.getLogger(__name__)
LOCK_CLASS = 7_307
LIMIT = 5_000
_BREATH_S, _BREATH_MOST_S = 0.015, 0.25
_BREATH_SHARES, _MANY = (0.5, 2.0), 200
"""After a pass, let more records come: what a pass costs grows with its vehicles and statements, hardly with its
records. The pause is half of what a small pass took, so that a browser sees its record soon; twice what one of many
records took, because then processors are scarce. A pass that found more than it may take is followed at once."""
_PUT_OFF_US = 60_000_000
_NAMED = 5
"""Vehicles named in one line of the log."""


class Outcome(NamedTuple):
    """Of one pass: records that left the inbox, records that stay."""

    done: int
    waiting: int


def drain(shard: int) -> int:
    """Work the shard's inbox until nothing is due; answers how many records left it."""
    total, limit = 0, LIMIT
    while True:
        began = time.perf_counter()
        outcome = _one_pass(shard, limit)
        if outcome is None:
            return total
        done, waiting = outcome
        total += done
        full = limit
        # A stretch of waiting records may fill the whole window: look further.
        limit = limit * 4 if not done and waiting >= limit else LIMIT
        if not done and waiting < limit:
            return total
        if done + waiting < full:
            time.sleep(_breath(time.perf_counter() - began, done))


def _breath(took_s: float, done: int) -> float:
    few, many = _BREATH_SHARES
    share = min(many, few + (many - few) * done / _MANY)
    return min(max(_BREATH_S, took_s * share), _BREATH_MOST_S)


def _one_pass(shard: int, limit: int) -> Outcome | None:
    """None when there was nothing, or another drain has the shard."""
    now_us = time.time_ns() // 1000
    devices = inbox.due_devices(shard, settings.DRAIN_SHARDS, now_us, limit)
    if not devices:
        return None
    try:
        return _work(shard, devices, limit, now_us)
    except (OperationalError, InterfaceError):
        raise  # the database is away, or chose this transaction in a deadlock: the same again, later
    except Exception:
        log.exception("a drain of shard %s failed; working its %s devices one by one", shard, len(devices))
    outcomes = [_one_device(shard, device, limit, now_us) for device in devices]
    return Outcome(sum(o.done for o in outcomes), sum(o.waiting for o in outcomes))


def _one_device(shard: int, device: int, limit: int, now_us: int) -> Outcome:
    """A record that cannot be stored holds up its own device only, and is tried again and again."""
    try:
        return _work(shard, [device], limit, now_us, careful=True) or Outcome(0, 0)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("device %s cannot be drained; trying again in %.0f s", device, _PUT_OFF_US / 1e6)
        inbox.put_off(device, now_us + _PUT_OFF_US)
        return Outcome(0, 0)


def _work(
    shard: int, devices: Sequence[int], limit: int, now_us: int, *, careful: bool = False
) -> Outcome | None:
    """One transaction. `careful`: ask history which of the records it holds already."""
    with transaction.atomic():
        if not _lock(shard):
            return None
        taken = inbox.take(devices, limit)
        if not taken:
            return Outcome(0, 0)
        cutoffs = Cutoffs(taken)
        partitions.ensure({partitions.month_of(frame.time_us) for frame in taken if cutoffs.keeps(frame)})
        streams = load_streams(taken)
        for stream in streams:
            if careful:
                stream.drop_stored()
            stream.reconstruct(now_us - _wait_us())
        waiting = _write(taken, streams, cutoffs)
    return Outcome(len(taken) - waiting, waiting)


def _lock(shard: int) -> bool:
    if not on_postgresql():
        return True  # SQLite: the transaction itself is the only writer
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK_CLASS, shard])
        return bool(cursor.fetchone()[0])


def _write(taken: Sequence[Pending], streams: Sequence[StreamWork], cutoffs: Cutoffs) -> int:
    """Everything one pass changes; answers how many records are left waiting."""
    came = [record for stream in streams for record in stream.new]
    new = cutoffs.kept(came)
    replaced = cutoffs.kept([record for stream in streams for record in stream.replaced])
    waiting = [frame for stream in streams for frame in stream.waiting]
    store.write(new)
    store.replace(replaced)
    resting = {frame.id for frame in waiting}
    inbox.delete([frame.id for frame in taken if frame.id not in resting])
    inbox.postpone(list(resting), _wait_us())
    save_streams(streams)
    counts = _compression(taken, streams)
    store.count_compression(counts)
    activity.note(counts)
    records = [*new, *replaced]
    too_old = Counter(record.vehicle_id for record in came if not cutoffs.keeps(record))
    vehicle_state.heard(too_old)
    updates, watched = vehicle_state.advance(records)
    spans = touched.stretches(records)
    touched.PACED.widen(spans)
    if watched:
        touched.QUICK.widen([span for span in spans if span[0] in watched])
        transaction.on_commit(lambda: nudge.derive(watched))
    news = {stream.stream.vehicle_id: told for stream in streams if (told := stream.news())}
    transaction.on_commit(lambda: _tell(updates, news))
    if too_old:
        transaction.on_commit(lambda: _tell_too_old(too_old))
    return len(waiting)


def _tell(updates: Sequence[vehicle_state.Update], news: dict[int, tuple[str, str]]) -> None:
    live.publish(updates)
    lines: dict[tuple[int, tuple[str, str]], list[str]] = defaultdict(list)
    for vehicle in Vehicle.objects.filter(pk__in=news).order_by("slug") if news else ():
        lines[vehicle.fleet_id, news[vehicle.pk]].append(vehicle.slug)
    # A line for all of them: a thousand cars that come back at once must not mean a thousand messages a browser.
    for (fleet_id, (text, level)), slugs in lines.items():
        more = f" and {len(slugs) - _NAMED} more" if len(slugs) > _NAMED else ""
        live.publish_log(fleet_id, f"{', '.join(slugs[:_NAMED])}{more}: {text}", level)


def _tell_too_old(counts: Mapping[int, int]) -> None:
    """Acknowledged, so that the device forgets them; not kept, and that can be seen."""
    for vehicle in Vehicle.objects.filter(pk__in=counts).order_by("slug"):
        text = f"{vehicle.slug}: {counts[vehicle.pk]} records older than this fleet keeps were not kept"
        log.info(
            "vehicle %s: %s records older than its fleet keeps were not kept", vehicle.pk, counts[vehicle.pk]
        )
        live.publish_log(vehicle.fleet_id, text, "warning")


def _compression(taken: Sequence[Pending], streams: Sequence[StreamWork]) -> dict[tuple[int, str], list[int]]:
    sizes = {(f.device_id, f.stream_id, f.sequence): len(f.payload) for f in taken}
    counts: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for stream in streams:
        for record in stream.new:
            totals = counts[record.vehicle_id, store.day_of(record.time_us)]
            totals[0] += 1
            totals[1] += record.sent.bit_count()
            totals[2] += stream.skipped(record)
            totals[3] += sizes[record.device_id, record.stream_id, record.sequence]
        for record, more in stream.refilled:
            counts[record.vehicle_id, store.day_of(record.time_us)][2] += more
    return counts


def _wait_us() -> int:
    return int(settings.TELEMETRY_GAP_WAIT_S * 1e6)
