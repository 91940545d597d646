"""Models that vehicles run (object detectors and the like): signed releases, who gets them when, and how it went."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

from fleet.models import Fleet

if TYPE_CHECKING:
    from fleet.access import Principal

check_model_name = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}\Z", "Letters, digits and _ . - only.")


class ReleaseQuerySet(models.QuerySet["ModelRelease"]):
    def visible_to(self, principal: "Principal") -> "ReleaseQuerySet":
        """Those for everybody, and those of one's own fleets."""
        ids = principal.fleet_ids()
        return self if ids is None else self.filter(Q(fleet=None) | Q(fleet__in=ids))


class ModelRelease(models.Model):
    """One version of one model. The file never changes; what may change is who is offered it."""

    fleet = models.ForeignKey(
        Fleet, on_delete=models.CASCADE, null=True, blank=True, related_name="+", help_text="Empty: for all."
    )
    name = models.CharField(max_length=80, validators=[check_model_name])
    version = models.CharField(max_length=40, help_text="As it was given: v2.1.0.")
    canonical = models.CharField(max_length=40, editable=False, help_text="By which versions are equal.")
    stored_as = models.CharField(max_length=200, editable=False)
    size_bytes = models.PositiveBigIntegerField(editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    signature = models.CharField(max_length=88, editable=False, help_text="Ed25519 over the digest, base64.")
    key_id = models.CharField(max_length=16, editable=False, help_text="Which pinned key signed it.")
    notes = models.TextField(blank=True)
    compatibility = models.JSONField(
        default=dict, blank=True, help_text='{"vehicle_model": ["e-Van"], "hardware": ["orin"]}'
    )
    active = models.BooleanField(default=True, help_text="Inactive: offered to nobody, its links are dead.")
    withdrawn_at = models.DateTimeField(null=True, editable=False, help_text="Its file is gone since then.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        db_table = "model_releases"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "name", "canonical"], name="release_once_in_fleet"),
            models.UniqueConstraint(
                fields=["name", "canonical"], condition=Q(fleet=None), name="release_once_for_all"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def order(self) -> Version:
        return Version(self.canonical)


class Rollout(models.Model):
    """Who is offered a release, in stages. Without a row, everybody it is compatible with."""

    release = models.OneToOneField(ModelRelease, on_delete=models.CASCADE, related_name="rollout")
    percent = models.FloatField(default=100, help_text="Of the devices, chosen by a hash that does not move.")
    steps = models.JSONField(default=list, blank=True, help_text="Percentages to widen to: [5, 25, 100].")
    labels = models.JSONField(default=list, blank=True, help_text="Only devices with one of these labels.")
    starts_at = models.DateTimeField(null=True, blank=True)
    stage_began_at = models.DateTimeField(default=timezone.now)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_because = models.CharField(max_length=200, blank=True)
    aborted_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="For good.")
    stages = models.JSONField(
        default=list, editable=False, help_text="What came before: percent, when it began, why."
    )
    success_threshold = models.FloatField(default=0.9, help_text="Healthy, of those that began, to widen.")
    error_threshold = models.FloatField(default=0.1, help_text="Failed, of those judged, to pause.")
    min_reports = models.PositiveIntegerField(default=5, help_text="Judged devices before either counts.")

    class Meta:
        db_table = "model_rollouts"

    def __str__(self) -> str:
        return f"rollout of {self.release}"

    def begin_stage(self, percent: float, now: datetime, why: str) -> None:
        """From now on counts begin afresh. Unsaved."""
        self.percent, self.stage_began_at = percent, now
        self.stages = [*self.stages, {"percent": percent, "began_at": now.isoformat(), "why": why}][-100:]


class InstallState(models.TextChoices):
    DOWNLOADED = "downloaded"
    INSTALLED = "installed"
    HEALTHY = "healthy"
    FAILED = "failed"


class ModelInstall(models.Model):
    """How far a device has come with a release, as it reported."""

    release = models.ForeignKey(ModelRelease, on_delete=models.CASCADE, related_name="installs")
    device = models.ForeignKey("devices.Device", on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=12, choices=InstallState.choices)
    detail = models.CharField(max_length=500, blank=True)
    began_at = models.DateTimeField()
    state_at = models.DateTimeField()

    class Meta:
        db_table = "model_installs"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["release", "device"], name="one_install_per_device")
        ]

    def __str__(self) -> str:
        return f"{self.release} {self.state}"


def canonical(version: str) -> str | None:
    """`v2.1.0`, `2.1` and `2.1.0` are one version; None for what is no version (PEP 440, SemVer)."""
    try:
        return canonicalize_version(Version(version))
    except InvalidVersion:
        return None
