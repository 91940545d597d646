"""`make bench`: product and peer in turn on the same servers. benchmarks/README.md says how to read it.

python -m benchmarks [--pairs 3] [--seconds 6] [--only NAME ...] [--peers FOLDER]
"""

import argparse
import importlib
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import statistics
from benchmarks.cases import CASES, EMBEDDED, FAITHFUL, PEER, PRODUCT, Case, Run
from benchmarks.machine import Machine
from benchmarks.report import facts, markdown, save
from benchmarks.scenarios import Edges
from benchmarks.stack import PEER_PYTHON, Embedded, Peer, Product, Subject
from tests.environment import ROOT

HISTORY = "statistics"
RESULTS = ROOT / "test-results" / "benchmarks.json"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Product and peer side by side."
    )
    parser.add_argument("--pairs", type=int, default=3, help="measurements of each; medians are shown")
    parser.add_argument("--seconds", type=int, default=6, help="length of one measurement")
    parser.add_argument(
        "--only", nargs="+", choices=[*(case.name for case in CASES), HISTORY], metavar="NAME"
    )
    parser.add_argument("--peers", type=Path, help="folder with the peer's programs; default: $CONVOY_PEERS")
    return parser.parse_args()


def peers_folder(wanted: Path | None) -> Path | None:
    named = wanted or (Path(os.environ["CONVOY_PEERS"]) if os.environ.get("CONVOY_PEERS") else None)
    folder = named or ROOT.parent / "shared" / "peers"
    if not (folder / "peer3_server.py").is_file():
        if named:
            sys.exit(f"there is no peer3_server.py in {folder}")
        return None
    if not PEER_PYTHON.exists():
        sys.exit("the peer needs packages of its own in .venv-bench: `make bench` installs them")
    return folder.resolve()


def messages(folder: Path) -> Any:
    """The peer's generated message classes."""
    sys.path.append(str(folder))
    sys.dont_write_bytecode = True  # the folder is not ours
    return importlib.import_module("telemetry_pb2")


class Bench:
    def __init__(self, servers: Machine, peers: Path | None, pairs: int, seconds: int) -> None:
        self.pairs, self.seconds = pairs, seconds
        self.edges = Edges(servers.folder, messages(peers) if peers else None)
        self.makers: dict[str, Callable[[], Subject]] = {
            PRODUCT: lambda: Product(servers),
            EMBEDDED: lambda: Embedded(servers),
        }
        if peers:
            self.makers[PEER] = lambda: Peer(servers, peers)
            self.makers[FAITHFUL] = lambda: Peer(servers, peers, "faithful")
        self.subjects: dict[str, Subject] = {}
        self.runs: list[Run] = []

    def subject(self, name: str) -> Subject | None:
        if name not in self.subjects and name in self.makers:
            self.subjects[name] = self.makers[name]()
        return self.subjects.get(name)

    def run(self, case: Case) -> None:
        """Fresh processes for every case, then A B A B A B."""
        wanted = list(dict.fromkeys(side.subject for side in case.sides))
        with ExitStack() as stack:
            running = {
                name: stack.enter_context(found)
                for name in wanted
                if (found := self.subject(name)) is not None
            }
            for pair in range(self.pairs):
                for side in case.sides:
                    if side.subject not in running or (side.once and pair):
                        continue
                    print(f"{case.name:<15} {pair + 1}/{self.pairs} {side.label:<40}", end="", flush=True)
                    figures = side.how.measure(
                        running[side.subject], self.edges, case.seconds or self.seconds
                    )
                    figures["seconds"] = case.seconds or self.seconds
                    self.runs.append(Run(case.name, side.label, pair, figures))
                    print(_short(figures), flush=True)


def _short(figures: dict[str, float]) -> str:
    shown = ("records_s", "posts_answered", "post_p95_ms", "live_p95_ms", "base_mb", "kb_per_socket_1000")
    return "  ".join(f"{name} {figures[name]:,.1f}" for name in shown if name in figures)


def main() -> None:
    options = arguments()
    wanted = options.only or [*(case.name for case in CASES), HISTORY]
    if wanted != [HISTORY] and not shutil.which("wrk"):
        sys.exit("wrk sends the load and is not installed (on Debian and Ubuntu: apt-get install wrk)")
    peers = peers_folder(options.peers)
    if peers is None:
        print("no folder of peers (CONVOY_PEERS): their columns will say `not measured`")
    about = facts()
    with Machine() as servers:
        bench = Bench(servers, peers, options.pairs, options.seconds)
        try:
            for case in CASES:
                if case.name in wanted:
                    bench.run(case)
        finally:
            if bench.runs:
                save(RESULTS, about, bench.runs)
                print(f"\n{markdown(bench.runs)}\n\nEvery measurement: {RESULTS.relative_to(ROOT)}")
        if HISTORY in wanted:
            print(statistics.markdown(statistics.measure(servers, servers.folder)))


if __name__ == "__main__":
    main()
