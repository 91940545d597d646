"""Vehicles, and the newest thing known about each."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Case, Q, Value, When
from django.urls import reverse
from django.utils import timezone

from fleet.models.fleets import Fleet

if TYPE_CHECKING:
    from fleet.access import Principal

MOVING_ABOVE_KMH = 3.0
FURTHER_FOR_S = 3600.0
"""A further value this much older than the newest record is history, no reading."""


class Motion(models.TextChoices):
    """What a vehicle is doing, for the map and for filters."""

    MOVING = "moving"
    IDLE = "idle"
    PARKED = "parked"
    CHARGING = "charging"
    OFFLINE = "offline"
    NEVER = "never", "never seen"


class VehicleQuerySet(models.QuerySet["Vehicle"]):
    def visible_to(self, principal: "Principal") -> "VehicleQuerySet":
        """Only what this person or device may see; everything else does not exist for them."""
        if principal.vehicle_id is not None:
            return self.filter(pk=principal.vehicle_id)
        if principal.sees_everything:
            return self
        return self.filter(fleet__in=list(principal.roles))

    def named(self, identifier: str) -> "VehicleQuerySet":
        """By slug, VIN or plate: whatever the client calls it."""
        return self.filter(
            Q(slug=identifier) | Q(vin=identifier.upper()) | Q(plate__iexact=identifier) & ~Q(plate="")
        )

    def with_motion(self, now: datetime) -> "VehicleQuerySet":
        """`motion` for each row: the rule of motion_of(), in the database."""
        silent = now - timedelta(seconds=settings.OFFLINE_AFTER_S)
        return self.annotate(
            motion=Case(
                When(state=None, then=Value(Motion.NEVER)),
                When(state__received_at__lt=silent, then=Value(Motion.OFFLINE)),
                When(state__speed_kmh__gt=MOVING_ABOVE_KMH, then=Value(Motion.MOVING)),
                When(state__values__charging__gt=0, then=Value(Motion.CHARGING)),
                When(state__values__ignition__gt=0, then=Value(Motion.IDLE)),
                default=Value(Motion.PARKED),
                output_field=models.CharField(),
            )
        )

    def in_service(self) -> "VehicleQuerySet":
        """Without the retired ones, which keep their history and nothing else."""
        return self.filter(retired_at=None)

    def search(self, words: str) -> "VehicleQuerySet":
        """Vehicles whose name, plate or VIN contains each of the words."""
        found = self
        for word in words.split():
            found = found.filter(Q(name__icontains=word) | Q(plate__icontains=word) | Q(vin__icontains=word))
        return found


class Kind(models.TextChoices):
    VEHICLE = "vehicle"
    SITE = "site", "site with a gateway"
    """Does not drive; what its gateway measures is stored, watched and alerted on like a vehicle's."""


class Vehicle(models.Model):
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.VEHICLE)
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="vehicles")
    slug = models.SlugField(max_length=64, help_text="Its name in URLs and in the API, unique in the fleet.")
    name = models.CharField(max_length=120)
    vin = models.CharField(
        "VIN",
        max_length=17,
        unique=True,
        null=True,
        blank=True,
        validators=[RegexValidator(r"^[A-Z0-9-]{1,17}$", "Up to 17 letters and digits.")],
    )
    plate = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=120, blank=True)
    model_year = models.PositiveSmallIntegerField(null=True, blank=True)
    labels = models.JSONField(
        default=list, blank=True, help_text="Words that rollouts and filters choose by."
    )
    retired_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on its devices are refused; history stays."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VehicleQuerySet.as_manager()

    class Meta:
        db_table = "vehicles"
        ordering: ClassVar[list[str]] = ["name", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "slug"], name="vehicle_slug_in_fleet")
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["plate"], name="vehicle_plate")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Needs `fleet` selected."""
        return reverse("vehicle", args=[self.fleet.slug, self.slug])

    def is_called(self, name: str) -> bool:
        """Does this plate, VIN or slug mean this vehicle? Case, spaces and hyphens do not tell plates apart."""
        wanted = _bare(name)
        return bool(wanted) and wanted in {_bare(self.plate), _bare(self.vin or ""), _bare(self.slug)}


def _bare(name: str) -> str:
    return "".join(name.split()).replace("-", "").casefold()


class VehicleState(models.Model):
    """The newest record of a vehicle, by event time. Written by the telemetry store only."""

    vehicle = models.OneToOneField(Vehicle, on_delete=models.CASCADE, primary_key=True, related_name="state")
    time = models.DateTimeField(help_text="When it was measured.")
    received_at = models.DateTimeField(help_text="When the server last heard of the vehicle.")
    place_time = models.DateTimeField(null=True, help_text="When the last known place was measured.")
    latitude_deg = models.FloatField(null=True)
    longitude_deg = models.FloatField(null=True)
    heading_deg = models.FloatField(null=True)
    speed_kmh = models.FloatField(null=True)
    battery_time = models.DateTimeField(null=True)
    battery_percent = models.FloatField(null=True)
    values = models.JSONField(default=dict, help_text="Every signal last known, by name.")
    reconstructed = models.JSONField(default=list, help_text="Names of the signals that were not sent.")
    quality = models.CharField(max_length=12, default="verified")
    further = models.JSONField(
        null=True, help_text="The newest of every further number: name to [value, Unix seconds]."
    )

    silent_at = models.DateTimeField(
        null=True, help_text="If nothing comes until then, somebody wants to know; empty: nobody does."
    )

    class Meta:
        db_table = "vehicle_state"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["silent_at"], condition=Q(silent_at__isnull=False), name="vehicle_state_silent"
            )
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} at {self.time}"

    def all_values(self) -> dict[str, Any]:
        """Signals, and further numbers that are not much older than they."""
        oldest = self.time.timestamp() - FURTHER_FOR_S
        newest = (self.further or {}).items()
        return {**{name: value for name, (value, time) in newest if time >= oldest}, **self.values}

    def motion(self, now: datetime | None = None) -> Motion:
        return motion_of(self.values, self.received_at, now or timezone.now())


def motion_of(values: dict[str, Any], received_at: datetime, now: datetime) -> Motion:
    """From the newest signals and the time they came; silence beats everything else."""
    if now - received_at > timedelta(seconds=settings.OFFLINE_AFTER_S):
        return Motion.OFFLINE
    if (values.get("speed") or 0.0) > MOVING_ABOVE_KMH:
        return Motion.MOVING
    if values.get("charging"):
        return Motion.CHARGING
    return Motion.IDLE if values.get("ignition") else Motion.PARKED
