"""Stretches of time of many vehicles as one table expression, so that a query over all of them is one query."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """[start, end) of a vehicle."""

    vehicle_id: int
    start: datetime
    end: datetime


def with_ranges(ranges: Sequence[Range]) -> tuple[str, list[Any]]:
    """`WITH asked (vehicle_id, opens, closes) AS (…)` and its parameters. Needs at least one range."""
    row = (
        "(%s::bigint, %s::timestamptz, %s::timestamptz)"
        if connection.vendor == "postgresql"
        else "(%s, %s, %s)"
    )
    adapt = connection.ops.adapt_datetimefield_value
    params = [v for one in ranges for v in (one.vehicle_id, adapt(one.start), adapt(one.end))]
    return f"WITH asked (vehicle_id, opens, closes) AS (VALUES {', '.join([row] * len(ranges))})", params


def joined(ranges: Iterable[Range]) -> list[Range]:
    """The same time in fewer pieces: those of a vehicle that meet become one."""
    found: list[Range] = []
    for one in sorted(ranges):
        last = found[-1] if found else None
        if last and last.vehicle_id == one.vehicle_id and one.start <= last.end:
            found[-1] = Range(last.vehicle_id, last.start, max(last.end, one.end))
        else:
            found.append(one)
    return found
