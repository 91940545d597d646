import csv
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.tests.receiver import TOKEN, Receiver

START = 1_760_000_000.0
"""When the drives that tests write begin."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def write_drive(tmp_path: Path) -> Callable[..., Path]:
    """A recording in the product's own format; each row has its own odometer reading."""

    def write(rows: int, name: str = "drive.csv", step_s: float = 1.0) -> Path:
        path = tmp_path / name
        with path.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["t_s", "speed", "battery", "odometer", "latitude", "longitude"])
            for k in range(rows):
                lines.writerow(
                    [round(k * step_s, 3), k % 90, round(80 - k * 0.01, 3), k / 10, 52.5 + k * 1e-5, 13.4]
                )
        return path

    return write


@pytest.fixture
def launch(tmp_path: Path, receiver: Receiver) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `python -m edge logger` as a process of its own, with the test's spool and server."""
    running: list[subprocess.Popen[str]] = []

    def start(source: Path, *options: str, **kwargs: Any) -> subprocess.Popen[str]:
        arguments = ["logger", "--source", str(source), "--url", receiver.url, "--start", str(START)]
        process = spawn([*arguments, "--spool", str(tmp_path / "spool.sqlite3"), *options], **kwargs)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def spawn(arguments: Sequence[str], token: str = TOKEN) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge", *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "CONVOY_TOKEN": token},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
