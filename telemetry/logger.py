"""Starting and stopping the bundled replay logger, which `manage.py serve` supervises.

The wish travels through the database-free shared cache: whoever serves the socket need not be the supervisor.
"""

from dataclasses import dataclass

from django.core.cache import cache

from fleet.access import Principal
from telemetry import live

WISH = "replay-logger-wish"
SEEN = "replay-logger-seen"


@dataclass(frozen=True, slots=True)
class Reply:
    done: bool
    message: str
    status: int = 200


def start(principal: Principal) -> Reply:
    return _wish(principal, "run", "Logger started.")


def stop(principal: Principal) -> Reply:
    return _wish(principal, "stop", "Logger stopped.")


def _wish(principal: Principal, wish: str, message: str) -> Reply:
    if not principal.sees_everything:
        return Reply(False, "Only staff may start or stop the logger.", 403)
    if cache.get(SEEN) is None:
        return Reply(False, "No replay logger runs beside this server.", 409)
    cache.set(WISH, wish, None)
    for fleet in principal.roles or {}:
        live.publish_log(fleet, message)
    return Reply(True, message)
