"""One's own account: proving who one is, a new address, a new password. Mails that say so go to the old address too."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from fleet.audit import Actor, record
from fleet.models import User
from fleet.notifying import mail
from fleet.people import second_factor, sessions

_SALT = "fleet.new-address"
_DAY_S = 86_400
NOTICES = {
    "second_factor.disabled": "Your second factor was switched off",
    "second_factor.reset": "Your second factor was reset",
    "account.password_changed": "Your password was changed",
    "account.address_changed": "Your e-mail address was changed",
}


def failed(request: Any, user: User) -> None:
    """Count a wrong code towards the same lock-out as a wrong password."""
    user_login_failed.send(sender=__name__, credentials={"username": user.email}, request=request)


def proves(request: HttpRequest, user: User, password: str, code: str = "") -> bool:
    """The password, and a code where the person has a second factor. Wrong ones count towards the lock-out."""
    if authenticate(request, username=user.email, password=password) is None:
        return False
    if not second_factor.is_on(user) or second_factor.verify(user, code).right:
        return True
    failed(request, user)
    return False


def set_password(actor: Actor, user: User, password: str, session: str | None = None) -> None:
    """`password` is validated. Ends every other log-in."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        record(actor, "account.password_changed", user, None, ({}, {}))
        mail.queue("fleet.send_notice", user.pk, "account.password_changed", user.email)
    sessions.end_all(user, but=session)


def ask_for_new_address(user: User, email: str) -> None:
    """A link goes to the new address. Says nothing of whether it is somebody's already."""
    mail.queue("fleet.send_new_address", user.pk, email.strip().lower())


def new_address_in(token: str) -> tuple[int, str, str] | None:
    """Person, the address they had, and the one that the link was sent to; None when it is too old, used or none."""
    try:
        pk, old, new = signing.loads(token, salt=_SALT, max_age=_DAY_S)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return pk, old, new


def take_new_address(actor: Actor, user: User, token: str) -> bool:
    """False: the link is not for this account, not the newest truth, or the address is taken."""
    told = new_address_in(token)
    if told is None or told[0] != user.pk:
        return False
    _, old, new = told
    try:
        with transaction.atomic():
            if not User.objects.filter(pk=user.pk, email=old).update(email=new):
                return False
            user.email = new
            record(actor, "account.address_changed", user, None, ({"email": old}, {"email": new}))
            mail.queue("fleet.send_notice", user.pk, "account.address_changed", old)
    except IntegrityError:
        user.email = old
        return False
    return True


def send_new_address(user_id: int, email: str) -> None:
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return
    if User.objects.filter(email=email).exists():
        mail.send(email, "Your Convoy account", "address_taken", email=email)
        return
    token = signing.dumps((user.pk, user.email, email), salt=_SALT)
    link = mail.address_of(reverse("new-address") + "?" + urlencode({"token": token}))
    mail.send(email, "Confirm your e-mail address", "new_address", user=user, email=email, link=link)


def send_reset(email: str) -> None:
    """To an address that somebody typed. Who has no account, or a device's, gets nothing: anybody can type."""
    user = User.objects.filter(email=email, is_active=True, is_device=False).first()
    if user is None:
        return
    uid = urlsafe_base64_encode(str(user.pk).encode())
    query = urlencode({"for": uid, "token": default_token_generator.make_token(user)})
    link = mail.address_of(reverse("new-password") + "?" + query)
    mail.send(user.email, "Set a new password", "password_reset", user=user, link=link)


def person_of_reset(uid: str, token: str) -> User | None:
    """Whom a link of `send_reset` still lets set a password."""
    try:
        pk = int(urlsafe_base64_decode(uid[:40]))
    except (ValueError, OverflowError):
        return None
    user = User.objects.filter(pk=pk, is_active=True, is_device=False).first() if pk < 2**63 else None
    return user if user and default_token_generator.check_token(user, token[:200]) else None


def send_notice(user_id: int, what: str, email: str) -> None:
    user = User.objects.filter(pk=user_id).first()
    if user and what in NOTICES:
        mail.send(email, NOTICES[what], "notice", user=user, what=NOTICES[what])
