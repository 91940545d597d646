"""Every drive once: as its device sums it up, as it was found in telemetry, or both, as statistics count them.

A row is a summary, or a detected trip that no summary tells of. Of a detected trip that several summaries tell of, what
only telemetry knows stands with the first of them, so that totals are right.
"""

from typing import Any

from fleet.aggregation.legs import LONGEST
from fleet.journeys.matching import MATCHED_SQL, near_sql
from fleet.models import EventKind
from fleet.reports.columns import Column, Kind, Total, consumption, rate
from fleet.reports.report import Ask, Order, Report
from fleet.reports.rules import driving_limits, trip_rules
from fleet.reports.sql import SqlSource, Statement, among, moment, opens_closes

_PAIRS = """
WITH seen AS (
    SELECT t.* FROM trips t WHERE t.fleet_id = %s AND t.started_at >= %s AND t.started_at < %s{vehicles}
), pairs AS (
    SELECT t.id AS trip_id, s.id AS summary_id,
        row_number() OVER (PARTITION BY t.id ORDER BY s.start_time, s.id) AS nth,
        count(*) OVER (PARTITION BY t.id) AS summaries,
        row_number() OVER (PARTITION BY s.id ORDER BY t.started_at) AS from_first,
        row_number() OVER (PARTITION BY s.id ORDER BY t.started_at DESC) AS from_last
    FROM seen t JOIN trip_summaries s ON {matched} AND {near} AND s.fleet_id = %s AND s.start_time >= %s
        AND s.start_time < %s
)"""
_TOLD = """, told AS (
    SELECT p.summary_id, max(t.ended_at) AS ended_at, count(*) - count(t.settled_at) AS under_way,
        {sums},
        sum(CASE WHEN p.nth = 1 AND t.energy_wh IS NOT NULL THEN t.distance_m END) AS energy_m,
        max(CASE WHEN p.nth = 1 THEN t.max_speed_mps END) AS max_speed_mps,
        {first}, {last}
    FROM pairs p JOIN seen t ON t.id = p.trip_id GROUP BY p.summary_id
)"""
_WHO = "CASE WHEN s.driver_id <> '' THEN s.driver_id ELSE s.driven_by END"
_SUMS = ("distance_m", "duration_s", "moving_s", "idle_s", "energy_wh", '"values"', "reconstructed")
_FIRST = ("start_latitude_deg", "start_longitude_deg", "battery_from_percent")
_LAST = ("end_latitude_deg", "end_longitude_deg", "battery_to_percent")
_SHARED = """
    {energy} * 100 / nullif({energy_m}, 0) AS kwh_per_100_km, {energy_m} AS energy_distance,
    {of}battery_from_percent / 100 AS soc_from, {of}battery_to_percent / 100 AS soc_to,
    CAST({of}reconstructed AS double precision) / nullif({of}"values", 0) AS reconstructed,
    {of}distance_m AS detected_distance, {of}duration_s AS detected_duration, {of}max_speed_mps AS detected_max_speed"""
