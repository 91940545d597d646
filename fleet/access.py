"""Who is asking, and what they may touch. Authentication makes a Principal; querysets narrow by it."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.shortcuts import get_object_or_404

from fleet.models import Fleet, Role, User, Vehicle, has_second_factor

_RANK = {Role.DRIVER: 0, Role.VIEWER: 1, Role.MANAGER: 2, Role.OWNER: 3}


@dataclass(frozen=True, slots=True)
class Principal:
    """A person (user_id set) or a device (vehicle_id set). Cheap to make, safe to cache for seconds."""

    name: str
    user_id: int | None = None
    vehicle_id: int | None = None
    fleet_id: int | None = None
    device_id: int | None = None
    vin: str = ""
    sees_everything: bool = False
    scopes: frozenset[str] = frozenset()
    """What a device's token is limited to; empty: nothing."""
    roles: dict[int, str] = field(default_factory=dict)
    withheld: frozenset[int] = frozenset()
    """Fleets of theirs that want a second factor first; they are not among `roles`."""
    must_enrol: bool = False
    """Staff who are nobody until they have a second factor (STAFF_SECOND_FACTOR)."""

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def pk(self) -> str:
        """What throttles count by."""
        return f"device-{self.device_id}" if self.device_id else f"user-{self.user_id}"

    def can(self, role: str, fleet_id: int) -> bool:
        """Does the person hold at least this role in the fleet? Devices hold none."""
        if self.sees_everything:
            return True
        held = self.roles.get(fleet_id)
        return held is not None and _RANK[Role(held)] >= _RANK[Role(role)]

    def may(self, scope: str) -> bool:
        """Is this within what the token is limited to?"""
        return not self.scopes or scope in self.scopes

    def fleet_ids(self) -> list[int] | None:
        """Fleets whose vehicles this principal watches; None means all."""
        if self.sees_everything:
            return None
        return [self.fleet_id] if self.fleet_id is not None else list(self.roles)


def person(user: Any) -> Principal:
    """The principal of a logged-in user. One query; for staff who need a second factor another."""
    assert isinstance(user, User)
    if lacks_staff_factor(user):
        return Principal(str(user), user_id=user.pk, must_enrol=True)
    lacking = Q(fleet__second_factor_required=True) & ~Q(has_second_factor("user_id"))
    rows = user.memberships.annotate(
        lacking=ExpressionWrapper(lacking, output_field=BooleanField())
    ).values_list("fleet_id", "role", "lacking")
    return Principal(
        str(user),
        user_id=user.pk,
        sees_everything=user.is_superuser,
        roles={fleet: role for fleet, role, lacks in rows if not lacks},
        withheld=frozenset(fleet for fleet, _, lacks in rows if lacks),
    )


def lacks_staff_factor(user: User) -> bool:
    """Does the installation want a second factor of this person, who has none? No query for anybody else."""
    if not settings.STAFF_SECOND_FACTOR or not (user.is_staff or user.is_superuser):
        return False
    return not User.objects.filter(has_second_factor("pk"), pk=user.pk).exists()


def principal_of(user: Any) -> Principal:
    """What DRF's `request.user` stands for, person or device."""
    if isinstance(user, Principal):
        return user
    if not hasattr(user, "principal"):  # a request asks several times
        user.principal = person(user)
    known: Principal = user.principal
    return known


def visible_vehicles(user: Any) -> "Any":
    return Vehicle.objects.visible_to(principal_of(user))


def visible_fleets(user: Any) -> "Any":
    principal = principal_of(user)
    ids = principal.fleet_ids()
    return Fleet.objects.all() if ids is None else Fleet.objects.filter(pk__in=ids)


def managed_fleets(principal: Principal) -> list[Fleet]:
    """The fleets somebody may add things to, by name; a handful, for a choice."""
    fleets = visible_fleets(principal).order_by("name")[:200]
    return [fleet for fleet in fleets if principal.can(Role.MANAGER, fleet.pk)]


def vehicle_or_404(user: Any, fleet: str, vehicle: str) -> Vehicle:
    """The vehicle of a page's URL, its fleet selected. One that is not yours does not exist."""
    found: Vehicle = get_object_or_404(
        visible_vehicles(user).select_related("fleet", "state"), fleet__slug=fleet, slug=vehicle
    )
    return found
