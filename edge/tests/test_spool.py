import sqlite3
import threading
from pathlib import Path

import pytest

from edge.frames import Frame, Position, Refusal, Stream
from edge.spool import Spool, SpoolBusyError, SpoolDamagedError, SpoolError, SpoolFullError

ONE = Stream(2**63 - 1, "WBA00000000000001")
TWO = Stream(7, "")
REFUSAL = Refusal("speed", "too fast")


def frames(first: int, count: int, size: int = 10) -> list[Frame]:
    return [Frame(first + k, bytes([k % 256]) * size) for k in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "spool.sqlite3"


def test_a_batch_is_the_oldest_frames_in_order_until_the_receipt(path: Path) -> None:
    spool = Spool(path)
    spool.put(ONE, frames(1, 5))
    batch = spool.peek(3, 1000)
    assert batch and batch.stream == ONE
    assert batch.frames == tuple(frames(1, 5)[:3])
    assert spool.peek(3, 1000) == batch
    spool.settle(batch)
    rest = spool.peek(10, 1000)
    assert rest and [frame.sequence for frame in rest.frames] == [4, 5]
    assert spool.waiting == 2
    spool.settle(rest)
    assert spool.peek(10, 1000) is None
    spool.close()


def test_a_batch_never_mixes_streams_and_keeps_to_its_bytes(path: Path) -> None:
    spool = Spool(path)
    spool.put(ONE, frames(1, 2))
    spool.put(TWO, frames(1, 4))
    first = spool.peek(10, 1000)
    assert first and len(first.frames) == 2
    spool.settle(first)
    second = spool.peek(10, 25)
    assert second and second.stream == TWO and len(second.frames) == 2
    large = spool.peek(10, 1)
    assert large and len(large.frames) == 1, "a frame larger than the limit must still go out"
    spool.close()


def test_everything_is_there_after_opening_again(path: Path) -> None:
    spool = Spool(path)
    spool.put(ONE, frames(1, 3), Position("a.csv", {"row": 2}))
    spool.put(ONE, [], Position("a.csv", {"row": 5}))
    spool.close()
    again = Spool(path)
    assert again.waiting == 3
    assert again.position("a.csv") == {"row": 5}
    assert again.position("b.csv") is None
    again.forget("a.csv")
    assert again.position("a.csv") is None
    again.close()


def test_refused_records_become_dead_letters_and_leave_the_queue(path: Path) -> None:
    spool = Spool(path)
    spool.put(ONE, frames(1, 3))
    batch = spool.peek(10, 1000)
    assert batch
    spool.settle(batch, {1: REFUSAL})
    assert spool.waiting == 0
    (letter,) = spool.dead_letters()
    assert (letter.stream, letter.frame, letter.refusal) == (ONE, batch.frames[1], REFUSAL)
    spool.close()


def test_settling_twice_deletes_nothing_else(path: Path) -> None:
    spool = Spool(path)
    spool.put(ONE, frames(1, 2))
    batch = spool.peek(10, 1000)
    assert batch
    spool.settle(batch)
    spool.put(ONE, frames(3, 2))
    spool.settle(batch)
    assert spool.waiting == 2
    spool.close()


def test_a_full_spool_refuses_all_of_a_put_and_its_position(path: Path) -> None:
    spool = Spool(path, limit_bytes=35)
    spool.put(ONE, frames(1, 3), Position("a", {"row": 2}))
    with pytest.raises(SpoolFullError, match=r"full: 30 of 35 bytes wait"):
        spool.put(ONE, frames(4, 1), Position("a", {"row": 3}))
    assert spool.waiting == 3 and spool.position("a") == {"row": 2}
    batch = spool.peek(1, 1000)
    assert batch
    spool.settle(batch)
    spool.put(ONE, frames(4, 1))
    spool.close()


def test_what_was_refused_still_counts_towards_the_limit(path: Path) -> None:
    spool = Spool(path, limit_bytes=15)
    spool.put(ONE, frames(1, 1))
    batch = spool.peek(1, 1000)
    assert batch
    spool.settle(batch, {0: REFUSAL})
    with pytest.raises(SpoolFullError):
        spool.put(ONE, frames(2, 1))
    spool.close()


def test_a_second_owner_is_told(path: Path) -> None:
    spool = Spool(path)
    with pytest.raises(SpoolBusyError, match="in use by another logger"):
        Spool(path)
    spool.close()
    Spool(path).close()


@pytest.mark.parametrize("damage", ["text", "middle"])
def test_a_damaged_file_is_named_and_left_alone(path: Path, damage: str) -> None:
    spool = Spool(path)
    spool.put(ONE, frames(1, 2000, size=60))
    spool.close()
    content = path.read_bytes()
    broken = b"not a database at all" * 500
    if damage == "middle":
        broken = content[:8192] + b"\xff" * 40_000 + content[48_192:]
    path.write_bytes(broken)
    with pytest.raises(SpoolDamagedError, match=r"spool.sqlite3 is damaged .* move it away"):
        Spool(path)
    assert path.read_bytes() == broken


def test_somebody_elses_database_is_not_taken_for_a_spool(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE frames (a)")
    connection.close()
    with pytest.raises(SpoolDamagedError, match="not a spool"):
        Spool(path)


def test_a_path_that_cannot_be_a_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot be used"):
        Spool(tmp_path)


def test_only_the_owner_may_read_it(path: Path) -> None:
    spool = Spool(path)
    spool.put(ONE, frames(1, 1))
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    spool.close()


@pytest.mark.parametrize(("asked", "level"), [("FULL", 2), ("NORMAL", 1)])
def test_durability_is_what_was_asked_for(path: Path, asked: str, level: int) -> None:
    spool = Spool(path, synchronous=asked)  # type: ignore[arg-type]
    assert spool._row("PRAGMA synchronous") == (level,)
    assert spool._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    spool.close()


def test_readers_and_senders_in_many_threads_lose_nothing(path: Path) -> None:
    spool = Spool(path, synchronous="NORMAL")
    streams = [Stream(k, "") for k in range(1, 5)]
    seen: dict[int, list[int]] = {stream.stream_id: [] for stream in streams}

    def write(stream: Stream) -> None:
        for sequence in range(1, 101):
            spool.put(stream, [Frame(sequence, b"x")])

    writers = [threading.Thread(target=write, args=(stream,)) for stream in streams]
    for thread in writers:
        thread.start()
    while spool.wait(1, 0.2, lambda: False) or any(thread.is_alive() for thread in writers):
        if batch := spool.peek(7, 1000):
            seen[batch.stream.stream_id] += [frame.sequence for frame in batch.frames]
            spool.settle(batch)
    assert all(order == list(range(1, 101)) for order in seen.values())
    spool.close()
