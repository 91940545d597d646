"""Drivers, known to their cars by a pseudonym such as `driver_123`; who that is, only people say."""

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from fleet.models.fleets import Fleet, Role

if TYPE_CHECKING:
    from fleet.access import Principal

check_driver_id = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}\Z",
    "A driver's id has 1 to 64 letters, digits or _ . : + - and begins with a letter or a digit.",
)


class DriverQuerySet(models.QuerySet["Driver"]):
    def visible_to(self, principal: "Principal") -> "DriverQuerySet":
        """Devices: their fleet's. People: all of a fleet from viewer up; with the driver's role, themselves."""
        if principal.fleet_id is not None:
            return self.filter(fleet_id=principal.fleet_id)
        if principal.sees_everything:
            return self
        watched = [fleet for fleet in principal.roles if principal.can(Role.VIEWER, fleet)]
        mine = Q(user_id=principal.user_id, fleet_id__in=list(principal.roles))
        return self.filter(Q(fleet_id__in=watched) | mine)

    def search(self, words: str) -> "DriverQuerySet":
        """Drivers whose id or name contains each of the words."""
        found = self
        for word in words.split():
            found = found.filter(Q(slug__icontains=word) | Q(name__icontains=word))
        return found

    def known(self, fleet_id: int, slug: str) -> "Driver":
        """The driver a device speaks of, made without a name when new. Two devices at once make one row.

        Raises ValidationError for an id no driver may have.
        """
        check_driver_id(slug)
        found = self.filter(fleet_id=fleet_id, slug=slug).first()
        if found is None:
            from fleet.privacy.erased import is_erased  # which needs the models

            if is_erased(fleet_id, slug):
                raise ValidationError("The driver of this id was erased: it means nobody.")
            found, _ = self.get_or_create(fleet_id=fleet_id, slug=slug)
            found.take_trips()
        return found


class Driver(models.Model):
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="drivers")
    slug = models.CharField(
        "id", max_length=64, validators=[check_driver_id], help_text="What cars call the driver: driver_123."
    )
    name = models.CharField(max_length=120, blank=True, help_text="Never sent to a car.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="drivers",
        help_text="The member who is this driver, and may see and export their own profile.",
    )
    active = models.BooleanField(default=True)
    labels = models.JSONField(default=list, blank=True, help_text="A list of words.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DriverQuerySet.as_manager()

    class Meta:
        db_table = "drivers"
        ordering: ClassVar[list[str]] = ["slug", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "slug"], name="driver_slug_in_fleet"),
            models.UniqueConstraint(
                fields=["fleet", "user"], condition=Q(user__isnull=False), name="one_driver_per_member"
            ),
        ]

    def __str__(self) -> str:
        """The pseudonym: names of people stay out of logs and of the audit trail."""
        return self.slug

    def get_absolute_url(self) -> str:
        """Needs `fleet` selected."""
        return reverse("driver", args=[self.fleet.slug, self.slug])

    def take_trips(self) -> None:
        """Those whose driver was named so before anybody made this row."""
        trips = self.trips.model._default_manager
        trips.filter(fleet=self.fleet_id, driven_by=self.slug, driver=None).update(driver=self)

    @property
    def title(self) -> str:
        return self.name or self.slug
