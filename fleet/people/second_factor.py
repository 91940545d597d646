"""A person's second factor: codes of an authenticator app (TOTP), and ten recovery codes for the day it is lost.

Every code works once: the app's is compared and used up under a lock of its row, a recovery code by one UPDATE.
"""

import hashlib
import re
import secrets
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import segno
from django.db import transaction
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from fleet.audit import Actor, record
from fleet.models import Fleet, RecoveryCode, Role, User
from fleet.notifying import mail
from fleet.people import sessions
from fleet.push import access_changed

CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait_until`: the code was not even looked at, because too many wrong ones came."""

    right: bool
    wait_until: datetime | None = None
    recovery: bool = False


class NotYoursError(Exception):
    """Another fleet relies on this person's second factor too: only staff may take it away."""


def is_on(user: User) -> bool:
    on: bool = TOTPDevice.objects.filter(user=user, confirmed=True).exists()
    return on


def begin(user: User) -> TOTPDevice:
    """The app's key, to be confirmed; the same one until then, so that a reloaded page fits what was scanned."""
    with transaction.atomic():
        _lock(user)
        waiting = TOTPDevice.objects.filter(user=user, confirmed=False).order_by("id").first()
        return waiting or TOTPDevice.objects.create(user=user, name="app", confirmed=False)


def picture(device: TOTPDevice) -> str:
    """The key as a QR code: an inline SVG without style or script."""
    code = segno.make(device.config_url, error="m", micro=False)
    drawn: str = code.svg_inline(light="#fff", svgclass="qr", lineclass=None, omitsize=True, title="QR code")
    return drawn


def typed(device: TOTPDevice) -> str:
    """The key for people who cannot scan it, in groups of four."""
    return " ".join(re.findall(".{1,4}", b32encode(device.bin_key).decode()))


def confirm(actor: Actor, user: User, code: str, session: str | None) -> list[str] | None:
    """Recovery codes, to be shown once; None when the code is wrong. Ends every other log-in: they had one factor."""
    with transaction.atomic():
        _lock(user)
        device = TOTPDevice.objects.filter(user=user, confirmed=False).order_by("id").first()
        if device is None or is_on(user) or not device.verify_token(_plain(code)):
            return None
        device.confirmed = True
        device.save(update_fields=["confirmed"])
        codes = _new_codes(user)
        record(actor, "second_factor.enabled", user, None, ({}, {}))
    sessions.end_all(user, but=session)
    return codes


def verify(user: User, text: str) -> Verdict:
    """A code of the app or a recovery code, used up when it is right."""
    plain = _plain(text)
    if not re.fullmatch("[0-9]{6}", plain):
        used = RecoveryCode.objects.filter(user=user, digest=_digest(plain), used_at=None)
        right = is_on(user) and used.update(used_at=timezone.now()) == 1
        return Verdict(right, recovery=right)
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
        if device is None:
            return Verdict(False)
        allowed, why = device.verify_is_allowed()
        if not allowed:
            return Verdict(False, wait_until=(why or {}).get("locked_until"))
        return Verdict(device.verify_token(plain))


def renew_codes(actor: Actor, user: User) -> list[str]:
    with transaction.atomic():
        _lock(user)
        record(actor, "second_factor.codes_renewed", user, None, ({}, {}))
        return _new_codes(user)


def codes_left(user: User) -> int:
    return RecoveryCode.objects.filter(user=user, used_at=None).count()


def turn_off(actor: Actor, user: User) -> None:
    _take_away(actor, user, None, "second_factor.disabled")


def reset(actor: Actor, user: User, fleet: Fleet | None) -> None:
    """Somebody else's, because the phone is lost; ends all their log-ins. Of a fleet: by an owner of all their fleets.

    Raises NotYoursError.
    """
    itself = (
        actor.user is not None and actor.user.pk == user.pk
    )  # one's own takes password and code: turn_off
    if itself or (fleet is not None and not _owns_all_fleets_of(actor, user)):
        raise NotYoursError
    _take_away(actor, user, fleet, "second_factor.reset")
    sessions.end_all(user)


def _owns_all_fleets_of(actor: Actor, user: User) -> bool:
    owner = actor.user
    if owner is None or owner.is_superuser:
        return owner is not None
    if user.is_staff or user.is_superuser:
        return False
    owned = owner.memberships.filter(role=Role.OWNER).values("fleet")
    return not user.memberships.exclude(fleet__in=owned).exists()


def _take_away(actor: Actor, user: User, fleet: Fleet | None, action: str) -> None:
    with transaction.atomic():
        _lock(user)
        deleted, _ = TOTPDevice.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        if deleted:
            record(actor, action, user, fleet, ({}, {}))
            mail.queue("fleet.send_notice", user.pk, action, user.email)
    access_changed(user.pk)


def _new_codes(user: User) -> list[str]:
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(16)) for _ in range(CODES)]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create([RecoveryCode(user=user, digest=_digest(code)) for code in codes])
    return ["-".join(re.findall("....", code)) for code in codes]


def _lock(user: User) -> Any:
    return User.objects.select_for_update().get(pk=user.pk)


def _plain(text: str) -> str:
    return re.sub(r"[\s-]", "", text).lower()[:40]


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
