"""A logger killed at any moment loses no reading, repeats none and keeps their order."""

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from edge.tests.conftest import START
from edge.tests.receiver import Fault, Receiver

ROWS = 2500
KILLS = 12


def test_every_row_arrives_once_and_in_order_whenever_the_logger_is_killed(
    receiver: Receiver,
    write_drive: Callable[..., Path],
    launch: Callable[..., subprocess.Popen[str]],
) -> None:
    drive = write_drive(ROWS, step_s=0.5)
    receiver.delay_s = 0.004
    rng = random.Random(20)
    for kill in range(KILLS):
        logger = launch(drive, "--speed", "400", "--batch", "7", "--linger", "0.02")
        if kill % 2:  # in the middle of sending; otherwise anywhere, starting up included
            arrived = len(receiver.records)
            wait_for(lambda arrived=arrived: len(receiver.records) > arrived)  # type: ignore[misc]
            receiver.faults.append(Fault("lose the answer" if kill % 4 == 1 else "half an answer"))
        time.sleep(rng.uniform(0, 0.25 if kill % 2 else 0.8))
        logger.kill()
        logger.wait()
    receiver.faults.clear()
    last = launch(drive, "--speed", "0", "--batch", "50")
    output, _ = last.communicate(timeout=30)
    assert last.returncode == 0, output
    order = [record.message.timestamp for record in receiver.records]
    assert order == [START + k / 2 for k in range(ROWS)]
    assert KILLS / 2 < len(receiver.streams) <= KILLS + 1
    assert receiver.repeated > 0, "the lost answers must have led to repeats that were recognised"
    for stream in receiver.streams.values():
        assert [record.sequence for record in stream.records] == list(range(1, len(stream.records) + 1))
        assert not stream.faults


def wait_for(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.002)
