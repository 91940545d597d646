"""Editing a fleet's sensor catalogue: each change on record, in the transaction of the change."""

from collections.abc import Mapping, Sequence

from django.db import transaction

from fleet.audit import Actor, record
from fleet.models import Fleet, SensorType, VehicleState

LIMIT = 500
_STATES_READ = 200


def describe(actor: Actor, fleet: Fleet, entry: SensorType) -> None:
    """Keep one entry, new or changed; `entry` is valid."""
    with transaction.atomic():
        Fleet.objects.select_for_update().get(pk=fleet.pk)
        before = SensorType.objects.filter(fleet=fleet, type=entry.type).first()
        entry.fleet, entry.pk = fleet, before.pk if before else None
        if before is not None and before.facts() == entry.facts():
            return
        entry.save()
        record(actor, "sensor.described", entry, fleet, (before.facts() if before else {}, entry.facts()))


def learn(fleet_id: int, units: Mapping[str, str]) -> None:
    """Units that devices wrote beside readings nobody described yet; managers may change them. One statement."""
    rows = [SensorType(fleet_id=fleet_id, type=name, unit=unit[:24]) for name, unit in sorted(units.items())]
    if rows and SensorType.objects.filter(fleet=fleet_id).count() + len(rows) <= LIMIT:
        SensorType.objects.bulk_create(rows, ignore_conflicts=True)


def forget(actor: Actor, fleet: Fleet, name: str) -> None:
    """Back to what is usual. Nothing happens when nothing was said of it."""
    with transaction.atomic():
        entry = SensorType.objects.select_for_update().filter(fleet=fleet, type=name).first()
        if entry is not None:
            record(actor, "sensor.forgotten", entry, fleet, (entry.facts(), {}))
            entry.delete()


def replace(actor: Actor, fleet: Fleet, entries: Sequence[SensorType]) -> None:
    """The whole catalogue at once; `entries` are valid and each names another type."""
    with transaction.atomic():
        wanted = {entry.type for entry in entries}
        for name in SensorType.objects.filter(fleet=fleet).values_list("type", flat=True):
            if name not in wanted:
                forget(actor, fleet, name)
        for entry in entries:
            describe(actor, fleet, entry)


def seen_in(fleet: Fleet) -> list[str]:
    """Types that vehicles of the fleet have now; of a large fleet, of its most recent ones."""
    states = VehicleState.objects.filter(vehicle__fleet=fleet).order_by("-received_at")
    names: set[str] = set()
    for values, further in states.values_list("values", "further")[:_STATES_READ]:
        names |= {*values, *(further or {})}
    return sorted(names)
