"""Who makes time private: a switch, hours of the week, a driver's wish. Each begins at a moment, and ends at one."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from fleet.access import Principal
from fleet.audit import Actor, record
from fleet.geofencing import hours
from fleet.models import Driver, Fleet, PrivateKind, PrivateRule, Role, Vehicle
from fleet.privacy import spans


def may_switch(principal: Principal, vehicle: Vehicle) -> bool:
    """Managers, and who is an active driver of the fleet: theirs is the position."""
    if principal.can(Role.MANAGER, vehicle.fleet_id):
        return True
    if principal.user_id is None or vehicle.fleet_id not in principal.roles:
        return False
    return Driver.objects.filter(fleet=vehicle.fleet_id, user=principal.user_id, active=True).exists()


def open_switch(vehicle: Vehicle) -> PrivateRule | None:
    return PrivateRule.objects.filter(vehicle=vehicle, kind=PrivateKind.SWITCH, until=None).first()


def hours_of(fleet: Fleet, vehicle: Vehicle | None = None) -> list[dict[str, Any]]:
    """The private hours of the week that hold now: the fleet's, or a vehicle's own beside them."""
    rule = PrivateRule.objects.filter(
        fleet=fleet, vehicle=vehicle, kind=PrivateKind.SCHEDULE, until=None
    ).first()
    found: list[dict[str, Any]] = rule.hours if rule else []
    return found


def open_wish(driver: Driver) -> PrivateRule | None:
    return PrivateRule.objects.filter(driver=driver, until=None).first()


@transaction.atomic
def switch(actor: Actor, vehicle: Vehicle, on: bool) -> None:
    """Private from now on, or no more. Again: nothing more."""
    now = _held(vehicle.fleet)
    rule = open_switch(vehicle)
    if (rule is not None) == on:
        return
    if rule is None:
        rule = PrivateRule.objects.create(
            fleet=vehicle.fleet, vehicle=vehicle, kind=PrivateKind.SWITCH, since=now, set_by=actor.user
        )
    else:
        _end(rule, now)
    spans.renew([rule])
    record(actor, "privacy.switched", vehicle, vehicle.fleet, ({"private": not on}, {"private": on}))


@transaction.atomic
def set_hours(actor: Actor, fleet: Fleet, schedule: Any, vehicle: Vehicle | None = None) -> None:
    """From now on; past hours stay what they were. None in the list: no private hours. Raises ValidationError."""
    try:
        wanted = hours.checked(schedule)
    except ValueError as error:
        raise ValidationError({"private_hours": str(error)}) from None
    now = _held(fleet)
    before = hours_of(fleet, vehicle)
    if wanted == before:
        return
    for rule in PrivateRule.objects.filter(
        fleet=fleet, vehicle=vehicle, kind=PrivateKind.SCHEDULE, until=None
    ):
        _end(rule, now)
        spans.renew([rule])
    if wanted:
        rule = PrivateRule.objects.create(
            fleet=fleet, vehicle=vehicle, kind=PrivateKind.SCHEDULE, hours=wanted, time_zone=fleet.time_zone,
            since=now, set_by=actor.user,
        )  # fmt: skip
        spans.renew([rule])
    target = vehicle or fleet
    record(
        actor, "privacy.hours_changed", target, fleet, ({"private_hours": before}, {"private_hours": wanted})
    )


@transaction.atomic
def wish(actor: Actor, driver: Driver, private: bool) -> None:
    """Every trip of theirs that begins from now on. Again: nothing more."""
    now = _held(driver.fleet)
    rule = open_wish(driver)
    if (rule is not None) == private:
        return
    if rule is None:
        rule = PrivateRule.objects.create(
            fleet=driver.fleet, driver=driver, kind=PrivateKind.DRIVER, since=now, set_by=actor.user
        )
    else:
        _end(rule, now)
    spans.renew([rule])
    record(
        actor,
        "privacy.driver_changed",
        driver,
        driver.fleet,
        ({"private": not private}, {"private": private}),
    )


def _held(fleet: Fleet) -> datetime:
    """One change of a fleet's rules at a time."""
    Fleet.objects.select_for_update(no_key=True).get(pk=fleet.pk)
    return timezone.now()


def _end(rule: PrivateRule, now: datetime) -> None:
    rule.until = now
    rule.save(update_fields=["until"])
