"""A dozen vehicles in one process, as the demonstration runs them."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.tests.conftest import spawn
from edge.tests.receiver import TOKEN, Receiver
from edge.tests.test_kill import wait_for

VEHICLES = 12
ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(tmp_path: Path, receiver: Receiver) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def launch(loggers: list[dict[str, Any]], **config: Any) -> subprocess.Popen[str]:
        path = tmp_path / "fleet.json"
        path.write_text(json.dumps({"url": receiver.url, "speed": 1, "loggers": loggers, **config}))
        running.append(spawn(["fleet", "--config", str(path)]))
        return running[-1]

    yield launch
    for process in running:
        process.kill()
        process.communicate()


def fleet_of(source: Path, count: int) -> list[dict[str, Any]]:
    return [
        {"source": source.name, "token": TOKEN, "vin": f"WBY1Z21040V0000{k:02d}", "start_offset_s": 3 * k}
        for k in range(count)
    ]


def test_a_dozen_vehicles_report_every_second_for_next_to_nothing(
    receiver: Receiver, write_drive: Callable[..., Path], start: Callable[..., subprocess.Popen[str]]
) -> None:
    fleet = start(fleet_of(write_drive(600), VEHICLES))
    wait_for(lambda: len(receiver.streams) == VEHICLES)
    before, began, records = cpu_seconds(fleet.pid), time.monotonic(), len(receiver.records)
    time.sleep(6)
    seconds = time.monotonic() - began
    share = (cpu_seconds(fleet.pid) - before) / seconds
    rate = (len(receiver.records) - records) / seconds
    print(f"{VEHICLES} vehicles, {rate:.1f} records/s: {100 * share:.1f} % of a core")
    assert VEHICLES * 0.8 < rate < VEHICLES * 1.2
    assert share < 0.10, "5 % is the aim; a busy test machine may take more"
    now = time.time()
    for stream in receiver.streams.values():
        assert now - stream.records[-1].message.timestamp < 2.5
        assert not stream.faults
    began = time.monotonic()
    fleet.send_signal(signal.SIGTERM)
    output, _ = fleet.communicate(timeout=5)
    assert time.monotonic() - began < 2
    assert fleet.returncode == 0, output
    assert "stopped:" in output and TOKEN not in output


def test_laps_go_on_after_a_kill_and_the_odometer_only_grows(
    receiver: Receiver, write_drive: Callable[..., Path], start: Callable[..., subprocess.Popen[str]]
) -> None:
    loggers = fleet_of(write_drive(30), 2)
    for _ in range(3):
        fleet = start(loggers, speed=30)
        arrived = len(receiver.records)
        wait_for(lambda arrived=arrived: len(receiver.records) > arrived + 60)  # type: ignore[misc]
        fleet.kill()
        fleet.wait()
    for vehicle in range(2):
        streams = [s for s in receiver.streams.values() if s.vin.endswith(f"0{vehicle}")]
        readings = [record.signals for stream in streams for record in stream.records]
        odometer = [signals[14] for signals in readings if signals]
        assert len(odometer) == len(readings) > 60
        tolerance = 0.05
        assert all(after >= before - 2 * tolerance for before, after in itertools.pairwise(odometer))
        assert odometer[-1] > 3.5, "more than one lap of 2.9 km"


def test_a_logger_that_cannot_run_is_left_out(
    receiver: Receiver, write_drive: Callable[..., Path], start: Callable[..., subprocess.Popen[str]]
) -> None:
    fleet = start([*fleet_of(write_drive(20), 1), {"source": "missing.csv", "token": "x", "vin": "LOST"}])
    wait_for(lambda: len(receiver.records) >= 1)
    fleet.send_signal(signal.SIGTERM)
    output, _ = fleet.communicate(timeout=5)
    assert fleet.returncode == 0 and "LOST is left out" in output


def test_a_fleet_ends_with_its_parent_on_request(
    receiver: Receiver, write_drive: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "fleet.json"
    loggers = fleet_of(write_drive(60), 1)
    path.write_text(json.dumps({"url": receiver.url, "with_parent": True, "loggers": loggers}))
    script = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'edge', *sys.argv[1:]])"
    command = [sys.executable, "-c", script, "fleet", "--config", str(path)]
    parent = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: bool(receiver.records))
    parent.kill()
    _, output = parent.communicate(timeout=10)  # ends when the last process that writes has ended
    assert "is gone" in output and "stopped:" in output


@pytest.mark.parametrize("content", ["", "[]", '{"url": "http://127.0.0.1:9"}'])
def test_a_configuration_that_makes_no_sense_is_explained(tmp_path: Path, content: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(content)
    process = spawn(["fleet", "--config", str(path)])
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 2 and "fleet.json" in output and output.count("\n") == 1


def cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        pytest.skip("no /proc here to measure with")
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
