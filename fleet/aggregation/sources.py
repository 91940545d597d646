"""What only telemetry knows it registers here: how to count its records."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

from fleet.aggregation.columns import COLUMNS, TOLD
from fleet.aggregation.upserts import Target
from fleet.models import Part
from fleet.ranges import Range

Bucket = tuple[int, date]
"""A vehicle and a day of its fleet's time zone."""
Sums = Counter[str]


class Into(Enum):
    """Where to store what records say of a vehicle."""

    MINUTES = Target(
        "rollup_vehicle_minute", ("fleet_id", "vehicle_id", "minute"), TOLD, ("vehicle_id", "minute")
    )
    HOURS = Target(
        "rollup_vehicle_hour",
        ("fleet_id", "vehicle_id", "hour"),
        TOLD,
        ("vehicle_id", "hour", "fleet_id"),
        COLUMNS[Part.DRIVING],
    )


@dataclass(frozen=True)
class Activity:
    """How telemetry tells of its records."""

    count: Callable[[dict[Bucket, Range]], dict[Bucket, Sums]]
    """The columns HEARD of each range; a bucket that is missing in the answer keeps what is known of it."""
    days: Callable[[int], Iterable[Bucket]]
    """Vehicles of a fleet and the days of UTC on which they have records."""
    keep: Callable[[int, Into, Sequence[Range]], None]
    """Stores the columns TOLD of a fleet's vehicles: a row for each minute of the ranges, or of each range
    the row of the hour that it is. What began before the oldest records that are kept stays as it is."""


@dataclass
class _Sources:
    activity: list[Activity] = field(default_factory=list)


sources = _Sources()
