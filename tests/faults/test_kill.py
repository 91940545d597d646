"""kill -9 of web, worker, PostgreSQL and broker under load, as often as FAULT_KILLS says."""

import logging
import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults import audit
from tests.faults.sender import Sender, senders
from tests.faults.stack import SETTINGS, Stack, provisioned
from tests.servers import Site, wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]
log = logging.getLogger("faults")
KILLS = int(os.environ.get("FAULT_KILLS", "4"))


def progress_of(loads: list[Sender]) -> list[int]:
    assert not any(load.failure for load in loads), [load.failure for load in loads]
    return [load.acknowledged for load in loads]


def wait_for_progress(loads: list[Sender]) -> None:
    """Every sender has been acknowledged something new."""
    before = progress_of(loads)
    wait_until(lambda: all(now > old for now, old in zip(progress_of(loads), before, strict=True)), "answers")


def report(round_: str, numbers: audit.Count, began: float) -> None:
    log.info(
        "%-14s after %5.1f s: %6d acknowledged, %6d stored, %d duplicates, %5d in the inbox",
        round_, time.monotonic() - began, numbers.acknowledged, numbers.stored, numbers.duplicates, numbers.frames,
    )  # fmt: skip
    assert numbers.duplicates == 0


def test_no_acknowledged_record_is_lost_or_stored_twice(stack: Stack) -> None:
    chance, began = random.Random(KILLS), time.monotonic()
    loads = senders(provisioned(stack.env), stack.port)
    for load in loads:
        load.start()
    try:
        wait_for_progress(loads)
        victims = [("worker", "web", "postgres", "valkey")[n % 4] for n in range(KILLS)]
        for number, victim in enumerate(victims, 1):
            time.sleep(chance.uniform(0.3, 2.5))
            stack.kill(victim)
            time.sleep(chance.uniform(0, 0.5))
            stack.start()
            wait_for_progress(loads)
            report(f"{number} {victim}", audit.count(stack.query, loads), began)
    finally:
        for load in loads:
            load.stopping.set()
    for load in loads:
        load.finish()
    wait_until(lambda: audit.count(stack.query, loads).frames == 0, "the inbox to empty", 40)
    numbers = audit.count(stack.query, loads)
    report("end", numbers, began)
    assert numbers.stored == numbers.acknowledged > 200 * KILLS
    compared = sum(audit.assert_nothing_lost(stack.query, load) for load in loads)
    refusals = [load.refusals for load in loads]
    log.info(
        "%d values compared; answers other than 200: %s; repeats %d",
        compared,
        refusals,
        sum(x.repeated for x in loads),
    )


def test_embedded_server_on_sqlite_survives_kills(tmp_path: Path) -> None:
    site = Site(tmp_path, **SETTINGS).start()
    database = tmp_path / "data" / "convoy.sqlite3"

    def query(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
            return connection.execute(sql).fetchall()

    chance, began = random.Random(KILLS), time.monotonic()
    assert site.env
    loads = senders(provisioned(site.env), site.port)
    for load in loads:
        load.start()
    try:
        for number in range(1, max(2, KILLS // 4) + 1):
            wait_for_progress(loads)
            time.sleep(chance.uniform(0.3, 2.0))
            site.kill()
            report(f"{number} serve", audit.count(query, loads), began)
            site.start()
        wait_for_progress(loads)
    finally:
        for load in loads:
            load.stopping.set()
    for load in loads:
        load.finish()
    wait_until(lambda: audit.count(query, loads).frames == 0, "the inbox to empty", 40)
    numbers = audit.count(query, loads)
    report("end", numbers, began)
    site.stop()
    assert numbers.stored == numbers.acknowledged
    assert query("PRAGMA integrity_check") == [("ok",)]
    assert sum(audit.assert_nothing_lost(query, load) for load in loads) > 0
