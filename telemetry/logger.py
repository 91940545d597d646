"""Starting and stopping a telemetry logger: of a vehicle by a command to its device, else the bundled replay logger.

`manage.py serve` supervises the latter. The wish travels through the database-free shared cache: whoever serves the
socket need not be the supervisor.
"""

from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from devices import commands
from devices.commands import Order, RefusedError
from fleet.access import Principal
from fleet.audit import Actor
from fleet.models import Vehicle
from telemetry import live

WISH = "replay-logger-wish"
SEEN = "replay-logger-seen"


@dataclass(frozen=True, slots=True)
class Reply:
    done: bool
    message: str
    status: int = 200
    told: bool = False
    """Everybody who watches reads it in the log, who asked included."""


def start(actor: Actor, principal: Principal, vehicle: Any = None) -> Reply:
    """`vehicle`: slug, VIN or plate; None means the replay logger."""
    if vehicle is not None:
        return _command(actor, principal, vehicle, "start_logger")
    return _wish(principal, "run", "Logger started.")


def stop(actor: Actor, principal: Principal, vehicle: Any = None) -> Reply:
    if vehicle is not None:
        return _command(actor, principal, vehicle, "stop_logger")
    return _wish(principal, "stop", "Logger stopped.")


def _wish(principal: Principal, wish: str, message: str) -> Reply:
    if not principal.sees_everything:
        return _not_staff()
    if cache.get(SEEN) is None:
        return Reply(False, "No replay logger runs beside this server.", 409)
    cache.set(WISH, wish, None)
    fleets = list(principal.roles or {})
    for fleet in fleets:
        live.publish_log(fleet, message)
    return Reply(True, message, told=bool(fleets))


def _command(actor: Actor, principal: Principal, name: Any, action: str) -> Reply:
    if not principal.sees_everything:
        return _not_staff()
    named = Vehicle.objects.named(str(name).replace("\x00", "")).select_related("fleet").order_by("id")[:2]
    match list(named):
        case [vehicle]:
            device = commands.device_of(vehicle)
        case []:
            return Reply(False, "There is no such vehicle: send its slug, VIN or plate.", 404)
        case _:
            return Reply(False, "More than one vehicle is called that: send the VIN.", 409)
    if device is None:
        return Reply(False, "This vehicle has no active device.", 409)
    try:
        sent = commands.send(actor, device, Order(action))
    except RefusedError as refused:
        return Reply(False, str(refused), 409)
    return Reply(True, f"Command {action} queued for {vehicle}: {sent.public_id}")


def _not_staff() -> Reply:
    return Reply(False, "Only staff may start or stop the logger.", 403)
