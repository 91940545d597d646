"""What devices are configured to do: layers people edit, and what follows from them for each device."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from devices.models.devices import Device
from fleet.models import Fleet

if TYPE_CHECKING:
    from fleet.access import Principal


class GroupQuerySet(models.QuerySet["DeviceGroup"]):
    def visible_to(self, principal: "Principal") -> "GroupQuerySet":
        ids = principal.fleet_ids()
        return self if ids is None else self.filter(fleet__in=ids)


class DeviceGroup(models.Model):
    """Devices of a fleet that are configured alike. A device is in one group or in none, so nothing needs an order."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="device_groups")
    slug = models.SlugField(max_length=64, help_text="Its name in URLs and in the API, unique in the fleet.")
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = GroupQuerySet.as_manager()

    class Meta:
        db_table = "device_groups"
        ordering: ClassVar[list[str]] = ["name", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "slug"], name="group_slug_in_fleet")
        ]

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="membership"
    )
    group = models.ForeignKey(DeviceGroup, on_delete=models.CASCADE, related_name="members")

    class Meta:
        db_table = "device_group_members"

    def __str__(self) -> str:
        return f"{self.device} in {self.group}"


class ConfigLayer(models.Model):
    """What is said for a fleet, a group or a device, as it stands; every version of it is kept."""

    fleet = models.OneToOneField(Fleet, models.CASCADE, null=True, related_name="+")
    group = models.OneToOneField(DeviceGroup, models.CASCADE, null=True, related_name="layer")
    device = models.OneToOneField(Device, models.CASCADE, null=True, related_name="layer")
    version = models.PositiveIntegerField(default=0)
    document = models.JSONField(default=dict, help_text="A merge patch over the wider layers: null removes.")

    class Meta:
        db_table = "config_layers"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(fleet__isnull=False, group__isnull=True, device__isnull=True)
                | Q(fleet__isnull=True, group__isnull=False, device__isnull=True)
                | Q(fleet__isnull=True, group__isnull=True, device__isnull=False),
                name="config_layer_of_one",
            )
        ]

    def __str__(self) -> str:
        return f"configuration of {self.fleet or self.group or self.device}"


class ConfigVersion(models.Model):
    """One version of a layer. Never changed."""

    layer = models.ForeignKey(ConfigLayer, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    author_name = models.CharField(max_length=200, help_text="The name then.")
    note = models.CharField(max_length=500, blank=True)
    restored_from = models.PositiveIntegerField(null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "config_versions"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["layer", "number"], name="config_version_once")
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class ConfigContent(models.Model):
    """A configuration in force somewhere; devices that are configured alike share the row."""

    digest = models.CharField(max_length=64, primary_key=True)
    document = models.JSONField()

    class Meta:
        db_table = "config_contents"

    def __str__(self) -> str:
        return self.digest[:12]


class ConfigState(models.TextChoices):
    CURRENT = "current", "Up to date"
    BEHIND = "behind"
    REFUSED = "refused"


class DeviceConfig(models.Model):
    """What a device is wanted to run, what it says it runs, and whether that is the same."""

    device = models.OneToOneField(Device, on_delete=models.CASCADE, primary_key=True, related_name="config")
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="+", help_text="Whose layers.")
    version = models.PositiveIntegerField(help_text="Grows by one whenever the content becomes another.")
    content = models.ForeignKey(ConfigContent, on_delete=models.PROTECT, related_name="+")
    wanted_at = models.DateTimeField(help_text="Since when this content is wanted.")
    running_version = models.PositiveIntegerField(null=True)
    running_digest = models.CharField(max_length=64, blank=True, help_text="Empty: a version we never made.")
    running_at = models.DateTimeField(null=True, help_text="By event time.")
    refused_version = models.PositiveIntegerField(null=True)
    refused_digest = models.CharField(max_length=64, blank=True)
    refused_at = models.DateTimeField(null=True)
    refused_reason = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=8, choices=ConfigState.choices, default=ConfigState.CURRENT)
    drifted_since = models.DateTimeField(null=True)

    class Meta:
        db_table = "device_configs"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["fleet", "drifted_since"],
                name="config_drifted",
                condition=Q(drifted_since__isnull=False),
            )
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(state=ConfigState.CURRENT, drifted_since__isnull=True)
                | Q(state__in=[ConfigState.BEHIND, ConfigState.REFUSED], drifted_since__isnull=False),
                name="config_drift_has_a_beginning",
            )
        ]

    def __str__(self) -> str:
        return f"version {self.version} for {self.device}"

    def judge(self, since: datetime) -> None:
        """Is it what the device runs? By content: a version that says the same as the wanted one is as good."""
        runs = self.running_digest == self.content_id
        refused = self.refused_digest == self.content_id and self.refused_at is not None
        if runs and refused and self.running_at and self.refused_at:
            runs = self.running_at >= self.refused_at
        if runs or (self.version == 0 and self.running_version is None and not refused):
            self.state, self.drifted_since = ConfigState.CURRENT, None
            return
        self.state = ConfigState.REFUSED if refused else ConfigState.BEHIND
        self.drifted_since = self.drifted_since or since

    def told(self) -> dict[str, Any]:
        refused = self.state == ConfigState.REFUSED
        return {
            "wanted_version": self.version,
            "running_version": self.running_version,
            "state": self.state,
            "drifted_since": self.drifted_since,
            "reason": self.refused_reason if refused else "",
        }


UNSETTLED: dict[str, Any] = {
    "wanted_version": 0, "running_version": None, "state": ConfigState.CURRENT.value, "drifted_since": None,
    "reason": "",
}  # fmt: skip
"""Of a device nobody has configured or asked yet."""


class DeviceConfigVersion(models.Model):
    """Which content a device's version number stands for."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="config_versions")
    version = models.PositiveIntegerField()
    content = models.ForeignKey(ConfigContent, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        db_table = "device_config_versions"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["device", "version"], name="device_config_version_once")
        ]

    def __str__(self) -> str:
        return f"version {self.version}"
