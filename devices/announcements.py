"""Telling devices that their configuration changed: a command that only says "fetch it".

At most one waits for a device: a newer one replaces what no device has fetched yet. It may be lost or run out, since
a device also asks by itself, and what it then gets is the newest.
"""

from datetime import datetime, timedelta
from itertools import islice

from django.db import transaction
from django.db.models import QuerySet

from devices import commands
from devices.models import Command, Device, State

ACTION = "update_config"
_AT_ONCE = 1_000


def announce(fleet_id: int, versions: dict[int, int], now: datetime) -> None:
    """`versions`: device to the version it should fetch. Four queries per thousand, in the caller's transaction."""
    waiting, told = iter(sorted(versions)), dict[int, int]()
    while batch := list(islice(waiting, _AT_ONCE)):
        told |= _replace(Device.objects.filter(pk__in=batch, active=True), versions, now)
    transaction.on_commit(lambda: commands.tell_queued(fleet_id, set(told.values()), list(told)))


def _replace(devices: "QuerySet[Device]", versions: dict[int, int], now: datetime) -> dict[int, int]:
    """Device to vehicle of those that were told."""
    older = Command.objects.filter(action=ACTION, state=State.QUEUED, sender=None, device__in=devices)
    # What a device is fetching at this moment is locked, and not ours to end.
    keys = list(older.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))
    Command.objects.filter(pk__in=keys, state=State.QUEUED).update(
        state=State.CANCELLED, ended_at=now, due_at=None, message="Replaced by a newer configuration."
    )
    ends = now + timedelta(seconds=commands.LONGEST_TTL_S)
    vehicles = dict(devices.order_by("pk").values_list("pk", "vehicle"))
    Command.objects.bulk_create(
        Command(
            device_id=device,
            vehicle_id=vehicle,
            action=ACTION,
            parameters={"version": versions[device]},
            state=State.QUEUED,
            created_at=now,
            expires_at=ends,
            due_at=ends,
        )
        for device, vehicle in vehicles.items()
    )
    return vehicles
