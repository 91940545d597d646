"""Trips as devices sum them up. Trips detected from telemetry are rows of their own, so that both can be shown."""

from typing import TYPE_CHECKING, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q

from fleet.models.drivers import Driver
from fleet.models.fleets import Fleet, Role
from fleet.models.scored import Scored
from fleet.models.vehicles import Vehicle

if TYPE_CHECKING:
    from fleet.access import Principal

UNIT_INTERVAL = (MinValueValidator(0.0), MaxValueValidator(1.0))


class TripSummaryQuerySet(models.QuerySet["TripSummary"]):
    def visible_to(self, principal: "Principal") -> "TripSummaryQuerySet":
        """Devices: their vehicle's. People: all of a fleet from viewer up; with the driver's role, their own."""
        if principal.vehicle_id is not None:
            return self.filter(vehicle_id=principal.vehicle_id)
        if principal.sees_everything:
            return self
        watched = [fleet for fleet in principal.roles if principal.can(Role.VIEWER, fleet)]
        theirs = [fleet for fleet in principal.roles if fleet not in watched]
        if not theirs:  # an index cannot follow an OR
            return self.filter(fleet__in=watched)
        own = Driver.objects.filter(
            user_id=principal.user_id or 0, fleet=OuterRef("fleet"), fleet_id__in=theirs
        )
        mine = Exists(own.filter(slug=OuterRef("driven_by"))) | Exists(own.filter(slug=OuterRef("driver_id")))
        return self.filter(Q(fleet__in=watched) | mine)


class TripSummary(Scored):
    """One trip in the device's own words, the newest version of it. Positions are rounded to about 1 km."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="trip_summaries")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="trip_summaries")
    trip_id = models.CharField(max_length=200, help_text="The device's name for it, unique in the fleet.")
    driver_id = models.CharField(max_length=200, blank=True, help_text="The device's name for the driver.")
    start_time = models.DateTimeField()
    end_time = models.DateTimeField(null=True, blank=True, help_text="Empty while it goes on.")
    distance_m = models.FloatField(null=True, blank=True)
    duration_s = models.FloatField(null=True, blank=True)
    mean_speed_m_s = models.FloatField(null=True, blank=True)
    max_speed_m_s = models.FloatField(null=True, blank=True)
    mean_risk = models.FloatField(null=True, blank=True, validators=UNIT_INTERVAL)
    max_risk = models.FloatField(null=True, blank=True, validators=UNIT_INTERVAL)
    alerts = models.JSONField(default=dict, blank=True, help_text="How many, by urgency.")
    start_latitude_deg = models.FloatField(null=True, blank=True)
    start_longitude_deg = models.FloatField(null=True, blank=True)
    end_latitude_deg = models.FloatField(null=True, blank=True)
    end_longitude_deg = models.FloatField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    version = models.JSONField(default=list, editable=False, help_text="What versions are compared by.")
    received_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TripSummaryQuerySet.as_manager()

    class Meta:
        db_table = "trip_summaries"
        verbose_name_plural = "trip summaries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "trip_id"], name="one_summary_per_trip"),
            models.CheckConstraint(
                condition=Q(end_time=None) | Q(end_time__gte=models.F("start_time")),
                name="trip_summary_ends_after_start",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-start_time", "-id"], name="trip_summary_by_fleet"),
            models.Index(fields=["vehicle", "-start_time", "-id"], name="trip_summary_by_vehicle"),
        ]

    def __str__(self) -> str:
        return self.trip_id
