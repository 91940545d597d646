"""The life of a command, whatever path it takes. Each function here is one door between two states.

A command is delivered at most once: `take` decides it in one UPDATE that also looks at the clock, so that an expired
command is never handed out. The time to live runs from sending, approval included. A delivered command has
ANSWER_WITHIN to be acknowledged; then it shows as `unacknowledged`, and a later answer still replaces that, because
what the device did is more than what we assumed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from devices import kinds
from devices.kinds import NonsenseError
from devices.models import Command, Device, Path, State
from devices.models.commands import WAITING
from fleet.audit import Actor, record
from fleet.jsontext import written
from fleet.models import Vehicle, VehicleState
from fleet.models.vehicles import MOVING_ABOVE_KMH
from fleet.privacy import masks
from fleet.push import device_group, group, push

TTL_S, SHORTEST_TTL_S, LONGEST_TTL_S = 300, 10, 86_400
ANSWER_WITHIN = timedelta(minutes=5)
TAKEN_AT_ONCE = 20
QUEUE_LIMIT = 200
"""Commands that may wait for one device."""
MESSAGE_LIMIT = 500
HINTED_AT_ONCE = 200
"""More would crowd out what else is pushed."""


class RefusedError(Exception):
    """This cannot be done to the command, or to the vehicle, as it is now. The text says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done. `ttl_s`: time to live, 10 s to 24 h."""

    action: Any
    parameters: Any = field(default_factory=dict)
    ttl_s: Any = TTL_S
    resend_of: Command | None = None


def device_of(vehicle: Vehicle) -> Device | None:
    """Where a command to the vehicle goes: to its newest active device."""
    if vehicle.retired_at is not None:
        return None
    return vehicle.devices.filter(active=True).order_by("-id").first()


def send(actor: Actor, device: Device, order: Order) -> Command:
    """Queue a command, or have it wait for a second person. Raises NonsenseError, RefusedError.

    Whether the actor may send to this device is the caller's to know. Needs `vehicle__fleet` selected.
    """
    parameters = kinds.check(order.action, order.parameters)
    ttl = order.ttl_s
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not SHORTEST_TTL_S <= ttl <= LONGEST_TTL_S:
        raise NonsenseError(ttl_s=f"Must be a whole number of seconds, {SHORTEST_TTL_S} to {LONGEST_TTL_S}.")
    if not device.working:
        raise RefusedError("The device is inactive, or its vehicle is retired.")
    dangerous = order.action in kinds.DANGEROUS
    with transaction.atomic():
        now = timezone.now()
        expires_at = now + timedelta(seconds=ttl)
        waiting = device.commands.filter(state__in=WAITING, due_at__gt=now)
        if waiting.count() >= QUEUE_LIMIT:
            raise RefusedError(f"{QUEUE_LIMIT} commands wait for this device already: cancel some.")
        command = Command.objects.create(
            device=device,
            vehicle=device.vehicle,
            action=order.action,
            parameters=parameters,
            dangerous=dangerous,
            state=State.AWAITING_APPROVAL if dangerous else State.QUEUED,
            sender=actor.user,
            created_at=now,
            expires_at=expires_at,
            due_at=expires_at,
            resend_of=order.resend_of,
        )
        record(actor, "command.sent", command, device.vehicle.fleet, ({}, command.facts()))
        _tell(command)
    return command


def approve(actor: Actor, command: Command) -> Command:
    """By a second person, while the vehicle stands. Again by the same person: nothing more. Raises RefusedError."""
    with locked(Command.objects.filter(pk=command.pk)) as (found, now):
        state = found.state_at(now)
        if actor.user is None:
            raise RefusedError("Only a person can approve a command.")
        if found.approver_id == actor.user.pk and state is not State.AWAITING_APPROVAL:
            return found
        if state is not State.AWAITING_APPROVAL:
            raise RefusedError(f"There is nothing to approve: the command is {state.value}.")
        if found.sender_id == actor.user.pk:
            raise RefusedError("Somebody else has to approve what you sent.")
        if (speed := speed_of(found.vehicle_id)) > MOVING_ABOVE_KMH:
            raise RefusedError(f"The vehicle moves ({speed:.0f} km/h): approve it when it stands.")
        before = found.facts()
        found.state, found.approver, found.approved_at = State.QUEUED, actor.user, now
        found.save(update_fields=["state", "approver", "approved_at"])
        record(actor, "command.approved", found, found.vehicle.fleet, (before, found.facts()))
        _tell(found)
    return found


def cancel(actor: Actor, command: Command) -> Command:
    """As long as no device has it. Again: nothing more. Raises RefusedError."""
    with locked(Command.objects.filter(pk=command.pk)) as (found, now):
        state = found.state_at(now)
        if state is State.CANCELLED:
            return found
        if state not in WAITING:
            raise RefusedError(f"Too late to cancel: the command is {state.value}.")
        before = found.facts()
        _end(found, State.CANCELLED, now, f"Cancelled by {actor.name}."[:MESSAGE_LIMIT])
        record(actor, "command.cancelled", found, found.vehicle.fleet, (before, found.facts()))
    return found


# What is locked by somebody else is being taken by somebody else. A dangerous command meets the vehicle's speed again
# here, in the same statement; a device that was moved to another vehicle gets nothing that was meant for the first.
_TAKE = """
WITH picked AS MATERIALIZED (
    SELECT c.id AS picked_id FROM device_commands c JOIN devices_device d ON d.id = c.device_id
    WHERE c.device_id = %(device)s AND c.state = 'queued' AND c.expires_at > %(now)s AND c.vehicle_id = d.vehicle_id
    ORDER BY c.id LIMIT %(limit)s {lock}
)
UPDATE device_commands SET
    state = CASE WHEN dangerous AND {moving} THEN 'failed' ELSE 'delivered' END,
    delivered_at = CASE WHEN dangerous AND {moving} THEN NULL ELSE {now} END,
    ended_at = CASE WHEN dangerous AND {moving} THEN {now} ELSE NULL END,
    due_at = CASE WHEN dangerous AND {moving} THEN NULL ELSE {answer_by} END,
    message = CASE WHEN dangerous AND {moving} THEN %(refusal)s ELSE '' END,
    path = %(path)s
