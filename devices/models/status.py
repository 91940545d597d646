"""What devices say about themselves, kept as history."""

from typing import ClassVar

from django.db import models

from devices.models.devices import Device


class DeviceStatus(models.Model):
    """One report. The newest by event time is the device's status; a repetition changes nothing."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, db_index=False, related_name="statuses")
    time = models.DateTimeField(help_text="When it was so, as the device says.")
    status = models.CharField(max_length=64)
    details = models.JSONField(default=dict)
    source = models.CharField(max_length=120, blank=True, help_text="Which program said it.")
    received_at = models.DateTimeField()

    class Meta:
        db_table = "device_statuses"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["device", "time", "status"], name="status_once")
        ]

    def __str__(self) -> str:
        return self.status
