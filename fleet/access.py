"""Who is asking, and what they may touch. Authentication makes a Principal; querysets narrow by it."""

from dataclasses import dataclass, field
from typing import Any

from django.shortcuts import get_object_or_404

from fleet.models import Fleet, Role, User, Vehicle

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
    roles: dict[int, str] = field(default_factory=dict)

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

    def fleet_ids(self) -> list[int] | None:
        """Fleets whose vehicles this principal watches; None means all."""
        if self.sees_everything:
            return None
        return [self.fleet_id] if self.fleet_id is not None else list(self.roles)


def person(user: Any) -> Principal:
    """The principal of a logged-in user. One query."""
    assert isinstance(user, User)
    roles = dict(user.memberships.values_list("fleet_id", "role"))
    return Principal(str(user), user_id=user.pk, sees_everything=user.is_superuser, roles=roles)


def principal_of(user: Any) -> Principal:
    """What DRF's `request.user` stands for, person or device."""
    return user if isinstance(user, Principal) else person(user)


def visible_vehicles(user: Any) -> "Any":
    return Vehicle.objects.visible_to(principal_of(user))


def visible_fleets(user: Any) -> "Any":
    principal = principal_of(user)
    ids = principal.fleet_ids()
    return Fleet.objects.all() if ids is None else Fleet.objects.filter(pk__in=ids)


def vehicle_or_404(user: Any, fleet: str, vehicle: str) -> Vehicle:
    """The vehicle of a page's URL, its fleet selected. One that is not yours does not exist."""
    found: Vehicle = get_object_or_404(
        visible_vehicles(user).select_related("fleet", "state"), fleet__slug=fleet, slug=vehicle
    )
    return found
