"""Tells the workers that something waits to be sent: at once when they can be reached, else the sweep finds it."""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)
_PAUSE_S = 0.2


class _Waker(threading.Thread):
    """One thread per process: a broker that does not answer holds up nobody, and many commits become few tasks."""

    def __init__(self) -> None:
        super().__init__(name="wake", daemon=True)
        self.ready = threading.Event()

    def run(self) -> None:
        from fleet.tasks import send_mails, send_webhooks

        while True:
            self.ready.wait()
            self.ready.clear()
            try:
                send_mails.delay()
                send_webhooks.delay()
            except Exception:
                log.warning("could not wake the senders; the sweep will", exc_info=True)
            time.sleep(_PAUSE_S)


_waker: _Waker | None = None
_starting = threading.Lock()


def wake() -> None:
    """Call after the commit; returns at once."""
    global _waker  # noqa: PLW0603 - one thread per process, started by its first use (and after a fork)
    with _starting:
        if _waker is None or not _waker.is_alive():
            _waker = _Waker()
            _waker.start()
    _waker.ready.set()


class OneAtATime:
    """Of a kind of work, one at a time in a process: in the embedded mode the drains share its few threads.

    Who comes while it runs leaves word, and the one who runs looks once more.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.wanted = threading.Event()
        self.lock = threading.Lock()

    def run(self) -> None:
        self.wanted.set()
        while self.wanted.is_set() and self.lock.acquire(blocking=False):
            try:
                self.wanted.clear()
                self.work()
            finally:
                self.lock.release()