_DRIVES = """, drives AS (
    SELECT s.id AS tie, s.vehicle_id, {who} AS driver, s.trip_id AS trip, s.start_time AS start,
        CASE WHEN s.end_time IS NOT NULL THEN s.end_time WHEN told.under_way = 0 THEN told.ended_at END AS "end",
        coalesce(s.end_time, told.ended_at, s.start_time) AS reach,
        CASE WHEN told.summary_id IS NULL THEN 'device' ELSE 'both' END AS source,
        coalesce(s.distance_m, told.distance_m) AS distance, coalesce(s.duration_s, told.duration_s) AS duration,
        told.moving_s AS moving, told.idle_s AS idle,
        coalesce(s.mean_speed_m_s, told.distance_m / nullif(told.duration_s, 0)) AS mean_speed,
        coalesce(s.max_speed_m_s, told.max_speed_mps) AS max_speed, told.energy_wh AS energy, s.score,
        s.mean_risk, s.max_risk, CAST(s.alerts ->> 'info' AS integer) AS alerts_info,
        CAST(s.alerts ->> 'warning' AS integer) AS alerts_warning,
        CAST(s.alerts ->> 'critical' AS integer) AS alerts_critical,
        coalesce(told.start_latitude_deg, s.start_latitude_deg) AS start_latitude,
        coalesce(told.start_longitude_deg, s.start_longitude_deg) AS start_longitude,
        coalesce(told.end_latitude_deg, s.end_latitude_deg) AS end_latitude,
        coalesce(told.end_longitude_deg, s.end_longitude_deg) AS end_longitude,
        s.distance_m - told.distance_m AS distance_apart, s.duration_s - told.duration_s AS duration_apart,
        {shared_told}
    FROM trip_summaries s LEFT JOIN told ON told.summary_id = s.id
    WHERE s.fleet_id = %s AND s.start_time >= %s AND s.start_time < %s{told_by}
    UNION ALL
    SELECT -t.id, t.vehicle_id, t.driven_by, 'detected-' || t.id, t.started_at,
        CASE WHEN t.settled_at IS NOT NULL THEN t.ended_at END, t.ended_at, 'detected', t.distance_m, t.duration_s,
        t.moving_s, t.idle_s, t.distance_m / nullif(t.duration_s, 0), t.max_speed_mps, t.energy_wh, t.score,
        NULL, NULL, NULL, NULL, NULL, t.start_latitude_deg, t.start_longitude_deg, t.end_latitude_deg,
        t.end_longitude_deg, NULL, NULL, {shared_seen}
    FROM seen t
    WHERE t.started_at >= %s AND t.started_at < %s AND NOT EXISTS (SELECT 1 FROM pairs p WHERE p.trip_id = t.id)
        {seen_by}
)
SELECT drives.*, v.name AS vehicle, v.plate, v.vin, d.name AS driver_name,
    (SELECT count(*) FROM driving_events e WHERE e.vehicle_id = drives.vehicle_id AND e.started_at >= drives.start
        AND e.started_at <= drives.reach AND e.dismissal_id IS NULL AND e.kind <> %s) AS events
FROM drives JOIN vehicles v ON v.id = drives.vehicle_id
LEFT JOIN drivers d ON d.fleet_id = %s AND d.slug = drives.driver
"""


def _text() -> str:
    def of(name: str, place: str) -> str:
        return f"max(CASE WHEN p.summaries = 1 AND p.from_{place} = 1 THEN t.{name} END) AS {name}"

    told = _TOLD.format(
        sums=", ".join(f"sum(CASE WHEN p.nth = 1 THEN t.{name} END) AS {name}" for name in _SUMS),
        first=", ".join(of(name, "first") for name in _FIRST),
        last=", ".join(of(name, "last") for name in _LAST),
    )
    seen_m = "CASE WHEN t.energy_wh IS NOT NULL THEN t.distance_m END"
    return told + _DRIVES.replace(
        "{shared_told}", _SHARED.format(of="told.", energy="told.energy_wh", energy_m="told.energy_m")
    ).replace("{shared_seen}", _SHARED.format(of="t.", energy="t.energy_wh", energy_m=seen_m))


_TEXT = _text()


def statement(ask: Ask) -> Statement:
    fleet, (opens, closes) = ask.fleet.pk, opens_closes(ask)
    of_trip, of_trip_params = among("t.vehicle_id", ask.vehicles)
    of_summary, of_summary_params = among("s.vehicle_id", ask.vehicles)
    of_driver, of_driver_params = among(_WHO, ask.drivers)
    of_assigned, of_assigned_params = among("t.driven_by", ask.drivers)
    wide = [moment(opens - LONGEST), moment(closes + LONGEST)]
    wider = [moment(opens - 2 * LONGEST), moment(closes + 2 * LONGEST)]
    within = [moment(opens), moment(closes)]
    text = _PAIRS.format(vehicles=of_trip, matched=MATCHED_SQL, near=near_sql()) + _TEXT.format(
        who=_WHO, told_by=of_summary + of_driver, seen_by=of_assigned
    )
    params: list[Any] = [fleet, *wide, *of_trip_params, fleet, *wider]
    params += [fleet, *within, *of_summary_params, *of_driver_params, *within, *of_assigned_params]
    params += [EventKind.IDLING, fleet]
    return text, params


def _place(name: str, label: str) -> Column:
    return Column(name, label, Kind.NUMBER, digits=5, loose=True, unit="°")


