"""A year of a fleet, for `benchmarks.statistics`: trips, alerts, records, and the sums the product makes of them."""

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import longsums

VEHICLES, DRIVERS, ALERTS_PER_TRIPS = 1_000, 300, 50
RECORDS_PER_TRIP, RECORDS_MOST = 10, 10_000_000
"""Of the last month: an hour at a time, a record every ten seconds."""
SUMMED_MOST = 1_000_000
"""Trips; more are summed up by `benchmarks.longsums`."""
FLEET = "bench"

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
SELECT v.id, v.id, now() - interval '30 days' * (1 - (n / 360) / %(hours)s::float8) - interval '1 hour'
    + interval '10 seconds' * (n %% 360), now(), 1, n, 0, 7, n %% 120, n %% 100, 52.5, 13.4
FROM (SELECT id FROM vehicles) v CROSS JOIN generate_series(0::bigint, %(each)s - 1) n
"""
_COUNTS = """
INSERT INTO compression_stats (vehicle_id, day, records, transmitted_readings, skipped_readings, bytes_received)
SELECT vehicle_id, (time AT TIME ZONE 'UTC')::date, count(*), 0, 0, 0 FROM telemetry_data GROUP BY 1, 2
"""


def fill(trips: int) -> dict[str, Any]:
    """Within Django; a database that was filled before is taken as it is, but for what was left to sum up."""
    from django.conf import settings
    from django.core.management import call_command
    from django.utils import timezone

    from fleet.aggregation import rollups
    from fleet.behaviour import scoring
    from fleet.models import Fleet, FleetHour, RollupState, VehicleDay, VehicleHour, VehicleMinute

    call_command("migrate", verbosity=0, interactive=False)
    name = f"Bench of {trips} trips"
    known = Fleet.objects.filter(slug=FLEET).first()
    if known is None:
        make(name, trips)
        tidy()
    elif known.name != name:
        sys.exit(f"the database holds {known.name!r}, not {name!r}")
    began = time.perf_counter()
    if known is None and trips > SUMMED_MOST:
        RollupState.objects.update_or_create(
            fleet=Fleet.objects.get(slug=FLEET),
            defaults={"time_zone": "Europe/Berlin", "score_version": scoring.VERSION},
        )
        longsums.make(settings.HOUR_ROLLUP_DAYS)
    while rollups.keep_up(timezone.now()):
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    built = time.perf_counter() - began
    tidy()
    models = (VehicleDay, VehicleHour, VehicleMinute, FleetHour)
    return {
        "build_s": None if known else built,
        "rows": {model._meta.db_table: model.objects.count() for model in models},
    }


def make(name: str, trips: int) -> None:
    """What is summed up later."""
    from django.db import connection, transaction

    from fleet.models import Fleet, Vehicle, VehicleState
    from telemetry import partitions

    now = datetime.now(UTC)
    partitions.ensure({(day.year, day.month) for day in (now - timedelta(days=n) for n in range(32))})
    records = min(trips * RECORDS_PER_TRIP, RECORDS_MOST)
    each = records // VEHICLES
    numbers = {"trips": trips, "drivers": DRIVERS, "vehicles": VEHICLES, "every": ALERTS_PER_TRIPS}
    numbers |= {"each": each, "hours": max(1, -(-each // 360))}
    with transaction.atomic():
        fleet = Fleet.objects.create(slug=FLEET, name=name, time_zone="Europe/Berlin")
        cars = [Vehicle(fleet=fleet, slug=f"car-{n}", name=f"Car {n}") for n in range(VEHICLES)]
        Vehicle.objects.bulk_create(cars)
        VehicleState.objects.bulk_create(
            [VehicleState(vehicle=car, time=now, received_at=now) for car in cars]
        )
        with connection.cursor() as cursor:
            for statement in (_TRIPS, _ALERTS, _RECORDS, _COUNTS):
                cursor.execute(statement, numbers)


def tidy() -> None:
    """What autovacuum does to tables that have been there for a while."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
