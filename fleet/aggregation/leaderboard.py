"""A fleet's drivers in order, as far as the reader may see them."""

from dataclasses import dataclass

from fleet.access import Principal
from fleet.aggregation import statistics
from fleet.aggregation.metrics import Metric
from fleet.aggregation.spans import Span
from fleet.aggregation.statistics import Place
from fleet.models import Driver, DriverMonth, Role


@dataclass(frozen=True, slots=True)
class Standing:
    """`name` and `known` only for people: a device learns ids."""

    place: Place[str]
    name: str
    known: bool
    """There is a driver's page."""


def leaderboard(principal: Principal, fleet_id: int, metric: Metric, period: Span) -> list[Standing]:
    """Ranked among all drivers; who has the role driver is shown their own row only. Three queries."""
    now = statistics.by_driver(fleet_id, period)
    before = statistics.by_driver(fleet_id, period.before)
    places = statistics.ranked(metric, now, before, {driver: driver for driver in now})
    drivers = Driver.objects.visible_to(principal).filter(fleet=fleet_id)
    names = dict(drivers.values_list("slug", "name"))
    is_device = principal.device_id is not None
    if not is_device and not principal.can(Role.VIEWER, fleet_id):
        places = [place for place in places if place.who in names]
    return [
        Standing(place, "" if is_device else names.get(place.who, ""), not is_device and place.who in names)
        for place in places
    ]


def may_see(principal: Principal, fleet_id: int, driver: str) -> bool:
    """One driver's sums: who has the role driver sees their own; nobody those of somebody who never drove here."""
    known = Driver.objects.filter(fleet=fleet_id, slug=driver)
    if principal.device_id is None and not principal.can(Role.VIEWER, fleet_id):
        return known.filter(pk__in=Driver.objects.visible_to(principal).values("pk")).exists()
    return known.exists() or DriverMonth.objects.filter(fleet=fleet_id, driver_id=driver).exists()