REPORT = Report(
    name="trips",
    title="Trips",
    text="Every trip: when, where, how far, how fast, by whom, on how much energy.",
    by_driver=True,
    order=Order("start", down=True),
    definition="Each drive once, on the day on which it began: as the device reports it, as it was found in telemetry "
    "(detected), or both; then distance, time and speeds are the device’s, as in statistics. Who drove is whom the "
    "device names, else whom the vehicle was assigned to when the trip began. The device’s places are rounded to about "
    "1 km, those found are exact. A trip that goes on has no end.",
    settings=lambda fleet: [*trip_rules(fleet), *driving_limits(fleet)],
    source=SqlSource(statement, ("tie",)),
    columns=(
        Column("start", "Start", Kind.MOMENT),
        Column("end", "End", Kind.MOMENT),
        Column("vehicle", "Vehicle"),
        Column("plate", "Plate"),
        Column("vin", "VIN", usual=False),
        Column("driver", "Driver"),
        Column("driver_name", "Driver’s name"),
        Column("source", "Source", about="Who tells of it: the device, telemetry (detected), or both."),
        Column("distance", "Distance", Kind.DISTANCE, total=Total.SUM),
        Column("duration", "Duration", Kind.DURATION, total=Total.SUM),
        Column("moving", "Moving", Kind.DURATION, total=Total.SUM),
        Column("idle", "Idle", Kind.DURATION, total=Total.SUM, about="Standing within the trip."),
        Column("mean_speed", "Mean speed", Kind.SPEED, total=lambda sums: rate(sums["distance"], sums["duration"]),
               about="In total: all metres by all seconds."),
        Column("max_speed", "Highest speed", Kind.SPEED, total=Total.MAX),
        Column("energy", "Energy", Kind.ENERGY, total=Total.SUM, digits=2,
               about="Out of the battery, less what came back."),
        Column("kwh_per_100_km", "Consumption", Kind.CONSUMPTION,
               total=consumption,
               about="In total: all energy by the distance whose energy is known."),
        Column("soc_from", "Charge at start", Kind.SHARE, digits=0),
        Column("soc_to", "Charge at end", Kind.SHARE, digits=0),
        Column("events", "Driving events", Kind.WHOLE, total=Total.SUM,
               about="Harsh manoeuvres and speeding that began in the trip and were not dismissed."),
        Column("score", "Safety score", Kind.NUMBER, digits=0, about="0 to 100; empty where the trip is too short."),
        Column("mean_risk", "Mean risk", Kind.NUMBER, digits=2, about="0 to 1, as the device says."),
        Column("max_risk", "Highest risk", Kind.NUMBER, total=Total.MAX, digits=2, usual=False),
        Column("alerts_info", "Information", Kind.WHOLE, total=Total.SUM, usual=False,
               about="Alerts that the device counted during the trip."),
        Column("alerts_warning", "Warnings", Kind.WHOLE, total=Total.SUM, usual=False),
        Column("alerts_critical", "Critical", Kind.WHOLE, total=Total.SUM, usual=False),
        _place("start_latitude", "Start latitude"),
        _place("start_longitude", "Start longitude"),
        _place("end_latitude", "End latitude"),
        _place("end_longitude", "End longitude"),
        Column("reconstructed", "Reconstructed", Kind.SHARE,
               about="Of the values it was found in: left out by the vehicle, filled in by the server."),
        Column("detected_distance", "Distance, detected", Kind.DISTANCE, total=Total.SUM, usual=False),
        Column("distance_apart", "Distance apart", Kind.DISTANCE, total=Total.SUM, digits=2, usual=False,
               about="The device’s less the detected."),
        Column("detected_duration", "Duration, detected", Kind.DURATION, total=Total.SUM, usual=False),
        Column("duration_apart", "Duration apart", Kind.NUMBER, total=Total.SUM, digits=0, unit="s", usual=False,
               about="The device’s less the detected."),
        Column("detected_max_speed", "Highest speed, detected", Kind.SPEED, total=Total.MAX, usual=False),
        Column("energy_distance", "Distance whose energy is known", Kind.DISTANCE, total=Total.SUM, usual=False),
        Column("trip", "Trip", usual=False, about="The device’s name for it, or detected- and a number."),
    ),
)  # fmt: skip
