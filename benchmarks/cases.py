"""Which scenarios there are, against whom, and what they should reach."""

from dataclasses import dataclass

from benchmarks.scenarios import STALL_RATE, STALL_READERS, STALL_S, Figures, Flood, Memory, Steady

PRODUCT, PEER, FAITHFUL, EMBEDDED = "product", "peer generous", "peer faithful", "product, SQLite"


@dataclass(frozen=True, slots=True)
class Side:
    """One row of the results."""

    subject: str
    how: Flood | Steady | Memory
    note: str = ""
    once: bool = False
    """Not in every pair."""

    @property
    def label(self) -> str:
        return self.subject + (f", {self.note}" if self.note else "")


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    title: str
    sides: tuple[Side, ...]
    goal: str = ""
    baseline: str = ""
    """The case whose generous peer this one is compared with; its own when empty."""
    seconds: int = 0
    """0: as the command line says."""


DOCUMENT = "ws"
"""The path that gives a dashboard one message per record, as the original document has it."""

CASES = (
    Case(
        "single",
        "1 record per POST",
        (Side(PRODUCT, Flood()), Side(PEER, Flood()), Side(FAITHFUL, Flood(), once=True)),
        "3 × the peer",
    ),
    Case(
        "watched",
        "1 record per POST, 100 dashboards",
        (
            Side(PRODUCT, Flood(dashboards=100)),
            Side(PEER, Flood(dashboards=100)),
            Side(PRODUCT, Flood(dashboards=100, path=DOCUMENT), "one message per record", once=True),
        ),
        "20 × the peer",
    ),
    Case("batch", "50 records per POST", (Side(PRODUCT, Flood(batch=50)),), "30,000 records/s", "single"),
    Case(
        "batch-watched",
        "50 records per POST, 100 dashboards",
        (Side(PRODUCT, Flood(batch=50, dashboards=100)),),
        "",
        "watched",
    ),
    Case(
        "paced",
        "1,000 records/s, 1 per POST, 100 dashboards",
        (Side(PRODUCT, Steady()), Side(PEER, Steady())),
        "POST → browser p95 < 100 ms",
    ),
    Case(
        "stalled",
        f"{STALL_RATE} records/s, {STALL_READERS} dashboards and one that never reads",
        (
            Side(PRODUCT, Steady(STALL_RATE, STALL_READERS), "nobody stalled", once=True),
            Side(PRODUCT, Steady(STALL_RATE, STALL_READERS, stalled=1), once=True),
            Side(PEER, Steady(STALL_RATE, STALL_READERS, stalled=1), once=True),
        ),
        "no loss",
        seconds=STALL_S,
    ),
    Case(
        "memory",
        "Memory of the web process",
        (Side(PRODUCT, Memory()), Side(PEER, Memory(), once=True)),
        "< 60 KB a socket",
        seconds=4,
    ),
    Case(
        "memory-deflate",
        "Memory of the web process, compressed messages",
        (Side(PRODUCT, Memory(deflate=True)), Side(PEER, Memory(deflate=True), once=True)),
        "< 60 KB a socket",
        seconds=4,
    ),
    Case("sqlite", "1 record per POST, SQLite", (Side(EMBEDDED, Flood()),), "", "single"),
    Case(
        "sqlite-batch", "50 records per POST, SQLite", (Side(EMBEDDED, Flood(batch=50)),), "5,000 records/s", "single"
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement."""

    case: str
    side: str
    pair: int
    figures: Figures
