"""Commands to devices: one row from the wish to what became of it. Only devices/commands.py changes a row's state."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from devices.kinds import KINDS
from devices.models.devices import Device

if TYPE_CHECKING:
    from fleet.access import Principal


class State(models.TextChoices):
    """awaiting_approval → queued → delivered → succeeded | failed; the others are ways to end before."""

    AWAITING_APPROVAL = "awaiting_approval", "Awaits approval"
    QUEUED = "queued"
    DELIVERED = "delivered"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNACKNOWLEDGED = "unacknowledged", "No answer"
    """Delivered, but the device did not say what became of it. A late answer is still recorded."""
    EXPIRED = "expired"
    """Its time to live ended before any device fetched it."""
    CANCELLED = "cancelled"


WAITING = (State.AWAITING_APPROVAL, State.QUEUED)
UNDONE = (State.UNACKNOWLEDGED, State.FAILED, State.EXPIRED, State.CANCELLED)
"""Ended, as far as we know, without having been done: may be sent again."""


class Path(models.TextChoices):
    """The way a command took to its device."""

    CAR_DATA = "car_data", "answer to car data"
    POLL = "poll", "asked for by the device"
    SOCKET = "socket"
    MQTT = "mqtt", "MQTT"


class CommandQuerySet(models.QuerySet["Command"]):
    def visible_to(self, principal: "Principal") -> "CommandQuerySet":
        """Those of a person's fleets, whatever their role; a device's own."""
        if principal.device_id is not None:
            return self.filter(device=principal.device_id)
        fleets = principal.fleet_ids()
        return self if fleets is None else self.filter(vehicle__fleet__in=fleets)

    def in_state(self, state: str, now: datetime) -> "CommandQuerySet":
        """By the state that is shown: what is overdue counts as ended, also before the sweep has written so."""
        overdue = Q(due_at__lte=now)
        match state:
            case State.EXPIRED:
                return self.filter(Q(state=state) | Q(state__in=WAITING) & overdue)
            case State.UNACKNOWLEDGED:
                return self.filter(Q(state=state) | Q(state=State.DELIVERED) & overdue)
            case State.DELIVERED | State.QUEUED | State.AWAITING_APPROVAL:
                return self.filter(state=state, due_at__gt=now)
        return self.filter(state=state)


class Command(models.Model):
    public_id = models.UUIDField(
        "id", default=uuid.uuid4, unique=True, editable=False, help_text="A repeated delivery has the same."
    )
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="commands")
    vehicle = models.ForeignKey("fleet.Vehicle", on_delete=models.CASCADE, related_name="commands")
    action = models.CharField(max_length=64)
    parameters = models.JSONField(default=dict)
    dangerous = models.BooleanField(
        default=False, help_text="Needs a second person, and a vehicle that stands."
    )
    state = models.CharField(max_length=20, choices=State.choices)
    sender = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(help_text="Not delivered from then on.")
    due_at = models.DateTimeField(null=True, help_text="When the present state ends by itself.")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    path = models.CharField("delivery path", max_length=12, choices=Path.choices, blank=True)
    delivered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    message = models.CharField(max_length=500, blank=True, help_text="What the device said, or why it ended.")
    result = models.JSONField(default=dict, help_text="What else the device's acknowledgement held.")
    resend_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, related_name="resends", help_text="The command it repeats."
    )

    objects = CommandQuerySet.as_manager()

    class Meta:
        db_table = "device_commands"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["vehicle", "-id"], name="command_by_vehicle"),
            models.Index(fields=["device", "id"], name="command_queue", condition=Q(state=State.QUEUED)),
            models.Index(fields=["due_at"], name="command_due", condition=Q(due_at__isnull=False)),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="command_state_known"),
            models.CheckConstraint(
                condition=Q(
                    state__in=[State.DELIVERED, State.SUCCEEDED, State.UNACKNOWLEDGED],
                    delivered_at__isnull=False,
                )
                | Q(state__in=[*WAITING, State.EXPIRED, State.CANCELLED], delivered_at__isnull=True)
                | Q(state=State.FAILED),
                name="command_delivered_or_not",
            ),
            models.CheckConstraint(
                condition=Q(delivered_at__isnull=True) | Q(delivered_at__lt=F("expires_at")),
                name="command_delivered_in_time",
            ),
            models.CheckConstraint(
                condition=Q(dangerous=False)
                | Q(approved_at__isnull=False)
                | Q(state__in=[State.AWAITING_APPROVAL, State.EXPIRED, State.CANCELLED]),
                name="command_approved_first",
            ),
            models.CheckConstraint(
                condition=Q(approver__isnull=True) | Q(sender__isnull=True) | ~Q(approver=F("sender")),
                name="command_second_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} to {self.device}"

    def state_at(self, now: datetime) -> State:
        """The state to show: an overdue command has ended, whether or not the sweep has come by."""
        state = State(self.state)
        if self.due_at is None or self.due_at > now:
            return state
        return State.UNACKNOWLEDGED if state is State.DELIVERED else State.EXPIRED

    @property
    def shown_state(self) -> State:
        return self.state_at(timezone.now())

    @property
    def label(self) -> str:
        """What people call it."""
        kind = KINDS.get(self.action)
        return kind.label if kind else self.action

    @property
    def open(self) -> bool:
        """May still be cancelled (or approved)."""
        return self.shown_state in WAITING

    @property
    def undone(self) -> bool:
        """May be sent again."""
        return self.shown_state in UNDONE

    def facts(self) -> dict[str, Any]:
        """For the audit trail."""
        return {"action": self.action, "parameters": self.parameters, "state": self.state}
