"""What happened to alerts, whom it is told to, and who is to be told when nobody acts."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from fleet.models.alerts import Alert, Severity
from fleet.models.fleets import Fleet, Role

if TYPE_CHECKING:
    from fleet.access import Principal


class Happening(models.TextChoices):
    """What can become of an alert; webhooks call it `alert.opened` and so on."""

    OPENED = "opened"
    RAISED = "raised", "became worse"
    ESCALATED = "escalated"
    ASSIGNED = "assigned"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    REOPENED = "reopened"


class AlertEvent(models.Model):
    """One change of an alert worth telling, written in the transaction of the change. Never changed afterwards."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="events", db_index=False)
    kind = models.CharField(max_length=12, choices=Happening.choices)
    number = models.PositiveIntegerField(help_text="The how manieth of its kind for this alert, from 1.")
    severity = models.PositiveSmallIntegerField(choices=Severity.choices, help_text="Of the alert, then.")
    at = models.DateTimeField(db_index=True)
    by = models.CharField(max_length=200, blank=True, help_text="Who did it, or which rule.")
    message = models.CharField(max_length=500, help_text="Of the alert, then.")

    class Meta:
        db_table = "alert_events"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["alert", "kind", "number"], name="alert_event_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Channel(models.TextChoices):
    PAGE = "page", "in the page"
    EMAIL = "email", "e-mail"


class NotificationState(models.TextChoices):
    SHOWN = "shown"
    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    DROPPED = "dropped"


class NotificationQuerySet(models.QuerySet["Notification"]):
    def shown_to(self, principal: "Principal") -> "NotificationQuerySet":
        """In the page, and only of fleets the person still belongs to."""
        mine = self.filter(user=principal.user_id, channel=Channel.PAGE)
        ids = principal.fleet_ids()
        return mine if ids is None else mine.filter(fleet__in=ids)

    def visible_to(self, principal: "Principal") -> "NotificationQuerySet":
        return self.shown_to(principal)


class Notification(models.Model):
    """The outbox: one person, told of one event on one channel, once.

    `due_at`: when a worker has to look at it. A claim moves it ahead by the lease; null: nothing is left to do.
    """

    event = models.ForeignKey(
        AlertEvent, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="+")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    state = models.CharField(max_length=10, choices=NotificationState.choices)
    due_at = models.DateTimeField(null=True)
    claim = models.CharField(max_length=32, blank=True, help_text="Of the worker that has it.")
    attempts = models.PositiveSmallIntegerField(default=0)
    handed_at = models.DateTimeField(null=True, help_text="When a worker began to hand it over.")
    ended_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    read_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    objects = NotificationQuerySet.as_manager()

    class Meta:
        db_table = "notifications"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["event", "user", "channel"], name="told_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["due_at", "user"], condition=Q(due_at__isnull=False), name="notifications_due"
            ),
            models.Index(
                fields=["user", "fleet"],
                condition=Q(channel="page", read_at__isnull=True),
                name="notifications_unread",
            ),
            models.Index(fields=["user", "-id"], condition=Q(channel="page"), name="notifications_mine"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.user_id}: {self.state}"


class Reach(models.IntegerChoices):
    """From which severity on somebody wants to hear of an alert."""

    INFO = 0, "everything"
    WARNING = 1, "warnings and worse"
    CRITICAL = 2, "critical only"
    NEVER = 3, "nothing"


class NotificationChoice(models.Model):
    """What a person wants to hear of a fleet. Without a row: everything in the page; critical by e-mail to managers."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="notification_choices",
        db_index=False,
    )
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="+")
    page_reach = models.PositiveSmallIntegerField(choices=Reach.choices, default=Reach.INFO)
    email_reach = models.PositiveSmallIntegerField(choices=Reach.choices, default=Reach.CRITICAL)
    tell_resolved = models.BooleanField(default=False, help_text="Also when an alert is resolved.")
    quiet_from = models.TimeField(null=True, blank=True, help_text="In the person's time zone.")
    quiet_to = models.TimeField(null=True, blank=True, help_text="May be earlier: then on the next day.")
    critical_breaks = models.BooleanField(default=True, help_text="Critical alerts do not wait.")

    class Meta:
        db_table = "notification_choices"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "fleet"], name="one_choice_per_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} of {self.fleet_id}"

    def clean(self) -> None:
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise ValidationError({"quiet_to": "Quiet hours need a beginning and an end."})
        if self.quiet_from is not None and self.quiet_from == self.quiet_to:
            raise ValidationError({"quiet_to": "Beginning and end are the same: choose “nothing” instead."})


class EscalationStep(models.Model):
    """Nobody acknowledged an alert of this severity for so long: tell these people, whatever they chose to hear."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="escalation_steps")
    severity = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.CRITICAL)
    after_minutes = models.PositiveIntegerField(help_text="1 to 10,080 (a week).")
    role = models.CharField(
        max_length=16, choices=Role.choices, blank=True, help_text="Everybody of this role."
    )
    people: Any = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+")

    class Meta:
        db_table = "escalation_steps"
        ordering: ClassVar[list[str]] = ["after_minutes", "id"]

    def __str__(self) -> str:
        return f"{Severity(self.severity).label} after {self.after_minutes} min"


class Escalation(models.Model):
    """When a step's time comes for one alert. `due_at` null: it happened, or somebody acted before."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="escalations", db_index=False)
    step = models.ForeignKey(EscalationStep, on_delete=models.CASCADE, related_name="+")
    due_at = models.DateTimeField(null=True)
    fired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "alert_escalations"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["alert", "step"], name="one_escalation_per_step")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="alert_escalations_due")
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} at {self.due_at}"
