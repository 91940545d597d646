"""What reports cost: a month of one vehicle and of a fleet, every report as CSV, XLSX and JSON.

    python -m benchmarks.reports              # 1 and 1,000 vehicles; about ten minutes, needs 2 GB of disk
    python -m benchmarks.reports 1 200        # other fleets

The child process (`--fill VEHICLES`) runs with the environment of the product on a database of its own, fills it by
INSERT ... SELECT and writes each file in a fork, so that its memory is its own. Figures are printed as JSON.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, BinaryIO, cast

import psutil

from benchmarks.machine import Machine
from tests.environment import PYTHON, ROOT, clean_environment

SIZES = (1, 1_000)
"""Vehicles, each with a month of its own."""
FIRST, DAYS = date(2026, 6, 1), 30
FLEET, FORMATS = "bench", ("csv", "xlsx", "json")
_EACH = """
FROM vehicles v CROSS JOIN generate_series(0, %(rows)s - 1) n
CROSS JOIN LATERAL (SELECT timestamptz '2026-06-01 02:00+00' + n * interval '29 days' / %(rows)s
    + (v.id * 37) %% 3600 * interval '1 second' AS t, 1200 + (n * 7919 + v.id) %% 3600 AS d) s
"""
_JOURNEY = (
    "fleet_id, vehicle_id, started_at, ended_at, settled_at, duration_s, unheard_s, battery_from_percent, "
    'battery_to_percent, records, "values", reconstructed'
)
_STRETCH = (
    "v.fleet_id, v.id, s.t, s.t + s.d * interval '1 second', s.t + s.d * interval '1 second', s.d, 0, 80, 70, s.d, "
    "s.d * 7, s.d * 3"
)
_TABLES: tuple[tuple[int, str], ...] = (
    (120, f"""INSERT INTO trips ({_JOURNEY}, middle_at, distance_m, distance_source, moving_s, idle_s, max_speed_mps,
        energy_wh, start_latitude_deg, start_longitude_deg, end_latitude_deg, end_longitude_deg)
        SELECT {_STRETCH}, s.t + s.d / 2 * interval '1 second', s.d * 11, 'speed', s.d * 0.9, s.d * 0.1, 30, s.d * 2,
        52.5, 13.4, 52.6, 13.5 {_EACH}"""),
    # Of two drives in three the device tells too; and of some that were not detected.
    (120, f"""INSERT INTO trip_summaries (fleet_id, vehicle_id, trip_id, driver_id, start_time, end_time, distance_m,
        duration_s, mean_speed_m_s, max_speed_m_s, mean_risk, max_risk, alerts, metadata, version, received_at,
        updated_at)
        SELECT v.fleet_id, v.id, v.id || '-' || n, 'driver_' || (n + v.id) %% 300,
        s.t + CASE WHEN n %% 15 = 1 THEN interval '3 hours' ELSE interval '20 seconds' END,
        s.t + CASE WHEN n %% 15 = 1 THEN interval '4 hours' ELSE (s.d - 20) * interval '1 second' END,
        s.d * 10.9, s.d - 40, 11, 29, 0.2, 0.8, '{{"info": 2}}', '{{}}', '[]', now(), now()
        {_EACH} WHERE n %% 3 > 0"""),
    (200, f"""INSERT INTO stops ({_JOURNEY}, latitude_deg, longitude_deg, moved_m, idle_s, begin_unknown)
        SELECT {_STRETCH}, 52.5, 13.4, 0, 60, false {_EACH}"""),
    (60, f"""INSERT INTO charging_sessions ({_JOURNEY}, latitude_deg, longitude_deg, odometer_m, energy_wh,
        max_power_w, told_by) SELECT {_STRETCH}, 52.5, 13.4, 1e7, s.d * 3, 11000, 'signal' {_EACH}"""),
    (500, f"""INSERT INTO driving_events (fleet_id, vehicle_id, driver_id, kind, started_at, ended_at, going_on,
        strength, peak_m_s2, speed_before_m_s, top_speed_m_s, "limit", source, rate_hz, latitude_deg, longitude_deg)
        SELECT v.fleet_id, v.id, 'driver_' || (n + v.id) %% 300, (ARRAY['harsh_acceleration', 'harsh_braking',
        'harsh_cornering', 'speeding', 'idling'])[1 + n %% 5], s.t, s.t + s.d / 60 * interval '1 second', false,
        1 + n %% 3, 4, 20, 40, 36, 'speed', 1, 52.5, 13.4 {_EACH}"""),
    (100, f"""INSERT INTO geofence_visits (geofence_id, vehicle_id, entered_at, entry, left_at, exit, on_schedule,
        confirmed, geofence_version)
        SELECT (SELECT min(id) FROM geofences), v.id, s.t, 'between', s.t + s.d * interval '1 second',
        'record', true, true, 1 {_EACH}"""),
    (20, f"""INSERT INTO alerts (fleet_id, vehicle_id, type, key, source, severity, message, data, first_at, last_at,
        count, state, created_at, resolved_at, resolved_by_rule)
        SELECT v.fleet_id, v.id, 'harsh', n::text, 'device', n %% 3, 'x', '{{}}', s.t, s.t, 1,
        'resolved', now(), now(), false {_EACH}"""),
    (DAYS, f"""INSERT INTO compression_stats (vehicle_id, day, records, transmitted_readings, skipped_readings,
        bytes_received) SELECT v.id, date '2026-06-01' + n, 20000, 90000, 210000, 900000 {_EACH}"""),
)  # fmt: skip
"""Rows of a vehicle's month, and what makes them."""


