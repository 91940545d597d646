"""Charging sessions: when, where, how much and how fast."""

from typing import Any

from django.db.models import Case, F, Q, QuerySet, When

from fleet.models import ChargingSession
from fleet.reports.columns import Column, Kind, Total, rate
from fleet.reports.places import PLACE, RECONSTRUCTED, SOC, UNHEARD, VEHICLE, begun, end_where, quotient
from fleet.reports.report import Ask, Order, QuerySource, Report

_TOLD_BY = {"signal": "the vehicle", "level": "a rising charge"}


def query(ask: Ask) -> "QuerySet[ChargingSession]":
    return begun(ChargingSession.objects.all(), ask)


def _mean_power(sums: Any) -> float | None:
    return None if sums["energy"] is None else rate(sums["energy"] * 3600, sums["energy_time"])


REPORT = Report(
    name="charging",
    title="Charging",
    text="Every charging session: when, where, energy, charge from and to, power.",
    order=Order("start", down=True),
    definition="Sessions found in telemetry, on the day on which they began. Energy is what flowed into the battery as "
    "the vehicle tells its power; where it does not, it is not known. One under way has no end.",
    source=QuerySource(query),
    columns=(
        Column("start", "Start", Kind.MOMENT, "started_at"),
        Column("end", "End", Kind.MOMENT, end_where(Q(settled_at__isnull=False))),
        Column("under_way", "Under way", Kind.FLAG, Q(settled_at__isnull=True)),
        *VEHICLE,
        Column("duration", "Duration", Kind.DURATION, "duration_s", Total.SUM),
        Column("energy", "Charged", Kind.ENERGY, "energy_wh", Total.SUM, digits=2),
        *SOC,
        Column("mean_power", "Mean power", Kind.POWER, quotient(F("energy_wh") * 3600.0, F("duration_s")), _mean_power,
               about="In total: all energy by the time whose energy is known."),
        Column("max_power", "Highest power", Kind.POWER, "max_power_w", Total.MAX),
        *PLACE,
        Column("odometer", "Odometer", Kind.DISTANCE, "odometer_m", usual=False),
        Column("told_by", "Told by", words=_TOLD_BY, usual=False),
        Column("energy_time", "Time whose energy is known", Kind.DURATION,
               Case(When(energy_wh__isnull=False, then=F("duration_s"))), Total.SUM, usual=False),
        UNHEARD,
        RECONSTRUCTED,
    ),
)  # fmt: skip
