"""Saying who has which vehicle, recorded in the audit trail. Trips, events and sums follow in the background."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q

from fleet.aggregation.rollups import nudge
from fleet.audit import Actor, record
from fleet.models import AssignmentChange, Driver, DriverAssignment, Fleet, Vehicle
from fleet.privacy import spans

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wish:
    """[started_at, ended_at); None: until further notice. Vehicle and driver of one fleet."""

    vehicle: Vehicle
    driver: Driver
    started_at: datetime
    ended_at: datetime | None = None


def add(actor: Actor, wish: Wish, *, hand_over: bool = False) -> DriverAssignment:
    """`hand_over`: whoever has the vehicle until further notice has it until then. Raises ValidationError by field."""
    _check(wish)
    with transaction.atomic():
        _lock([wish.vehicle])
        before = None
        if hand_over:
            before = _of(wish.vehicle).filter(ended_at=None, started_at__lt=wish.started_at).first()
            if before is not None:
                _change(actor, before, ended_at=wish.started_at)
        _refuse_overlap(wish)
        made = _add(actor, wish)
        spans.assigned([made.driver_id, *([before.driver_id] if before else [])])
        return made


def add_all(actor: Actor, wishes: Iterable[Wish]) -> list[DriverAssignment]:
    """All or none. Raises ValidationError as `add` does."""
    wanted = list(wishes)
    with transaction.atomic():
        _lock([wish.vehicle for wish in wanted])
        stored = of_vehicles(wish.vehicle for wish in wanted)
        made = []
        for wish in wanted:
            _check(wish)
            mine = stored.setdefault(wish.vehicle.pk, [])
            if known := next((one for one in mine if share_a_moment(wish, one)), None):
                raise ValidationError({"started_at": taken(known)})
            made.append(_add(actor, wish))
            mine.append(made[-1])
        spans.assigned({one.driver_id for one in made})
    return made


def change(actor: Actor, assignment: DriverAssignment, **wanted: Any) -> DriverAssignment:
    """`wanted`: driver, started_at, ended_at. Raises ValidationError by field."""
    with transaction.atomic():
        _lock([assignment.vehicle])
        locked = DriverAssignment.objects.select_related("vehicle", "driver", "fleet").get(pk=assignment.pk)
        before = locked.driver_id
        changed = _change(actor, locked, **wanted)
        spans.assigned({before, changed.driver_id})
        return changed


def delete(actor: Actor, assignment: DriverAssignment) -> None:
    """As if it had never been. Again: nothing more."""
    with transaction.atomic():
        _lock([assignment.vehicle])
        locked = DriverAssignment.objects.select_related("vehicle", "driver", "fleet")
        found = locked.filter(pk=assignment.pk).first()
        if found is not None:
            record(actor, "assignment.deleted", found, found.fleet, (told(found), {}))
            _note(found)
            found.delete()
            spans.assigned([found.driver_id])


def renamed(driver: Driver) -> None:
    """Cars call the driver something else, or nobody: whatever follows from their assignments is set anew."""
    for one in DriverAssignment.objects.filter(driver=driver):
        _note(one)


def meeting(wish: Wish) -> Any:
    """Assignments of the vehicle that share a moment with this one."""
    found = _of(wish.vehicle).filter(Q(ended_at=None) | Q(ended_at__gt=wish.started_at))
    return found if wish.ended_at is None else found.filter(started_at__lt=wish.ended_at)


def told(one: DriverAssignment) -> dict[str, Any]:
    return {
        "vehicle": one.vehicle.slug,
        "driver": one.driver.slug,
        "started_at": one.started_at.isoformat(),
        "ended_at": one.ended_at.isoformat() if one.ended_at else None,
    }


def _of(vehicle: Vehicle) -> Any:
    """In the fleet that the vehicle is in now: another fleet's are nobody's business here."""
    return DriverAssignment.objects.filter(vehicle=vehicle, fleet=vehicle.fleet_id).select_related(
        "driver", "vehicle", "fleet"
    )


def _lock(vehicles: Iterable[Vehicle]) -> None:
    """Nobody else assigns these meanwhile."""
    pks = sorted({vehicle.pk for vehicle in vehicles})
    list(Vehicle.objects.select_for_update(no_key=True).filter(pk__in=pks).order_by("pk").values_list("pk"))


def _check(wish: Wish) -> None:
    errors: dict[str, str] = {}
    if wish.driver.fleet_id != wish.vehicle.fleet_id:
        errors["driver"] = f"{wish.driver.slug} is no driver of the fleet of {wish.vehicle.name}."
    for name in ("started_at", "ended_at"):
        moment = getattr(wish, name)
        if moment is not None and not EARLIEST <= moment < LATEST:
            errors[name] = "Not between the years 2000 and 2100."
    if wish.ended_at is not None and wish.ended_at <= wish.started_at:
        errors["ended_at"] = "It ends before it begins."
    if errors:
        raise ValidationError(errors)


def _refuse_overlap(wish: Wish, but: DriverAssignment | None = None) -> None:
    rows = meeting(wish)
    known = (rows.exclude(pk=but.pk) if but else rows).order_by("started_at").first()
    if known is not None:
        raise ValidationError({"started_at": taken(known)})


def taken(known: DriverAssignment) -> str:
    """Why nobody else can have the vehicle then. Needs `vehicle` and `driver` selected."""
    until = f"until {known.ended_at:%Y-%m-%d %H:%M} UTC" if known.ended_at else "until further notice"
    return (
        f"{known.vehicle.name} is assigned to {known.driver.slug} from {known.started_at:%Y-%m-%d %H:%M} UTC {until}: "
        "end or change that one first."
    )


def of_vehicles(vehicles: Iterable[Vehicle]) -> dict[int, list[DriverAssignment]]:
    """Of these, in the fleets they are in now. One query."""
    rows = DriverAssignment.objects.filter(
        vehicle__in={one.pk for one in vehicles}, fleet=F("vehicle__fleet")
    )
    found: dict[int, list[DriverAssignment]] = defaultdict(list)
    for row in rows.select_related("vehicle", "driver").order_by("started_at"):
        found[row.vehicle_id].append(row)
    return found


def share_a_moment(wish: Wish, known: DriverAssignment) -> bool:
    begins_before = wish.ended_at is None or known.started_at < wish.ended_at
    return begins_before and (known.ended_at is None or known.ended_at > wish.started_at)


def _add(actor: Actor, wish: Wish) -> DriverAssignment:
    fleet = Fleet(pk=wish.vehicle.fleet_id)
    made = DriverAssignment.objects.create(
        fleet_id=fleet.pk,
        vehicle=wish.vehicle,
        driver=wish.driver,
        started_at=wish.started_at,
        ended_at=wish.ended_at,
    )
    record(actor, "assignment.created", made, fleet, ({}, told(made)))
    _note(made)
    return made


def _change(actor: Actor, locked: DriverAssignment, **wanted: Any) -> DriverAssignment:
    before = told(locked)
    old = Wish(locked.vehicle, locked.driver, locked.started_at, locked.ended_at)
    for name, value in wanted.items():
        setattr(locked, name, value)
    wish = Wish(locked.vehicle, locked.driver, locked.started_at, locked.ended_at)
    if wish == old:
        return locked
    _check(wish)
    _refuse_overlap(wish, locked)
    locked.save(update_fields=["driver", "started_at", "ended_at"])
    record(actor, "assignment.changed", locked, locked.fleet, (before, told(locked)))
    _note(
        DriverAssignment(
            fleet=locked.fleet, vehicle=old.vehicle, started_at=old.started_at, ended_at=old.ended_at
        )
    )
    _note(locked)
    return locked


def _note(one: DriverAssignment) -> None:
    AssignmentChange.objects.create(
        fleet_id=one.fleet_id, vehicle_id=one.vehicle_id, started_at=one.started_at, ended_at=one.ended_at
    )
    transaction.on_commit(nudge)
