"""Trips, stops and charging sessions found in telemetry, and how far they have been found.

Written by telemetry only: each row is a function of the vehicle's stored records and of the fleet's settings.
"""

from typing import TYPE_CHECKING, ClassVar, TypeVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.lookups import Exact

from fleet.models.assignments import DriverAssignment
from fleet.models.drivers import Driver
from fleet.models.fleets import Fleet, Role
from fleet.models.scored import Scored
from fleet.models.vehicles import Vehicle

if TYPE_CHECKING:
    from fleet.access import Principal


M = TypeVar("M", bound=models.Model)


class JourneyQuerySet(models.QuerySet[M]):
    def visible_to(self, principal: "Principal") -> "JourneyQuerySet[M]":
        if principal.vehicle_id is not None:
            return self.filter(vehicle_id=principal.vehicle_id)
        if principal.sees_everything:
            return self
        return self.filter(fleet__in=list(principal.roles))


class RestQuerySet(JourneyQuerySet[M]):
    """Of stops and charging sessions, which name no driver themselves."""

    def visible_to(self, principal: "Principal") -> "RestQuerySet[M]":
        """Devices: their vehicle's. People: all of a fleet from viewer up; with the driver's role, what began while the
        vehicle was assigned to them, or follows a trip of theirs."""
        if principal.vehicle_id is not None or principal.sees_everything:
            return self if principal.vehicle_id is None else self.filter(vehicle_id=principal.vehicle_id)
        watched = [fleet for fleet in principal.roles if principal.can(Role.VIEWER, fleet)]
        theirs = [fleet for fleet in principal.roles if fleet not in watched]
        mine = self._left_by(principal.user_id, theirs) if theirs else Q(pk__in=())
        return self.filter(Q(fleet_id__in=watched) | mine)

    def _left_by(self, user_id: int | None, fleets: list[int]) -> Q:
        """Two queries for the few vehicles that they ever had, so that the rest of a fleet is not looked at."""
        driver = {"driver__user_id": user_id, "fleet_id__in": fleets}
        assigned, trips = DriverAssignment.objects.filter(**driver), Trip.objects.filter(**driver)
        vehicles = {
            pk for rows in (assigned, trips) for pk in rows.values_list("vehicle", flat=True).distinct()
        }
        begun = {
            "vehicle": OuterRef("vehicle"),
            "fleet": OuterRef("fleet"),
            "started_at__lte": OuterRef("started_at"),
        }
        had = assigned.filter(Q(ended_at=None) | Q(ended_at__gt=OuterRef("started_at")), **begun)
        before = Trip.objects.filter(**begun).order_by("-started_at")
        parked = Q(Exact(Subquery(before.values("driver__user")[:1]), user_id))
        return Q(vehicle_id__in=vehicles, fleet_id__in=fleets) & (Q(Exists(had)) | parked)


