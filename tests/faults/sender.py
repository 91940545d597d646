"""A device under load: sends one drive in order, one request at a time, and gives up nothing unacknowledged."""

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass, field

from edge.protocol.encoder import Encoder
from tests.drives import PROTOBUF, Reading, batch, drive

PAUSE_S = 0.005


@dataclass
class Sender:
    vin: str
    token: str
    port: int
    readings: list[Reading]
    acknowledged: int = 0
    attempts: int = 0
    repeated: int = 0
    refusals: dict[int, int] = field(default_factory=dict)
    failure: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=self.vin)
        self.thread.start()

    def finish(self, seconds: float = 60) -> None:
        """After the request under way has been acknowledged."""
        self.stopping.set()
        self.thread.join(seconds)
        assert not self.thread.is_alive(), f"{self.vin} is still waiting for an answer"
        assert not self.failure, self.failure

    def _run(self) -> None:
        encoder = Encoder(self.vin, keyframe_every=50)
        chance = random.Random(self.vin)
        at = 0
        while at < len(self.readings) and not self.stopping.is_set() and not self.failure:
            size = chance.choice((1, 1, 2, 5, 20))
            part = self.readings[at : at + size]
            answer = self._deliver(batch([encoder.encode(*reading) for reading in part]))
            at += len(part)
            self.acknowledged += len(part)
            self.repeated += answer.get("repeated", 0)
            if answer.get("keyframe"):
                encoder.request_keyframe()
            time.sleep(PAUSE_S)

    def _deliver(self, body: bytes) -> dict[str, int]:
        """Again and again until it is acknowledged: the same bytes."""
        headers = {"Content-Type": PROTOBUF, "Authorization": f"Bearer {self.token}"}
        while True:
            self.attempts += 1
            status, content = 0, b""
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
            try:
                connection.request("POST", "/api/telemetry", body, headers)
                reply = connection.getresponse()
                status, content = reply.status, reply.read()
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            if status == 200 and content:
                return dict(json.loads(content))
            self.refusals[status] = self.refusals.get(status, 0) + 1
            if 400 <= status < 500:
                self.failure = f"{self.vin}: {status} {content[:300]!r}"
                return {}
            time.sleep(0.1)


def senders(made: list[dict[str, str]], port: int, count: int = 60_000) -> list[Sender]:
    """One per provisioned vehicle, each with a drive of its own."""
    return [Sender(one["vin"], one["token"], port, drive(count, seed)) for seed, one in enumerate(made)]
