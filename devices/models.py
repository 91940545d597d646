"""Devices and their tokens. A token is shown once; only its hash is kept."""

import hashlib
import secrets
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

TOKEN_MARK = "cvy"


class Device(models.Model):
    """Whatever reports for one vehicle. Replacing the hardware means a new row, not a new vehicle."""

    vehicle = models.ForeignKey("fleet.Vehicle", on_delete=models.CASCADE, related_name="devices")
    slug = models.SlugField(max_length=80, unique=True, help_text="Its name in topics and in the API.")
    name = models.CharField(max_length=120)
    active = models.BooleanField(default=True, help_text="An inactive device is refused like a wrong token.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class TokenQuerySet(models.QuerySet["DeviceToken"]):
    def usable(self, now: datetime) -> "TokenQuerySet":
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None, device__active=True)

    def issue(self, device: Device, name: str, **fields: Any) -> tuple["DeviceToken", str]:
        """A new token and its secret text, which exists nowhere else from now on."""
        prefix = secrets.token_hex(4)
        text = f"{TOKEN_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
        return self.create(device=device, name=name, prefix=prefix, digest=digest_of(text), **fields), text


class DeviceToken(models.Model):
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(
        max_length=120, help_text="What it is used for, so that it can be revoked one day."
    )
    prefix = models.CharField(max_length=8, editable=False, help_text="Its visible beginning.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at"]

    def __str__(self) -> str:
        return f"{TOKEN_MARK}_{self.prefix}_… ({self.name})"

    @property
    def usable(self) -> bool:
        alive = self.expires_at is None or self.expires_at > timezone.now()
        return alive and self.revoked_at is None and self.device.active

    def revoke(self) -> None:
        self.revoked_at = timezone.now()
        self.save(update_fields=["revoked_at"])


def digest_of(text: str) -> str:
    """SHA-256 is enough for 256 random bits: there is nothing to guess, so nothing to slow down."""
    return hashlib.sha256(text.encode()).hexdigest()
