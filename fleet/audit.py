"""Writing the audit trail: call `record` in the transaction of the act itself, so that both happen or neither."""

from dataclasses import dataclass
from typing import Any

from django.db import models

from fleet.access import Principal
from fleet.models import AuditEntry, Fleet, User


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, from where."""

    name: str
    user: User | None = None
    address: str | None = None

    @classmethod
    def of(cls, request: Any) -> "Actor":
        """Of a Django or DRF request."""
        who = request.user
        address = request.META.get("REMOTE_ADDR") or None
        if isinstance(who, Principal):
            return cls(f"device {who.name}", address=address)
        return cls(str(who), who if isinstance(who, User) else None, address)


SYSTEM = Actor("convoy")
"""Acts nobody asked for in person: expiry, retention, rollouts."""


Values = dict[str, Any]


def record(
    actor: Actor, action: str, target: models.Model, fleet: Fleet | None, changed: tuple[Values, Values]
) -> None:
    """`changed`: plain values before and after; what is equal in both is left out."""
    old, new = changed
    same = {name for name in old if name in new and old[name] == new[name]}
    AuditEntry.objects.create(
        fleet=fleet,
        user=actor.user,
        actor=actor.name[:200],
        address=actor.address,
        action=action,
        object_type=target._meta.model_name or "",
        object_id=str(target.pk),
        object_name=str(target)[:200],
        before={name: value for name, value in old.items() if name not in same},
        after={name: value for name, value in new.items() if name not in same},
    )
