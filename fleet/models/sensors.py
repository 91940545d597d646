"""What a fleet's people know about its sensor types: unit, name, usual range."""

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models

from fleet.models.fleets import Fleet


class SensorType(models.Model):
    """One type in one fleet: a signal (`speed`) or a further value (`fruiting.temp`). Empty fields: as usual."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="sensor_types", db_index=False)
    type = models.CharField(max_length=128, help_text="As the API names it: speed, fruiting.temp.")
    label = models.CharField(max_length=80, blank=True, help_text="As people name it.")
    unit = models.CharField(max_length=24, blank=True)
    low = models.FloatField(null=True, blank=True, help_text="Lower end of the usual range.")
    high = models.FloatField(null=True, blank=True, help_text="Upper end of the usual range.")
    decimals = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Digits that are shown, 0 to 6."
    )

    class Meta:
        db_table = "sensor_types"
        ordering: ClassVar[list[str]] = ["type"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "type"], name="sensor_type_once")
        ]

    def __str__(self) -> str:
        return self.label or self.type

    def clean(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValidationError({"high": "A range needs both ends."})
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValidationError({"high": "Must be above the lower end."})
        if self.decimals is not None and self.decimals > 6:
            raise ValidationError({"decimals": "At most 6."})

    def facts(self) -> dict[str, object]:
        names = ("type", "label", "unit", "low", "high", "decimals")
        return {name: getattr(self, name) for name in names}