def measure(servers: Machine, sizes: Iterable[int] = SIZES) -> dict[int, list[dict[str, Any]]]:
    """By number of vehicles; each on an empty database."""
    found = {}
    for vehicles in sizes:
        print(f"reports         {vehicles:,} vehicles ...", flush=True)
        env = clean_environment(DATABASE_URL=servers.database("reports"), DATA_DIR=str(servers.folder))
        child = [PYTHON, "-m", "benchmarks.reports", "--fill", str(vehicles)]
        done = subprocess.run(child, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
        found[vehicles] = json.loads(done.stdout.splitlines()[-1])
    return found


def markdown(found: dict[int, list[dict[str, Any]]]) -> str:
    lines = [
        "### Reports", "",
        "| report | vehicles | rows | page, s | CSV, s | XLSX, s | JSON, s | most memory, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    by_report = zip(*found.values(), strict=True)
    for told in (one for pair in by_report for one in zip(found, pair, strict=True)):
        vehicles, one = told
        seconds = " | ".join(f"{one[name]:.2f}" for name in ("page", *FORMATS))
        lines.append(
            f"| `{one['report']}` | {vehicles:,} | {one['rows']:,} | {seconds} | {one['grown_mb']:.0f} |"
        )
    return "\n".join(lines)


def _child(vehicles: int) -> list[dict[str, Any]]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    fill(vehicles)
    from django.db import connection

    from fleet.reports import registry

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    found = []
    for report in registry.known():
        told = {"report": report.name, **(_page(report.name)), "grown_mb": 0.0}
        for kind in FORMATS:
            one = _apart(report.name, kind)
            told[kind], told["rows"] = one["seconds"], one["rows"]
            told["grown_mb"] = max(told["grown_mb"], one["grown_mb"])
        print(told, file=sys.stderr, flush=True)
        found.append(told)
    return found


def fill(vehicles: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    from devices.models import Device
    from fleet.models import Driver, Fleet, Geofence, Vehicle

    call_command("migrate", verbosity=0, interactive=False)
    fleet = Fleet.objects.create(slug=FLEET, name="Bench", time_zone="Europe/Berlin")
    Vehicle.objects.bulk_create(
        Vehicle(fleet=fleet, slug=f"car-{n}", name=f"Car {n}") for n in range(vehicles)
    )
    Driver.objects.bulk_create(Driver(fleet=fleet, slug=f"driver_{n}") for n in range(300))
    cars = list(Vehicle.objects.filter(fleet=fleet))
    Device.objects.bulk_create(Device(vehicle=car, slug=f"device-{car.pk}", name=car.name) for car in cars)
    Geofence.objects.create(
        fleet=fleet, name="Yard", kind="circle", geometry={}, since="2026-01-01T00:00:00Z"
    )
    with connection.cursor() as cursor:
        for rows, statement in _TABLES:
            cursor.execute(statement, {"rows": rows})
    _days(fleet, cars)


def _days(fleet: Any, cars: list[Any]) -> None:
    """Sums as trips would give them; making them is measured elsewhere."""
    from fleet.models import DriverDay, FleetDay, VehicleDay

    sums = {"trips": 4, "distance_mm": 120_000_000, "driving_ms": 12_000_000, "seen_mm": 120_000_000}
    for day in (FIRST + timedelta(days=n) for n in range(DAYS)):
        VehicleDay.objects.bulk_create(
            VehicleDay(fleet=fleet, vehicle=car, day=day, records=20_000, **sums) for car in cars
        )
        DriverDay.objects.bulk_create(
            DriverDay(fleet=fleet, vehicle=car, driver_id=f"driver_{car.pk % 300}", day=day, **sums)
            for car in cars
        )
        FleetDay.objects.create(
            fleet=fleet,
            day=day,
            active_vehicles=len(cars),
            **{name: value * len(cars) for name, value in sums.items()},
        )


def _table(report: str) -> Any:
    from fleet.models import Fleet
    from fleet.reports import wishes

    wish = wishes.Wish(first=FIRST, last=FIRST + timedelta(days=DAYS - 1), zone="Europe/Berlin")
    return wishes.table_of(wishes.report_named(report), Fleet.objects.get(slug=FLEET), wish)


def _page(report: str) -> dict[str, float]:
    """Seconds for the first page with its count and totals."""
    began, table = time.perf_counter(), _table(report)
    table.count(), table.page(1, 50), table.totals()
    return {"page": time.perf_counter() - began}


def _apart(report: str, kind: str) -> dict[str, Any]:
    """Seconds, rows, and by how much the process grew at most."""
    from django.db import connections

    connections.close_all()
    read, write = os.pipe()
    if not (child := os.fork()):
        try:
            os.write(write, json.dumps(_written(report, kind)).encode())
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        found: dict[str, Any] = json.loads(told.read())
    os.waitpid(child, 0)
    return found


def _written(report: str, kind: str) -> dict[str, Any]:
    from fleet.reports import files

    table = _table(report)
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        rows = files.write(kind, table, cast(BinaryIO, out))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return {"seconds": time.perf_counter() - began, "rows": rows, "grown_mb": max(0, grown) / 1e6}


def main() -> None:
    if sys.argv[1:2] == ["--fill"]:
        print(json.dumps(_child(int(sys.argv[2]))))
        return
    with Machine() as servers:
        print(markdown(measure(servers, [int(size) for size in sys.argv[1:]] or SIZES)))


if __name__ == "__main__":
    main()
