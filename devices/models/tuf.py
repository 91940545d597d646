"""TUF metadata as it is served: signed JSON, kept byte for byte."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Coalesce

from fleet.models import Fleet


class TufRepository(models.Model):
    """One chain of trust: a fleet's own, or the one for releases to everybody. No fleet's keys speak for another's."""

    fleet = models.OneToOneField(Fleet, models.CASCADE, null=True, related_name="+")

    class Meta:
        db_table = "tuf_repositories"
        verbose_name_plural = "TUF repositories"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(Coalesce("fleet", 0), name="one_tuf_repository_each")
        ]

    def __str__(self) -> str:
        return f"releases of {self.fleet}" if self.fleet_id else "releases for all"


class TufRole(models.TextChoices):
    ROOT = "root"
    TARGETS = "targets"
    SNAPSHOT = "snapshot"
    TIMESTAMP = "timestamp"


class TufMetadata(models.Model):
    """One version of one role. Never changed."""

    repository = models.ForeignKey(TufRepository, on_delete=models.CASCADE, related_name="metadata")
    role = models.CharField(max_length=9, choices=TufRole.choices)
    version = models.PositiveBigIntegerField()
    body = models.TextField()
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "tuf_metadata"
        verbose_name_plural = "TUF metadata"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["repository", "role", "version"], name="tuf_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.version}.{self.role}.json"
