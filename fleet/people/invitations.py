"""Inviting people by e-mail: the row is there first, the mail follows, the link works once.

The token is an HMAC of the row's nonce under SECRET_KEY: a worker can write it into a mail again at any time, while
the database alone (which keeps its hash to find the row by) lets nobody in.
"""

import hashlib
import logging
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from fleet.access import person
from fleet.audit import Actor, record
from fleet.models import Fleet, Invitation, InvitationState, Membership, Role, User
from fleet.notifying import mail
from fleet.people.members import ForbiddenError, RefusedError, TooManyError, may_grant
from fleet.push import access_changed

log = logging.getLogger(__name__)
LIFETIME = timedelta(days=7)
PER_HOUR = 60
"""Mails that one fleet may cause in an hour."""
_RETRY_AFTER = timedelta(minutes=5)
_RESEND_AFTER = timedelta(minutes=1)
_TRIES = 12
_ORDER = [Role.DRIVER, Role.VIEWER, Role.MANAGER, Role.OWNER]


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What somebody without an account says of themselves. `password` has been validated."""

    name: str
    password: str
    time_zone: str


class TakenError(RefusedError):
    """There is an account with that address: log in with it."""


def token_of(invitation: Invitation) -> str:
    mac = salted_hmac("fleet.invitation", invitation.nonce.hex, algorithm="sha256")
    return urlsafe_b64encode(mac.digest()).decode().rstrip("=")


def link_of(invitation: Invitation) -> str:
    return mail.address_of(reverse("invitation") + f"?token={token_of(invitation)}")


def find(token: str) -> Invitation | None:
    """By what stood in the link; in any state."""
    digest = hashlib.sha256(token[:200].encode("utf-8", "replace")).hexdigest()
    return Invitation.objects.select_related("fleet").filter(digest=digest).first()


def invite(actor: Actor, fleet: Fleet, email: str, role: str) -> Invitation:
    """Replaces what waits for that address. Says the same whether there is an account or not. Raises RefusedError."""
    email, now = email.strip().lower(), timezone.now()
    with transaction.atomic():
        Fleet.objects.select_for_update().get(pk=fleet.pk)
        _check_actor(actor, fleet, role)
        if Membership.objects.filter(fleet=fleet, user__email=email).exists():
            raise RefusedError(f"{email} is a member of this fleet already.")
        waiting = Invitation.objects.unanswered().filter(fleet=fleet, email=email)
        for old in waiting:
            _check_actor(actor, fleet, old.role)
        _check_rate(fleet, now)
        waiting.update(revoked_at=now, mail_due_at=None)
        invitation = Invitation(
            fleet=fleet, email=email, role=role, invited_by=actor.user, inviter=actor.name[:200]
        )
        _renew(invitation, now)
        record(actor, "invitation.sent", invitation, fleet, ({}, {"email": email, "role": role}))
        mail.queue("fleet.send_invitation", invitation.pk)
    return invitation


def resend(actor: Actor, invitation: Invitation) -> Invitation:
    """The same link again, good for another seven days. Raises RefusedError."""
    with transaction.atomic():
        locked = _still_waiting(actor, invitation)
        if locked.mailed_at and timezone.now() - locked.mailed_at < _RESEND_AFTER:
            raise TooManyError("This invitation was sent a moment ago: wait a minute.")
        _check_rate(locked.fleet, timezone.now())
        _renew(locked, timezone.now())
        record(actor, "invitation.resent", locked, locked.fleet, ({}, {"email": locked.email}))
        mail.queue("fleet.send_invitation", locked.pk)
    return locked


def revoke(actor: Actor, invitation: Invitation) -> None:
    """Raises RefusedError."""
    with transaction.atomic():
        locked = _still_waiting(actor, invitation)
        locked.revoked_at, locked.mail_due_at = timezone.now(), None
        locked.save(update_fields=["revoked_at", "mail_due_at"])
        record(actor, "invitation.revoked", locked, locked.fleet, ({}, {"email": locked.email}))


def accept(invitation: Invitation, address: str | None, user: User | None, new: NewPerson | None) -> User:
    """By an account of that address, or by a new person, who gets one. Once. Raises RefusedError."""
    with transaction.atomic():
        locked = Invitation.objects.select_for_update().select_related("fleet").get(pk=invitation.pk)
        if locked.state(timezone.now()) is not InvitationState.OPEN:
            raise RefusedError("This invitation cannot be used any more.")
        if user is None:
            assert new
            user = _account(locked.email, new)
        elif user.email != locked.email or user.is_device:
            raise RefusedError(f"This invitation is for {locked.email}.")
        _join(locked, user, Actor(str(user), user, address))
        locked.accepted_at, locked.accepted_by, locked.mail_due_at = timezone.now(), user, None
        locked.save(update_fields=["accepted_at", "accepted_by", "mail_due_at"])
    access_changed(user.pk)
    return user


def send_one(pk: int) -> None:
    """Claim, send, note it. A crash in between leaves it due again in five minutes; a mail twice does no harm."""
    now = timezone.now()
    due = Invitation.objects.unanswered().filter(pk=pk, mail_due_at__lte=now, mail_tries__lt=_TRIES)
    claimed = due.update(mail_due_at=now + _RETRY_AFTER, mail_tries=F("mail_tries") + 1)
    if not claimed:
        return
    invitation = Invitation.objects.select_related("fleet").get(pk=pk)
    facts = {"invitation": invitation, "link": link_of(invitation)}
    try:
        mail.send(invitation.email, f"Join {invitation.fleet.name} on Convoy", "invitation", **facts)
    except Exception as error:  # whatever a mail server may say: shown beside the invitation, tried again
        log.warning("the mail of invitation %s could not be sent", pk, exc_info=True)
        Invitation.objects.filter(pk=pk).update(mail_error=f"{type(error).__name__}: {error}"[:200])
        return
    Invitation.objects.filter(pk=pk).update(mailed_at=timezone.now(), mail_due_at=None, mail_error="")


def send_due() -> None:
    """What a lost task, a crash or a mail server left behind."""
    due = Invitation.objects.unanswered().filter(mail_due_at__lte=timezone.now(), mail_tries__lt=_TRIES)
    for pk in due.order_by("mail_due_at").values_list("pk", flat=True)[:100]:
        send_one(pk)


def _check_actor(actor: Actor, fleet: Fleet, role: str) -> None:
    """Asked again under the lock: the actor may have been demoted a moment ago."""
    principal = person(User.objects.get(pk=actor.user.pk)) if actor.user else None
    if principal is None or not may_grant(principal, fleet.pk, role):
        raise ForbiddenError(f"Only an owner of the fleet may do this: it is about the role {role}.")


def _check_rate(fleet: Fleet, now: datetime) -> None:
    recent = Q(created_at__gt=now - timedelta(hours=1)) | Q(mailed_at__gt=now - timedelta(hours=1))
    if Invitation.objects.filter(recent, fleet=fleet).count() >= PER_HOUR:
        raise TooManyError(f"At most {PER_HOUR} invitations an hour for each fleet: try again later.")


def _still_waiting(actor: Actor, invitation: Invitation) -> Invitation:
    locked = Invitation.objects.select_for_update().select_related("fleet").get(pk=invitation.pk)
    _check_actor(actor, locked.fleet, locked.role)
    if locked.accepted_at or locked.revoked_at:
        raise RefusedError("This invitation was accepted or revoked already.")
    return locked


def _renew(invitation: Invitation, now: datetime) -> None:
    # Computed again: SECRET_KEY may have been replaced since.
    invitation.digest = hashlib.sha256(token_of(invitation).encode()).hexdigest()
    invitation.expires_at, invitation.mail_due_at = now + LIFETIME, now
    invitation.mail_tries, invitation.mail_error = 0, ""
    invitation.save()


def _account(email: str, new: NewPerson) -> User:
    first, _, last = new.name.strip().rpartition(" ")
    names = {"first_name": first[:150], "last_name": last[:150]}
    try:
        with transaction.atomic():
            return User.objects.create_user(email, new.password, time_zone=new.time_zone, **names)
    except IntegrityError:
        raise TakenError("There is an account with this address: log in with it to accept.") from None


def _join(invitation: Invitation, user: User, actor: Actor) -> None:
    fleet = invitation.fleet
    member = Membership.objects.filter(fleet=fleet, user=user).first()
    before = {"role": member.role} if member else {}
    if member is None:
        Membership.objects.create(fleet=fleet, user=user, role=invitation.role)
    elif _ORDER.index(Role(invitation.role)) > _ORDER.index(Role(member.role)):
        Membership.objects.filter(pk=member.pk).update(role=invitation.role)
    record(actor, "invitation.accepted", invitation, fleet, ({}, {"email": invitation.email}))
    record(actor, "member.added", user, fleet, (before, {"role": invitation.role}))
