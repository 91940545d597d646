"""One vehicle's logger: reads the drive at its pace, encodes, spools; its sender does the rest.

A reading counts as taken only when its record and the place in the drive are on disk together, so that
a killed logger neither loses nor repeats one.
"""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from edge.door import Door
from edge.drive import Drive
from edge.frames import Frame, Position, Stream
from edge.laps import Place, Step, course
from edge.protocol.catalogue import DEFAULT, load
from edge.protocol.checks import FUTURE_LIMIT_S
from edge.protocol.encoder import KEYFRAME_EVERY, Encoder
from edge.sender import Pack, Sender
from edge.spool import Spool, SpoolError, SpoolFullError

log = logging.getLogger("edge")

_LEAD_BATCHES: Final = 10
"""Reading as fast as possible stays this far ahead of the sender, so that a keyframe asked for is near."""
_CATCH_UP_S: Final = 5.0
"""A pace that fell further behind (suspended laptop, full spool) starts anew instead of racing."""
_FULL_WAIT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How a drive is replayed. `speed` 0 is as fast as possible."""

    vin: str = ""
    speed: float = 1.0
    live: bool = False
    loop: bool = False
    catalogue: str = DEFAULT
    keyframe_every: int = KEYFRAME_EVERY
    pack: Pack = field(default_factory=Pack)
    limit: int | None = None
    offset_s: float = 0.0
    source: str = ""
    """Under which name the spool remembers the place in the drive."""


@dataclass(slots=True)
class Read:
    """What the reader did since it started."""

    records: int = 0
    signals: int = 0
    omitted: int = 0
    in_future: int = 0

    @property
    def omitted_percent(self) -> float:
        return 100 * self.omitted / self.signals if self.signals else 0.0


class Logger:
    """Two threads: the reader, and the sender that outlives it until the spool is empty or time is up."""

    def __init__(self, drive: Drive, spool: Spool, door: Door, plan: Plan) -> None:
        self.read = Read()
        self.failure: Exception | None = None
        self.spool, self.drive, self.plan = spool, drive, plan
        self.sender = Sender(spool, door, plan.pack, self._keyframe_wanted)
        self.left_over = spool.waiting
        """Records of an earlier run that go first."""
        self.place = self._restored()
        self._encoder = Encoder(plan.vin, load(plan.catalogue), plan.keyframe_every)
        self._stream = Stream(self._encoder.stream_id, plan.vin)
        self._keyframe_at = 0
        self._keyframe_due = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def _restored(self) -> Place:
        content = self.spool.position(self.plan.source)
        place = Place.restore(content) if content else Place(start=self.drive.start)
        if place.start is None and not self.drive.dated:
            place = replace(place, start=self._default_start())
        self.drive.start = place.start
        return place

    def _default_start(self) -> float:
        """An undated drive happens now; faster than time, it ends now: it cannot be in the future."""
        now = time.time()
        if self.plan.live or 0 < self.plan.speed <= 1:
            return now
        times = [row.time for row in self.drive.rows()]
        length = max(times) - min(times) if times else 0.0
        return now - length * (1 - 1 / self.plan.speed if self.plan.speed else 1)

    def start(self) -> None:
        self.sender.start()
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Stop reading at once, sending after `grace_s`; `join` then answers soon."""
        self._stopped.set()
        self._thread.join(grace_s)
        self.sender.stop(grace_s)

    def join(self, timeout: float) -> bool:
        """Is everything read and sent, or has one of the two failed?"""
        return self.sender.join(timeout)

    def close(self) -> None:
        """Let go of the spool, unless a post still hangs: then the end of the process does it."""
        if self.sender.join(0) and not self.reading:
            self.spool.close()

    @property
    def reading(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:  # the owner of the thread must hear of it, whatever it is
            self.failure = error
            log.error("reading ends: %s", error, exc_info=not isinstance(error, SpoolError))
        finally:
            self.sender.finish()

    def _read(self) -> None:
        frames: list[Frame] = []
        place = self.place
        for step, wait_s in self._paced():
            if frames and (wait_s > 0 or len(frames) >= self.plan.pack.batch):
                self._keep(frames, place)
                frames = []
            if self._stopped.wait(wait_s) if wait_s > 0 else self._stopped.is_set():
                break
            place = step.place
            timestamp = time.time() if self.plan.live else step.row.time
            if timestamp > time.time() + FUTURE_LIMIT_S:
                self.read.in_future += 1
                continue
            frames.append(self._encode(step, timestamp))
            if self.read.records == self.plan.limit:
                break
        else:
            place = replace(place, done=True)
        self._keep(frames, place)

    def _paced(self) -> Iterator[tuple[Step, float]]:
        """Every step with the seconds to wait before it."""
        due = time.monotonic()
        steps = course(self.drive, self.place, loop=self.plan.loop, offset_s=self.plan.offset_s)
        for step in steps:
            if not self.plan.speed:
                self._stay_near()
                yield step, 0.0
                continue
            due += step.gap_s / self.plan.speed
            now = time.monotonic()
            due = max(due, now - _CATCH_UP_S)
            yield step, due - now

    def _stay_near(self) -> None:
        most = _LEAD_BATCHES * self.plan.pack.batch
        while not self._stopped.is_set() and not self.spool.wait_below(most, 0.5):
            if self.sender.failure:
                self._stopped.set()

    def _encode(self, step: Step, timestamp: float) -> Frame:
        if self._keyframe_due.is_set():
            self._keyframe_due.clear()
            self._encoder.request_keyframe()
        message = self._encoder.encode(timestamp, step.row.readings, step.row.extra)
        if message.keyframe:
            self._keyframe_at = message.sequence
        self.read.records += 1
        self.read.signals += len(step.row.readings)
        self.read.omitted += message.omitted
        # The batch says both once for all; the checksum was computed with them.
        message.vin = ""
        message.stream_id = 0
        return Frame(message.sequence, message.SerializeToString())

    def _keep(self, frames: list[Frame], place: Place) -> None:
        """Into the spool; a full one is waited for, because a drive on disk does not run away."""
        position = Position(self.plan.source, place.dump())
        told = False
        while True:
            try:
                self.spool.put(self._stream, frames, position)
            except SpoolFullError as full:
                if not told:
                    log.warning("%s; reading waits", full)
                    told = True
                if self._stopped.is_set():
                    self.read.records -= len(frames)
                    return
                self.spool.wait_below(self.spool.waiting, _FULL_WAIT_S)
            else:
                self.place = place
                return

    def _keyframe_wanted(self, stream: Stream, sequence: int) -> None:
        """Only if none is on its way already: a backlog must not turn every record into a keyframe."""
        if stream == self._stream and sequence > self._keyframe_at:
            self._keyframe_due.set()
