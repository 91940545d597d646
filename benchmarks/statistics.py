"""What statistics cost when a fleet has a long history: every endpoint, and one trip that comes late.

    python -m benchmarks.statistics              # 10,000 trips beside 1,000,000; about ten minutes, needs 6 GB of disk

The child process (`--fill TRIPS RECORDS`) runs with the environment of the product on a database of its own, fills it
by INSERT ... SELECT, has the product sum it up, asks through Django's whole stack, and prints its figures as JSON.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.machine import Machine
from tests.environment import PYTHON, ROOT, clean_environment

SIZES = ((10_000, 100_000), (1_000_000, 10_000_000))
"""Trips of a year, telemetry records of its last month."""
VEHICLES, DRIVERS, ALERTS_PER_TRIPS = 1_000, 300, 50
FLEET = "bench"
REQUESTS = 30
_API = f"/api/v1/fleet/{FLEET}"
_SOME = ",".join(f"car-{number}" for number in range(10))
ASKED = (
    *(f"{_API}/statistics?days={days}" for days in (30, 365)),
    *(f"{_API}/rankings?metric=safety_score&days={days}" for days in (30, 365)),
    *(f"{_API}/trends?metric=safety_score&days={days}" for days in (30, 365)),
    *(f"{_API}/comparison?vehicles={_SOME}&days={days}" for days in (30, 365)),
    *(f"{_API}/drivers/leaderboard?metric=safety_score&days={days}" for days in (30, 365)),
    f"{_API}/alerts",
    f"{_API}/metrics",
    "/api/v1/vehicles/car-7/status",
)

_TRIPS = """
INSERT INTO trip_summaries (fleet_id, vehicle_id, trip_id, driver_id, start_time, end_time, distance_m, duration_s,
    mean_speed_m_s, max_speed_m_s, mean_risk, max_risk, alerts, metadata, version, received_at, updated_at)
SELECT v.fleet_id, v.id, 'trip-' || n, 'driver_' || (n * 7919) %% %(drivers)s, s.t, s.t + s.d * interval '1 second',
    s.d * 11, s.d, 11, 25, ((n * 31) %% 100) / 250.0, 0.8,
    jsonb_build_object('info', n %% 3, 'warning', (n %% 7 = 0)::int, 'critical', (n %% 97 = 0)::int),
    '{}', '[]', now(), now()
FROM generate_series(1::bigint, %(trips)s) n
JOIN vehicles v ON v.slug = 'car-' || n %% %(vehicles)s
CROSS JOIN LATERAL (SELECT now() - interval '2 hours' - interval '365 days' * (n / %(trips)s::float8) AS t,
    300 + (n * 104729) %% 3600 AS d) s
"""
_ALERTS = """
INSERT INTO alerts (fleet_id, vehicle_id, type, key, source, severity, message, data, first_at, last_at, count, state,
    created_at, resolved_at, resolved_by_rule)
SELECT fleet_id, vehicle_id, 'harsh', trip_id, 'device', id %% 3, 'x', '{}', start_time, start_time, 1, 'resolved',
    now(), now(), false
FROM trip_summaries WHERE id %% %(every)s = 0
"""
_RECORDS = """
INSERT INTO telemetry_data (vehicle_id, device_id, time, received_at, stream_id, sequence, quality, sent, speed_kmh,
    battery_percent, latitude_deg, longitude_deg)
SELECT v.id, v.id, now() - interval '30 days' * (n / %(each)s::float8), now(), 1, n, 0, 7, n %% 120,
    n %% 100, 52.5, 13.4
