"""Takes batches from the spool to the server, for as long as it takes; deletes only on a receipt."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.door import Answer, Door, Outcome
from edge.frames import Batch, Stream
from edge.spool import Spool, SpoolError

log = logging.getLogger("edge")

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
LONGEST_RETRY_AFTER_S: Final = 3600.0
DENIED_WAIT_S: Final = 60.0
MAX_BATCH_BYTES: Final = 512 * 1024
"""Half of what the server takes, so that a batch is refused for its size only by a stricter proxy."""
_IDLE_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Pack:
    """How many records go together, and how long the first may wait for the others."""

    batch: int = 50
    linger_s: float = 2.0


@dataclass(slots=True)
class Tally:
    """What the sender did since it started; written by its thread only."""

    sent: int = 0
    acknowledged: int = 0
    repeated: int = 0
    rejected: int = 0
    posts: int = 0
    retries: int = 0
    bytes: int = 0


KeyframeWanted = Callable[[Stream, int], None]
"""Called with the stream and the first sequence number the server cannot follow."""


class Sender:
    """A thread. `finish` lets it end when the spool is empty, `stop` after at most a few seconds."""

    def __init__(self, spool: Spool, door: Door, pack: Pack, on_keyframe: KeyframeWanted) -> None:
        self.tally = Tally()
        self.trouble: str = ""
        """Why nothing gets through at the moment; empty while it does."""
        self.denied = False
        """Only a person can help: wrong token, VIN or address."""
        self.failure: Exception | None = None
        self._spool, self._door, self._pack, self._on_keyframe = (spool, door, pack, on_keyframe)
        self._count = pack.batch
        self._attempt = 0
        self._finishing = False
        self._stopped = threading.Event()
        self._deadline = float("inf")
        # A daemon, so that a post that hangs cannot keep the process alive; the spool still has its records.
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """No more records will come: send what is there without lingering, then end."""
        self._finishing = True
        self._spool.wake()

    def stop(self, grace_s: float) -> None:
        """As `finish`, but what is not through after `grace_s` stays in the spool."""
        self._deadline = time.monotonic() + grace_s
        self._stopped.set()
        self.finish()

    def join(self, timeout: float | None = None) -> bool:
        """Has it ended?"""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _is_finishing(self) -> bool:
        return self._finishing

    def _run(self) -> None:
        try:
            while self._wait_for_batch():
                batch = self._spool.peek(self._count, MAX_BATCH_BYTES)
                if batch:
                    self._deliver(batch)
        except Exception as error:  # the owner of the thread must hear of it, whatever it is
            self.failure = error
            level = logging.ERROR if isinstance(error, SpoolError) else logging.CRITICAL
            log.log(level, "sending ends: %s", error, exc_info=not isinstance(error, SpoolError))
        finally:
            self._door.close()

    def _wait_for_batch(self) -> bool:
        """True when there is something to send now; False when it is time to end."""
        while not self._spool.wait(1, _IDLE_WAIT_S, self._is_finishing):
            if self._finishing:
                return False
        if not self._finishing:
            self._spool.wait(self._pack.batch, self._pack.linger_s, self._is_finishing)
        return time.monotonic() < self._deadline

    def _deliver(self, batch: Batch) -> None:
        tally = self.tally
        tally.posts += 1
        tally.sent += len(batch.frames)
        tally.retries += self._attempt > 0
        answer = self._door.post(batch)
        tally.bytes += answer.sent_bytes
        if answer.outcome is Outcome.TAKEN:
            self._settle(batch, answer)
        elif answer.outcome is Outcome.SPLIT and len(batch.frames) > 1:
            self._count = max(1, len(batch.frames) // 2)
        else:
            self._wait_after(answer)

    def _settle(self, batch: Batch, answer: Answer) -> None:
        self._spool.settle(batch, answer.refused)
        self.tally.acknowledged += len(batch.frames) - len(answer.refused)
        self.tally.repeated += answer.repeated
        self.tally.rejected += len(answer.refused)
        for index, refusal in answer.refused.items():
            sequence = batch.frames[index].sequence
            log.error("the server refused record %d: %s %s", sequence, refusal.field, refusal.reason)
        if answer.refused:
            # The server has a gap now, so what follows needs a fresh start.
            self._on_keyframe(batch.stream, batch.frames[max(answer.refused)].sequence + 1)
        elif answer.keyframe:
            self._on_keyframe(batch.stream, batch.frames[0].sequence)
        self._count = min(self._pack.batch, self._count * 2)
        self._attempt = 0
        if self.trouble:
            log.info("the server takes records again")
        self.trouble, self.denied = "", False

    def _wait_after(self, answer: Answer) -> None:
        self.denied = answer.outcome is Outcome.DENIED
        if answer.reason != self.trouble:
            self._explain(answer.reason)
        self.trouble = answer.reason
        wait = self._wait_s(answer)
        self._attempt += 1
        asked_to_wait = self.denied or answer.retry_after_s is not None
        if self._stopped.is_set():
            left = self._deadline - time.monotonic()
            if wait < left:
                time.sleep(wait)
            else:
                self._deadline = 0.0
        elif self._stopped.wait(wait) and asked_to_wait:
            self._deadline = 0.0  # one last try is for our own waits, not for those the server wanted

    def _wait_s(self, answer: Answer) -> float:
        jitter = random.uniform(0.5, 1.0)
        if self.denied:
            return DENIED_WAIT_S * (1 + jitter)
        backoff = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._attempt, 10))
        if answer.retry_after_s is not None:
            # Cars told the same hour must not all come back in the same instant.
            return min(answer.retry_after_s, LONGEST_RETRY_AFTER_S) + jitter
        return backoff * jitter

    def _explain(self, reason: str) -> None:
        waiting = self._spool.waiting
        if self.denied:
            log.error(
                "%s answers %s. Check token, VIN and address; %d records stay in %s meanwhile",
                self._door.url,
                reason,
                waiting,
                self._spool.path,
            )
        else:
            log.warning("%s (%s); %d records wait in the spool", reason, self._door.url, waiting)
