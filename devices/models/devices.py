"""Devices and their tokens. A token is shown once; only its hash is kept."""

import hashlib
import secrets
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from fleet.access import Principal

TOKEN_MARK = "cvy"
VERSION_KEYS = ("version", "firmware", "firmware_version", "software_version", "software", "app_version")
"""Under which of its metadata a device tells its version; the first one that is there counts."""


class Scope(models.TextChoices):
    """What a token may be limited to; without any it may do all its device may."""

    TELEMETRY = "telemetry", "send telemetry, readings, status, alerts"
    COMMANDS = "commands", "take and acknowledge commands"
    FILES = "files", "trips, scenarios, profiles, models"
    READ = "read", "read what the device may see"


class DeviceQuerySet(models.QuerySet["Device"]):
    def visible_to(self, principal: Principal) -> "DeviceQuerySet":
        """A device sees itself, a person the devices of their fleets; nothing else exists."""
        if principal.device_id is not None:
            return self.filter(pk=principal.device_id)
        ids = principal.fleet_ids()
        return self if ids is None else self.filter(vehicle__fleet__in=ids)

    def working(self) -> "DeviceQuerySet":
        """Not retired, nor their vehicle."""
        return self.filter(active=True, vehicle__retired_at=None)

    def named(self, identifier: str) -> "DeviceQuerySet":
        """By our name for it, or by the one it registered with."""
        return self.filter(Q(slug=identifier) | Q(external_id=identifier) & ~Q(external_id=""))

    def drifted(self, wanted: bool = True) -> "DeviceQuerySet":
        """Those that do not run the configuration they should; or those that do."""
        return self.filter(config__drifted_since__isnull=not wanted)


class Device(models.Model):
    """Whatever reports for one vehicle, or the gateway of a site. New hardware means a new row, not a new vehicle."""

    vehicle = models.ForeignKey("fleet.Vehicle", on_delete=models.CASCADE, related_name="devices")
    account = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="device",
        help_text="For devices that log in with e-mail and password instead of a token.",
    )
    slug = models.SlugField(max_length=80, unique=True, help_text="Its name in topics and in the API.")
    external_id = models.CharField(
        max_length=80, blank=True, db_index=True, help_text="What it calls itself, when that is not its slug."
    )
    name = models.CharField(max_length=120)
    metadata = models.JSONField(default=dict, blank=True, help_text="Whatever else it said of itself.")
    active = models.BooleanField(default=True, help_text="An inactive device is refused like a wrong token.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def working(self) -> bool:
        """Not retired, nor its vehicle. Needs `vehicle` selected."""
        return self.active and self.vehicle.retired_at is None

    @property
    def version(self) -> str:
        """What it says it runs."""
        known = self.metadata if isinstance(self.metadata, dict) else {}
        found = (known[name] for name in VERSION_KEYS if isinstance(known.get(name), str | int | float))
        return str(next(found, ""))[:60]


class TokenQuerySet(models.QuerySet["DeviceToken"]):
    def usable(self, now: datetime) -> "TokenQuerySet":
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=now),
            revoked_at=None,
            device__active=True,
            device__vehicle__retired_at=None,
        )

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
    scopes = models.JSONField(default=list, blank=True, help_text="Empty: everything its device may do.")
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
        return alive and self.revoked_at is None and self.device.working

    def revoke(self) -> None:
        self.revoked_at = timezone.now()
        self.save(update_fields=["revoked_at"])

    def end_by(self, moment: datetime) -> None:
        """Never later than it would have ended anyway."""
        self.expires_at = min(self.expires_at or moment, moment)
        self.save(update_fields=["expires_at"])


def digest_of(text: str) -> str:
    """SHA-256 is enough for 256 random bits: there is nothing to guess, so nothing to slow down."""
    return hashlib.sha256(text.encode()).hexdigest()