FROM (SELECT id FROM vehicles) v CROSS JOIN generate_series(1::bigint, %(each)s) n
"""
_COUNTS = """
INSERT INTO compression_stats (vehicle_id, day, records, transmitted_readings, skipped_readings, bytes_received)
SELECT vehicle_id, (time AT TIME ZONE 'UTC')::date, count(*), 0, 0, 0 FROM telemetry_data GROUP BY 1, 2
"""


def measure(servers: Machine) -> dict[int, dict[str, Any]]:
    """By number of trips; each on an empty database, dropped afterwards."""
    found = {}
    for trips, records in SIZES:
        print(f"statistics      {trips:,} trips, {records:,} records ...", flush=True)
        env = clean_environment(
            DATABASE_URL=servers.database("history"), DATA_DIR=str(servers.folder), API_RATE="1000000/min"
        )
        child = [PYTHON, "-m", "benchmarks.statistics", "--fill", str(trips), str(records)]
        done = subprocess.run(child, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
        found[trips] = json.loads(done.stdout.splitlines()[-1])
    return found


def markdown(found: dict[int, dict[str, Any]]) -> str:
    sizes = list(found)
    head = ["request", "queries", *(f"{trips:,} trips: p50 / p95 ms" for trips in sizes)]
    rows = []
    for address in found[sizes[0]]["requests"]:
        cells = [found[trips]["requests"][address] for trips in sizes]
        shown = address.replace(_SOME, "…").replace(_API, "…")
        rows.append(
            [f"`{shown}`", str(cells[-1]["queries"]), *(f"{c['p50']:.0f} / {c['p95']:.0f}" for c in cells)]
        )
    for name, title in (("late_keep", "one late trip: its POST's transaction"), ("late_sums", "… summed up")):
        cells = [found[trips][name] for trips in sizes]
        rows.append([title, str(cells[-1]["queries"]), *(f"{c['p50']:.0f} / {c['p95']:.0f}" for c in cells)])
    rows.append(["everything summed up, s", "", *(f"{found[trips]['build_s']:.0f}" for trips in sizes)])
    rows.append(["days of vehicles", "", *(f"{found[trips]['vehicle_days']:,}" for trips in sizes)])
    lines = [head, ["---", "---:", *["---:"] * len(sizes)], *rows]
    return "### Statistics\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _child(trips: int, records: int) -> dict[str, Any]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    _fill(trips, records)
    _tidy()
    from django.utils import timezone

    from fleet import rollups
    from fleet.models import VehicleDay

    began = time.perf_counter()
    while rollups.keep_up(timezone.now()):
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    built = time.perf_counter() - began
    _tidy()
    client = _viewer()
    return {
        "build_s": built,
        "vehicle_days": VehicleDay.objects.count(),
        "requests": {address: _asked(client, address) for address in ASKED},
        **_late(),
    }


def _fill(trips: int, records: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    from fleet.models import Fleet, Vehicle, VehicleState
    from telemetry import partitions

    call_command("migrate", verbosity=0, interactive=False)
    now = datetime.now(UTC)
    partitions.ensure({(day.year, day.month) for day in (now - timedelta(days=n) for n in range(32))})
    fleet = Fleet.objects.create(slug=FLEET, name="Bench", time_zone="Europe/Berlin")
    cars = [Vehicle(fleet=fleet, slug=f"car-{n}", name=f"Car {n}") for n in range(VEHICLES)]
    Vehicle.objects.bulk_create(cars)
    VehicleState.objects.bulk_create([VehicleState(vehicle=car, time=now, received_at=now) for car in cars])
    numbers = {"trips": trips, "drivers": DRIVERS, "vehicles": VEHICLES, "every": ALERTS_PER_TRIPS}
    numbers["each"] = records // VEHICLES
    with connection.cursor() as cursor:
        for statement in (_TRIPS, _ALERTS, _RECORDS, _COUNTS):
            cursor.execute(statement, numbers)


def _tidy() -> None:
    """What autovacuum does to tables that have been there for a while."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _viewer() -> Any:
    from django.test import Client

    from fleet.models import Fleet, Membership, User

    user = User.objects.create_user("bench@example.com", None)
    Membership.objects.create(fleet=Fleet.objects.get(slug=FLEET), user=user)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _asked(client: Any, address: str) -> dict[str, float]:
    def ask() -> None:
        reply = client.get(address)
        assert reply.status_code == 200, (address, reply.content[:500])

    return _timed(ask, REQUESTS)


def _late() -> dict[str, Any]:
    """A trip of half a year ago, by its POST's own function, and the task that follows."""
    from django.utils import timezone

    from fleet import rollups
    from fleet.models import Vehicle
    from fleet.trips import TripTold, keep

    cars = list(Vehicle.objects.select_related("fleet").order_by("id")[: 2 * REQUESTS + 9])
    start = timezone.now() - timedelta(days=180)

    def tell() -> None:
        values = {"driver_id": "driver_1", "distance_m": 9000.0, "duration_s": 900.0, "mean_risk": 0.2}
        keep(cars.pop(), [TripTold(f"late-{len(cars)}", start, start + timedelta(minutes=15), values)])

    def sum_up() -> None:
        assert rollups.keep_up(timezone.now())

    kept = _timed(tell, REQUESTS // 2)
    sum_up()

    def tell_and_sum_up() -> None:
        tell()
        sum_up()

    both = _timed(tell_and_sum_up, REQUESTS // 2)
    sums = {name: both[name] - kept[name] for name in ("p50", "p95", "queries")}
    return {"late_keep": kept, "late_sums": sums}


def _timed(act: Callable[[], object], times: int) -> dict[str, float]:
    """Milliseconds and the number of queries, after two for warming up."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    act()
    with CaptureQueriesContext(connection) as queries:
        act()
        count = len(queries)  # now: the next request empties the log
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    hundredths = statistics.quantiles(taken, n=20)
    return {"p50": statistics.median(taken), "p95": hundredths[-1], "queries": count}


def main() -> None:
    if sys.argv[1:2] == ["--fill"]:
        print(json.dumps(_child(int(sys.argv[2]), int(sys.argv[3]))))
        return
    with Machine() as servers:
        print(markdown(measure(servers)))


if __name__ == "__main__":
    main()
