"""Whose configuration a page is about: found by its address, with the addresses of the pages around it."""

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse

from devices.configuration import Owner
from devices.models import Device
from fleet.access import principal_of, visible_fleets
from fleet.models import Fleet, Role


@dataclass(frozen=True, slots=True)
class Place:
    """`may_edit`: whether who looks is a manager."""

    owner: Owner
    may_edit: bool

    @property
    def title(self) -> str:
        owner = self.owner
        return str(owner.device or owner.group or owner.fleet)

    @property
    def what(self) -> str:
        """For sentences: "the group Night shift"."""
        return {"fleet": "the whole fleet", "group": f"the group {self.title}"}.get(
            self.owner.kind, f"{self.title} alone"
        )

    @property
    def over(self) -> str:
        """What the layer is laid over."""
        kinds = {"group": "what the fleet says", "device": "what its fleet and group say"}
        return kinds.get(self.owner.kind, "")

    @property
    def overview(self) -> str:
        return reverse("configuration", args=[self.owner.fleet.slug])

    @property
    def home(self) -> str:
        return self._address("")

    @property
    def edit(self) -> str:
        return self._address("-edit")

    @property
    def history(self) -> str:
        return self._address("-history")

    def _address(self, page: str) -> str:
        owner = self.owner
        if owner.device is not None:
            return reverse(f"device-configuration{page}", args=[owner.fleet.slug, owner.device.slug])
        if owner.group is not None:
            return reverse(f"group-configuration{page}", args=[owner.fleet.slug, owner.group.slug])
        return reverse(f"configuration{page}", args=[owner.fleet.slug])


def place_of(request: HttpRequest, fleet: str, group: str = "", device: str = "") -> Place:
    """Raises Http404 for outsiders, PermissionDenied below viewer, and below manager when something is sent."""
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=fleet)
    principal = principal_of(request.user)
    if not principal.can(Role.VIEWER, found.pk):
        raise PermissionDenied
    may_edit = principal.can(Role.MANAGER, found.pk)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    if "\0" in device:
        raise Http404
    owner = Owner(found)
    if group:
        owner = Owner(found, group=get_object_or_404(found.device_groups, slug=group))
    elif device:
        own = Device.objects.filter(vehicle__fleet=found).select_related(
            "vehicle__fleet", "membership__group"
        )
        owner = Owner(found, device=get_object_or_404(own, slug=device))
    return Place(owner, may_edit)
