"""Recorded scenarios: what a vehicle saw, kept while there is consent; uploads on their way to become footage."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.urls import reverse

from fleet.models.fleets import Fleet
from fleet.models.vehicles import Vehicle

if TYPE_CHECKING:
    from fleet.access import Principal


class ScenarioQuerySet(models.QuerySet["Scenario"]):
    def visible_to(self, principal: "Principal") -> "ScenarioQuerySet":
        """What consent was withdrawn for does not exist any more, for anybody."""
        found = self.filter(withdrawn_at=None)
        if principal.vehicle_id is not None:
            return found.filter(vehicle_id=principal.vehicle_id)
        if principal.sees_everything:
            return found
        return found.filter(fleet__in=list(principal.roles))

    def named(self, name: str) -> "ScenarioQuerySet":
        """By the server's id, or by the device's own name for it."""
        try:
            return self.filter(models.Q(uid=uuid.UUID(name)) | models.Q(scenario_id=name))
        except ValueError:
            return self.filter(scenario_id=name)


class Scenario(models.Model):
    """Unique by vehicle and the device's name for it, which is often just a time: two vehicles may share one.

    A withdrawn scenario keeps only its name, so that what a device still has in its queue is refused.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="scenarios")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="scenarios")
    scenario_id = models.CharField(max_length=200)
    time = models.DateTimeField(help_text="When it began.")
    duration_s = models.FloatField(null=True, blank=True)
    trigger = models.CharField(max_length=120, blank=True, help_text="Why it was recorded.")
    metadata = models.JSONField(default=dict, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)
    expired_at = models.DateTimeField(null=True, blank=True, help_text="When its footage grew too old.")
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = ScenarioQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "scenario_id"], name="one_scenario_per_name")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-time", "-id"], name="scenario_by_fleet"),
            models.Index(fields=["vehicle", "-time", "-id"], name="scenario_by_vehicle"),
            models.Index(fields=["received_at"], name="scenario_by_age"),
        ]

    def __str__(self) -> str:
        return self.scenario_id

    def get_absolute_url(self) -> str:
        return reverse("scenario", args=[self.uid])


class Video(models.Model):
    """One complete file of one camera. The row is written after the file, and deleted before it."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="videos")
    camera = models.CharField(max_length=80)
    filename = models.CharField(max_length=200, blank=True, help_text="As the device called it.")
    stored_as = models.CharField(max_length=200, unique=True, editable=False)
    content_type = models.CharField(max_length=40)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["scenario", "camera", "sha256"], name="one_video_per_content")
        ]

    def __str__(self) -> str:
        return f"{self.camera} of {self.scenario_id}"


class Annotation(models.Model):
    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="annotations")
    offset_s = models.FloatField(help_text="Seconds from the start.")
    label = models.CharField(max_length=200)
    details = models.JSONField(default=dict, blank=True)
    digest = models.CharField(max_length=64, editable=False, help_text="Of the whole: a repeat is one row.")

    class Meta:
        ordering: ClassVar[list[str]] = ["offset_s", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["scenario", "digest"], name="one_annotation_per_content")
        ]

    def __str__(self) -> str:
        return f"{self.label} at {self.offset_s} s"


class UploadQuerySet(models.QuerySet["Upload"]):
    def alive(self, now: datetime) -> "UploadQuerySet":
        return self.filter(expires_at__gt=now)


class Upload(models.Model):
    """A video on its way (tus). Its bytes are the pieces up to `offset`; whoever moves `offset` decides which count."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="uploads")
    camera = models.CharField(max_length=80)
    filename = models.CharField(max_length=200, blank=True)
    told_sha256 = models.CharField(max_length=64, blank=True)
    told_metadata = models.TextField(blank=True, help_text="Upload-Metadata as it came.")
    length = models.BigIntegerField()
    offset = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    objects = UploadQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.filename or self.camera}: {self.offset} of {self.length}"


class Piece(models.Model):
    """Consecutive bytes of an upload, in a file of their own."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="pieces")
    start = models.BigIntegerField()
    size_bytes = models.BigIntegerField()
    stored_as = models.CharField(max_length=200, unique=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["start"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["upload", "start"], name="one_piece_per_start")
        ]

    def __str__(self) -> str:
        return f"{self.size_bytes} bytes at {self.start}"
