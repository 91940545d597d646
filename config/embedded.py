"""Everything in one process: a Celery worker and beat in threads, and the replay logger as a subprocess."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import celery.beat
from django.core.cache import cache

from config.celery import app
from telemetry import logger as replay_logger

log = logging.getLogger(__name__)


def start_worker() -> Any:
    """A worker in a thread; stops with the process (unfinished frames stay in the inbox)."""
    # Two for the drains and one for what follows from them; two that e-mails and webhooks may wait in, one for reports.
    worker = app.WorkController(
        pool="threads", concurrency=6, without_heartbeat=True, without_mingle=True, without_gossip=True
    )
    threading.Thread(target=worker.start, name="celery-worker", daemon=True).start()
    return worker


def start_beat() -> None:
    # The plain scheduler keeps its times in memory: nothing to lose, no file to lock.
    service = celery.beat.Service(app, scheduler_cls=celery.beat.Scheduler, max_interval=1)
    threading.Thread(
        target=lambda: service.start(embedded_process=True), name="celery-beat", daemon=True
    ).start()


class Replay(threading.Thread):
    """Supervises `python -m edge fleet`: starts it, restarts it when it dies, stops it on request."""

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        super().__init__(name="replay", daemon=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "fleet.json"
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps(config), "utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.stopping = threading.Event()
        self.not_before = 0.0

    def run(self) -> None:
        cache.set(replay_logger.WISH, "run", None)
        while not self.stopping.wait(0.5):
            cache.set(replay_logger.SEEN, 1, 10)
            running = self.process is not None and self.process.poll() is None
            wanted = cache.get(replay_logger.WISH, "run") == "run"
            if wanted and not running and time.monotonic() >= self.not_before:
                self._start()
            elif running and not wanted:
                self._stop()

    def _start(self) -> None:
        if self.process is not None and self.process.returncode:
            log.warning("the replay logger ended with code %s; starting it again", self.process.returncode)
        self.not_before = time.monotonic() + 5
        command = [sys.executable, "-m", "edge", "fleet", "--config", str(self.config)]
        # Its own process group: Ctrl-C reaches this process, which stops the logger in order.
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)

    def _stop(self) -> None:
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        os.kill(process.pid, signal.SIGTERM)
        try:
            process.wait(4)
        except subprocess.TimeoutExpired:
            process.kill()

    def stop(self) -> None:
        self.stopping.set()
        self._stop()
