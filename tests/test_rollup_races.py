"""Sums by day while everybody writes at once, and after a worker was killed in the middle."""

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.utils import timezone

from fleet.aggregation import rollups
from fleet.behaviour import tripscores
from fleet.journeys.trips import keep
from fleet.models import RollupState, TouchedDay, VehicleDay
from fleet.tests.test_rollups import assert_right, told, up_to_date
from tests.environment import PYTHON, ROOT, clean_environment
from tests.world import make_car

START = datetime(2024, 11, 17, 20, tzinfo=UTC)


def finish() -> None:
    """Rows that another worker holds are skipped, not waited for: look until nothing is left."""
    deadline = time.monotonic() + 20
    while TouchedDay.objects.exists() and time.monotonic() < deadline:
        rollups.keep_up(timezone.now())
    up_to_date()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_trips_that_change_while_they_are_summed_up() -> None:
    cars = [make_car("north", f"van-{n}") for n in range(3)]
    rollups.keep_up(timezone.now())

    def send(number: int) -> None:
        try:
            car = cars[number % 3]
            for minutes in (30, 90, 300):
                name = f"t{number % 9}"
                keep(car.vehicle, [told(name, START + timedelta(minutes=number), minutes, minutes / 2)])
                if number % 2:
                    rollups.keep_up(timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, range(18)))
    finish()
    assert_right("UTC")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_nobody_who_touches_waits_for_who_sums_up(monkeypatch: pytest.MonkeyPatch) -> None:
    car = make_car("north", "van")
    keep(car.vehicle, [told("t", START)])
    rollups.keep_up(timezone.now())
    keep(car.vehicle, [told("t", START, 90)])
    # They come last, and the commit follows at once.
    monkeypatch.setattr(tripscores, "keep", lambda *_: None)
    monkeypatch.setattr(rollups, "_forget", lambda touched: None)

    def send() -> float:
        try:
            began = time.monotonic()
            keep(car.vehicle, [told("t", START, 120)])
            assert rollups.keep_up(timezone.now()) == 0, "its fleet is being worked on"
            return time.monotonic() - began
        finally:
            connections.close_all()

    with transaction.atomic():
        state = rollups._claim(timezone.now(), set())
        assert state and rollups._work(state, timezone.now()) == 1
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(send).result(10) < 5
    monkeypatch.undo()
    finish()
    assert VehicleDay.objects.get().driving_ms == 120 * 60_000


KILLED = """
import os, signal
import django; django.setup()
from django.utils import timezone
from fleet.aggregation import rollups
summed = rollups.recompute
def recompute(*args):
    summed(*args)
    os.kill(os.getpid(), signal.SIGKILL)
rollups.recompute = recompute
rollups.keep_up(timezone.now())
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_leaves_everything_to_do() -> None:
    car = make_car("north", "van")
    keep(car.vehicle, [told(f"t{n}", START + timedelta(hours=n)) for n in range(5)])
    waiting = TouchedDay.objects.count()
    database = settings.DATABASES["default"]
    name = connection.settings_dict["NAME"]
    url = (
        f"postgres://{database['USER']}@{database['HOST']}:{database['PORT']}/{name}"
        if connection.vendor == "postgresql"
        else f"sqlite:///{name}"
    )
    env = clean_environment(
        DJANGO_SETTINGS_MODULE="config.settings", DATABASE_URL=url, DATA_DIR=str(settings.DATA_DIR)
    )
    done = subprocess.run([PYTHON, "-c", KILLED], cwd=ROOT, env=env, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert TouchedDay.objects.count() == waiting and not VehicleDay.objects.exists()
    assert not RollupState.objects.exclude(time_zone="").exists()
    up_to_date()
    assert_right("UTC")
