"""What statistics cost when a fleet has a long history: every endpoint, and one trip that comes late.

    python -m benchmarks.statistics                             # 10,000 trips beside 1,000,000
    python -m benchmarks.statistics --sizes 10000 10000000
    python -m benchmarks.statistics --sizes 10000 1000000 --database URL --database URL   # kept, and taken again

Every size has a database and a process of its own, with the environment of the product. All are filled first
(INSERT ... SELECT; the product sums up), and then asked in turn (A B A B), so that a noisy minute hits every size.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from benchmarks.history import FLEET, fill
from benchmarks.machine import Machine
from tests.environment import PYTHON, ROOT, clean_environment

SIZES = (10_000, 1_000_000)
"""Trips of a year."""
ROUNDS, AT_ONCE = 10, 3
"""Every size is asked so often in turn, so many requests at a time."""
_API = f"/api/v1/fleet/{FLEET}"
_SOME = ",".join(f"car-{number}" for number in range(10))
ASKED = (
    *(f"{_API}/statistics?days={days}" for days in (30, 365)),
    *(f"{_API}/rankings?metric=safety_score&days={days}" for days in (30, 365)),
    f"{_API}/rankings?metric=safety_score&hours=24",
    *(f"{_API}/trends?metric=safety_score&days={days}" for days in (30, 365)),
    f"{_API}/trends?metric=safety_score&hours=24",
    f"{_API}/trends?metric=safety_score&days=30&resolution=hour",
    f"{_API}/trends?metric=distance&hours=3",
    f"{_API}/utilisation",
    *(f"{_API}/comparison?vehicles={_SOME}&days={days}" for days in (30, 365)),
    *(f"{_API}/drivers/leaderboard?metric=safety_score&days={days}" for days in (30, 365)),
    f"{_API}/drivers/leaderboard?metric=safety_score&hours=24",
    f"{_API}/alerts",
    f"{_API}/metrics",
    "/api/v1/vehicles/car-7/status",
)
LATE, SUMMED = "one late trip: its POST's transaction", "… and summed up"
Taken = dict[str, dict[str, Any]]
"""By what was asked: milliseconds of each time, and the number of queries."""


class Asked:
    """A process beside one filled database; it answers a line for a line."""

    def __init__(self, trips: int, url: str, folder: Path) -> None:
        self.trips, self.url = trips, url
        kept = os.environ.get("HOUR_ROLLUP_DAYS", "400")  # fewer: filled sooner
        self.env = clean_environment(
            DATABASE_URL=url, DATA_DIR=str(folder), API_RATE="1000000/min", HOUR_ROLLUP_DAYS=kept
        )
        print(f"statistics      {trips:,} trips: filling ...", flush=True)
        child = [PYTHON, "-m", "benchmarks.statistics", "--fill", str(trips)]
        done = subprocess.run(child, cwd=ROOT, env=self.env, stdout=subprocess.PIPE, text=True, check=True)
        self.filled: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])

    def __enter__(self) -> Self:
        self.child = subprocess.Popen(
            [PYTHON, "-m", "benchmarks.statistics", "--answer"],
            cwd=ROOT, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self.child.stdin
        self.child.stdin.close()
        self.child.wait(timeout=60)

    def ask(self, what: str) -> dict[str, Any]:
        assert self.child.stdin and self.child.stdout
        print(what, file=self.child.stdin, flush=True)
        found: dict[str, Any] = json.loads(self.child.stdout.readline())
        return found


def measure(
    servers: Machine | None, folder: Path, sizes: Sequence[int] = SIZES, databases: Sequence[str] = ()
) -> dict[int, dict[str, Any]]:
    """By number of trips. `databases`: of the first sizes; the others get new ones of `servers`."""
    found: dict[int, dict[str, Any]] = {}
    with ExitStack() as stack:
        subjects = []
        for place, trips in enumerate(sizes):
            if place >= len(databases):
                assert servers
            url = databases[place] if place < len(databases) else servers.database(f"history_{trips}")  # type: ignore[union-attr]
            subjects.append(Asked(trips, url, folder))
        subjects = [stack.enter_context(subject) for subject in subjects]
        taken: dict[int, Taken] = {subject.trips: {} for subject in subjects}
        for what in (*ASKED, LATE, SUMMED):
            print(f"statistics      {what}", flush=True)
            for _ in range(ROUNDS):
                for subject in subjects:
                    told = subject.ask(what)
                    known = taken[subject.trips].setdefault(what, {"ms": [], "queries": told["queries"]})
                    known["ms"] += told["ms"]
        for subject in subjects:
            found[subject.trips] = subject.filled | {"asked": taken[subject.trips]}
    return found


def markdown(found: dict[int, dict[str, Any]]) -> str:
    sizes = list(found)
    head = ["request", "queries", *(f"{trips:,} trips: p50 / p95 ms" for trips in sizes)]
    rows = []
    for what in found[sizes[0]]["asked"]:
        cells = [found[trips]["asked"][what] for trips in sizes]
        shown = what.replace(_SOME, "…").replace(_API, "…")
        rows.append(
            [
                f"`{shown}`" if shown[0] in "/…" and "summed" not in shown else shown,
                str(cells[-1]["queries"]),
                *map(_times, cells),
            ]
        )
    built = (
        "reused" if found[trips]["build_s"] is None else f"{found[trips]['build_s']:.0f}" for trips in sizes
    )
    rows.append(["everything summed up, s", "", *built])
    for table in found[sizes[0]]["rows"]:
        rows.append([f"rows of `{table}`", "", *(f"{found[trips]['rows'][table]:,}" for trips in sizes)])
    lines = [head, ["---", "---:", *["---:"] * len(sizes)], *rows]
    return "### Statistics\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _times(cell: dict[str, Any]) -> str:
    return f"{statistics.median(cell['ms']):.0f} / {statistics.quantiles(cell['ms'], n=20)[-1]:.0f}"


def _answer() -> None:
    client, late = _viewer(), _Late()
    acts: dict[str, Callable[[], object]] = {LATE: late.tell, SUMMED: late.tell_and_sum_up}
    late.sum_up()
    warm = set[str]()
    for line in sys.stdin:
        what = line.strip()
        act = acts.get(what) or partial(_get, client, what)
        if what not in warm:
            act()
            warm.add(what)
        print(json.dumps(_timed(act)), flush=True)


def _viewer() -> Any:
    from django.test import Client

    from fleet.models import Fleet, Membership, User

    user = User.objects.filter(email="bench@example.com").first()
    user = user or User.objects.create_user("bench@example.com", None)
    Membership.objects.get_or_create(fleet=Fleet.objects.get(slug=FLEET), user=user)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _get(client: Any, address: str) -> None:
    reply = client.get(address)
    assert reply.status_code == 200, (address, reply.content[:500])


class _Late:
    """A trip of half a year ago, by its POST's own function, and the task that follows."""

    def __init__(self) -> None:
        from fleet.models import Vehicle

        self.cars = list(Vehicle.objects.select_related("fleet").order_by("id"))
        self.told = 0

    def tell(self) -> None:
        from django.utils import timezone

        from fleet.journeys.trips import TripTold, keep

        self.told += 1
        start = timezone.now() - timedelta(days=180)
        values = {"driver_id": "driver_1", "distance_m": 9000.0, "duration_s": 900.0, "mean_risk": 0.2}
        trip = TripTold(f"late-{os.getpid()}-{self.told}", start, start + timedelta(minutes=15), values)
        keep(self.cars[self.told % len(self.cars)], [trip])

    def sum_up(self) -> None:
        from django.utils import timezone

        from fleet.aggregation import rollups

        while rollups.keep_up(timezone.now()):
            pass

    def tell_and_sum_up(self) -> None:
        self.tell()
        self.sum_up()


def _timed(act: Callable[[], object]) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        act()
        count = len(queries)  # now: the next request empties the log
    taken = []
    for _ in range(AT_ONCE):
        began = time.perf_counter()
        act()
        taken.append(round((time.perf_counter() - began) * 1000, 3))
    return {"ms": taken, "queries": count}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description="Long histories.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="trips of a year")
    parser.add_argument(
        "--database", action="append", default=[], metavar="URL",
        help="of each size in turn: filled if it is empty, and kept; else new ones that go afterwards",
    )  # fmt: skip
    parser.add_argument("--fill", type=int, metavar="TRIPS", help=argparse.SUPPRESS)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill or options.answer:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        django.setup()
        if options.fill:
            print(json.dumps(fill(options.fill)))
        else:
            _answer()
    elif len(options.database) >= len(options.sizes):
        with tempfile.TemporaryDirectory(prefix="convoy-bench-") as folder:
            print(markdown(measure(None, Path(folder), options.sizes, options.database)))
    else:
        with Machine() as servers:
            print(markdown(measure(servers, servers.folder, options.sizes, options.database)))


if __name__ == "__main__":
    main()
