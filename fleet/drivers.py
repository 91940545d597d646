"""Adding and changing drivers, the same for the API and the pages, and recorded in the audit trail."""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from fleet.audit import Actor, record
from fleet.models import Driver, Fleet, User

_LINKED = {"user": "Another driver of this fleet is this member already."}
MAX_LABELS, LABEL_LENGTH = 20, 40


class TakenError(Exception):
    """The fleet has a driver of that id already."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What people say about a driver. `account`: e-mail of a member of the fleet, or empty."""

    name: str = ""
    account: str = ""
    active: bool = True
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, driver: Driver) -> "Facts":
        """Needs `user` selected."""
        account = driver.user.email if driver.user else ""
        return cls(driver.name, account, driver.active, tuple(driver.labels))


def add(actor: Actor, fleet: Fleet, slug: str, facts: Facts) -> Driver:
    """Raises TakenError, or ValidationError by field name."""
    driver = Driver(fleet=fleet, slug=slug)
    _apply(driver, facts)
    driver.clean_fields()
    with transaction.atomic():
        if Driver.objects.filter(fleet=fleet, slug=slug).exists():
            raise TakenError
        try:
            with transaction.atomic():
                driver.save(force_insert=True)
        except IntegrityError:  # a car or a colleague was quicker
            raise TakenError from None
        driver.take_trips()
        record(actor, "driver.created", driver, fleet, ({}, _told(facts)))
    return driver


def change(actor: Actor, driver: Driver, **wanted: Any) -> Driver:
    """`wanted`: fields of Facts. Raises ValidationError by field name."""
    with transaction.atomic():
        locked = Driver.objects.select_for_update().get(pk=driver.pk)
        before = Facts.of(locked)
        after = Facts(**{name: wanted.get(name, getattr(before, name)) for name in Facts.__slots__})
        if after == before:
            return locked
        _apply(locked, after)
        locked.clean_fields()
        try:
            with transaction.atomic():
                locked.save(update_fields=["name", "user", "active", "labels"])
        except IntegrityError:
            raise ValidationError(_LINKED) from None
        record(actor, "driver.changed", locked, driver.fleet, (_told(before), _told(after, before)))
    return locked


def _apply(driver: Driver, facts: Facts) -> None:
    driver.name, driver.active, driver.labels = facts.name, facts.active, list(facts.labels)
    driver.user = _member(driver, facts.account) if facts.account else None


def _member(driver: Driver, email: str) -> User:
    members = User.objects.filter(memberships__fleet_id=driver.fleet_id, is_device=False)
    member = members.filter(email=email.strip().lower()).first()
    if member is None:
        raise ValidationError({"user": "No member of this fleet has that e-mail: invite the person first."})
    if Driver.objects.filter(fleet_id=driver.fleet_id, user=member).exclude(pk=driver.pk).exists():
        raise ValidationError(_LINKED)
    return member


def _told(facts: Facts, before: Facts | None = None) -> dict[str, Any]:
    """For the audit trail, which outlives a driver's wish to be forgotten: whether there is a name, not which."""
    told: dict[str, Any] = {"named": bool(facts.name), "active": facts.active, "labels": list(facts.labels)}
    told["linked"] = bool(facts.account)
    if before and (facts.name, facts.account) != (before.name, before.account):
        told["renamed_or_relinked"] = True
    return told
