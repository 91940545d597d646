"""Secrets with which devices of a fleet register themselves."""

import secrets
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from devices.models.devices import digest_of
from fleet.models import Fleet

SECRET_MARK = "cvr"


class SecretQuerySet(models.QuerySet["RegistrationSecret"]):
    def usable(self, now: datetime) -> "SecretQuerySet":
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=now),
            Q(limit=None) | Q(uses__lt=F("limit")),
            revoked_at=None,
        )

    def issue(self, fleet: Fleet, name: str, **fields: Any) -> tuple["RegistrationSecret", str]:
        """A new secret and its text, which exists nowhere else from now on."""
        prefix = secrets.token_hex(4)
        text = f"{SECRET_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
        return self.create(fleet=fleet, name=name, prefix=prefix, digest=digest_of(text), **fields), text


class RegistrationSecret(models.Model):
    """Flashed onto new devices; whoever knows it may add devices to the fleet, and nothing else."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="registration_secrets")
    name = models.CharField(max_length=120, help_text="Which batch of devices carries it.")
    prefix = models.CharField(max_length=8, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    limit = models.PositiveIntegerField(null=True, blank=True, help_text="How many devices may use it.")
    uses = models.PositiveIntegerField(default=0, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = SecretQuerySet.as_manager()

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at"]

    def __str__(self) -> str:
        return f"{SECRET_MARK}_{self.prefix}_… ({self.name})"
