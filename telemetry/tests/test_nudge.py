"""Few tasks for many records, and a sweep for what a lost task leaves behind."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app
from celery.contrib.testing.worker import start_worker
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.utils import timezone

from telemetry import housekeeping, nudge, tasks
from telemetry.models import Frame, TelemetryRecord
from tests.deliveries import deliver
from tests.drives import drive, encode
from tests.world import make_car


@pytest.fixture
def queued() -> Iterator[Callable[[], int]]:
    """How many drains wait in the broker; none at the start."""
    with current_app.connection_for_write() as broker, broker.channel() as opened:
        channel: Any = opened
        name = current_app.conf.task_default_queue
        channel.queue_declare(queue=name, durable=True, auto_delete=False)
        settle()  # what earlier tests delivered may still be on its way into the queue
        channel.queue_purge(name)
        for shard in range(settings.DRAIN_SHARDS):
            nudge.lower(shard)
        yield lambda: channel._size(name)
        channel.queue_purge(name)


def settle() -> None:
    """Until the nudging thread has nothing left, however busy the machine is; and then a little."""
    deadline = time.monotonic() + 5
    while nudge._nudger and nudge._nudger.shards and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.4)


def test_thousands_of_records_make_one_task_per_shard(db: None, queued: Callable[[], int]) -> None:
    for _ in range(2_000):
        nudge.dirty([1, 2, 3])
    settle()
    assert queued() == 2


def test_nothing_new_makes_no_task(db: None, queued: Callable[[], int]) -> None:
    nudge.dirty([])
    settle()
    assert queued() == 0


def test_a_drain_that_ended_can_be_asked_for_again(db: None, queued: Callable[[], int]) -> None:
    nudge.send(0)
    nudge.send(0)
    assert queued() == 1
    tasks.drain(0)
    nudge.send(0)
    assert queued() == 2


def test_many_threads_nudge_at_once(db: None, queued: Callable[[], int]) -> None:
    threads = [threading.Thread(target=nudge.dirty, args=([n],)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle()
    assert queued() == 2


def test_sweep_finds_what_a_lost_task_left(db: None, queued: Callable[[], int]) -> None:
    car = make_car()
    deliver(car, encode(car.vin, drive(3)))
    settle()
    assert queued() == 1
    tasks.sweep()
    settle()
    # The flag of the lost task would have kept the shard quiet; the sweep lowers it.
    assert queued() == 2
    assert housekeeping.shards_with_due_frames() == [car.vehicle.pk % 2]
    tasks.drain(car.vehicle.pk % 2)
    assert housekeeping.shards_with_due_frames() == []
    tasks.sweep()
    assert queued() == 2


def test_sweep_proves_that_the_worker_lives(db: None) -> None:
    tasks.sweep()
    assert abs(cache.get(housekeeping.WORKER_SEEN) - time.time()) < 5


def test_sweep_leaves_records_that_wait_for_a_missing_one(db: None, settings: object) -> None:
    car = make_car()
    deliver(car, encode(car.vin, drive(3))[1:])
    tasks.drain(car.vehicle.pk % 2)
    assert Frame.objects.count() == 2
    assert housekeeping.shards_with_due_frames() == []
    Frame.objects.update(due_at=timezone.now())
    assert housekeeping.shards_with_due_frames() == [car.vehicle.pk % 2]


def test_a_real_worker_stores_what_was_accepted(transactional_db: None, queued: Callable[[], int]) -> None:
    cars = [make_car() for _ in range(3)]
    with start_worker(current_app, perform_ping_check=False, pool="solo", shutdown_timeout=20):
        for car in cars:
            for message in encode(car.vin, drive(20)):
                deliver(car, [message])
        deadline = time.monotonic() + 20
        while TelemetryRecord.objects.count() < 60:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert Frame.objects.count() == 0
    connections.close_all()
