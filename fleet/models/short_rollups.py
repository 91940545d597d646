"""Sums by minute and hour, kept by fleet.aggregation, and the five minutes that have to be summed up again.

A minute holds what stored records say, and nothing of trips; an hour holds both: what records say is the sum of its
minutes, what trips say adds up to its day. Whole numbers, so that the order in which they are added never shows.
"""

from typing import ClassVar

from django.db import models

from fleet.models.fleets import Fleet
from fleet.models.rollups import Driven, Seen
from fleet.models.vehicles import Vehicle


class Moved(models.Model):
    """What records say. The time between two records counts where the later one lies, and only up to a minute."""

    moved_mm = models.BigIntegerField(default=0, help_text="Distance by the records' speed.")
    standing_ms = models.BigIntegerField(default=0, help_text="Not moving with the engine on.")
    top_speed_mm_s = models.PositiveIntegerField(default=0)
    used_j = models.BigIntegerField(default=0, help_text="Out of the battery.")
    returned_j = models.BigIntegerField(default=0, help_text="Into it: recuperated and charged.")

    class Meta:
        abstract = True


class MovedMinute(Moved):
    records = models.PositiveIntegerField(default=0)
    timed_ms = models.BigIntegerField(default=0, help_text="Moving at a known speed.")

    class Meta:
        abstract = True


class VehicleMinute(MovedMinute):
    """Of the fleet that had the vehicle when the minute was first summed up."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    minute = models.DateTimeField()
    seen_mm = models.BigIntegerField(default=0, help_text="In records dense enough to show braking.")
    turning_mm = models.BigIntegerField(default=0, help_text="The same of cornering.")
    charge = models.PositiveSmallIntegerField(null=True, help_text="The last known, hundredths of a percent.")

    class Meta:
        db_table = "rollup_vehicle_minute"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "minute"], name="vehicle_minute_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "minute"], name="vehicle_minute_by_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} at {self.minute}"


class FleetMinute(MovedMinute):
    """The sums of its vehicles' minutes."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    minute = models.DateTimeField()
    active_vehicles = models.PositiveIntegerField(default=0, help_text="That sent records.")

    class Meta:
        db_table = "rollup_fleet_minute"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "minute"], name="fleet_minute_once")
        ]

    def __str__(self) -> str:
        return f"{self.fleet_id} at {self.minute}"


class DriverMinute(MovedMinute):
    """A minute of a vehicle that somebody drove."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    driver_id = models.CharField(max_length=200)
    minute = models.DateTimeField()

    class Meta:
        db_table = "rollup_driver_minute"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "minute"], name="driver_minute_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "driver_id", "minute"], name="driver_minute_by_driver")
        ]

    def __str__(self) -> str:
        return f"{self.driver_id} at {self.minute}"


class VehicleHour(Seen, Moved):
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    hour = models.DateTimeField(help_text="Its first moment, on the clock of the fleet's zone.")
    charge = models.PositiveSmallIntegerField(null=True, help_text="The last known, hundredths of a percent.")

    class Meta:
        db_table = "rollup_vehicle_hour"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "hour", "fleet"], name="vehicle_hour_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "hour", "vehicle"], name="vehicle_hour_by_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} from {self.hour}"


class DriverHour(Driven):
    """What a driver drove with one vehicle."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    driver_id = models.CharField(max_length=200)
    hour = models.DateTimeField()

    class Meta:
        db_table = "rollup_driver_hour"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "hour", "driver_id", "fleet"], name="driver_hour_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "hour", "driver_id"], name="driver_hour_by_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.driver_id} from {self.hour}"


class FleetHour(Seen, Moved):
    """The sums of its vehicles' hours."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    hour = models.DateTimeField()
    active_vehicles = models.PositiveIntegerField(default=0, help_text="That drove or sent records.")

    class Meta:
        db_table = "rollup_fleet_hour"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "hour"], name="fleet_hour_once")
        ]

    def __str__(self) -> str:
        return f"{self.fleet_id} from {self.hour}"


class TouchedSlice(models.Model):
    """Records of a vehicle within these five minutes are new or changed. All touches of a stretch of wall clock are
    one row, and it is due only when whatever it stands for is committed: so it needs no version."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    opens = models.DateTimeField()
    slot = models.BigIntegerField(help_text="Not summed up before, Unix seconds.")

    class Meta:
        db_table = "rollup_touched_slice"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "opens", "slot"], name="slice_touched_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-opens"], name="touched_slice_by_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} from {self.opens}"
