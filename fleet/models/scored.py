"""What a detected trip and a device's summary of one have in common: who drove, and how safely."""

from django.db import models


class Scored(models.Model):
    """Written by fleet.behaviour.tripscores only, whenever a day of it is summed up."""

    driven_by = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="As cars call the driver; empty: not known.",
    )
    score = models.FloatField(null=True, editable=False, help_text="0 to 100; empty: score_state says why.")
    score_version = models.PositiveIntegerField(
        null=True, editable=False, help_text="Of the formula; empty: not scored yet."
    )
    score_sums = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        editable=False,
        help_text="What the formula was applied to, without what is 0.",
    )
    seen_mm = models.BigIntegerField(
        null=True, editable=False, help_text="As in Driven; empty: to be counted from the records."
    )
    turning_mm = models.BigIntegerField(null=True, editable=False)
    timed_ms = models.BigIntegerField(null=True, editable=False)

    class Meta:
        abstract = True
