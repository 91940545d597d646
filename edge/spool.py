"""The durable queue between reading and sending: one SQLite file per vehicle, written before sending.

`put` returns once the records are on disk, together with the position of their source; only a receipt
deletes. One process owns a spool at a time; within it any thread may call.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from edge.frames import Batch, DeadLetter, Frame, Position, Refusal, Stream

_TABLES = """
CREATE TABLE IF NOT EXISTS streams (number INTEGER PRIMARY KEY, stream_id INTEGER UNIQUE, vin TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS frames (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES streams, sequence INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS dead (
    number INTEGER PRIMARY KEY, vin TEXT NOT NULL, stream_id INTEGER NOT NULL, sequence INTEGER NOT NULL,
    body BLOB NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS positions (source TEXT PRIMARY KEY, content TEXT NOT NULL);
DELETE FROM streams WHERE number NOT IN (SELECT stream FROM frames);
"""
_APPLICATION: Final = 0x436F6E76
"""Written into the file's header ("Conv"), so that somebody else's database is not taken for a spool."""
_BUSY_WAIT_S: Final = 2.0


class SpoolError(Exception):
    """The spool cannot be used; the text says which file and what to do."""


class SpoolBusyError(SpoolError):
    """Another process owns the file."""


class SpoolDamagedError(SpoolError):
    """The file is not a readable spool."""


class SpoolFullError(SpoolError):
    """The byte limit is reached; nothing of the refused call was kept."""


class Spool:
    """`synchronous`: FULL survives a power cut, NORMAL only the death of the process but is faster.

    `limit_bytes` bounds what waits plus what was refused; None keeps everything.
    """

    def __init__(
        self, path: Path, *, synchronous: Literal["FULL", "NORMAL"] = "FULL", limit_bytes: int | None = None
    ) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        self._changed = threading.Condition(threading.RLock())
        self._connection = self._open(synchronous)
        with self._changed:
            self._waiting, waiting_bytes = self._row("SELECT count(*), total(length(body)) FROM frames")
            (dead_bytes,) = self._row("SELECT total(length(body)) FROM dead")
        self._bytes = int(waiting_bytes + dead_bytes)

    def _open(self, synchronous: str) -> sqlite3.Connection:
        connection = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Where somebody drove is nobody else's business.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_WAIT_S, isolation_level=None, check_same_thread=False
            )
            self._prepare(connection, synchronous)
        except (OSError, sqlite3.Error) as error:
            if connection:
                connection.close()
            raise _explained(self.path, error) from error
        except SpoolError:
            if connection:
                connection.close()
            raise
        _sync_folder(self.path.parent)
        return connection

    def _prepare(self, connection: sqlite3.Connection, synchronous: str) -> None:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # a second logger would send and read twice
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and application != _APPLICATION:
            raise SpoolDamagedError(f"{self.path} is a database, but not a spool: choose another file")
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found.splitlines()[-1])
        connection.executescript(f"BEGIN EXCLUSIVE;PRAGMA application_id={_APPLICATION};{_TABLES}COMMIT;")

    def _row(self, sql: str, *values: object) -> tuple[int, ...]:
        row: tuple[int, ...] = self._connection.execute(sql, values).fetchone()
        return row

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._changed:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _explained(self.path, error) from error

    def put(self, stream: Stream, frames: Sequence[Frame], position: Position | None = None) -> None:
        """Keep all of it or, raising, nothing. On return it survives what `synchronous` promises."""
        size = sum(len(frame.body) for frame in frames)
        with self._changed:
            if frames and self.limit_bytes is not None and self._bytes + size > self.limit_bytes:
                raise SpoolFullError(
                    f"{self.path} is full: {self._bytes} of {self.limit_bytes} bytes wait to be sent"
                )
            with self._transaction() as connection:
                if frames:
                    self._insert(connection, stream, frames)
                if position:
                    connection.execute(
                        "INSERT OR REPLACE INTO positions VALUES (?, ?)",
                        (position.source, json.dumps(position.content)),
                    )
            self._waiting += len(frames)
            self._bytes += size
            self._changed.notify_all()

    def _insert(self, connection: sqlite3.Connection, stream: Stream, frames: Sequence[Frame]) -> None:
        key = (stream.stream_id, stream.vin)
        connection.execute("INSERT OR IGNORE INTO streams (stream_id, vin) VALUES (?, ?)", key)
        (number,) = self._row("SELECT number FROM streams WHERE stream_id = ?", stream.stream_id)
        connection.executemany(
            "INSERT INTO frames (stream, sequence, body) VALUES (?, ?, ?)",
            [(number, frame.sequence, frame.body) for frame in frames],
        )

    def peek(self, count: int, max_bytes: int) -> Batch | None:
        """The oldest frames of one stream, at most `count` and `max_bytes`, but at least one."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT number, stream, sequence, body FROM frames ORDER BY number LIMIT ?", (count,)
            ).fetchall()
            if not rows:
                return None
            stream_number, size, taken = rows[0][1], 0, 0
            for _, stream, _, body in rows:
                size += len(body)
                if stream != stream_number or (taken and size > max_bytes):
                    break
                taken += 1
            stream_id, vin = connection.execute(
                "SELECT stream_id, vin FROM streams WHERE number = ?", (stream_number,)
            ).fetchone()
        frames = tuple(Frame(sequence, body) for _, _, sequence, body in rows[:taken])
        return Batch(Stream(stream_id, vin), rows[0][0], rows[taken - 1][0], frames)

    def settle(self, batch: Batch, refused: Mapping[int, Refusal] | None = None) -> None:
        """The server's receipt: forget the batch, keep its `refused` records (by index) as dead letters."""
        refused = refused or {}
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO dead (vin, stream_id, sequence, body, field, reason, at) VALUES (?,?,?,?,?,?,?)",
                [
                    (
                        batch.stream.vin,
                        batch.stream.stream_id,
                        batch.frames[index].sequence,
                        batch.frames[index].body,
                        refusal.field,
                        refusal.reason,
                        time.time(),
                    )
                    for index, refusal in refused.items()
                ],
            )
            gone = connection.execute(
                "DELETE FROM frames WHERE number BETWEEN ? AND ?", (batch.first, batch.last)
            ).rowcount
        sizes = [len(frame.body) for index, frame in enumerate(batch.frames) if index not in refused]
        with self._changed:
            self._waiting -= gone
            self._bytes -= sum(sizes) if gone else 0
            self._changed.notify_all()

    def position(self, source: str) -> dict[str, object] | None:
        with self._transaction() as connection:
            row = connection.execute("SELECT content FROM positions WHERE source = ?", (source,)).fetchone()
        if row is None:
            return None
        content: dict[str, object] = json.loads(row[0])
        return content

    def forget(self, source: str) -> None:
        """Let the source start over."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM positions WHERE source = ?", (source,))

    def dead_letters(self) -> list[DeadLetter]:
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT vin, stream_id, sequence, body, field, reason, at FROM dead ORDER BY number"
            ).fetchall()
        return [
            DeadLetter(Stream(stream_id, vin), Frame(sequence, body), Refusal(field, reason), at)
            for vin, stream_id, sequence, body, field, reason, at in rows
        ]

    @property
    def waiting(self) -> int:
        """Records not yet acknowledged."""
        with self._changed:
            return self._waiting

    def wait(self, at_least: int, timeout: float, until: Callable[[], bool]) -> bool:
        """Sleep until that many records wait or (asked at each `wake`) `until` holds; are there that many?"""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting >= at_least or until(), timeout)
            return self._waiting >= at_least

    def wait_below(self, count: int, timeout: float) -> bool:
        """Sleep until fewer records wait: for a reader that must not run away from the sender."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting < count, timeout)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._connection.close()


def _explained(path: Path, error: Exception) -> SpoolError:
    text = str(error)
    if "disk is full" in text or "No space" in text:
        return SpoolFullError(f"{path} cannot grow: {text}")
    if "locked" in text or "busy" in text:
        return SpoolBusyError(f"{path} is in use by another logger")
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return SpoolDamagedError(
            f"{path} is damaged ({text}). It may still hold records that were not sent: "
            f"move it away (`sqlite3 {path.name} .recover` saves what can be saved) and start again"
        )
    return SpoolError(f"{path} cannot be used: {text}")


def _sync_folder(folder: Path) -> None:
    """The new file's name must survive a power cut as well as its content."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
