"""What a fleet wants to be told of, and the episodes in which it was so."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from fleet.models.alerts import Alert, Severity
from fleet.models.fleets import Fleet
from fleet.models.geofences import Geofence
from fleet.models.vehicles import Vehicle

if TYPE_CHECKING:
    from fleet.access import Principal

_WEEK_S = 7 * 86_400


class RuleKind(models.TextChoices):
    THRESHOLD = "threshold", "Threshold"
    LOW_CHARGE = "low_charge", "Low charge"
    OVERSPEED = "overspeed", "Overspeed"
    FAULT = "fault", "Fault code"
    SILENCE = "silence", "Silence"
    GEOFENCE = "geofence", "Geofence"
    """Judged by visits, not by records (`fleet.fencerules`)."""


class Crossing(models.TextChoices):
    """What a rule of kind geofence waits for."""

    ENTER = "enter", "enters"
    LEAVE = "leave", "leaves"
    DWELL = "dwell", "stays in"
    OUTSIDE = "outside", "is outside of"


class Direction(models.TextChoices):
    ABOVE = "above"
    BELOW = "below"


class RuleQuerySet(models.QuerySet["AlertRule"]):
    def visible_to(self, principal: "Principal") -> "RuleQuerySet":
        ids = principal.fleet_ids()
        return self if ids is None else self.filter(fleet__in=ids)


class AlertRule(models.Model):
    """Written by fleet.rules only. `since` and `replay_from` are event times."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="alert_rules")
    name = models.CharField(max_length=60, help_text="What its alerts are called.")
    kind = models.CharField(max_length=12, choices=RuleKind.choices)
    all_vehicles = models.BooleanField(default=True, help_text="Or only the vehicles listed.")
    vehicles = models.ManyToManyField(Vehicle, blank=True, related_name="+")
    field = models.CharField(
        max_length=128, blank=True, help_text="A signal (speed) or a further value (fruiting.temp)."
    )
    direction = models.CharField(max_length=5, choices=Direction.choices, blank=True)
    limit = models.FloatField(null=True, blank=True)
    clear = models.FloatField(
        null=True, blank=True, help_text="The condition ends here; empty: at the limit."
    )
    min_duration_s = models.FloatField(
        default=0, validators=[MinValueValidator(0), MaxValueValidator(_WEEK_S)]
    )
    codes = models.JSONField(
        default=list, blank=True, help_text="Codes and words that count; empty: any that is no all-clear."
    )
    silent_after_s = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(30), MaxValueValidator(90 * 86_400)]
    )
    ignore_parked = models.BooleanField(
        default=False, help_text="Silence of a vehicle whose ignition was reported off is no alert."
    )
    geofence = models.ForeignKey(
        Geofence, on_delete=models.CASCADE, null=True, blank=True, related_name="rules"
    )
    crossing = models.CharField(max_length=8, choices=Crossing.choices, blank=True)
    severity = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.WARNING)
    message = models.CharField(max_length=300, blank=True, help_text="Empty: says what and how much.")
    auto_resolve = models.BooleanField(default=False, help_text="Resolve the alert when the condition ends.")
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    since = models.DateTimeField(editable=False, help_text="Records from before are not judged.")
    replay_from = models.DateTimeField(
        null=True, editable=False, help_text="Stored records from here on wait to be judged."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = RuleQuerySet.as_manager()

    class Meta:
        db_table = "alert_rules"
        ordering: ClassVar[list[str]] = ["name", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "name"], name="alert_rule_name_in_fleet")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["replay_from"], condition=Q(replay_from__isnull=False), name="alert_rules_to_take_up"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def cause(self) -> str:
        """The key of its alerts."""
        return f"rule:{self.pk}"

    def clean(self) -> None:
        """Needs `kind`. Raises ValidationError by field."""
        from fleet.alerting.conditions import settled

        errors = settled(self)
        if errors:
            raise ValidationError(errors)

    def facts(self) -> dict[str, Any]:
        """For the audit trail and for comparing; without the list of vehicles."""
        names = (
            "name", "kind", "all_vehicles", "field", "direction", "limit", "clear", "min_duration_s", "codes",
            "silent_after_s", "ignore_parked", "geofence_id", "crossing", "severity", "message", "auto_resolve",
            "enabled",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


class Episode(models.Model):
    """A stretch of event time in which a rule's condition held for a vehicle; of silence: of receipts.

    Rows are what the stored records say now: late data adds, moves and removes them. One that is not `confirmed`
    has not lasted long enough yet, and is there only so that the next record need not look back.
    """

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="episodes", db_index=False)
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="episodes")
    started_at = models.DateTimeField()
    last_at = models.DateTimeField(help_text="The last record in which it held.")
    ended_at = models.DateTimeField(null=True)
    peak = models.FloatField(help_text="The worst value; of faults: how many at once; of silence: seconds.")
    codes = models.JSONField(default=list, help_text="Of faults: all that were seen.")
    confirmed = models.BooleanField(default=True)
    severity = models.PositiveSmallIntegerField(choices=Severity.choices)
    rule_version = models.PositiveIntegerField()
    alert = models.ForeignKey(
        Alert, on_delete=models.SET_NULL, null=True, related_name="episodes", editable=False
    )

    class Meta:
        db_table = "alert_episodes"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["rule", "vehicle", "started_at"], name="episode_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["rule", "-started_at", "-id"], name="episodes_by_rule"),
            models.Index(fields=["vehicle"], condition=Q(ended_at=None), name="episodes_open"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} of {self.vehicle_id} from {self.started_at}"
