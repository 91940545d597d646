"""Accounts of devices that log in with e-mail and password instead of a token."""

import secrets

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from devices.models import Device
from fleet.audit import Actor, record
from fleet.models import User

_PASSWORD_BYTES = 18


def create(actor: Actor, device: Device, email: str) -> str:
    """The new account's password, which is shown once. Raises ValidationError by field name.

    Needs `vehicle__fleet` selected, as everything here.
    """
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise ValidationError({"email": error.messages}) from None
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    with transaction.atomic():
        locked = Device.objects.select_for_update().get(pk=device.pk)
        if locked.account_id is not None:
            raise ValidationError({"email": "This device has an account: reset its password instead."})
        try:
            with transaction.atomic():
                locked.account = User.objects.create_user(email, password, is_device=True)
                locked.save(update_fields=["account"])
        except IntegrityError:
            raise ValidationError({"email": "Somebody has this address already: use another."}) from None
        record(actor, "account.created", locked, device.vehicle.fleet, ({}, {"email": email}))
    return password


def reset(actor: Actor, device: Device) -> str:
    """A new password; sessions with the old one end, and a disabled account works again."""
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    with transaction.atomic():
        account = _account(device)
        account.set_password(password)
        account.is_active = True
        account.save(update_fields=["password", "is_active"])
        record(actor, "account.reset", device, device.vehicle.fleet, ({}, {"email": account.email}))
    return password


def disable(actor: Actor, device: Device) -> None:
    """Nobody logs in with it until its password is reset. Again: nothing more."""
    with transaction.atomic():
        account = _account(device)
        if account.is_active:
            account.is_active = False
            account.save(update_fields=["is_active"])
            told = {"email": account.email, "active": False}
            record(actor, "account.disabled", device, device.vehicle.fleet, ({"active": True}, told))


def _account(device: Device) -> User:
    account = User.objects.select_for_update().filter(device=device, is_device=True).first()
    if account is None:
        raise ValidationError("This device has no account.")
    return account
