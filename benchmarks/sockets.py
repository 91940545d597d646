"""Dashboards for load tests: many raw WebSocket connections on one epoll loop, in a process of their own.

    python -m benchmarks.sockets HOST:PORT/PATH COUNT [--cookie NAME=VALUE] [--deflate]

Prints `ready` when all are connected. On standard input, `mark` forgets what was counted so far, and `stop`
prints the counts as one line of JSON and ends. Ages are taken from the `timestamp` of the records in a message,
on every tenth socket; compressed messages are counted only.
"""

import argparse
import base64
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.environment import PYTHON, ROOT

SAMPLE_EVERY = 10
_TIMESTAMP = re.compile(rb'"timestamp":\s?([0-9.]+)')
_LIVE = re.compile(rb'"type":\s?"telemetry')
_POSITIONS = b'{"type":"positions"'
_ROW_TIME = re.compile(rb"\[\d+,([0-9.]+)")
_PING, _PONG = 9, 0x8A


def connect(
    target: str, cookie: str = "", *, deflate: bool = False, receive_buffer: int = 1 << 20
) -> socket.socket:
    """A WebSocket after its handshake; nothing of what follows has been read."""
    address, path = target.split("/", 1)
    host, port = address.split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(30)
    sock.connect((host, int(port)))
    lines = [
        f"GET /{path} HTTP/1.1",
        f"Host: {address}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
    ]
    lines += [f"Cookie: {cookie}"] if cookie else []
    lines += ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"] if deflate else []
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            raise ConnectionError(f"closed in the handshake: {head[:200]!r}")
        head += byte
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise ConnectionError(f"refused: {head[:200]!r}")
    return sock


@dataclass
class Counts:
    messages: int = 0
    """Telemetry messages, on all sockets together; `records` are those inside them."""
    records: int = 0
    others: int = 0
    compressed: int = 0
    octets: int = 0
    ages_s: list[float] = field(default_factory=list)
    last: float = field(default_factory=time.time)
    silence_s: float = 0.0
    """The longest time between two reads that brought telemetry."""

    def see(self, payload: bytes, compressed: bool, sample: bool, now: float) -> None:
        if compressed:
            self.compressed += 1
        elif payload.startswith(_POSITIONS):
            self.records += payload.count(b"[") - 2
            if sample:
                self.ages_s += [now - float(text) for text in _ROW_TIME.findall(payload)]
        elif not _LIVE.search(payload, 0, 40):
            self.others += 1
            return
        else:
            self.records += payload.count(b'"timestamp":')
            if sample:
                self.ages_s += [now - float(text) for text in _TIMESTAMP.findall(payload)]
        self.messages += 1
        self.silence_s = max(self.silence_s, now - self.last)
        self.last = now

    def report(self) -> dict[str, float]:
        ages = sorted(self.ages_s)
        result = {
            "messages": self.messages,
            "records": self.records,
            "others": self.others,
            "compressed": self.compressed,
            "octets": self.octets,
            "silence_s": max(self.silence_s, time.time() - self.last),
        }
        for percent in (50, 95, 99):
            result[f"p{percent}_ms"] = quantile(ages, percent) * 1e3
        return result


def quantile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else float("nan")


class Reader:
    """One socket's unread bytes, and how WebSocket frames are found in them."""

    def __init__(self, sock: socket.socket, sample: bool) -> None:
        self.sock = sock
        self.sample = sample
        self.buffer = bytearray()

    def read(self, counts: Counts) -> bool:
        """False when the server has closed the connection."""
        try:
            chunk = self.sock.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            return False
        counts.octets += len(chunk)
        self.buffer += chunk
        self._take(counts, time.time())
        return bool(chunk)

    def _take(self, counts: Counts, now: float) -> None:
        start, buffer = 0, self.buffer
        while (found := _frame(buffer, start)) is not None:
            first, begin, end = found
            if first & 15 in {0, 1, 2}:
                counts.see(bytes(buffer[begin:end]), bool(first & 0x40), self.sample, now)
            elif first & 15 == _PING:
                # Masked with zeros; an answer without the ping's own content would not count.
                self.sock.send(bytes((_PONG, 0x80 | end - begin, 0, 0, 0, 0)) + buffer[begin:end])
            start = end
        del buffer[:start]


def _frame(buffer: bytearray, start: int) -> tuple[int, int, int] | None:
    """(first byte, begin, end of the payload) of the frame at `start`, once it is complete."""
    have = len(buffer) - start
    if have < 2:
        return None
    size = buffer[start + 1] & 127
    head = {126: 4, 127: 10}.get(size, 2)
    if have < head:
        return None
    if head > 2:
        size = int.from_bytes(buffer[start + 2 : start + head], "big")
    if have < head + size:
        return None
    return buffer[start], start + head, start + head + size


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("count", type=int)
    parser.add_argument("--cookie", default="")
    parser.add_argument("--deflate", action="store_true")
    arguments = parser.parse_args()
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    counts, closed = Counts(), 0
    for number in range(arguments.count):
        sock = connect(arguments.target, arguments.cookie, deflate=arguments.deflate)
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, Reader(sock, number % SAMPLE_EVERY == 0))
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                command = sys.stdin.readline().strip()
                if command != "mark":
                    print(json.dumps({**counts.report(), "closed": closed}), flush=True)
                    return
                counts, closed = Counts(), 0
            elif not key.data.read(counts):
                closed += 1
                selector.unregister(key.fileobj)


class Dashboards:
    """The process above, from the outside."""

    def __init__(self, target: str, count: int, cookie: str = "", *, deflate: bool = False) -> None:
        self.count = count
        command = [PYTHON, "-m", "benchmarks.sockets", target, str(count), "--cookie", cookie]
        self.command = [*command, "--deflate"] if deflate else command

    def __enter__(self) -> Self:
        self.child = subprocess.Popen(
            self.command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._line() != "ready":
            raise RuntimeError("the dashboards could not connect")
        return self

    def mark(self) -> None:
        self._tell("mark")

    def stop(self) -> dict[str, Any]:
        """Counts since `mark`; all zero when there are no dashboards."""
        self._tell("stop")
        return dict(json.loads(self._line()))

    def _tell(self, command: str) -> None:
        assert self.child.stdin
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()

    def _line(self) -> str:
        assert self.child.stdout
        return self.child.stdout.readline().strip()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate()


if __name__ == "__main__":
    main()
