"""Energy by vehicle and day: driven and charged, side by side."""

from typing import Any

from django.db import connection

from fleet.aggregation.days import bounds
from fleet.reports.columns import Column, Kind, Total, consumption
from fleet.reports.report import Ask, Order, Report
from fleet.reports.rules import trip_rules
from fleet.reports.sql import SqlSource, Statement, among, moment

_DONE = """, done AS (
    SELECT t.vehicle_id, d.day, 1 AS trips, t.distance_m AS distance, t.energy_wh AS energy,
        CASE WHEN t.energy_wh IS NOT NULL THEN t.distance_m END AS energy_distance, 0 AS sessions,
        CAST(NULL AS double precision) AS charged, CAST(NULL AS double precision) AS charging
    FROM days d JOIN trips t ON t.started_at >= d.opens AND t.started_at < d.closes WHERE t.fleet_id = %s{of_trip}
    UNION ALL
    SELECT c.vehicle_id, d.day, 0, NULL, NULL, NULL, 1, c.energy_wh, c.duration_s
    FROM days d JOIN charging_sessions c ON c.started_at >= d.opens AND c.started_at < d.closes
    WHERE c.fleet_id = %s{of_session}
), summed AS (
    SELECT vehicle_id, day, CAST(sum(trips) AS integer) AS trips, sum(distance) AS distance, sum(energy) AS energy,
        sum(energy_distance) AS energy_distance, CAST(sum(sessions) AS integer) AS sessions, sum(charged) AS charged,
        sum(charging) AS charging
    FROM done GROUP BY vehicle_id, day
)
SELECT s.*, s.energy * 100 / nullif(s.energy_distance, 0) AS kwh_per_100_km, v.name AS vehicle, v.plate
FROM summed s JOIN vehicles v ON v.id = s.vehicle_id
"""


def statement(ask: Ask) -> Statement:
    row = (
        "(%s::date, %s::timestamptz, %s::timestamptz)"
        if connection.vendor == "postgresql"
        else "(%s, %s, %s)"
    )
    days: list[Any] = []
    for day in ask.period:
        days += [day.isoformat(), *map(moment, bounds(ask.period.zone, day))]
    values = ", ".join([row] * ask.period.days)
    of_trip, trip_params = among("t.vehicle_id", ask.vehicles)
    of_session, session_params = among("c.vehicle_id", ask.vehicles)
    text = f"WITH days (day, opens, closes) AS (VALUES {values}){_DONE}"
    text = text.format(of_trip=of_trip, of_session=of_session)
    return text, [*days, ask.fleet.pk, *trip_params, ask.fleet.pk, *session_params]


REPORT = Report(
    name="energy",
    title="Energy",
    text="Each vehicle’s days: energy driven and charged, consumption.",
    order=Order("day", down=True),
    definition="Detected trips and charging sessions, on the day of the fleet’s time zone on which they began. Driven "
    "is what left the battery less what braking brought back, which is not told apart. What the vehicle does not tell "
    "is not known, and counts neither for energy nor for consumption.",
    settings=trip_rules,
    source=SqlSource(statement, ("vehicle", "vehicle_id", "day")),
    columns=(
        Column("day", "Day", Kind.DAY),
        Column("vehicle", "Vehicle"),
        Column("plate", "Plate"),
        Column("trips", "Trips", Kind.WHOLE, total=Total.SUM),
        Column("distance", "Distance", Kind.DISTANCE, total=Total.SUM),
        Column("energy", "Driven", Kind.ENERGY, total=Total.SUM, digits=2),
        Column("kwh_per_100_km", "Consumption", Kind.CONSUMPTION, total=consumption,
               about="By the distance whose energy is known."),
        Column("sessions", "Charging sessions", Kind.WHOLE, total=Total.SUM),
        Column("charged", "Charged", Kind.ENERGY, total=Total.SUM, digits=2),
        Column("charging", "Charging time", Kind.DURATION, total=Total.SUM),
        Column("energy_distance", "Distance whose energy is known", Kind.DISTANCE, total=Total.SUM, usual=False),
    ),
)  # fmt: skip
