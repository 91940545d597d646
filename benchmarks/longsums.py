"""Sums of millions of trips by one INSERT ... SELECT a table, for `benchmarks.history`.

The product sums up day by day, and some thousand trips a second: hours for ten million. What reads sums only asks that
they are there. Here a trip counts whole in the day and hour in which it began, of trips and records only.
"""

from typing import Any

_HERE = "AT TIME ZONE 'Europe/Berlin'"
_HOUR = f"date_trunc('hour', t.start_time {_HERE}) {_HERE}"
_DAY = f"(t.start_time {_HERE})::date"
_OF_TRIPS = {
    "trips": "count(*)",
    "distance_mm": "sum((t.distance_m * 1000)::bigint)",
    "driving_ms": "sum((t.duration_s * 1000)::bigint)",
    "risk_mm": "sum((t.distance_m * 1000 * t.mean_risk)::bigint)",
    "scored_mm": "sum((t.distance_m * 1000)::bigint)",
    "counted_mm": "sum((t.distance_m * 1000)::bigint)",
    **{f"trip_{name}": f"sum((t.alerts->>'{name}')::int)" for name in ("info", "warning", "critical")},
    "seen_mm": "sum((t.distance_m * 1000)::bigint)",
    "timed_ms": "sum((t.duration_s * 1000)::bigint)",
}
_VEHICLE = {"fleet_id": "t.fleet_id", "vehicle_id": "t.vehicle_id"}
_DRIVER = {**_VEHICLE, "driver_id": "t.driver_id"}
_MONTH = "date_trunc('month', t.day)::date"


def make(hours_days: int) -> None:
    """From trips; hours of the last so many days. What was summed up or touched before goes."""
    from django.db import connection
    from django.db.models import Model

    from fleet import models as m

    every: tuple[tuple[type[Model], str, dict[str, str], str], ...] = (
        (m.VehicleHour, "trips", {**_VEHICLE, "hour": _HOUR}, ""),
        (m.DriverHour, "trips", {**_DRIVER, "hour": _HOUR}, ""),
        (m.VehicleDay, "trips", {**_VEHICLE, "day": _DAY}, ""),
        (m.DriverDay, "trips", {**_DRIVER, "day": _DAY}, ""),
        (m.FleetHour, "rollup_vehicle_hour", {"fleet_id": "t.fleet_id", "hour": "t.hour"}, "active_vehicles"),
        (m.FleetDay, "rollup_vehicle_day", {"fleet_id": "t.fleet_id", "day": "t.day"}, "active_vehicles"),
        (m.VehicleMonth, "rollup_vehicle_day", {**_VEHICLE, "month": _MONTH}, "active"),
        (
            m.DriverMonth,
            "rollup_driver_day",
            {"fleet_id": "t.fleet_id", "driver_id": "t.driver_id", "month": _MONTH},
            "active",
        ),
    )
    with connection.cursor() as cursor:
        tables = ", ".join(row[0]._meta.db_table for row in every)
        cursor.execute(f"TRUNCATE {tables}, rollup_touched, rollup_touched_slice")
        for model, source, keys, active in every:
            young = f"WHERE t.start_time > now() - interval '{hours_days} days'" if "hour" in keys else ""
            cursor.execute(_insert(model, source, keys, active, young if source == "trips" else ""))


def _insert(model: Any, source: str, keys: dict[str, str], active: str, condition: str) -> str:
    names = [
        field.column for field in model._meta.concrete_fields if field.column not in {"id", "charge", *keys}
    ]
    if source == "trips":
        sums = [_OF_TRIPS.get(name, "0") for name in names]
        table = "trip_summaries"
    else:
        table = source
        whom = "count(DISTINCT t.day)" if "driver_id" in keys else "count(*)"
        sums = [whom if name == active else f"sum(t.{name})" for name in names]
    into, what = ", ".join([*keys, *names]), ", ".join([*keys.values(), *sums])
    grouped = f"FROM {table} t {condition} GROUP BY {', '.join(keys.values())}"
    return f"INSERT INTO {model._meta.db_table} ({into}) SELECT {what} {grouped}"
