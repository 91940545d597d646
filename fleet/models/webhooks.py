"""Addresses that are told of a fleet's alerts, and every delivery to them."""

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from fleet.models.alerts import Severity
from fleet.models.fleets import Fleet
from fleet.models.notifications import AlertEvent, Happening

FAILING_AFTER = timedelta(minutes=15)
"""Failures for so long are no hiccup."""


def every_kind() -> list[str]:
    return list(Happening.values)


class Webhook(models.Model):
    """Its secret is kept sealed with the server's own key (fleet/sealed.py), because the server has to sign with it."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=80)
    url = models.CharField(max_length=1000)
    severity = models.PositiveSmallIntegerField(
        choices=Severity.choices, default=Severity.INFO, help_text="Alerts of at least this severity."
    )
    kinds: Any = models.JSONField(default=every_kind, help_text="opened, raised, resolved …")
    enabled = models.BooleanField(default=True)
    sealed_secret = models.TextField()
    sealed_old_secret = models.TextField(blank=True, help_text="Signs too, until `old_until`.")
    old_until = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True, help_text="The first failure since the last success.")
    retry_at = models.DateTimeField(null=True, help_text="While it fails, new deliveries wait until then.")
    delivered_at = models.DateTimeField(null=True, help_text="The last success.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "webhooks"
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return self.name

    def health_at(self, now: datetime) -> str:
        """disabled, failing, retrying, working or unused."""
        if not self.enabled:
            return "disabled"
        if self.failing_since:
            return "failing" if now - self.failing_since >= FAILING_AFTER else "retrying"
        return "working" if self.delivered_at else "unused"

    def facts(self) -> dict[str, Any]:
        """For the audit trail: no secret."""
        names = ("name", "url", "severity", "kinds", "enabled")
        return {name: getattr(self, name) for name in names}


class DeliveryState(models.TextChoices):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"


class WebhookDelivery(models.Model):
    """One message to one webhook: its id and its body stay the same however often it is sent.

    `due_at` as in Notification: a claim moves it ahead by the lease, null: nothing is left to do.
    """

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(AlertEvent, on_delete=models.CASCADE, null=True, related_name="deliveries")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, help_text="The webhook-id header.")
    kind = models.CharField(max_length=12, help_text="As the event's, or test.")
    body = models.TextField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    due_at = models.DateTimeField(null=True)
    give_up_at = models.DateTimeField()
    claim = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    handed_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the last answer.")
    latency_ms = models.PositiveIntegerField(null=True)
    log: Any = models.JSONField(
        default=list, help_text="Each attempt: at, status, latency_ms, answer, error."
    )
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "webhook_deliveries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["webhook", "event"], name="delivered_once_per_webhook")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["due_at", "webhook"], condition=Q(due_at__isnull=False), name="webhook_deliveries_due"
            ),
            models.Index(fields=["webhook", "-id"], name="webhook_deliveries_log"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}: {self.state}"

    @property
    def last(self) -> dict[str, Any]:
        """The newest attempt, as logged."""
        entry: dict[str, Any] = self.log[-1] if self.log else {}
        return entry

    def busy_at(self, now: datetime) -> bool:
        """Does a worker have it?"""
        return bool(self.claim) and self.due_at is not None and self.due_at > now
