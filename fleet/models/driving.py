"""What drivers did that a manager looks at: harsh manoeuvres, speeding, idling; and what a fleet counts as such."""

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from fleet.behaviour.driving import FINDER_VERSION, G, Limits
from fleet.models.drivers import Driver
from fleet.models.fleets import Fleet, Role
from fleet.models.vehicles import Vehicle

if TYPE_CHECKING:
    from fleet.access import Principal

_HARSH = (MinValueValidator(0.1 * G), MaxValueValidator(1.2 * G))
_USUAL = Limits()
_HOUR = (MaxValueValidator(23),)


class EventKind(models.TextChoices):
    ACCELERATION = "harsh_acceleration", "Harsh acceleration"
    BRAKING = "harsh_braking", "Harsh braking"
    CORNERING = "harsh_cornering", "Harsh cornering"
    SPEEDING = "speeding", "Speeding"
    IDLING = "idling", "Idling"


class Strength(models.IntegerChoices):
    """Of a harsh event by its peak: from the limit on, from 1.3 and from 1.6 times the limit. Of speeding: up to 10,
    up to 20, and more km/h above the limit."""

    MODERATE = 1, "Moderate"
    STRONG = 2, "Strong"
    SEVERE = 3, "Severe"


class DrivingSettings(models.Model):
    """A fleet's limits. Another version finds all its events anew. Written by fleet.behaviour.drivingsettings."""

    fleet = models.OneToOneField(Fleet, on_delete=models.CASCADE, primary_key=True, related_name="driving")
    acceleration_m_s2 = models.FloatField(default=_USUAL.acceleration, validators=_HARSH)
    braking_m_s2 = models.FloatField(default=_USUAL.braking, validators=_HARSH)
    cornering_m_s2 = models.FloatField(default=_USUAL.cornering, validators=_HARSH)
    speed_limit_kmh = models.FloatField(
        default=130.0,
        null=True,
        blank=True,
        validators=[MinValueValidator(10), MaxValueValidator(300)],
        help_text="Of the fleet, whatever the road; empty: nothing counts as speeding.",
    )
    speeding_from_s = models.FloatField(
        default=_USUAL.speeding_s, validators=[MinValueValidator(1), MaxValueValidator(600)]
    )
    idling_from_s = models.FloatField(
        default=_USUAL.idling_s, validators=[MinValueValidator(30), MaxValueValidator(7200)]
    )
    night_from = models.PositiveSmallIntegerField(
        default=23, validators=_HOUR, help_text="Hour of the fleet's time zone."
    )
    night_to = models.PositiveSmallIntegerField(
        default=4, validators=_HOUR, help_text="The same hour: there is no night."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    found_version = models.PositiveIntegerField(default=0, editable=False, help_text="Asked of all records.")
    finder_version = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        db_table = "driving_settings"
        verbose_name_plural = "driving settings"

    def __str__(self) -> str:
        return f"{self.fleet_id}, version {self.version}"

    @property
    def limits(self) -> Limits:
        limit = self.speed_limit_kmh
        return Limits(
            self.acceleration_m_s2, self.braking_m_s2, self.cornering_m_s2, None if limit is None else limit / 3.6,
            self.speeding_from_s, self.idling_from_s,
        )  # fmt: skip

    @property
    def up_to_date(self) -> bool:
        return self.found_version == self.version and self.finder_version == FINDER_VERSION


class Dismissal(models.Model):
    """Somebody looked and found that it does not count. It holds for whatever event of the kind meets this stretch of
    time, so that it outlives every recomputation."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "driving_dismissals"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "kind", "started_at"], name="dismissed_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.vehicle_id} at {self.started_at}"


class DrivingEventQuerySet(models.QuerySet["DrivingEvent"]):
    def visible_to(self, principal: "Principal") -> "DrivingEventQuerySet":
        """Devices: their vehicle's. People: all of a fleet from viewer up; with the driver's role, their own."""
        if principal.vehicle_id is not None:
            return self.filter(vehicle_id=principal.vehicle_id)
        if principal.sees_everything:
            return self
        watched = [fleet for fleet in principal.roles if principal.can(Role.VIEWER, fleet)]
        theirs = [fleet for fleet in principal.roles if fleet not in watched]
        mine = Q(pk__in=())
        if theirs and principal.user_id is not None:
            own = Driver.objects.filter(user_id=principal.user_id, fleet_id__in=theirs)
            for fleet_id, slug in own.values_list("fleet_id", "slug"):
                mine |= Q(fleet_id=fleet_id, driver_id=slug)
        return self.filter(Q(fleet_id__in=watched) | mine)


class DrivingEvent(models.Model):
    """What the stored records say now; written by fleet.behaviour.drivingevents only. What is not known is empty."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="driving_events")
    vehicle = models.ForeignKey(
        Vehicle, on_delete=models.CASCADE, db_index=False, related_name="driving_events"
    )
    driver_id = models.CharField(
        max_length=200,
        blank=True,
        help_text="Of the trip it lies in, in the device's words; empty: not known.",
    )
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(help_text="Of one that goes on: the last record in which it did.")
    going_on = models.BooleanField(default=False)
    strength = models.PositiveSmallIntegerField(choices=Strength.choices, default=Strength.MODERATE)
    peak_m_s2 = models.FloatField(null=True, help_text="Of a harsh one, without sign.")
    speed_before_m_s = models.FloatField(null=True)
    top_speed_m_s = models.FloatField(null=True, help_text="Of speeding.")
    limit = models.FloatField(null=True, help_text="What it was judged by: m/s², m/s or s.")
    source = models.CharField(max_length=24, blank=True, help_text="The signal that its peak was read from.")
    rate_hz = models.FloatField(null=True, help_text="Records a second when it was seen.")
    latitude_deg = models.FloatField(null=True)
    longitude_deg = models.FloatField(null=True)
    dismissal = models.ForeignKey(Dismissal, on_delete=models.SET_NULL, null=True, related_name="events")

    objects = DrivingEventQuerySet.as_manager()

    class Meta:
        db_table = "driving_events"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "kind", "started_at"], name="driving_event_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-started_at", "-id"], name="driving_event_by_fleet"),
            models.Index(fields=["vehicle", "-started_at", "-id"], name="driving_event_by_vehicle"),
            models.Index(fields=["fleet", "driver_id", "-started_at"], name="driving_event_by_driver"),
            models.Index(fields=["vehicle"], condition=Q(going_on=True), name="driving_event_going_on"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.vehicle_id} at {self.started_at}"

    def get_absolute_url(self) -> str:
        return reverse("driving-event", args=[self.pk])

    @property
    def duration_s(self) -> float:
        return (self.ended_at - self.started_at).total_seconds()
