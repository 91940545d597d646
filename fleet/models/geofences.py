"""Areas that matter to a fleet, and which vehicle was in which of them when."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from fleet.models.fleets import Fleet
from fleet.models.vehicles import Vehicle

if TYPE_CHECKING:
    from fleet.access import Principal

_WEEK_S = 7 * 86_400


class FenceKind(models.TextChoices):
    CIRCLE = "circle", "Circle"
    POLYGON = "polygon", "Polygon"
    CORRIDOR = "corridor", "Corridor"


class Edge(models.TextChoices):
    """How well the moment of a visit's begin or end is known."""

    RECORD = "record", "at a record"
    BETWEEN = "between", "between two records"
    """Where the straight line between two records close in time crosses the border."""
    GAP = "gap", "beside a gap"
    """Records are missing: it is the moment of the nearest record within."""
    CHANGED = "changed", "the geofence was changed"


class GeofenceQuerySet(models.QuerySet["Geofence"]):
    def visible_to(self, principal: "Principal") -> "GeofenceQuerySet":
        ids = principal.fleet_ids()
        return self if ids is None else self.filter(fleet__in=ids)


class Geofence(models.Model):
    """Written by fleet.geofences only. `since` and `replay_from` are event times."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="geofences")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=FenceKind.choices)
    geometry = models.JSONField(
        help_text="GeoJSON, WGS 84: Point of a circle, Polygon or MultiPolygon, LineString of a corridor."
    )
    radius_m = models.FloatField(null=True, blank=True, help_text="Of a circle.")
    width_m = models.FloatField(null=True, blank=True, help_text="Of a corridor, from side to side.")
    colour = models.CharField(
        max_length=7, default="#2563eb", validators=[RegexValidator(r"^#[0-9a-f]{6}$", "Send #rrggbb.")]
    )
    all_vehicles = models.BooleanField(default=True, help_text="Or only the vehicles listed.")
    vehicles = models.ManyToManyField(Vehicle, blank=True, related_name="+")
    schedule = models.JSONField(
        default=list,
        blank=True,
        help_text="When its alerts count, in the fleet's time zone; empty: always. "
        'Such as [{"days": [1, 2], "from": "22:00", "to": "06:00"}]; 1 is Monday.',
    )
    min_stay_s = models.FloatField(
        default=0, validators=[MinValueValidator(0), MaxValueValidator(_WEEK_S)],
        help_text="Shorter stays are no visits.",
    )  # fmt: skip
    dwell_s = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(_WEEK_S)],
        help_text="A visit as long as this counts as dwelling.",
    )  # fmt: skip
    hysteresis_m = models.FloatField(
        default=20, validators=[MinValueValidator(0), MaxValueValidator(5_000)],
        help_text="A vehicle has left when it is so far beyond the border.",
    )  # fmt: skip
    version = models.PositiveIntegerField(default=1, editable=False)
    since = models.DateTimeField(editable=False, help_text="Visits begun before are of an earlier version.")
    replay_from = models.DateTimeField(
        null=True, editable=False, help_text="Stored records from here on wait to be looked at."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = GeofenceQuerySet.as_manager()

    class Meta:
        db_table = "geofences"
        ordering: ClassVar[list[str]] = ["name", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "name"], name="geofence_name_in_fleet")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["replay_from"], condition=Q(replay_from__isnull=False), name="geofences_to_take_up"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Needs `fleet` selected."""
        return reverse("geofence-page", args=[self.fleet.slug, self.pk])

    def clean(self) -> None:
        """Needs `kind`. Brings geometry and schedule into their stored form. Raises ValidationError by field."""
        from fleet.geofencing import hours, shapes

        wrong: dict[str, list[str]] = {}
        self.radius_m = self.radius_m if self.kind == FenceKind.CIRCLE else None
        self.width_m = self.width_m if self.kind == FenceKind.CORRIDOR else None
        try:
            self.geometry = shapes.checked(self.kind, self.geometry, self.radius_m, self.width_m)
        except shapes.GeometryError as error:
            wrong[error.field] = [str(error)]
        try:
            self.schedule = hours.checked(self.schedule)
        except ValueError as error:
            wrong["schedule"] = [str(error)]
        if wrong:
            raise ValidationError(wrong)

    def facts(self) -> dict[str, Any]:
        """For the audit trail and for comparing; without the list of vehicles."""
        names = (
            "name", "kind", "geometry", "radius_m", "width_m", "colour", "all_vehicles", "schedule", "min_stay_s",
            "dwell_s", "hysteresis_m",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


class VisitQuerySet(models.QuerySet["Visit"]):
    def visible_to(self, principal: "Principal") -> "VisitQuerySet":
        """Confirmed ones of vehicles that the reader may see."""
        found = self.filter(confirmed=True)
        if principal.vehicle_id is not None:
            return found.filter(vehicle=principal.vehicle_id)
        ids = principal.fleet_ids()
        return found if ids is None else found.filter(geofence__fleet__in=ids)


class Visit(models.Model):
    """A vehicle in a geofence, as the stored records say now: late data adds, moves and removes rows.

    One that is not `confirmed` has not reached the minimum stay yet, and is there only so that the next record need
    not look back. Written by telemetry.visits, ended or removed by fleet.geofences.
    """

    geofence = models.ForeignKey(Geofence, on_delete=models.CASCADE, related_name="visits", db_index=False)
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, related_name="visits", db_index=False)
    entered_at = models.DateTimeField()
    entry = models.CharField(max_length=8, choices=Edge.choices)
    left_at = models.DateTimeField(null=True, help_text="Empty: it is there, as far as is known.")
    exit = models.CharField(max_length=8, choices=Edge.choices, blank=True)
    first_at = models.DateTimeField(
        null=True, help_text="First record within; empty: it passed between two records."
    )
    last_at = models.DateTimeField(null=True, help_text="Last record within.")
    border_at = models.DateTimeField(
        null=True, help_text="It crossed the border then and is not beyond the hysteresis yet, or was not."
    )
    dwelled_at = models.DateTimeField(null=True, help_text="When the visit reached the dwell time.")
    on_schedule = models.BooleanField(default=True, help_text="Some of it was in the geofence's hours.")
    confirmed = models.BooleanField(default=True)
    geofence_version = models.PositiveIntegerField()

    objects = VisitQuerySet.as_manager()

    class Meta:
        db_table = "geofence_visits"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["geofence", "vehicle", "entered_at"], name="visit_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["geofence", "-entered_at", "-id"], name="visits_by_geofence"),
            models.Index(fields=["vehicle", "-entered_at", "-id"], name="visits_by_vehicle"),
            models.Index(fields=["vehicle"], condition=Q(left_at=None), name="visits_open"),
            models.Index(fields=["geofence"], condition=Q(left_at=None), name="visits_there"),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} in {self.geofence_id} from {self.entered_at}"

    @property
    def duration_s(self) -> float | None:
        """None: it goes on."""
        return None if self.left_at is None else (self.left_at - self.entered_at).total_seconds()


class Placed(models.Model):
    """The newest position of a vehicle that visits were derived from: what is later only needs to go on from there."""

    vehicle = models.OneToOneField(
        Vehicle, on_delete=models.CASCADE, primary_key=True, related_name="+", db_constraint=False
    )
    time_us = models.BigIntegerField(help_text="Event time, microseconds since 1970.")
    latitude_deg = models.FloatField()
    longitude_deg = models.FloatField()

    class Meta:
        db_table = "geofence_places"
        verbose_name_plural = "placed"

    def __str__(self) -> str:
        return f"{self.vehicle_id} at {self.latitude_deg}, {self.longitude_deg}"
