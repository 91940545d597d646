"""How long a fleet keeps what, when positions are private, and wishes of people about their data."""

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from fleet.models.drivers import Driver
from fleet.models.fleets import Fleet
from fleet.models.trips import TripSummary
from fleet.models.vehicles import Vehicle

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
_MONTHS = (MinValueValidator(1), MaxValueValidator(240))


class Retention(models.Model):
    """Whole months before the present one; empty: as the server keeps it (TELEMETRY_RETENTION_MONTHS), or for ever. A
    fleet without a row has none of its own. Footage is Fleet.footage_days."""

    fleet = models.OneToOneField(Fleet, on_delete=models.CASCADE, primary_key=True, related_name="retention")
    records_months = models.PositiveSmallIntegerField(null=True, blank=True, validators=_MONTHS)
    places_months = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=_MONTHS, help_text="Positions of trips and events, and visits."
    )
    day_sums_months = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=_MONTHS, help_text="Sums by month stay."
    )
    version = models.PositiveIntegerField(default=0, help_text="Another one at each change.")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "retention"

    def __str__(self) -> str:
        return f"{self.fleet_id}, version {self.version}"


class PrivateKind(models.TextChoices):
    SWITCH = "switch", "switched on"
    SCHEDULE = "schedule", "by schedule"
    DRIVER = "driver", "by driver"


class PrivateRule(models.Model):
    """From `since` to `until` in event time, and never changed otherwise: what was private stays so.

    Of a vehicle: always, or in its hours. Of a driver: their trips that begin meanwhile. Of a fleet: its hours.
    """

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="private_rules")
    kind = models.CharField(max_length=8, choices=PrivateKind.choices)
    vehicle = models.ForeignKey(
        Vehicle, on_delete=models.CASCADE, null=True, blank=True, related_name="private_rules"
    )
    driver = models.ForeignKey(
        Driver, on_delete=models.CASCADE, null=True, blank=True, related_name="private_rules"
    )
    hours: Any = models.JSONField(default=list, blank=True, help_text="As geofencing.hours has them.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="The fleet's when it was made.")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        db_table = "private_rules"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["vehicle", "kind"], condition=Q(until=None), name="one_private_rule_per_vehicle"
            ),
            models.UniqueConstraint(
                fields=["driver"], condition=Q(until=None), name="one_private_rule_per_driver"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.vehicle_id or self.driver_id or self.fleet_id} since {self.since}"


class PrivateSpan(models.Model):
    """Positions of the vehicle in [begins_at, ends_at) are shown to nobody. Written by fleet.privacy.spans: a function
    of the rules and, for drivers, of the summaries of their trips."""

    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    rule = models.ForeignKey(PrivateRule, on_delete=models.CASCADE, related_name="spans")
    summary = models.ForeignKey(TripSummary, on_delete=models.CASCADE, null=True, related_name="+")
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text="9999: it goes on.")

    class Meta:
        db_table = "private_spans"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["vehicle", "ends_at", "begins_at", "rule"], name="private_span_once"
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=F("begins_at")), name="private_span_lasts"),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} from {self.begins_at} to {self.ends_at}"


class Wish(models.TextChoices):
    EXPORT = "export"
    ERASE = "erase"


class WishState(models.TextChoices):
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


class PersonWish(models.Model):
    """Export or erasure of a person: a driver, an account, or both. `due_at` is a lease while a worker has it."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="person_wishes")
    kind = models.CharField(max_length=6, choices=Wish.choices)
    driver = models.ForeignKey(Driver, on_delete=models.SET_NULL, null=True, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+",
        help_text="The account that goes too, or is exported.",
    )  # fmt: skip
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    reason = models.CharField(max_length=300, blank=True)
    own = models.BooleanField(default=False, help_text="They asked for it themselves.")
    pseudonym = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=8, choices=WishState.choices, default=WishState.WAITING)
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    stored_as = models.CharField(max_length=200, blank=True)
    size_bytes = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "person_wishes"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="person_wishes_due")
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["driver"], condition=Q(kind="erase", state="waiting"), name="one_erasure_per_driver"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.uid}"


class ErasedName(models.Model):
    """A driver's id that no data may bring back. An HMAC with the server's key: it answers only whether a name that
    somebody holds is one of them, and says nothing of who took its place."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    digest = models.CharField(max_length=64)

    class Meta:
        db_table = "erased_names"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "digest"], name="erased_name_once")
        ]

    def __str__(self) -> str:
        return self.digest[:8]
