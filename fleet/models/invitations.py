"""Invitations: an address, a role, and a link that works once. The link's secret is not in the database."""

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from fleet.models.fleets import Fleet, Role


class InvitationState(models.TextChoices):
    OPEN = "open"
    EXPIRED = "expired"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def unanswered(self) -> "InvitationQuerySet":
        """Neither accepted nor revoked; they may have expired."""
        return self.filter(accepted_at=None, revoked_at=None)

    def in_state(self, state: str, now: datetime) -> "InvitationQuerySet":
        match state:
            case InvitationState.ACCEPTED:
                return self.exclude(accepted_at=None)
            case InvitationState.REVOKED:
                return self.exclude(revoked_at=None)
            case InvitationState.EXPIRED:
                return self.unanswered().filter(expires_at__lte=now)
            case _:
                return self.unanswered().filter(expires_at__gt=now)


class Invitation(models.Model):
    """Written by fleet.invitations only."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    nonce = models.UUIDField(
        default=uuid.uuid4, editable=False, help_text="With SECRET_KEY it makes the token."
    )
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the token.")
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    inviter = models.CharField(max_length=200, help_text="The name then.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    mail_due_at = models.DateTimeField(
        null=True, blank=True, help_text="When to try to send it; empty: sent."
    )
    mail_tries = models.PositiveSmallIntegerField(default=0)
    mailed_at = models.DateTimeField(null=True, blank=True)
    mail_error = models.CharField(max_length=200, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["fleet", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_per_address",
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-id"], name="invitation_by_fleet"),
            models.Index(fields=["mail_due_at"], name="invitation_mail_due", condition=~Q(mail_due_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"

    def state(self, now: datetime) -> InvitationState:
        if self.accepted_at:
            return InvitationState.ACCEPTED
        if self.revoked_at:
            return InvitationState.REVOKED
        return InvitationState.EXPIRED if self.expires_at <= now else InvitationState.OPEN