FROM picked WHERE device_commands.id = picked_id AND state = 'queued' AND expires_at > %(now)s
RETURNING *
"""
_MOVING = """(%(moving)s OR EXISTS (
    SELECT 1 FROM vehicle_state s WHERE s.vehicle_id = device_commands.vehicle_id AND s.speed_kmh > %(limit_kmh)s))"""


def take(
    device_id: int, path: str, limit: int = TAKEN_AT_ONCE, *, speed_kmh: float | None = None
) -> list[Command]:
    """What is queued for the device, oldest first: from now on delivered, to this caller and to nobody else.

    Inside a caller's transaction it counts when that commits. `speed_kmh`: what the device says of itself in the same
    breath, known sooner than the stored state; a dangerous command fails when that or the state says it moves.
    """
    queued = Command.objects.filter(device=device_id, state=State.QUEUED)
    if not queued.exists():  # nearly always, and without the write lock of SQLite
        return []
    with transaction.atomic():
        now = timezone.now()  # after SQLite has let us write, which may take a while
        touched = list(Command.objects.raw(_take_sql(), _take_values(device_id, path, limit, speed_kmh, now)))
        touched.sort(key=lambda command: command.pk)
        _tell_changed(touched)
    return [command for command in touched if command.state == State.DELIVERED]


def _take_sql() -> str:
    postgresql = connection.vendor == "postgresql"
    kind = "::timestamptz" if postgresql else ""
    return _TAKE.format(
        lock="FOR UPDATE OF c SKIP LOCKED" if postgresql else "",
        moving=_MOVING,
        now=f"%(now)s{kind}",
        answer_by=f"%(answer_by)s{kind}",
    )


def _take_values(
    device_id: int, path: str, limit: int, speed_kmh: float | None, now: datetime
) -> dict[str, Any]:
    moment = connection.ops.adapt_datetimefield_value
    return {
        "device": device_id,
        "path": Path(path).value,
        "limit": max(0, limit),
        "now": moment(now),
        "answer_by": moment(now + ANSWER_WITHIN),
        "moving": (speed_kmh or 0.0) > MOVING_ABOVE_KMH,
        "limit_kmh": MOVING_ABOVE_KMH,
        "refusal": "Refused: the vehicle was moving when its device asked.",
    }


def waiting_for(device_id: int) -> list[Command]:
    """What `take` would find, left where it is: for people."""
    queued = Command.objects.filter(device=device_id).in_state(State.QUEUED, timezone.now())
    return list(queued.order_by("id")[:TAKEN_AT_ONCE])


def acknowledge(
    device_id: int, public_id: UUID, success: bool, message: str = "", result: dict[str, Any] | None = None
) -> Command:
    """What the device did. The first answer is kept, also when it comes late; later ones are told what was kept.

    Raises Command.DoesNotExist, RefusedError when the command was never delivered but may still be, NonsenseError.
    """
    result = result or {}
    if reason := kinds.reason_against(result):
        raise NonsenseError(result=reason)
    with locked(Command.objects.filter(device=device_id, public_id=public_id)) as (found, now):
        if found.state in {State.DELIVERED, State.UNACKNOWLEDGED}:
            found.result = masks.told(found.vehicle_id, now, result)
            _end(found, State.SUCCEEDED if success else State.FAILED, now, message[:MESSAGE_LIMIT])
        elif found.state_at(now) in WAITING:
            raise RefusedError("This command has not been delivered: ask for your commands first.")
    return found


def expire_overdue(now: datetime) -> int:
    """Write down what time has ended. How many."""
    ended = 0
    for states, end in ((WAITING, State.EXPIRED), ((State.DELIVERED,), State.UNACKNOWLEDGED)):
        with transaction.atomic():
            overdue = Command.objects.filter(state__in=states, due_at__lte=now)
            rows = list(overdue.select_for_update(skip_locked=True).order_by("id")[:1000])
            keys = [command.pk for command in rows]
            ended += Command.objects.filter(pk__in=keys).update(state=end, ended_at=now, due_at=None)
            _tell_changed(rows)
    return ended


def as_json(command: Command) -> dict[str, Any]:
    """What a device is told, on every path."""
    return {
        "id": str(command.public_id),
        "action": command.action,
        "parameters": command.parameters,
        "expires_at": written(command.expires_at),
    }


def speed_of(vehicle_id: int) -> float:
    """The last known one, km/h: a vehicle that fell silent at speed counts as moving. Nothing known: 0."""
    speed = VehicleState.objects.filter(vehicle=vehicle_id).values_list("speed_kmh", flat=True).first()
    return speed or 0.0


@contextmanager
def locked(rows: "QuerySet[Command]") -> Iterator[tuple[Command, datetime]]:
    """The one row, held until the block ends, and the moment it was got."""
    related = rows.select_related("vehicle__fleet", "device", "sender", "approver", "resend_of")
    with transaction.atomic():
        yield related.select_for_update(of=("self",)).get(), timezone.now()


def _end(command: Command, state: State, now: datetime, message: str) -> None:
    command.state, command.ended_at, command.due_at, command.message = state, now, None, message
    command.save(update_fields=["state", "ended_at", "due_at", "message", "result"])
    _tell(command)


def _tell(command: Command) -> None:
    """Hints, when it is committed: to the pages that show the vehicle, and to a device that is connected."""
    transaction.on_commit(lambda: _push_change(command.vehicle.fleet_id, {command.vehicle_id}))
    if command.state == State.QUEUED:
        transaction.on_commit(lambda: push(device_group(command.device_id), {"type": "command.queued"}))


def tell_queued(fleet_id: int, vehicle_ids: set[int], device_ids: list[int]) -> None:
    """The same hints for many at once, after the commit. Sockets that get none look by themselves."""
    _push_change(fleet_id, vehicle_ids)
    for device in device_ids[:HINTED_AT_ONCE]:
        push(device_group(device), {"type": "command.queued"})


def _tell_changed(commands: list[Command]) -> None:
    if not commands:
        return
    vehicles = {command.vehicle_id for command in commands}
    fleets: dict[int, set[int]] = {}
    for vehicle, fleet in Vehicle.objects.filter(pk__in=vehicles).values_list("pk", "fleet_id"):
        fleets.setdefault(fleet, set()).add(vehicle)
    for fleet, changed in fleets.items():
        transaction.on_commit(lambda fleet=fleet, changed=changed: _push_change(fleet, changed))  # type: ignore[misc]


def _push_change(fleet_id: int, vehicle_ids: set[int]) -> None:
    push(group(fleet_id), {"type": "live.commands", "fleet": fleet_id, "vehicles": sorted(vehicle_ids)})
