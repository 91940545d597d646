"""Driver profiles: what cars encrypted, version by version. The server holds no key and never reads one."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from fleet.models import Driver


class DriverProfile(models.Model):
    """The head of a driver's versions, and the row that writers lock. Stays behind, empty, after an erasure."""

    driver = models.OneToOneField(Driver, on_delete=models.CASCADE, primary_key=True, related_name="profile")
    version = models.PositiveBigIntegerField(
        null=True,
        help_text="The newest number ever given; numbers are not used again, also after an erasure.",
    )
    updated_at = models.DateTimeField(auto_now=True)
    erased_at = models.DateTimeField(
        null=True, help_text="While set, cars are told 410 and nothing is taken."
    )
    erased_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    erased_versions = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "driver_profiles"

    def __str__(self) -> str:
        return f"profile of {self.driver}"


class EncryptedProfile(models.Model):
    """One version: ciphertext as the car sent it, and what it sent beside it in clear."""

    profile = models.ForeignKey(DriverProfile, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveBigIntegerField()
    ciphertext = models.TextField()
    size_bytes = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, help_text="Of the ciphertext, hexadecimal.")
    metadata = models.JSONField(default=dict)
    vehicle = models.ForeignKey("fleet.Vehicle", on_delete=models.SET_NULL, null=True, related_name="+")
    device = models.ForeignKey("devices.Device", on_delete=models.SET_NULL, null=True, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    restored_from = models.PositiveBigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "encrypted_profiles"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["profile", "version"], name="profile_version_once")
        ]

    def __str__(self) -> str:
        return f"version {self.version}"


class ProfileCopy(models.Model):
    """A vehicle that was given a version, or wrote it, and so holds a copy."""

    profile = models.ForeignKey(DriverProfile, on_delete=models.CASCADE, related_name="copies")
    vehicle = models.ForeignKey("fleet.Vehicle", on_delete=models.CASCADE, related_name="+")
    version = models.PositiveBigIntegerField()
    at = models.DateTimeField(help_text="When the vehicle last asked for it or wrote it.")
    told_erased_at = models.DateTimeField(null=True, help_text="When it was told that the profile is erased.")

    class Meta:
        db_table = "profile_copies"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["profile", "vehicle"], name="one_copy_per_vehicle")
        ]

    def __str__(self) -> str:
        return f"version {self.version} in {self.vehicle}"
