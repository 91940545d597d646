"""Keeping driving events: what a stretch of a vehicle's records says now takes the place of what was said before.

Everything else about an event (who drove, whether it was dismissed) is looked up by the moments it covers, so that rows
may be found anew at any time and end up the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from fleet.aggregation.rollups import Touch, driving, touch
from fleet.audit import Actor, record
from fleet.behaviour.driving import HARSH, SPEEDING, Found, Limits, strength
from fleet.models import Dismissal, DrivingEvent, EventKind, Vehicle
from fleet.privacy.gate import shaded
from fleet.privacy.masks import PLACE

COLUMNS: Final = (
    "kind", "started_at", "ended_at", "going_on", "strength", "peak_m_s2", "speed_before_m_s", "top_speed_m_s",
    "limit", "source", "rate_hz", "latitude_deg", "longitude_deg",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Judged:
    """Stored events of a vehicle, and what stands in their place now."""

    vehicle_id: int
    fleet_id: int
    limits: Limits
    stored: Sequence[DrivingEvent]
    found: Sequence[Found]


def moment(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)


def keep(judged: Iterable[Judged], slot: int) -> None:
    """`slot`: when the days of events that only went on are summed up, Unix seconds. Call in a transaction. No
    statement where nothing changed."""
    changed: list[DrivingEvent] = []
    gone: list[int] = []
    touches: dict[Touch, int] = {}
    matched = [(one, *_matched(one)) for one in judged]
    shaded((row for _, rows, _ in matched for row in rows), "started_at", "ended_at", *PLACE)
    for one, rows, left in matched:
        before = {row.pk: row for row in one.stored}
        for row in rows:
            old = before.get(row.pk) if row.pk else None
            if old is None or _values(old) != _values(row):
                changed.append(row)
                goes_on = old is not None and row.going_on and old.going_on
                _note(touches, [row, *([old] if old else [])], slot if goes_on else 0)
        gone += [row.pk for row in left]
        _note(touches, left, 0)
    if changed or gone:
        _write(changed, gone)
        touch(replace(one, slot=at) for one, at in touches.items())


def _write(changed: Sequence[DrivingEvent], gone: Sequence[int]) -> None:
    vehicles = sorted({row.vehicle_id for row in changed})
    # Whoever dismisses holds the vehicle's row too: no event is found beside a dismissal that cannot be seen yet.
    list(
        Vehicle.objects.select_for_update(no_key=True)
        .filter(pk__in=vehicles)
        .order_by("pk")
        .values_list("pk")
    )
    _dismiss_known(changed)
    DrivingEvent.objects.filter(pk__in=gone).delete()
    if known := [row for row in changed if row.pk]:
        DrivingEvent.objects.bulk_update(known, [*COLUMNS, "dismissal"])
    DrivingEvent.objects.bulk_create([row for row in changed if not row.pk])


def _note(touches: dict[Touch, int], rows: Iterable[DrivingEvent], slot: int) -> None:
    for row in rows:
        for one in driving(row.fleet_id, row.vehicle_id, [row.started_at.astimezone(UTC).date()]):
            touches[one] = min(slot, touches.get(one, slot))


def _matched(one: Judged) -> tuple[list[DrivingEvent], list[DrivingEvent]]:
    """Rows as they should be, and rows that are left over. A row whose event moved keeps its number."""
    at = {(row.kind, row.started_at): row for row in one.stored}
    rows: list[DrivingEvent] = []
    others: list[Found] = []
    for found in one.found:
        row = at.pop((found.kind, moment(found.started_us)), None)
        if row is None:
            others.append(found)
        else:
            rows.append(_row(one, found, row.pk, row.driver_id))
    for found in others:
        begin, end = moment(found.started_us), moment(found.ended_us)
        near = [
            row
            for row in at.values()
            if row.kind == found.kind and row.started_at <= end and row.ended_at >= begin
        ]
        row = min(near, key=lambda row: row.started_at, default=None)
        if row is not None:
            del at[row.kind, row.started_at]
        rows.append(_row(one, found, row.pk if row else None, row.driver_id if row else ""))
    return rows, list(at.values())


def _row(one: Judged, found: Found, pk: int | None, driver_id: str) -> DrivingEvent:
    harsh = found.kind in HARSH
    limits = one.limits
    limit = (
        limits.of(found.kind) if harsh else limits.speed_mps if found.kind == SPEEDING else limits.idling_s
    )
    return DrivingEvent(
        pk=pk,
        vehicle_id=one.vehicle_id,
        fleet_id=one.fleet_id,
        driver_id=driver_id,
        kind=found.kind,
        started_at=moment(found.started_us),
        ended_at=moment(found.ended_us),
        going_on=found.going_on,
        strength=strength(found, limits),
        peak_m_s2=found.peak if harsh else None,
        speed_before_m_s=found.speed_before_mps,
        top_speed_m_s=found.peak if found.kind == SPEEDING else None,
        limit=limit,
        source=found.source,
        rate_hz=found.rate_hz,
        latitude_deg=found.latitude_deg,
        longitude_deg=found.longitude_deg,
    )


def _values(row: DrivingEvent) -> dict[str, Any]:
    return {name: getattr(row, name) for name in COLUMNS}


def _dismiss_known(rows: Sequence[DrivingEvent]) -> None:
    """What somebody dismissed stays dismissed. Of several dismissals that meet an event the first counts."""
    if not rows:
        return
    known = Dismissal.objects.filter(
        vehicle__in={row.vehicle_id for row in rows},
        started_at__lte=max(row.ended_at for row in rows),
        ended_at__gte=min(row.started_at for row in rows),
    )
    dismissals = list(known.order_by("pk"))
    for row in rows:
        row.dismissal = next((one for one in dismissals if _meets(one, row)), None)


def _meets(one: Dismissal, row: DrivingEvent) -> bool:
    same = one.vehicle_id == row.vehicle_id and one.kind == row.kind
    return same and one.started_at <= row.ended_at and one.ended_at >= row.started_at


def meeting(row: DrivingEvent | Dismissal) -> Q:
    """Rows of the vehicle and kind that share a moment with this one."""
    return Q(
        vehicle=row.vehicle_id, kind=row.kind, started_at__lte=row.ended_at, ended_at__gte=row.started_at
    )


def dismiss(actor: Actor, event: DrivingEvent, reason: str) -> DrivingEvent:
    """It is kept and shown, and costs no points. Again: nothing more, the first reason stays."""
    with transaction.atomic():
        locked = _locked(event)
        if locked.dismissal_id is None:
            made = Dismissal.objects.create(
                fleet_id=locked.fleet_id,
                vehicle_id=locked.vehicle_id,
                kind=locked.kind,
                started_at=locked.started_at,
                ended_at=locked.ended_at,
                reason=reason,
                by=actor.user,
                by_name=actor.name[:200],
            )
            DrivingEvent.objects.filter(meeting(made), dismissal=None).update(dismissal=made)
            record(
                actor,
                "driving_event.dismissed",
                locked,
                locked.fleet,
                ({}, {**told(locked), "reason": reason}),
            )
            _touch(locked)
    return locked


def restore(actor: Actor, event: DrivingEvent) -> DrivingEvent:
    """It counts again."""
    with transaction.atomic():
        locked = _locked(event)
        dismissals = list(Dismissal.objects.filter(meeting(locked)))
        if locked.dismissal_id is not None:
            stretched = DrivingEvent.objects.filter(dismissal__in=dismissals)
            for row in list(stretched):
                _touch(row)
            stretched.update(dismissal=None)
            Dismissal.objects.filter(pk__in=[one.pk for one in dismissals]).delete()
            record(actor, "driving_event.restored", locked, locked.fleet, (told(locked), {}))
    return locked


def _locked(event: DrivingEvent) -> DrivingEvent:
    """With the vehicle's row held, as `_write` does."""
    Vehicle.objects.select_for_update(no_key=True).get(pk=event.vehicle_id)
    return DrivingEvent.objects.select_related("fleet", "vehicle").get(pk=event.pk)


def told(event: DrivingEvent) -> dict[str, Any]:
    return {
        "vehicle": event.vehicle.slug,
        "kind": EventKind(event.kind).label,
        "started_at": event.started_at.isoformat(),
    }


def _touch(row: DrivingEvent) -> None:
    touch(driving(row.fleet_id, row.vehicle_id, [row.started_at.astimezone(UTC).date()]))
