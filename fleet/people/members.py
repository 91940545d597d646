"""Who belongs to a fleet, as what. Each change looks at everybody's role again under the fleet's lock:

two owners who demote each other at once, or somebody demoted a moment ago, get no further than the first of them.
"""

from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from fleet.access import Principal, person
from fleet.audit import Actor, record
from fleet.models import (
    Alert,
    AlertState,
    Driver,
    Fleet,
    Invitation,
    Membership,
    Role,
    User,
    has_second_factor,
)
from fleet.push import access_changed

OTHER_NAMES = {"admin": Role.OWNER, "grower": Role.MANAGER}
"""What another system calls two of the roles."""
_MANAGED_BY_MANAGERS = (Role.VIEWER, Role.DRIVER)


class RefusedError(Exception):
    """What is asked for cannot be; the text says why and what to do."""


class ForbiddenError(RefusedError):
    """The actor's own role does not reach that far."""


class TooManyError(RefusedError):
    """Not now; later."""


def may_grant(principal: Principal, fleet_id: int, role: str) -> bool:
    """Invite as this role, or change somebody who has it: owners anybody, managers viewers and drivers."""
    if principal.can(Role.OWNER, fleet_id):
        return True
    return principal.can(Role.MANAGER, fleet_id) and role in _MANAGED_BY_MANAGERS


def grantable(principal: Principal, fleet_id: int) -> list[tuple[str, str]]:
    """As choices."""
    return [(value, label) for value, label in Role.choices if may_grant(principal, fleet_id, value)]


def listed(fleet: Fleet) -> QuerySet[Membership]:
    """With the person, and whether they have a second factor (`second_factor`)."""
    rows = Membership.objects.filter(fleet=fleet).select_related("user")
    return rows.annotate(second_factor=has_second_factor("user_id"))


def search(rows: Any, words: str) -> Any:
    for word in words.replace("\0", "").split():
        rows = rows.filter(
            Q(user__email__icontains=word)
            | Q(user__first_name__icontains=word)
            | Q(user__last_name__icontains=word)
        )
    return rows


def change_role(actor: Actor, member: Membership, role: str) -> Membership:
    """Raises RefusedError."""
    with transaction.atomic():
        fleet, locked = _locked(actor, member, role)
        before = locked.role
        if before == role:
            return locked
        if before == Role.OWNER:
            _must_have_another_owner(locked)
        locked.role = role
        locked.save(update_fields=["role"])
        record(actor, "member.role_changed", locked.user, fleet, ({"role": before}, {"role": role}))
        _withdraw_invitations(actor, fleet, locked.user)
    access_changed(locked.user_id)
    return locked


def remove(actor: Actor, member: Membership) -> None:
    """Out of the fleet, with what hangs on it; also oneself. Raises RefusedError."""
    with transaction.atomic():
        fleet, locked = _locked(actor, member)
        if locked.role == Role.OWNER:
            _must_have_another_owner(locked)
        user, role = locked.user, locked.role
        locked.delete()
        Driver.objects.filter(fleet=fleet, user=user).update(user=None)
        open_alerts = Alert.objects.filter(fleet=fleet, assigned_to=user).exclude(state=AlertState.RESOLVED)
        open_alerts.update(assigned_to=None)
        record(actor, "member.removed", user, fleet, ({"role": role}, {}))
        _withdraw_invitations(actor, fleet, user)
    access_changed(user.pk)


def require_second_factor(actor: Actor, fleet: Fleet, wanted: bool) -> None:
    """An owner who has none cannot demand one: nobody locks themselves out."""
    with transaction.atomic():
        locked = Fleet.objects.select_for_update().get(pk=fleet.pk)
        if locked.second_factor_required == wanted:
            return
        if (
            wanted
            and actor.user
            and not User.objects.filter(has_second_factor("pk"), pk=actor.user.pk).exists()
        ):
            raise RefusedError("Set up your own second factor first, or you would no longer see this fleet.")
        locked.second_factor_required = wanted
        locked.save(update_fields=["second_factor_required"])
        change: tuple[Any, Any] = ({"second_factor_required": not wanted}, {"second_factor_required": wanted})
        record(actor, "fleet.changed", locked, locked, change)
        without = list(
            locked.memberships.filter(~Q(has_second_factor("user_id"))).values_list("user_id", flat=True)
        )
    for user in without:
        access_changed(user)


def _locked(actor: Actor, member: Membership, role: str | None = None) -> tuple[Fleet, Membership]:
    """Both rows under the fleet's lock, after looking whether the actor may (still) do that."""
    fleet = Fleet.objects.select_for_update().get(pk=member.fleet_id)
    locked = Membership.objects.select_related("user").filter(pk=member.pk).first()
    if locked is None:
        raise RefusedError("This person is no member any more.")
    if actor.user is None:
        raise ForbiddenError("Only people change who belongs to a fleet.")
    leaves = role is None and locked.user_id == actor.user.pk
    principal = person(User.objects.get(pk=actor.user.pk))
    for touched in (locked.role, role or locked.role):
        if not leaves and not may_grant(principal, fleet.pk, touched):
            raise ForbiddenError(f"Only an owner of the fleet may do this: it is about the role {touched}.")
    return fleet, locked


def _must_have_another_owner(member: Membership) -> None:
    others = Membership.objects.filter(fleet=member.fleet_id, role=Role.OWNER, user__is_active=True)
    if not others.exclude(pk=member.pk).exists():
        raise RefusedError("A fleet keeps at least one owner: make somebody else an owner first.")


def _withdraw_invitations(actor: Actor, fleet: Fleet, user: User) -> None:
    """What this person promised others and could not promise any more."""
    principal = person(User.objects.get(pk=user.pk))
    waiting = Invitation.objects.unanswered().filter(fleet=fleet, invited_by=user)
    for invitation in waiting:
        if not may_grant(principal, fleet.pk, invitation.role):
            record(actor, "invitation.revoked", invitation, fleet, ({}, {"email": invitation.email}))
    lost = [i.pk for i in waiting if not may_grant(principal, fleet.pk, i.role)]
    Invitation.objects.filter(pk__in=lost).update(revoked_at=timezone.now(), mail_due_at=None)
