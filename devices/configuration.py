"""Editing configurations, and what follows from an edit for each device.

Every change to what a fleet's devices should run holds the fleet's lock (`changing`), so that two managers cannot merge
past each other. What is wanted of a device is computed then, not when it asks: a poll reads one row. A device that came
into the fleet another way is settled by `settle_strays`, or when it asks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from devices import announcements
from devices.configdocument import EMPTY, Change, Document, changes, digest_of, merged, patched, tidied
from devices.models import (
    ConfigContent,
    ConfigLayer,
    ConfigVersion,
    Device,
    DeviceConfig,
    DeviceConfigVersion,
    DeviceGroup,
)
from fleet.audit import Actor, record
from fleet.models import Fleet

_AUDITED = 50
"""Changed keys that the audit trail names."""
_AT_ONCE = 1_000
_COLUMNS = ["fleet", "version", "content", "wanted_at", "state", "drifted_since"]


class ConflictError(Exception):
    """Somebody else changed it meanwhile. `version`: what stands now."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose layer: a fleet's, a group's (of that fleet) or a device's (of that fleet)."""

    fleet: Fleet
    group: DeviceGroup | None = None
    device: Device | None = None

    @property
    def key(self) -> dict[str, Any]:
        if self.device is not None:
            return {"device": self.device}
        return {"group": self.group} if self.group is not None else {"fleet": self.fleet}

    @property
    def kind(self) -> str:
        return next(iter(self.key))

    def layer(self) -> ConfigLayer:
        """An unsaved one of version 0 when nobody has said anything."""
        return ConfigLayer.objects.filter(**self.key).first() or ConfigLayer(**self.key)

    def devices(self) -> "QuerySet[Device]":
        """Those that the layer may concern."""
        found = Device.objects.filter(vehicle__fleet=self.fleet)
        if self.device is not None:
            return found.filter(pk=self.device.pk)
        return found.filter(membership__group=self.group) if self.group is not None else found


@dataclass(frozen=True, slots=True)
class Edit:
    """`basis`: versions it may start from; None: any. `patch`: `document` is a merge patch of what stands."""

    document: Any
    note: str = ""
    basis: frozenset[int] | None = None
    patch: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """`affected`: devices that are wanted to run something else now."""

    version: int
    changed: bool
    affected: int


@contextmanager
def changing(fleet: Fleet) -> Iterator[datetime]:
    """A transaction that nobody else changes this fleet's configuration in; the moment it was got."""
    with transaction.atomic():
        Fleet.objects.select_for_update(no_key=True).get(pk=fleet.pk)
        yield timezone.now()


def write(actor: Actor, owner: Owner, edit: Edit) -> Written:
    """A new version of a layer, announced to the devices it changes. Raises ConflictError, FlawedError."""
    with changing(owner.fleet) as now:
        layer = owner.layer()
        _check_basis(layer, edit)
        wanted = patched(layer.document, edit.document) if edit.patch else edit.document
        return _append(actor, owner, layer, ConfigVersion(document=tidied(wanted), note=edit.note, at=now))


def restore(actor: Actor, owner: Owner, number: int, edit: Edit) -> Written:
    """The content of an older version as a new one. Raises ConfigVersion.DoesNotExist, ConflictError."""
    with changing(owner.fleet) as now:
        layer = owner.layer()
        _check_basis(layer, edit)
        old = ConfigVersion.objects.get(layer=layer.pk, number=number)
        copy = ConfigVersion(document=old.document, note=edit.note, restored_from=number, at=now)
        return _append(actor, owner, layer, copy)


def would_affect(owner: Owner, document: Document) -> int:
    """How many devices would be wanted to run something else; nothing is written."""
    layers = _Layers(owner.fleet, owner.devices(), {owner.kind: document})
    standing = DeviceConfig.objects.filter(device__in=owner.devices())
    digests = dict(standing.values_list("device", "content"))
    return sum(layers.of(*row) != digests.get(row[0], EMPTY) for row in _members(owner.devices()))


def settle(fleet: Fleet, devices: "QuerySet[Device]", now: datetime, *, announce: bool = True) -> int:
    """Bring what is wanted of these devices up to their layers, and announce it. How many changed.

    Inside `changing`. A few queries for any thousand devices.
    """
    devices = devices.filter(vehicle__fleet=fleet)
    layers = _Layers(fleet, devices, {})
    known = {row.pk: row for row in DeviceConfig.objects.select_for_update().filter(device__in=devices)}
    changed: list[DeviceConfig] = []
    for device, group in _members(devices):
        digest = layers.of(device, group)
        row = known.get(device)
        if row is None:
            row = DeviceConfig(device_id=device, version=int(digest != EMPTY))
        elif row.content_id == digest and row.fleet_id == fleet.pk:
            continue
        elif row.content_id != digest:
            row.version += 1
        row.fleet, row.content_id, row.wanted_at = fleet, digest, now
        row.judge(now)
        changed.append(row)
    _keep(changed, layers, now)
    if announce:
        announcements.announce(fleet.pk, {row.pk: row.version for row in changed if row.version}, now)
    return len(changed)


def settle_one(device: Device) -> None:
    """Before its configuration is read: a device that is new, or came from another fleet."""
    fleet = device.vehicle.fleet
    with changing(fleet) as now:
        settle(fleet, Device.objects.filter(pk=device.pk), now, announce=False)


