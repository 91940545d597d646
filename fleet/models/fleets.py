"""Fleets and who belongs to them."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from fleet.models.people import check_time_zone


class Role(models.TextChoices):
    OWNER = "owner"
    MANAGER = "manager"
    VIEWER = "viewer"
    DRIVER = "driver"


class Fleet(models.Model):
    """One customer's vehicles and people; the boundary nobody sees across."""

    slug = models.SlugField(max_length=64, unique=True, help_text="Its name in URLs and in the API.")
    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    footage_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Scenario footage is deleted after so many days; empty: FOOTAGE_DAYS.",
    )
    second_factor_required = models.BooleanField(
        default=False, help_text="Members see this fleet only once they have a second factor."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="fleets")

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["fleet", "user"], name="one_membership_per_fleet")
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.fleet} ({self.role})"
