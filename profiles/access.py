"""Who may do what with a driver's profile. Ciphertext is no business of viewers."""

from fleet.access import Principal
from fleet.models import Driver, Role


def may_read(principal: Principal, driver: Driver) -> bool:
    """The ciphertext: the fleet's devices, its managers, and the driver in person."""
    return principal.device_id is not None or may_manage(principal, driver) or is_driver(principal, driver)


def may_write(principal: Principal, driver: Driver) -> bool:
    return principal.device_id is not None or may_manage(principal, driver)


def may_export(principal: Principal, driver: Driver) -> bool:
    """Everything in one file: a car has no use for it."""
    return may_manage(principal, driver) or is_driver(principal, driver)


def may_manage(principal: Principal, driver: Driver) -> bool:
    return principal.can(Role.MANAGER, driver.fleet_id)


def is_driver(principal: Principal, driver: Driver) -> bool:
    return principal.user_id is not None and principal.user_id == driver.user_id
