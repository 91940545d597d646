"""What statistics read: sums by day and month, kept by fleet.aggregation, and the days that have to be summed up again.

Sums are whole numbers (mm, ms), so that the order in which they are added never shows.
"""

from typing import ClassVar

from django.db import models

from fleet.models.fleets import Fleet
from fleet.models.vehicles import Vehicle


class Part(models.TextChoices):
    """What of a vehicle's day has to be recomputed."""

    DRIVING = "driving", "trips and alerts"
    ACTIVITY = "activity", "telemetry records"
    MINUTES = "minutes", "minutes and hours of telemetry records"


class TouchedDay(models.Model):
    """Something a vehicle did within this day of UTC has changed. Deleted by the transaction that sums it up."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="+")
    part = models.CharField(max_length=8, choices=Part.choices)
    day = models.DateField(help_text="UTC, so that it means the same whatever zone the fleet has.")
    slot = models.BigIntegerField(default=0, help_text="Not summed up before, Unix seconds; 0: at once.")
    version = models.BigIntegerField(help_text="Another one each time it is touched.")

    class Meta:
        db_table = "rollup_touched"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "part", "day", "slot"], name="touched_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-day", "vehicle"], name="touched_by_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.part} of {self.vehicle_id} on {self.day}"


class RollupState(models.Model):
    """How a fleet's sums were made. Whoever sums up holds this row; another zone or formula sums up everything."""

    fleet = models.OneToOneField(Fleet, on_delete=models.CASCADE, primary_key=True, related_name="rollups")
    time_zone = models.CharField(max_length=64, blank=True, help_text="Empty: sum up everything.")
    score_version = models.PositiveIntegerField(default=0)
    waiting_at_start = models.PositiveIntegerField(
        default=0, help_text="Days to sum up, of the last rebuild."
    )
    updated_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "rollup_state"

    def __str__(self) -> str:
        return f"{self.fleet_id} in {self.time_zone}"


class Driven(models.Model):
    """Sums of the parts of trips that lie within a day of the fleet's time zone."""

    trips = models.PositiveIntegerField(default=0, help_text="Begun on this day.")
    distance_mm = models.BigIntegerField(default=0)
    driving_ms = models.BigIntegerField(default=0)
    risk_mm = models.BigIntegerField(default=0, help_text="Distance × mean risk, where the risk is known.")
    scored_mm = models.BigIntegerField(default=0, help_text="Distance whose risk is known.")
    counted_mm = models.BigIntegerField(default=0, help_text="Distance whose alerts the device counted.")
    trip_info = models.BigIntegerField(default=0, help_text="Alerts counted by the device in trips.")
    trip_warning = models.BigIntegerField(default=0)
    trip_critical = models.BigIntegerField(default=0)
    harsh_accelerations = models.PositiveIntegerField(
        default=0, help_text="Begun on this day, not dismissed."
    )
    harsh_brakings = models.PositiveIntegerField(default=0)
    harsh_corners = models.PositiveIntegerField(default=0)
    speeding_ms = models.BigIntegerField(default=0, help_text="Of speeding that began on this day.")
    idling_ms = models.BigIntegerField(default=0)
    night_ms = models.BigIntegerField(default=0, help_text="Time in trips in the fleet's night.")
    seen_mm = models.BigIntegerField(
        default=0, help_text="Distance driven where records were dense enough to show braking."
    )
    turning_mm = models.BigIntegerField(default=0, help_text="The same of cornering.")
    timed_ms = models.BigIntegerField(default=0, help_text="Driving time in which the speed is known.")

    class Meta:
        abstract = True


class Seen(Driven):
    """Also what was raised and received."""

    alerts_info = models.PositiveIntegerField(default=0, help_text="Alerts first reported on this day.")
    alerts_warning = models.PositiveIntegerField(default=0)
    alerts_critical = models.PositiveIntegerField(default=0)
    records = models.BigIntegerField(default=0, help_text="Telemetry records measured on this day.")

    class Meta:
        abstract = True


class VehicleDay(Seen):
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    day = models.DateField()

    class Meta:
        db_table = "rollup_vehicle_day"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "day", "fleet"], name="vehicle_day_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "day", "vehicle"], name="vehicle_day_by_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} on {self.day}"


class DriverDay(Driven):
    """What a driver drove with one vehicle. `driver_id` is the device's name for the driver."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    driver_id = models.CharField(max_length=200)
    day = models.DateField()

    class Meta:
        db_table = "rollup_driver_day"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "day", "driver_id", "fleet"], name="driver_day_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "day", "driver_id"], name="driver_day_by_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.driver_id} on {self.day}"


class FleetDay(Seen):
    """The sums of its vehicles' days."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    day = models.DateField()
    active_vehicles = models.PositiveIntegerField(default=0, help_text="That drove or sent records.")

    class Meta:
        db_table = "rollup_fleet_day"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "day"], name="fleet_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.fleet_id} on {self.day}"


class VehicleMonth(Seen):
    """The sums of a vehicle's days, so that a year costs twelve rows."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    month = models.DateField(help_text="Its first day.")
    active = models.PositiveSmallIntegerField(default=0, help_text="Days with driving or records.")

    class Meta:
        db_table = "rollup_vehicle_month"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "month", "fleet"], name="vehicle_month_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "month", "vehicle"], name="vehicle_month_by_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} in {self.month:%Y-%m}"


class DriverMonth(Driven):
    """What a driver drove, with whatever vehicle."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    driver_id = models.CharField(max_length=200)
    month = models.DateField(help_text="Its first day.")
    active = models.PositiveSmallIntegerField(default=0, help_text="Days with driving.")

    class Meta:
        db_table = "rollup_driver_month"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "month", "driver_id"], name="driver_month_once")
        ]

    def __str__(self) -> str:
        return f"{self.driver_id} in {self.month:%Y-%m}"
