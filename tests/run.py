"""`make test`: every test there is, in phases that differ in the servers beneath them.

    python -m tests.run [PHASE ...] [-- PYTEST ARGUMENT ...]

The last line sums up all phases; the exit code is 1 when any of them failed or ran no test.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.environment import CI, PYTHON, ROOT, clean_environment
from tests.servers import Postgres, Server, Valkey

RESULTS = ROOT / "test-results"
WORKERS = 2
# Each worker has a stretch, and takes over of another's when it is done: what a file shares is made once, seldom twice.
SPREAD = ("-n", str(WORKERS), "--dist", "worksteal")


@dataclass(frozen=True)
class Phase:
    name: str
    title: str
    arguments: tuple[str, ...]
    with_servers: bool = False


PHASES = (
    Phase(
        "sqlite",
        "everything on SQLite, in one process",
        (*SPREAD, "-m", "not postgres and not redis and not services"),
    ),
    Phase(
        "postgres",
        "everything that touches a database again on PostgreSQL, with Valkey as cache and channel layer",
        (*SPREAD, "-m", "not sqlite and not services", "--only-database"),
        with_servers=True,
    ),
    Phase(
        "services",
        "brokers, and the processes of docker-compose.yml",
        # They wait more than they work; by file, because the tests of one share what they start.
        ("-n", str(WORKERS + 1), "--dist", "loadfile", "-m", "services"),
    ),
    # By file: the tests of one share a site, and may count what is on it.
    Phase("browser", "the site in Chromium", ("-n", str(WORKERS), "--dist", "loadfile", "tests/e2e")),
)


@dataclass
class Outcome:
    phase: Phase
    seconds: float
    code: int
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def good(self) -> bool:
        return self.code == 0 and self.passed > 0 and not (CI and self.skipped)


@contextmanager
def started(*wanted: Server) -> Iterator[None]:
    with ExitStack() as stack:
        for server in wanted:
            stack.callback(server.remove)
            server.start()
        yield


def run(phase: Phase, extra: list[str]) -> Outcome:
    report = RESULTS / f"{phase.name}.xml"
    report.unlink(missing_ok=True)
    command = [PYTHON, "-m", "pytest", "-q", *phase.arguments, f"--junit-xml={report}", *extra]
    began = time.monotonic()
    if phase.with_servers:
        postgres, valkeys = Postgres(), [Valkey() for _ in range(WORKERS)]
        with started(postgres, *valkeys):
            urls = {"TEST_DATABASE_URL": postgres.url, "TEST_REDIS_URLS": " ".join(v.url for v in valkeys)}
            code = subprocess.run(command, cwd=ROOT, env=clean_environment(**urls), check=False).returncode
    else:
        code = subprocess.run(command, cwd=ROOT, env=clean_environment(), check=False).returncode
    outcome = Outcome(phase, time.monotonic() - began, code)
    count(report, outcome)
    return outcome


def count(report: Path, outcome: Outcome) -> None:
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        elif skipped is None:
            outcome.passed += 1
        elif skipped.get("type") != "pytest.xfail":
            outcome.skipped += 1


def summary(outcomes: list[Outcome]) -> None:
    print(f"\n{'phase':<10} {'result':<7} {'seconds':>8} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for one in outcomes:
        result = "ok" if one.good else "FAILED"
        print(
            f"{one.phase.name:<10} {result:<7} {one.seconds:>8.1f}"
            f" {one.passed:>7} {one.failed:>7} {one.skipped:>8}  {one.phase.title}"
        )
    passed, failed, skipped = (
        sum(getattr(one, name) for one in outcomes) for name in ("passed", "failed", "skipped")
    )
    # A phase that broke before its tests could be counted is a failure too.
    failed = failed or sum(not one.good for one in outcomes)
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)


def main(arguments: list[str]) -> int:
    names, _, extra = " ".join(arguments).partition("--")
    chosen = [phase for phase in PHASES if not names.split() or phase.name in names.split()]
    if not chosen:
        print(f"no such phase; there are: {', '.join(phase.name for phase in PHASES)}")
        return 2
    RESULTS.mkdir(exist_ok=True)
    outcomes = []
    for number, phase in enumerate(chosen, 1):
        print(f"\n=== {number}/{len(chosen)} {phase.name}: {phase.title} ===", flush=True)
        outcomes.append(run(phase, extra.split()))
    summary(outcomes)
    return 0 if all(one.good for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
