"""Device state: reports become history, and the newest by event time is what a device is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, Exists, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Greatest, NullIf
from django.utils import timezone

from devices.models import Device, DeviceStatus, DeviceToken
from fleet.models import VehicleState
from fleet.privacy import masks

_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Report:
    status: str
    time: datetime
    details: dict[str, Any]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a device is now."""

    device: Device
    newest: DeviceStatus | None
    last_seen: datetime | None

    @property
    def online(self) -> bool:
        silent = timedelta(seconds=settings.OFFLINE_AFTER_S)
        return self.last_seen is not None and timezone.now() - self.last_seen <= silent


def note(device_id: int, report: Report) -> None:
    """Keep a report. The database decides that the same one is kept once."""
    vehicle = Device.objects.filter(pk=device_id).values_list("vehicle", flat=True).first()
    row = DeviceStatus(
        device_id=device_id,
        time=report.time,
        status=report.status,
        details=masks.told(vehicle or 0, report.time, report.details),
        source=report.source,
        received_at=timezone.now(),
    )
    DeviceStatus.objects.bulk_create([row], ignore_conflicts=True)


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def with_heard(devices: "QuerySet[Device]") -> "QuerySet[Any]":
    """Annotates `newest` (id of the newest report by event time) and `heard_at`.

    A device was last heard when it reported a status, when its token was used (noted every few minutes), or, where it
    is its vehicle's only one, when a record of the vehicle came.
    """
    reports = DeviceStatus.objects.filter(device=OuterRef("pk")).order_by("-time", "-id")
    used = DeviceToken.objects.filter(device=OuterRef("pk")).order_by().values("device")
    # Two queries out: the first around it is the one of vehicle states.
    others = Device.objects.filter(vehicle=OuterRef("vehicle"), active=True).exclude(
        pk=OuterRef(OuterRef("pk"))
    )
    record_at = VehicleState.objects.filter(~Exists(others), vehicle=OuterRef("vehicle"))
    moments = (
        Subquery(reports.values("received_at")[:1]),
        Subquery(used.values(newest=Max("last_used_at"))),
        Subquery(record_at.values("received_at")[:1]),
    )
    # SQLite's greatest of anything and nothing is nothing.
    known = [Coalesce(moment, Value(_NEVER), output_field=DateTimeField()) for moment in moments]
    return devices.annotate(
        newest=Subquery(reports.values("pk")[:1]),
        heard_at=NullIf(Greatest(*known), Value(_NEVER), output_field=DateTimeField()),
    )


def conditions(devices: Iterable[Device]) -> list[Condition]:
    """How devices are now. Two queries for any number of them."""
    rows = list(devices)
    known = with_heard(Device.objects.filter(pk__in=[device.pk for device in rows]))
    by_id = {pk: rest for pk, *rest in known.values_list("pk", "newest", "heard_at")}
    statuses = DeviceStatus.objects.in_bulk([newest for newest, _ in by_id.values() if newest])
    found = [(device, *by_id[device.pk]) for device in rows if device.pk in by_id]
    return [Condition(device, statuses.get(newest), heard) for device, newest, heard in found]


def prune(now: datetime) -> int:
    """Forget reports older than STATUS_DAYS, but the newest of each device. How many."""
    if not settings.STATUS_DAYS:
        return 0
    newer = DeviceStatus.objects.filter(
        Q(time__gt=OuterRef("time")) | Q(time=OuterRef("time"), pk__gt=OuterRef("pk")),
        device=OuterRef("device"),
    )
    old = DeviceStatus.objects.filter(Exists(newer), time__lt=now - timedelta(days=settings.STATUS_DAYS))
    forgotten = 0
    # In portions: nobody waits for one long transaction.
    while keys := list(old.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        forgotten += DeviceStatus.objects.filter(pk__in=keys).delete()[0]
    return forgotten
