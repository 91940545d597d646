"""Export and erasure of people: asked for, and worked by whoever finds the row due.

The row is a lease: a worker that dies leaves one whose lease ends, and another begins anew. Every step may run twice.
"""

import logging
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from fleet.audit import Actor, record
from fleet.models import Driver, Fleet, Membership, PersonWish, PersonWishKind, Role, WishState
from fleet.notifying import mail
from fleet.privacy import erased, erasing, personfile
from fleet.recording import footage

log = logging.getLogger(__name__)
FOLDER = "people"
KEPT = timedelta(days=7)
LEASE = timedelta(minutes=5)
TRIES = 5
_RETRY_AFTER = timedelta(minutes=1)


class RefusedError(Exception):
    """What is asked for cannot be; the text says why."""


def export(actor: Actor, driver: Driver, reason: str) -> PersonWish:
    """A file of everything kept of them. Who is not the person says why."""
    own = actor.user is not None and driver.user_id == actor.user.pk
    if not own and not reason.strip():
        raise RefusedError("Say why: only the person needs no reason.")
    with transaction.atomic():
        wish = PersonWish.objects.create(
            fleet=driver.fleet, kind=PersonWishKind.EXPORT, driver=driver, user=driver.user, asked_by=actor.user,
            reason=reason.strip()[:300], own=own, due_at=timezone.now(),
        )  # fmt: skip
        record(actor, "person.exported", driver, driver.fleet, ({}, {"reason": wish.reason, "own": own}))
        mail.queue("fleet.grant_wishes")
    return wish


def erase(actor: Actor, driver: Driver, reason: str) -> PersonWish:
    """From the commit on no data brings the name back. Again: the same wish. Raises RefusedError."""
    with transaction.atomic():
        Fleet.objects.select_for_update(no_key=True).get(pk=driver.fleet_id)
        locked = (
            Driver.objects.select_for_update(of=("self",)).select_related("fleet", "user").get(pk=driver.pk)
        )
        known = PersonWish.objects.filter(driver=locked, kind=PersonWishKind.ERASE).exclude(
            state=WishState.FAILED
        )
        if found := known.first():
            return found
        _not_the_last_owner(locked)
        erased.remember(locked.fleet_id, locked.slug)
        wish = PersonWish.objects.create(
            fleet=locked.fleet, kind=PersonWishKind.ERASE, driver=locked, user=locked.user, asked_by=actor.user,
            reason=reason.strip()[:300], pseudonym=f"erased-{secrets.token_hex(6)}", due_at=timezone.now(),
        )  # fmt: skip
        record(actor, "person.erasure_asked", locked, locked.fleet, ({}, {}))
        mail.queue("fleet.grant_wishes")
    return wish


def _not_the_last_owner(driver: Driver) -> None:
    if driver.user is None:
        return
    if driver.user.is_staff or driver.user.is_superuser:
        raise RefusedError("The account is one of this server's staff: take that away first.")
    for member in Membership.objects.filter(user=driver.user, role=Role.OWNER):
        owners = Membership.objects.filter(fleet=member.fleet_id, role=Role.OWNER, user__is_active=True)
        if not owners.exclude(pk=member.pk).exists():
            raise RefusedError("A fleet keeps at least one owner: make somebody else an owner first.")


def anything_due(now: datetime) -> bool:
    return PersonWish.objects.filter(due_at__lte=now).exists()


def grant_due() -> int:
    """Work on wishes until none is due. How many came to an end."""
    done = 0
    while wish := _claim(timezone.now()):
        done += _grant(wish)
    return done


def _claim(now: datetime) -> PersonWish | None:
    with transaction.atomic():
        due = PersonWish.objects.filter(due_at__lte=now).order_by("due_at", "pk")
        wish = due.select_for_update(skip_locked=True, of=("self",)).first()
        if wish is not None:
            wish.due_at, wish.attempts = now + LEASE, wish.attempts + 1
            wish.save(update_fields=["due_at", "attempts"])
    return wish


def _grant(wish: PersonWish) -> bool:
    try:
        if wish.kind == PersonWishKind.ERASE:
            erasing.work(wish)
            _ended(wish, state=WishState.DONE, user=None)
        else:
            _write(wish)
    except Exception as error:
        log.warning("person wish %s could not be granted", wish.uid, exc_info=True)
        # An erasure is promised: it is tried for ever. A file can be asked for again.
        over = wish.kind == PersonWishKind.EXPORT and wish.attempts >= TRIES
        if over:
            _ended(wish, state=WishState.FAILED, error=type(error).__name__)
        else:
            PersonWish.objects.filter(pk=wish.pk).update(due_at=timezone.now() + _RETRY_AFTER * wish.attempts)
        return False
    return True


def _write(wish: PersonWish) -> None:
    """The file first, then the row; a file that no row came to know is the sweep's."""
    content = personfile.zipped(wish)
    name = footage.save(footage.new_name(FOLDER, suffix=".zip"), content)
    size = content.seek(0, 2)
    _ended(wish, state=WishState.DONE, stored_as=name, size_bytes=size, expires_at=timezone.now() + KEPT)


def _ended(wish: PersonWish, **facts: object) -> None:
    PersonWish.objects.filter(pk=wish.pk).update(due_at=None, ended_at=timezone.now(), **facts)


def expire(now: datetime) -> None:
    """Rows go before files."""
    old = PersonWish.objects.exclude(stored_as="").filter(expires_at__lte=now)
    for pk, name in old.values_list("pk", "stored_as"):
        PersonWish.objects.filter(pk=pk).update(stored_as="", state=WishState.EXPIRED)
        footage.delete([name])
    footage.sweep_folder(FOLDER, _known, now)


def _known(names: set[str]) -> set[str]:
    return set(PersonWish.objects.filter(stored_as__in=names).values_list("stored_as", flat=True))


def shown_to(user_id: int | None, driver: Driver) -> "QuerySet[PersonWish]":
    """Exports that somebody asked for themselves; erasures."""
    mine = Q(kind=PersonWishKind.ERASE) | Q(asked_by=user_id)
    return PersonWish.objects.filter(mine, driver=driver).order_by("-pk")
