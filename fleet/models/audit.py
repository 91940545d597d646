"""Who did what to which object. Rows are added and read, never changed."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from fleet.models.fleets import Fleet


class AuditEntry(models.Model):
    """One act. `before` and `after` hold only what changed; secrets are never among it."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, null=True, related_name="audit")
    at = models.DateTimeField(auto_now_add=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(
        max_length=200, help_text="The name then; accounts may be deleted, acts are not."
    )
    address = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=60, help_text="noun.verb: token.issued, command.sent.")
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=80)
    object_name = models.CharField(max_length=200)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        db_table = "audit_entries"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-id"], name="audit_by_fleet"),
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object_name}"
