"""An open loop: requests leave when they are due, whatever became of the ones before.

Latency counts from the moment a request was due, so a server that stalls is seen to stall.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.sockets import quantile

CONNECTIONS = 128
GRACE_S = 3.0
_END = b"\r\n\r\n"


@dataclass
class Paced:
    sent: int = 0
    failed: int = 0
    latencies_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    """How long after its due time a request left this program: its own slowness, or no free connection."""
    answered_in: Counter[int] = field(default_factory=Counter)
    """Second of the run to answers in it."""

    @property
    def answered(self) -> int:
        return len(self.latencies_s)

    def report(self, seconds: float) -> dict[str, float]:
        latencies, late = sorted(self.latencies_s), sorted(self.late_s)
        tail = range(int(seconds * 2 / 3), int(seconds))
        return {
            "posts_sent": self.sent,
            "posts_answered": self.answered,
            "posts_failed": self.failed,
            "post_p50_ms": quantile(latencies, 50) * 1e3,
            "post_p95_ms": quantile(latencies, 95) * 1e3,
            "post_p99_ms": quantile(latencies, 99) * 1e3,
            "sender_late_p95_ms": quantile(late, 95) * 1e3,
            "answered_s_last_third": sum(self.answered_in[second] for second in tail) / len(tail),
        }


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, pacer: "Pacer") -> None:
        self.pacer = pacer
        self.due = 0.0
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, due: float, request: bytes) -> None:
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(_END)
        if not found:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        if at < 0 or len(body) < int(lower[at + 15 :].split(b"\r\n", 1)[0]):
            return
        self.buffer = b""
        self.pacer.answered(self, head[9:12] == b"200")


class Pacer:
    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.result = Paced()
        self.free: deque[_Connection] = deque()
        self.overdue: deque[tuple[float, bytes]] = deque()

    async def run(self, requests: Sequence[bytes], rate: float, start: float) -> Paced:
        """Send request n at `start` + n / rate (time.time); ends GRACE_S after the last one at the latest."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(lambda: _Connection(self), self.host, self.port)
            self.free.append(connection)
        everyone = list(self.free)
        self.began = start - time.time() + time.perf_counter()
        for number, request in enumerate(requests):
            due = self.began + number / rate
            while (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            self.overdue.append((due, request))
            self._send_overdue()
        deadline = time.perf_counter() + GRACE_S
        while len(self.free) < len(everyone) and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        for connection in everyone:
            connection.transport.abort()
        return self.result

    def _send_overdue(self) -> None:
        while self.free and self.overdue:
            due, request = self.overdue.popleft()
            self.result.sent += 1
            self.result.late_s.append(time.perf_counter() - due)
            # In turn: one that rests for seconds would be closed by the server.
            self.free.popleft().send(due, request)

    def answered(self, connection: _Connection, good: bool) -> None:
        now = time.perf_counter()
        if good:
            self.result.latencies_s.append(now - connection.due)
            self.result.answered_in[int(now - self.began)] += 1
        else:
            self.result.failed += 1
        self.free.append(connection)
        self._send_overdue()


def post(host: str, token: str, body: bytes) -> bytes:
    """The bytes of one telemetry request."""
    lines = [
        "POST /api/telemetry HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/x-protobuf",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"Authorization: Bearer {token}"] if token else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
