"""A real HTTP server that takes records as strictly as the product's own does, for tests of the sender."""

import gzip
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from edge.protocol.checks import BadRecordError, check
from edge.protocol.reconstructor import OutOfStepError, Reconstructor
from edge.protocol.telemetry_pb2 import RawTelemetryBatch, Telemetry

TOKEN = "a-token"


@dataclass
class Arrival:
    """One committed record; `signals` is None when it could not be reconstructed."""

    sequence: int
    message: Telemetry
    signals: dict[int, float] | None


@dataclass
class Arrivals:
    """One stream, in the order of arrival."""

    vin: str = ""
    reconstructor: Reconstructor = field(default_factory=Reconstructor)
    records: list[Arrival] = field(default_factory=list)
    bodies: dict[int, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass
class Fault:
    """What goes wrong with one request.

    `kind` is an HTTP status or "drop", "lose the answer", "half an answer", "log-in page".
    """

    kind: int | str
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


class Receiver:
    """Start with `with`. Tests put faults into `faults`, one per request, and read `streams`."""

    def __init__(self, port: int = 0) -> None:
        self.streams: dict[int, Arrivals] = {}
        self.faults: deque[Fault] = deque()
        self.posts: list[tuple[float, int, dict[str, str]]] = []
        self.refuse: Callable[[Telemetry], str | None] = lambda _message: None
        self.want_keyframe_at: set[int] = set()
        self.largest = 1 << 20
        self.delay_s = 0.0
        self.repeated = 0
        self.connections = 0
        self._lock = threading.Lock()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def records(self) -> list[Arrival]:
        """Everything committed, stream after stream as they began."""
        return [record for stream in self.streams.values() for record in stream.records]

    def accept(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Commits what is good and answers as the product does."""
        batch = (
            RawTelemetryBatch.FromString(body) if body[:1] == b"\x7a" else RawTelemetryBatch(records=[body])
        )
        rejected: list[dict[str, Any]] = []
        keyframe, repeated = False, 0
        with self._lock:
            for index, raw in enumerate(batch.records):
                try:
                    new, asks = self._commit(raw, batch.vin, batch.stream_id)
                except BadRecordError as bad:
                    rejected.append({"record": index, "field": bad.field, "reason": bad.reason})
                    continue
                repeated += not new
                keyframe |= asks
            self.repeated += repeated
        content = {
            "status": "success",
            "compression_ratio": 0.5,
            "transmitted_fields": 1,
            "skipped_fields": 1,
        }
        content |= {"accepted": len(batch.records) - repeated - len(rejected), "repeated": repeated}
        content |= {"rejected": rejected} if rejected else {}
        content |= {"keyframe": True} if keyframe else {}
        return (400 if rejected and len(rejected) == len(batch.records) else 200), content

    def _commit(self, raw: bytes, vin: str, stream_id: int) -> tuple[bool, bool]:
        message = Telemetry.FromString(raw)
        stream_id = message.stream_id or stream_id
        check(message, message.vin or vin, stream_id, time.time())
        if reason := self.refuse(message):
            raise BadRecordError("speed", reason)
        stream = self.streams.setdefault(stream_id, Arrivals(message.vin or vin))
        if message.sequence in stream.bodies:
            assert stream.bodies[message.sequence] == raw, "a repeated record must be the same record"
            return False, False
        stream.bodies[message.sequence] = raw
        if not message.keyframe and message.sequence - 1 not in stream.bodies:
            stream.reconstructor.catalogue = None
        try:
            signals = stream.reconstructor.apply(message).signals
        except OutOfStepError as fault:
            stream.faults.append(f"{message.sequence}: {fault}")
            signals = None
        stream.records.append(Arrival(message.sequence, message, signals))
        asks = message.sequence in self.want_keyframe_at
        self.want_keyframe_at.discard(message.sequence)
        return True, asks or signals is None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: Receiver, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.receiver = receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Killed loggers reset their connections; anything else is a fault of the test."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.receiver.connections += 1

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.posts.append((time.monotonic(), len(body), dict(self.headers.items())))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        time.sleep(receiver.delay_s)
        if receiver.faults:
            self.misbehave(receiver.faults.popleft(), body)
        else:
            self.answer(*self.decide(body))

    def decide(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.path != "/api/telemetry":
            return 404, {"status": "error", "reason": "no such page"}
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"status": "error", "reason": "unknown token"}
        if self.headers.get("Content-Type") != "application/x-protobuf":
            return 415, {"status": "error"}
        if len(body) > self.server.receiver.largest:
            return 413, {"status": "error", "reason": "too large"}
        return self.server.receiver.accept(body)

    def misbehave(self, fault: Fault, body: bytes) -> None:
        if isinstance(fault.kind, int):
            self.answer(fault.kind, fault.body, fault.headers)
            return
        if fault.kind == "log-in page":
            self.write(200, b"<html>Welcome to the hotel</html>", {})
            return
        self.close_connection = True
        if fault.kind in {"lose the answer", "half an answer"}:
            self.server.receiver.accept(body)
        if fault.kind == "half an answer":
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"status": "succ')

    def answer(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self.write(status, json.dumps(content).encode() if content else b"", headers or {})

    def write(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
