"""A fleet's drivers in order, as far as the reader may see them."""

from dataclasses import dataclass

from fleet.access import Principal
from fleet.aggregation import statistics
from fleet.aggregation.metrics import Metric
from fleet.aggregation.spans import Span
from fleet.aggregation.statistics import Place
from fleet.models import Driver, Role


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
