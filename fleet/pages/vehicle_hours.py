"""What a vehicle did today, hour by hour, for its page. From its hours, never from records."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from fleet.aggregation.days import day_of
from fleet.aggregation.hours import hours_of
from fleet.models import Vehicle, VehicleHour


@dataclass(frozen=True, slots=True)
class HourShown:
    opens: datetime
    """In the fleet's zone."""
    row: VehicleHour
    share: float
    """Of the longest distance of an hour, per cent: the length of its bar."""

    @property
    def clock(self) -> str:
        return f"{self.opens:%H:%M}"

    @property
    def km(self) -> float:
        return self.far_mm / 1e6

    @property
    def far_mm(self) -> int:
        """By its records; of a vehicle that only tells of trips, by those."""
        return self.row.moved_mm if self.row.records else self.row.distance_mm

    @property
    def driven_min(self) -> float:
        return (self.row.timed_ms if self.row.records else self.row.driving_ms) / 60_000

    @property
    def standing_min(self) -> float:
        return self.row.standing_ms / 60_000

    @property
    def top_kmh(self) -> float | None:
        return self.row.top_speed_mm_s * 0.0036 if self.row.records else None

    @property
    def used_kwh(self) -> float | None:
        known = self.row.used_j or self.row.returned_j
        return (self.row.used_j - self.row.returned_j) / 3.6e6 if known else None

    @property
    def charge_percent(self) -> float | None:
        return None if self.row.charge is None else self.row.charge / 100

    @property
    def harsh(self) -> int:
        return self.row.harsh_accelerations + self.row.harsh_brakings + self.row.harsh_corners


def hours_today(vehicle: Vehicle, now: datetime) -> tuple[date, list[HourShown]]:
    """The day, and its hours from the first in which something happened, so far. Needs `fleet` selected. One query."""
    zone = vehicle.fleet.time_zone
    today = day_of(zone, now)
    hours = hours_of(zone, today)
    rows = {
        row.hour: row
        for row in VehicleHour.objects.filter(
            fleet=vehicle.fleet_id, vehicle=vehicle, hour__gte=hours[0][0], hour__lt=hours[-1][1]
        )
    }
    if not rows:
        return today, []
    shown = [
        HourShown(opens, rows.get(opens) or VehicleHour(hour=opens), 0.0)
        for opens, _ in hours
        if min(rows) <= opens <= now
    ]
    most = max((one.far_mm for one in shown), default=0) or 1
    return today, [
        HourShown(one.opens.astimezone(ZoneInfo(zone)), one.row, round(100 * one.far_mm / most, 1))
        for one in shown
    ]