def settle_strays() -> int:
    """Devices that came into a fleet, or went to another, without anybody editing a configuration."""
    strays = Device.objects.filter(Q(config=None) | ~Q(config__fleet=F("vehicle__fleet")))
    settled = 0
    for fleet in Fleet.objects.filter(pk__in=strays.values("vehicle__fleet")):
        with changing(fleet) as now:
            settled += settle(fleet, strays, now)
    return settled


def layers_of(device: Device) -> list[tuple[str, ConfigLayer]]:
    """Widest first: (kind, layer) of fleet, group and device, where something was said. Needs `vehicle`."""
    fleet = device.vehicle.fleet_id
    asked = Q(fleet=fleet) | Q(group__members__device=device.pk, group__fleet=fleet) | Q(device=device.pk)
    found = ConfigLayer.objects.filter(asked).select_related("group")
    kinds = [("fleet" if row.fleet_id else "group" if row.group_id else "device", row) for row in found]
    return sorted(kinds, key=lambda pair: ("fleet", "group", "device").index(pair[0]))


class _Layers:
    """All layers that concern some devices of a fleet. Devices that say nothing themselves share the merging."""

    def __init__(self, fleet: Fleet, devices: "QuerySet[Device]", instead: dict[str, Document]) -> None:
        """`instead`: another document for the fleet, or for every group or device there is (would_affect)."""
        rows = ConfigLayer.objects.filter(Q(fleet=fleet) | Q(group__fleet=fleet) | Q(device__in=devices))
        self._fleet: Document = {}
        self._groups: dict[int, Document] = {}
        self._devices: dict[int, Document] = {}
        for kept, group, device, document in rows.values_list("fleet", "group", "device", "document"):
            if kept:
                self._fleet = document
            elif group:
                self._groups[group] = document
            else:
                self._devices[device] = document
        self._instead = instead
        self._merged: dict[int | None, tuple[Document, str]] = {}
        self.contents: dict[str, Document] = {}

    def of(self, device: int, group: int | None) -> str:
        """The digest of what is in force for a device; the content itself is noted in `contents`."""
        wide, digest = self._shared(group)
        if own := self._instead.get("device", self._devices.get(device, {})):
            wide = merged([wide, own])
            digest = digest_of(wide)
        self.contents[digest] = wide
        return digest

    def _shared(self, group: int | None) -> tuple[Document, str]:
        if group not in self._merged:
            fleet = self._instead.get("fleet", self._fleet)
            said = self._instead.get("group", self._groups.get(group, {})) if group else {}
            document = merged([fleet, said])
            self._merged[group] = (document, digest_of(document))
        return self._merged[group]


def _members(devices: "QuerySet[Device]") -> list[tuple[int, int | None]]:
    """(device, its group): a group of a fleet it has left does not count."""
    rows = devices.order_by("pk").values_list(
        "pk", "vehicle__fleet", "membership__group", "membership__group__fleet"
    )
    return [(device, group if home == fleet else None) for device, fleet, group, home in rows]


def _keep(rows: list[DeviceConfig], layers: _Layers, now: datetime) -> None:
    digests = {row.content_id for row in rows}
    contents = [ConfigContent(digest=each, document=layers.contents[each]) for each in sorted(digests)]
    ConfigContent.objects.bulk_create(contents, ignore_conflicts=True, batch_size=_AT_ONCE)
    DeviceConfig.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["device"], update_fields=_COLUMNS, batch_size=_AT_ONCE
    )
    versions = [
        DeviceConfigVersion(device_id=row.pk, version=row.version, content_id=row.content_id, at=now)
        for row in rows
        if row.version
    ]
    DeviceConfigVersion.objects.bulk_create(versions, ignore_conflicts=True, batch_size=_AT_ONCE)


def _check_basis(layer: ConfigLayer, edit: Edit) -> None:
    if edit.basis is not None and layer.version not in edit.basis:
        raise ConflictError(layer.version)


def _append(actor: Actor, owner: Owner, layer: ConfigLayer, version: ConfigVersion) -> Written:
    before = layer.document
    if digest_of(version.document) == digest_of(before):
        return Written(layer.version, changed=False, affected=0)
    layer.version += 1
    layer.document = version.document
    layer.save()
    version.layer, version.number = layer, layer.version
    version.author, version.author_name = actor.user, actor.name[:200]
    version.save(force_insert=True)
    affected = settle(owner.fleet, owner.devices(), version.at)
    record(
        actor,
        "config.changed" if version.restored_from is None else "config.restored",
        owner.device or owner.group or owner.fleet,
        owner.fleet,
        _audited(changes(before, version.document), version, affected),
    )
    return Written(layer.version, changed=True, affected=affected)


def _audited(
    found: list[Change], version: ConfigVersion, affected: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    before: dict[str, Any] = {"version": version.number - 1}
    after: dict[str, Any] = {"version": version.number, "note": version.note, "devices": affected}
    for change in found[:_AUDITED]:
        if change.kind != "added":
            before[change.pointer] = change.old
        if change.kind != "removed":
            after[change.pointer] = change.new
    if len(found) > _AUDITED:
        after["more_keys"] = len(found) - _AUDITED
    return before, after
