"""What needs somebody's attention: one row per cause, however often it was reported."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from fleet.models.fleets import Fleet
from fleet.models.vehicles import Vehicle

if TYPE_CHECKING:
    from fleet.access import Principal


class Severity(models.IntegerChoices):
    """Ordered: the worst of a cause's reports is the alert's."""

    INFO = 0, "INFO"
    WARNING = 1, "WARNING"
    CRITICAL = 2, "CRITICAL"


class AlertState(models.TextChoices):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, principal: "Principal") -> "AlertQuerySet":
        if principal.vehicle_id is not None:
            return self.filter(vehicle_id=principal.vehicle_id)
        ids = principal.fleet_ids()
        return self if ids is None else self.filter(fleet__in=ids)

    def waiting(self) -> "AlertQuerySet":
        """Nobody has taken care of them yet."""
        return self.exclude(state=AlertState.RESOLVED)


class Alert(models.Model):
    """Written by fleet.alerting only. `first_at`, `last_at` are event times; the others say when people
    acted, or when what a rule watched ended."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="alerts")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="alerts")
    type = models.CharField(max_length=60)
    key = models.CharField(
        max_length=120, help_text="Reports of the same vehicle, source and key have the same cause."
    )
    source = models.CharField(max_length=20, default="device", help_text="device, trip or rule.")
    severity = models.PositiveSmallIntegerField(choices=Severity.choices)
    message = models.CharField(max_length=500, help_text="Of the newest report.")
    data = models.JSONField(default=dict)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=12, choices=AlertState.choices, default=AlertState.OPEN)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    snoozed_until = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by_rule = models.BooleanField(
        default=False, help_text="Nobody resolved it: what it was about ended, or turned out not to be so."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        db_table = "alerts"
        ordering: ClassVar[list[str]] = ["-last_at", "-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["vehicle", "source", "key"],
                condition=~Q(state="resolved"),
                name="one_alert_per_cause",
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-last_at", "-id"], name="alerts_by_fleet"),
            models.Index(fields=["fleet", "severity"], condition=~Q(state="resolved"), name="alerts_waiting"),
            models.Index(fields=["vehicle", "key", "-resolved_at"], name="alerts_by_cause"),
            models.Index(fields=["vehicle", "first_at"], name="alerts_by_day"),
        ]

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


class AlertReport(models.Model):
    """One time a cause was reported. The same report again is not another one."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="reports")
    at = models.DateTimeField()
    digest = models.CharField(
        max_length=32, help_text="Of type, severity, message and data; of a rule's: episode."
    )
    severity = models.PositiveSmallIntegerField(choices=Severity.choices)
    message = models.CharField(max_length=500)
    data: Any = models.JSONField(default=dict)

    class Meta:
        db_table = "alert_reports"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["alert", "at", "digest"], name="alert_report_once")
        ]

    def __str__(self) -> str:
        return f"{self.message} at {self.at}"


class AlertNote(models.Model):
    """What people did about it, or wrote."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField(auto_now_add=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    who = models.CharField(max_length=200)
    act = models.CharField(
        max_length=20, help_text="acknowledged, resolved, reopened, assigned, snoozed, commented."
    )
    text = models.TextField(blank=True)

    class Meta:
        db_table = "alert_notes"
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return f"{self.who} {self.act}"
