"""Medians as markdown tables, and everything that was measured as JSON."""

import json
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.cases import CASES, PEER, Case, Run
from benchmarks.scenarios import MEMORY_STEPS, Figures, Flood, Memory, Steady
from tests.environment import ROOT

NOT_MEASURED = "not measured"
Columns = Sequence[tuple[str, Callable[[Figures], str]]]


def medians(runs: Sequence[Run]) -> dict[tuple[str, str], Figures]:
    """(case, side) to the median of each figure."""
    groups: dict[tuple[str, str], list[Figures]] = {}
    for run in runs:
        groups.setdefault((run.case, run.side), []).append(run.figures)
    return {
        key: {name: statistics.median(figures[name] for figures in group) for name in group[0]}
        for key, group in groups.items()
    }


def number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def _of(name: str, digits: int = 0) -> Callable[[Figures], str]:
    return lambda figures: number(figures.get(name), digits)


def _triple(*names: str, digits: int = 1) -> Callable[[Figures], str]:
    return lambda figures: " / ".join(number(figures.get(name), digits) for name in names)


FLOOD: Columns = (
    ("records/s", _of("records_s")),
    ("accepted/s", _of("accepted_s")),
    ("CPU µs/record: server + PostgreSQL", lambda f: f"{number(f['server_us'])} + {number(f['database_us'])}"),
    ("POST p50 / p99 ms", _triple("post_p50_ms", "post_p99_ms")),
    ("per dashboard: messages/s, records/s", _triple("live_messages_s", "live_records_s", digits=0)),
    ("failed", _of("posts_failed")),
)  # fmt: skip
STEADY: Columns = (
    ("answered/s", lambda f: number(f["posts_answered"] / f["seconds"])),
    ("in the last third", _of("answered_s_last_third")),
    ("POST p50 / p95 / p99 ms", _triple("post_p50_ms", "post_p95_ms", "post_p99_ms")),
    ("POST → browser p50 / p95 / p99 ms", _triple("live_p50_ms", "live_p95_ms", "live_p99_ms")),
    ("per dashboard: messages/s, records/s", _triple("live_messages_s", "live_records_s", digits=0)),
    ("longest silence s", _of("live_silence_s", 1)),
    ("CPU µs/record: server + PostgreSQL", lambda f: f"{number(f['server_us'])} + {number(f['database_us'])}"),
    ("web process grew MB", _of("web_grew_mb", 1)),
)  # fmt: skip
MEMORY: Columns = (
    ("base MB", _of("base_mb", 1)),
    *((f"KB per socket, {count}", _of(f"kb_per_socket_{count}", 1)) for count in MEMORY_STEPS),
)
TABLES: tuple[tuple[type, str, Columns], ...] = (
    (Flood, "As fast as it goes", FLOOD),
    (Steady, "At a fixed rate", STEADY),
    (Memory, "Memory of the web process", MEMORY),
)


def markdown(runs: Sequence[Run], cases: Sequence[Case] = CASES) -> str:
    """One table for each kind of scenario that was run."""
    found = medians(runs)
    parts = []
    measured = [case for case in cases if any(run.case == case.name for run in runs)]
    for kind, title, columns in TABLES:
        ratio = ["× peer"] if kind is Flood else []
        rows = [
            row
            for case in measured
            if isinstance(case.sides[0].how, kind)
            for row in _rows(case, found, columns, ratios=bool(ratio))
        ]
        if rows:
            head = ["load", "server", *ratio, *(name for name, _ in columns), "goal"]
            lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 3) + ["---"], *rows]
            parts.append(f"### {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts)


def _rows(
    case: Case, found: dict[tuple[str, str], Figures], columns: Columns, *, ratios: bool
) -> list[list[str]]:
    rows = []
    for side in case.sides:
        figures = found.get((case.name, side.label))
        if figures is None:
            cells = [NOT_MEASURED] * (len(columns) + ratios)
        else:
            cells = [make(figures) for _, make in columns]
            if ratios:
                cells.insert(0, _ratio(case, figures, found))
        rows.append([case.title, side.label, *cells, case.goal if side is case.sides[0] else ""])
    return rows


def _ratio(case: Case, figures: Figures, found: dict[tuple[str, str], Figures]) -> str:
    """To the generous peer with as many dashboards, which knows no batches."""
    peer = found.get((case.baseline or case.name, PEER))
    return number(figures["records_s"] / peer["records_s"], 1) if peer else "–"


def facts() -> dict[str, str]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "commit": commit.stdout.strip(),
        "moment": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "processors": str(os.cpu_count()),
        "load_before": " ".join(f"{value:.1f}" for value in os.getloadavg()),
    }


def save(path: Path, about: dict[str, str], runs: Sequence[Run]) -> None:
    path.parent.mkdir(exist_ok=True)
    content = {"machine": about, "runs": [asdict(run) for run in runs]}
    path.write_text(json.dumps(content, indent=1), "utf-8")
