"""The command as an engineer runs it: a process of its own against a real server."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.__main__ import main
from edge.door import Door
from edge.drive import Choice, Drive
from edge.logger import Logger, Plan
from edge.sender import Pack
from edge.spool import Spool
from edge.tests.conftest import START, spawn
from edge.tests.receiver import TOKEN, Fault, Receiver
from edge.tests.test_kill import wait_for

Launch = Callable[..., subprocess.Popen[str]]
WriteDrive = Callable[..., Path]


def finish(process: subprocess.Popen[str], code: int = 0, timeout: float = 20) -> str:
    output, _ = process.communicate(timeout=timeout)
    assert process.returncode == code, output
    return output


def times(receiver: Receiver) -> list[float]:
    return [record.message.timestamp for record in receiver.records]


def test_a_drive_is_sent_and_summed_up(receiver: Receiver, write_drive: WriteDrive, launch: Launch) -> None:
    output = finish(launch(write_drive(300), "--speed", "0", "--vin", "WBY1Z21040V000001"))
    assert times(receiver) == [START + k for k in range(300)]
    assert all(record.signals and len(record.signals) == 5 for record in receiver.records)
    assert "300 read, 300 acknowledged" in output and "per record" in output
    assert "omitted" in output and "0 rejected" in output and TOKEN not in output


def test_it_is_paced_by_the_drive_and_the_speed(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch
) -> None:
    finish(launch(write_drive(31), "--speed", "20", "--batch", "5", "--linger", "0.05"))
    span = receiver.posts[-1][0] - receiver.posts[0][0]
    assert 1.1 < span < 2.5, "30 s at 20 times their speed"


def test_live_means_now_and_soon(receiver: Receiver, write_drive: WriteDrive, launch: Launch) -> None:
    logger = launch(write_drive(100), "--live", "--speed", "5")
    wait_for(lambda: len(receiver.records) >= 8)
    age = time.time() - receiver.records[-1].message.timestamp
    assert age < 1.0
    logger.send_signal(signal.SIGTERM)
    finish(logger)


def test_a_keyframe_asked_for_is_the_next_record(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch
) -> None:
    receiver.want_keyframe_at = {5, 20}
    finish(launch(write_drive(60), "--speed", "30", "--batch", "1", "--linger", "0"))
    keyframes = [record.sequence for record in receiver.records if record.message.keyframe]
    assert keyframes[0] == 1 and len(keyframes) == 3
    assert 6 <= keyframes[1] <= 9 and 21 <= keyframes[2] <= 24, keyframes


def test_after_a_refused_record_the_stream_heals_with_a_keyframe(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch, tmp_path: Path
) -> None:
    receiver.refuse = lambda message: "too odd" if message.sequence == 10 else None
    output = finish(launch(write_drive(60), "--speed", "30", "--batch", "3", "--linger", "0"), code=5)
    assert "1 rejected" in output and "too odd" in output
    assert len(receiver.records) == 59
    assert all(record.signals for record in receiver.records[-40:])
    spool = Spool(tmp_path / "spool.sqlite3")
    (letter,) = spool.dead_letters()
    assert letter.frame.sequence == 10
    spool.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_logger_flushes_and_the_next_run_goes_on(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch, number: int
) -> None:
    drive = write_drive(200)
    logger = launch(drive, "--speed", "50", "--batch", "10")
    wait_for(lambda: len(receiver.records) > 20)
    logger.send_signal(number)
    finish(logger, timeout=5)
    stopped_at = len(receiver.records)
    assert stopped_at < 200
    output = finish(launch(drive, "--speed", "0"))
    assert f"goes on after row {stopped_at - 1}" in output
    assert times(receiver) == [START + k for k in range(200)]
    first, second = receiver.streams.values()
    assert second.records[0].message.keyframe and second.records[0].sequence == 1
    assert len(first.records) == stopped_at


def test_what_a_dead_server_did_not_take_goes_first_next_time(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch
) -> None:
    receiver.faults.extend([Fault(503, {"Retry-After": "60"})] * 50)
    logger = launch(write_drive(120), "--speed", "100", "--batch", "10")
    wait_for(lambda: bool(receiver.posts))
    time.sleep(0.4)
    logger.send_signal(signal.SIGTERM)
    output = finish(logger, code=3, timeout=6)
    assert "go first next time" in output and "503" in output
    assert len(receiver.posts) == 1, "Retry-After holds for the last flush too"
    receiver.faults.clear()
    output = finish(launch(write_drive(120), "--speed", "0"))
    assert "records of an earlier run go first" in output
    assert times(receiver) == [START + k for k in range(120)]


def test_a_finished_drive_is_not_sent_twice_unless_asked(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch
) -> None:
    drive = write_drive(20)
    finish(launch(drive, "--speed", "0"))
    assert "--again starts over" in finish(launch(drive, "--speed", "0"))
    assert len(receiver.records) == 20
    finish(launch(drive, "--speed", "0", "--again"))
    assert len(receiver.records) == 40


def test_a_limit_stops_and_the_next_run_goes_on(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch
) -> None:
    drive = write_drive(20)
    for _ in range(2):
        finish(launch(drive, "--speed", "0", "--limit", "8"))
    assert times(receiver) == [START + k for k in range(16)]


def test_a_wrong_token_is_said_at_once_and_the_data_stays(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch
) -> None:
    drive = write_drive(20)
    output = finish(launch(drive, "--speed", "0", token="wrong"), code=4)
    assert "401" in output and "unknown token" in output and "20 records stay" in output
    finish(launch(drive, "--speed", "0"))
    assert len(receiver.records) == 20


def test_a_wrong_token_also_ends_a_drive_longer_than_the_lead(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch
) -> None:
    drive = write_drive(300)
    output = finish(launch(drive, "--speed", "0", "--batch", "5", token="wrong"), code=4)
    assert "401" in output
    finish(launch(drive, "--speed", "0"))
    assert times(receiver) == [START + k for k in range(300)]


def test_a_full_spool_pauses_reading_and_loses_nothing(
    receiver: Receiver, write_drive: WriteDrive, launch: Launch
) -> None:
    receiver.faults.extend([Fault(503)] * 2)
    drive = write_drive(150)
    output = finish(launch(drive, "--speed", "200", "--batch", "10", "--spool-limit", "0.001"))
    assert "reading waits" in output
    assert times(receiver) == [START + k for k in range(150)]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--source", "missing.csv"], "missing.csv cannot be read"),
        (["--url", "fleet"], "is not an address"),
        (["--map", "speed=velocity"], "is no signal"),
        (["--start", "yesterday"], "is no ISO 8601 time"),
        (["--start", "2099-01-01"], "in the future"),
        (["--batch", "0"], "--batch"),
    ],
)
def test_what_cannot_work_is_explained_in_one_line(
    write_drive: WriteDrive,
    tmp_path: Path,
    options: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CONVOY_TOKEN", TOKEN)
    usual = ["--source", str(write_drive(3)), "--url", "http://127.0.0.1:9"]
    assert main(["logger", *usual, "--spool", str(tmp_path / "s"), *options]) == 2
    output = capsys.readouterr().err
    assert complaint in output and output.count("\n") == 1


def test_a_damaged_spool_and_a_missing_token_are_explained(write_drive: WriteDrive, tmp_path: Path) -> None:
    spool = tmp_path / "spool.sqlite3"
    spool.write_bytes(b"damaged" * 1000)
    usual = ["logger", "--source", str(write_drive(3)), "--url", "http://127.0.0.1:9", "--spool", str(spool)]
    assert "is damaged" in finish(spawn(usual), code=2)
    assert "set CONVOY_TOKEN" in finish(spawn(usual, token=""), code=2)


def test_an_undated_drive_ends_now_when_replayed_faster_than_time(
    write_drive: WriteDrive, receiver: Receiver, tmp_path: Path
) -> None:
    for speed, begins in ((1.0, 0), (0.0, -4999), (10.0, -4999 * 0.9)):
        spool = Spool(tmp_path / f"{speed}.sqlite3")
        logger = Logger(Drive(write_drive(5000)), spool, Door(receiver.url, TOKEN), Plan(speed=speed))
        assert logger.place.start == pytest.approx(time.time() + begins, abs=2)
        spool.close()


def test_a_backlog_does_not_turn_every_record_into_a_keyframe(
    write_drive: WriteDrive, receiver: Receiver, tmp_path: Path
) -> None:
    """Each answer to records from before the keyframe asks again; only the first may count."""
    spool = Spool(tmp_path / "spool.sqlite3")
    drive = Drive(write_drive(400), Choice(start=START))
    receiver.refuse = lambda message: "odd" if message.sequence == 2 else None
    plan = Plan(speed=0, pack=Pack(batch=10), keyframe_every=1000)
    logger = Logger(drive, spool, Door(receiver.url, TOKEN), plan)
    logger.start()
    assert logger.join(20)
    keyframes = [record.sequence for record in receiver.records if record.message.keyframe]
    assert len(keyframes) == 2 and keyframes[1] <= 2 + 12 * 10
    assert all(record.signals for record in receiver.records if record.sequence >= keyframes[1])
    logger.close()