class Journey(models.Model):
    """A stretch of a vehicle's time."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, db_index=False, related_name="+")
    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE, db_index=False, related_name="+")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(help_text="The last record that belongs to it; it may go on.")
    settled_at = models.DateTimeField(
        null=True, help_text="The record after which only late ones change it; empty: it may go on."
    )
    duration_s = models.FloatField()
    unheard_s = models.FloatField(default=0.0, help_text="Of it, silences.")
    battery_from_percent = models.FloatField(null=True)
    battery_to_percent = models.FloatField(null=True)
    records = models.IntegerField(default=0)
    values = models.IntegerField(default=0, help_text="Known values of the signals it is made of.")
    reconstructed = models.IntegerField(default=0, help_text="Of these, values that the edge left out.")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.vehicle_id} from {self.started_at:%Y-%m-%d %H:%M:%S}"

    @property
    def reconstructed_share(self) -> float | None:
        return self.reconstructed / self.values if self.values else None


class TripQuerySet(JourneyQuerySet["Trip"]):
    def visible_to(self, principal: "Principal") -> "TripQuerySet":
        """Devices: their vehicle's. People: all of a fleet from viewer up; with the driver's role, their own."""
        if principal.vehicle_id is not None or principal.sees_everything:
            return self if principal.vehicle_id is None else self.filter(vehicle_id=principal.vehicle_id)
        watched = [fleet for fleet in principal.roles if principal.can(Role.VIEWER, fleet)]
        mine = Q(driver__user_id=principal.user_id, fleet_id__in=list(principal.roles))
        return self.filter(Q(fleet_id__in=watched) | mine)


class Trip(Journey, Scored):
    """From where a vehicle started moving to where it stopped for good. What the device itself says of its trips are
    rows of TripSummary."""

    middle_at = models.DateTimeField(help_text="Summaries are matched by it.")
    start_latitude_deg = models.FloatField(null=True)
    start_longitude_deg = models.FloatField(null=True)
    end_latitude_deg = models.FloatField(null=True)
    end_longitude_deg = models.FloatField(null=True)
    distance_m = models.FloatField()
    distance_source = models.CharField(max_length=10, help_text="odometer, speed or positions.")
    odometer_from_m = models.FloatField(null=True)
    odometer_to_m = models.FloatField(null=True)
    moving_s = models.FloatField()
    idle_s = models.FloatField(help_text="Standing within the trip.")
    max_speed_mps = models.FloatField(null=True)
    energy_wh = models.FloatField(null=True, help_text="Out of the battery, less what came back.")
    driver = models.ForeignKey(
        Driver,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="trips",
        help_text="Who `driven_by` names, where the fleet knows such a driver.",
    )

    objects = TripQuerySet.as_manager()

    class Meta:
        db_table = "trips"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "started_at"], name="trip_once"),
            models.CheckConstraint(condition=Q(ended_at__gte=F("started_at")), name="trip_ends_after_start"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-started_at", "-id"], name="trip_by_fleet"),
            models.Index(fields=["driver", "-started_at"], name="trip_by_driver"),
        ]

    @property
    def mean_speed_mps(self) -> float | None:
        """Over the whole trip, idling included."""
        return self.distance_m / self.duration_s if self.duration_s else None

    @property
    def kwh_per_100_km(self) -> float | None:
        """Charging is no part of a trip, so it is net of it."""
        if self.energy_wh is None or self.distance_m < 1.0:
            return None
        return self.energy_wh * 100.0 / self.distance_m


class Stop(Journey):
    """From the end of one trip to the start of the next."""

    latitude_deg = models.FloatField(null=True)
    longitude_deg = models.FloatField(null=True)
    moved_m = models.FloatField(null=True, help_text="How far it got meanwhile: towed, or driven unheard.")
    idle_s = models.FloatField(null=True, help_text="With the ignition on; empty: the ignition is not known.")
    begin_unknown = models.BooleanField(default=False, help_text="There are no records of what was before.")

    objects = RestQuerySet["Stop"].as_manager()

    class Meta:
        db_table = "stops"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "started_at"], name="stop_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-started_at", "-id"], name="stop_by_fleet"),
        ]


class ChargingSession(Journey):
    latitude_deg = models.FloatField(null=True)
    longitude_deg = models.FloatField(null=True)
    odometer_m = models.FloatField(null=True)
    energy_wh = models.FloatField(null=True, help_text="Into the battery.")
    max_power_w = models.FloatField(null=True)
    told_by = models.CharField(max_length=6, help_text="signal, or level: a charge that rose while it stood.")

    objects = RestQuerySet["ChargingSession"].as_manager()

    class Meta:
        db_table = "charging_sessions"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "started_at"], name="charging_session_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["fleet", "-started_at", "-id"], name="charging_by_fleet"),
        ]


def _between(low: float, high: float) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(low), MaxValueValidator(high)]


class TripRules(models.Model):
    """What counts as a trip in a fleet (tripfinder.TripSettings). A fleet without a row has its defaults."""

    fleet = models.OneToOneField(Fleet, on_delete=models.CASCADE, primary_key=True, related_name="trip_rules")
    moving_mps = models.FloatField(default=1.0, validators=_between(0.1, 10))
    stop_s = models.FloatField(default=180.0, validators=_between(30, 7_200))
    off_s = models.FloatField(default=30.0, validators=_between(0, 7_200))
    gap_s = models.FloatField(default=600.0, validators=_between(60, 7_200))
    longest_gap_s = models.FloatField(default=3_600.0, validators=_between(60, 86_400))
    drove_on_mps = models.FloatField(default=3.0, validators=_between(0.5, 30))
    least_m = models.FloatField(default=200.0, validators=_between(0, 10_000))
    least_s = models.FloatField(default=60.0, validators=_between(0, 3_600))
    version = models.PositiveIntegerField(default=0, help_text="Another one at each change.")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "trip_rules"
        verbose_name_plural = "trip rules"

    def __str__(self) -> str:
        return f"{self.fleet_id}, version {self.version}"


class TripHead(models.Model):
    """How far a vehicle's records have been looked at, and everything that what follows depends on."""

    vehicle = models.OneToOneField(
        Vehicle, on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="+"
    )
    reached_us = models.BigIntegerField(default=0, help_text="Event time, microseconds since 1970.")
    until_us = models.BigIntegerField(default=0, help_text="Up to where there are records to look at.")
    changed_until_us = models.BigIntegerField(
        default=0, help_text="Beyond this nothing changed since the marks were made."
    )
    behind = models.BooleanField(default=False, help_text="There is more to look at.")
    rules_version = models.PositiveIntegerField(default=0)
    since_mark = models.PositiveIntegerField(default=0, help_text="Records looked at since the last mark.")
    state = models.TextField(blank=True)

    class Meta:
        db_table = "trip_heads"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["vehicle"], condition=Q(behind=True), name="trip_head_behind")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} up to {self.reached_us}"


class TripMark(models.Model):
    """A state somewhere on the way: where to begin anew after late records, and to see that nothing changes any
    more."""

    vehicle = models.ForeignKey(
        Vehicle, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    time_us = models.BigIntegerField()
    state = models.TextField()

    class Meta:
        db_table = "trip_marks"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "time_us"], name="trip_mark_once")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} at {self.time_us}"
