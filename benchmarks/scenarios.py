"""What is measured. Each function takes one measurement of one subject and answers its figures by name."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import load, pace
from benchmarks.sockets import Dashboards, connect
from benchmarks.stack import Subject

Figures = dict[str, float]
CONNECTIONS = 64
WARM_UP_S = 2
SINGLES_PER_S, BATCHED_PER_S = 12_000, 60_000
"""Requests are prepared for this many records a second; a faster server would run out of them, which is an error."""
STALL_S, STALL_RATE, STALL_READERS = 30, 800, 10
MEMORY_STEPS = (100, 500, 1_000)
MEMORY_RATE = 20


@dataclass
class Edges:
    """Makes a subject's requests; files are made once and used again after the tables were emptied."""

    folder: Path
    peer_messages: Any = None
    files: dict[tuple[str, int, int, int], tuple[Path, int]] = field(default_factory=dict)

    def edge(self, subject: Subject) -> load.Product | load.Peer:
        if subject.name.startswith("peer"):
            return load.Peer(subject.vehicles, self.peer_messages)
        return load.Product(subject.vehicles)

    def file(self, subject: Subject, batch: int, seconds: int, hours_ago: int) -> tuple[Path, int]:
        """(file, requests in it): enough for so many seconds. Peers may see a record twice, the product never."""
        kind = subject.name.partition(" ")[0]
        key = (kind, batch, seconds, hours_ago)
        if key not in self.files:
            per_second = 2_000 if kind == "peer" else SINGLES_PER_S if batch == 1 else BATCHED_PER_S
            path = self.folder / ("-".join(map(str, key)) + ".requests")
            made = load.old(self.edge(subject), per_second * seconds, batch, hours_ago)
            self.files[key] = path, load.write(path, made)
        return self.files[key]


@contextmanager
def watching(
    subject: Subject, count: int, path: str = "", *, deflate: bool = False
) -> Iterator[Dashboards | None]:
    if not count:
        yield None
        return
    target = f"{subject.host}/{path or subject.socket_path}"
    with Dashboards(target, count, subject.cookie, deflate=deflate) as dashboards:
        yield dashboards


def shown(dashboards: Dashboards | None, seconds: float, *, ages: bool = False) -> Figures:
    """What each dashboard saw; `ages` mean something only where records carry the moment they were sent."""
    if dashboards is None:
        return {}
    seen = dashboards.stop()
    per_socket = max(seconds, 1e-9) * dashboards.count
    latency = {f"live_p{percent}_ms": seen[f"p{percent}_ms"] for percent in (50, 95, 99)} if ages else {}
    return {
        "live_messages_s": seen["messages"] / per_socket,
        "live_records_s": seen["records"] / per_socket,
        "live_kb_s": seen["octets"] / per_socket / 1e3,
        "live_silence_s": seen["silence_s"],
        "live_closed": seen["closed"],
        **latency,
    }


@dataclass(frozen=True, slots=True)
class Flood:
    """A closed loop: every connection sends its next request when the last one was answered."""

    batch: int = 1
    dashboards: int = 0
    path: str = ""

    def measure(self, subject: Subject, edges: Edges, seconds: int) -> Figures:
        """Records a second counted to the finished row, and CPU for each."""
        warm, _ = edges.file(subject, self.batch, WARM_UP_S, 2)
        file, prepared = edges.file(subject, self.batch, seconds, 1)
        url = f"http://{subject.host}"
        subject.forget()
        with watching(subject, self.dashboards, self.path) as dashboards:
            load.send(url, warm, CONNECTIONS, WARM_UP_S)
            subject.wait_idle()
            rows, cpu = subject.rows(), subject.cpu()
            if dashboards:
                dashboards.mark()
            sent = load.send(url, file, CONNECTIONS, seconds)
            ended = time.perf_counter()
            subject.wait_idle()
            tail = time.perf_counter() - ended
            used, stored = subject.cpu(), subject.rows() - rows
            live = shown(dashboards, sent.seconds + tail)
        if sent.requests > prepared and not subject.name.startswith("peer"):
            raise RuntimeError(f"{prepared} prepared requests were too few for {subject.name}")
        return {
            "records_s": stored / (sent.seconds + tail),
            "accepted_s": sent.requests * self.batch / sent.seconds,
            "tail_s": tail,
            **used.each_us(cpu, stored),
            "post_p50_ms": sent.p50_ms,
            "post_p99_ms": sent.p99_ms,
            "posts_failed": sent.failed,
            **live,
        }


@dataclass(frozen=True, slots=True)
class Steady:
    """An open loop at a fixed rate; `stalled` dashboards connect and never read."""

    rate: int = 1_000
    dashboards: int = 100
    stalled: int = 0
    path: str = ""

    def measure(self, subject: Subject, edges: Edges, seconds: int) -> Figures:
        """Latency of POSTs from when they were due, and from there to the browsers."""
        subject.forget()
        with ExitStack() as stack:
            dashboards = stack.enter_context(watching(subject, self.dashboards, self.path))
            self.send(subject, edges, WARM_UP_S)
            subject.wait_idle()
            before, cpu, rows = subject.web_bytes(), subject.cpu(), subject.rows()
            target = f"{subject.host}/{self.path or subject.socket_path}"
            for _ in range(self.stalled):
                stack.enter_context(connect(target, subject.cookie, receive_buffer=4096))
            paced = self.send(subject, edges, seconds, dashboards)
            subject.wait_idle()
            used, stored = subject.cpu(), subject.rows() - rows
            live = shown(dashboards, seconds, ages=True)
            return {
                **paced.report(seconds),
                **live,
                "rows": stored,
                **used.each_us(cpu, stored),
                "web_grew_mb": (subject.web_bytes() - before) / 1e6,
            }

    def send(
        self, subject: Subject, edges: Edges, seconds: int, dashboards: Dashboards | None = None
    ) -> pace.Paced:
        """Every record carries the moment it was due. Dashboards count from the first one on."""
        count = self.rate * seconds
        start = time.time() + 1 + count * 150e-6
        requests = [
            pace.post(subject.host, one.token, one.body)
            for one in load.due(edges.edge(subject), count, self.rate, start)
        ]
        if time.time() > start - 0.2:
            raise RuntimeError("this machine is too slow to prepare the requests in time")
        time.sleep(start - 0.2 - time.time())
        if dashboards:
            dashboards.mark()
        return asyncio.run(pace.Pacer("127.0.0.1", subject.port).run(requests, self.rate, start))


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the process that holds the sockets, with some telemetry flowing."""

    deflate: bool = False

    def measure(self, subject: Subject, edges: Edges, seconds: int) -> Figures:
        flow = Steady(rate=MEMORY_RATE, dashboards=0)
        subject.forget()
        flow.send(subject, edges, seconds)
        base = subject.web_bytes()
        figures = {"base_mb": base / 1e6}
        with ExitStack() as stack:
            opened = 0
            for count in MEMORY_STEPS:
                stack.enter_context(watching(subject, count - opened, deflate=self.deflate))
                opened = count
                flow.send(subject, edges, seconds)
                figures[f"kb_per_socket_{count}"] = (subject.web_bytes() - base) / count / 1e3
        return figures
