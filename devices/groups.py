"""Groups of devices: who is in which, with what that means for their configuration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.text import slugify

from devices.configuration import changing, settle
from devices.models import Device, DeviceGroup, GroupMember
from fleet.audit import Actor, record
from fleet.models import Fleet

_AT_ONCE = 500
_NAMED = 20
"""Devices that the audit trail names."""


@dataclass(frozen=True, slots=True)
class Moved:
    """`joined` were in another group or in none; `affected` are wanted to run something else now."""

    joined: int
    left: int
    affected: int


def make(actor: Actor, fleet: Fleet, name: str, slug: str = "") -> DeviceGroup:
    """Raises ValidationError by field."""
    name, slug = name.strip(), slug or slugify(name)[:64]
    if not name or not slug:
        raise ValidationError({"name": ["Needs at least one letter or digit."]})
    with changing(fleet):
        if fleet.device_groups.filter(Q(slug=slug) | Q(name=name)).exists():
            raise ValidationError({"name": ["This fleet has a group of that name already."]})
        group = DeviceGroup(fleet=fleet, name=name, slug=slug)
        group.clean_fields(exclude=["fleet"])
        group.save()
        record(actor, "group.made", group, fleet, ({}, {"name": name, "id": slug}))
    return group


def rename(actor: Actor, group: DeviceGroup, name: str) -> None:
    """Its id stays. Raises ValidationError."""
    name, before = name.strip(), group.name
    if name == before:
        return
    if not name or len(name) > 120:
        raise ValidationError({"name": ["1 to 120 characters."]})
    with changing(group.fleet):
        if group.fleet.device_groups.filter(name=name).exclude(pk=group.pk).exists():
            raise ValidationError({"name": ["This fleet has a group of that name already."]})
        group.name = name
        group.save(update_fields=["name"])
        record(actor, "group.renamed", group, group.fleet, ({"name": before}, {"name": name}))


def delete(actor: Actor, group: DeviceGroup) -> int:
    """With its configuration; its devices go back to what the fleet says. How many that changes."""
    fleet = group.fleet
    with changing(fleet) as now:
        members = list(group.members.values_list("device", flat=True))
        layer = getattr(group, "layer", None)
        before = {"name": group.name, "devices": len(members), "config": layer.document if layer else {}}
        record(actor, "group.deleted", group, fleet, (before, {}))
        group.delete()
        return sum(settle(fleet, Device.objects.filter(pk__in=part), now) for part in _parts(members))


def place(actor: Actor, group: DeviceGroup, add: Sequence[int], remove: Sequence[int]) -> Moved:
    """Keys of devices: `add` leave the group they are in. Those of other fleets stay as they are."""
    fleet = group.fleet
    with changing(fleet) as now:
        joining, leaving = dict[int, str](), dict[int, str]()
        for part in _parts(add):
            here = Device.objects.filter(pk__in=part, vehicle__fleet=fleet).exclude(membership__group=group)
            joining |= dict(here.order_by("pk").values_list("pk", "slug"))
        for part in _parts(remove):
            there = Device.objects.filter(pk__in=part, membership__group=group)
            leaving |= dict(there.order_by("pk").values_list("pk", "slug"))
        affected = _move(group, list(joining), list(leaving), now)
        if joining or leaving:
            told = {"joined": _named(joining), "left": _named(leaving), "devices": affected}
            record(actor, "group.members_changed", group, fleet, ({}, told))
    return Moved(len(joining), len(leaving), affected)


def _move(group: DeviceGroup, joining: list[int], leaving: list[int], now: datetime) -> int:
    for part in _parts(leaving):
        GroupMember.objects.filter(device__in=part).delete()
    for part in _parts(joining):
        rows = [GroupMember(device_id=key, group=group) for key in part]
        GroupMember.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["device"], update_fields=["group"]
        )
    parts = _parts([*joining, *leaving])
    return sum(settle(group.fleet, Device.objects.filter(pk__in=part), now) for part in parts)


def _named(rows: dict[int, str]) -> list[str]:
    more = [f"and {len(rows) - _NAMED} more"] if len(rows) > _NAMED else []
    return [*rows.values()][:_NAMED] + more


def _parts(keys: Sequence[int]) -> Iterable[Sequence[int]]:
    return (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))
