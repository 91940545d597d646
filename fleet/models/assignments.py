"""Who has which vehicle, from when until when, as managers say. What a device says of a trip's driver goes first."""

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from fleet.models.drivers import Driver
from fleet.models.fleets import Fleet, Role
from fleet.models.vehicles import Vehicle

if TYPE_CHECKING:
    from fleet.access import Principal


class DriverAssignmentQuerySet(models.QuerySet["DriverAssignment"]):
    def visible_to(self, principal: "Principal") -> "DriverAssignmentQuerySet":
        """Devices: their vehicle's. People: all of a fleet from viewer up; with the driver's role, their own."""
        if principal.vehicle_id is not None:
            return self.filter(vehicle_id=principal.vehicle_id, fleet=F("vehicle__fleet"))
        if principal.sees_everything:
            return self
        watched = [fleet for fleet in principal.roles if principal.can(Role.VIEWER, fleet)]
        mine = Q(driver__user_id=principal.user_id, fleet_id__in=list(principal.roles))
        return self.filter(Q(fleet_id__in=watched) | mine)


class DriverAssignment(models.Model):
    """[started_at, ended_at), event time. Those of a vehicle never overlap: fleet.behaviour.assignments sees to it."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="assignments")
    driver = models.ForeignKey(Driver, on_delete=models.CASCADE, db_index=False, related_name="assignments")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until further notice.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DriverAssignmentQuerySet.as_manager()

    class Meta:
        db_table = "driver_assignments"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "fleet", "started_at"], name="assigned_once"),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gt=F("started_at")),
                name="assignment_ends_after_start",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-started_at", "-id"], name="assignment_by_fleet"),
            models.Index(fields=["driver", "-started_at"], name="assignment_by_driver"),
        ]

    def __str__(self) -> str:
        return f"{self.driver_id} with {self.vehicle_id} from {self.started_at:%Y-%m-%d %H:%M}"

    def get_absolute_url(self) -> str:
        return reverse("assignment-page", args=[self.pk])


class AssignmentChange(models.Model):
    """A stretch of a vehicle's time in which somebody else may have driven, written with the change. Taken up in a
    later transaction, which sees every trip that could not see the change."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "driver_assignment_changes"

    def __str__(self) -> str:
        return f"{self.vehicle_id} from {self.started_at:%Y-%m-%d %H:%M}"
