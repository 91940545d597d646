"""Whose a driving event is, and what it adds to the sums of its day.

An event belongs to the driver whom the device names of the trip it began in (of several trips, of the one begun last);
else to whoever the vehicle was assigned to at that moment. Who it is follows from rows alone, so that it is set anew
whenever a day is summed up, and every order of arrival ends the same.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any

from django.db import connection

from fleet.aggregation.days import Night
from fleet.behaviour.drives import Assigned, Drives, Stretch
from fleet.behaviour.driving import ACCELERATION, BRAKING, CORNERING, IDLING
from fleet.models import DrivingEvent, DrivingSettings
from fleet.ranges import Range, with_ranges

COUNTED = {ACCELERATION: "harsh_accelerations", BRAKING: "harsh_brakings", CORNERING: "harsh_corners"}
_EVENT = "id, vehicle_id, driver_id, kind, started_at, ended_at, dismissal_id"
_AT_ONCE = 500


def night_of(fleet_id: int) -> Night:
    found = DrivingSettings.objects.filter(pk=fleet_id).values_list("night_from", "night_to").first()
    if found is None:
        usual = DrivingSettings()
        return usual.night_from, usual.night_to
    return found


def begun(fleet_id: int, ranges: Sequence[Range]) -> list[DrivingEvent]:
    """Events begun in the ranges, in order of time. One query."""
    if not ranges:
        return []
    asked, params = with_ranges(ranges)
    columns = ", ".join(f"e.{name}" for name in _EVENT.split(", "))
    events = DrivingEvent.objects.raw(
        f"{asked} SELECT {columns} FROM asked JOIN driving_events e ON e.vehicle_id = asked.vehicle_id "
        "AND e.started_at >= asked.opens AND e.started_at < asked.closes WHERE e.fleet_id = %s",
        [*params, fleet_id],
    )
    found = {event.pk: event for event in events}.values()
    return sorted(found, key=lambda event: (event.started_at, event.pk))


def attribute(events: Iterable[DrivingEvent], drives: Drives) -> None:
    """Each event gets its driver: stored where that changed."""
    named = drives.named()
    changed: dict[str, list[int]] = defaultdict(list)
    for event in events:
        driver = _driver_of(event, named.get(event.vehicle_id, ()), drives.assigned)
        if driver != event.driver_id:
            event.driver_id = driver
            changed[driver].append(event.pk)
    for driver, pks in sorted(changed.items()):
        for place in range(0, len(pks), _AT_ONCE):
            DrivingEvent.objects.filter(pk__in=pks[place : place + _AT_ONCE]).update(driver_id=driver)


def _driver_of(event: DrivingEvent, named: Iterable[Stretch], assigned: Assigned) -> str:
    for stretch in named:
        if stretch.start <= event.started_at <= stretch.end:
            return stretch.driver
    return assigned.at(event.vehicle_id, event.started_at)


def cost_of(event: DrivingEvent) -> Counter[str]:
    """What it adds to its day. A dismissed one adds nothing."""
    if event.dismissal_id is not None:
        return Counter()
    if event.kind in COUNTED:
        return Counter({COUNTED[event.kind]: 1})
    return Counter({"idling_ms" if event.kind == IDLING else "speeding_ms": round(event.duration_s * 1000)})


DAYS, HOURS = "day", "hour"
_SHARE = """
UPDATE rollup_driver_{unit} AS d SET
    seen_mm = CASE WHEN v.distance_mm < 1000 THEN 0 WHEN v.seen_mm >= v.distance_mm THEN d.distance_mm
        ELSE d.distance_mm / 1000 * (v.seen_mm / 1000) / (v.distance_mm / 1000) * 1000 END,
    turning_mm = CASE WHEN v.distance_mm < 1000 THEN 0 WHEN v.turning_mm >= v.distance_mm THEN d.distance_mm
        ELSE d.distance_mm / 1000 * (v.turning_mm / 1000) / (v.distance_mm / 1000) * 1000 END,
    timed_ms = CASE WHEN v.driving_ms < 1000 THEN 0 WHEN v.timed_ms >= v.driving_ms THEN d.driving_ms
        ELSE d.driving_ms / 1000 * (v.timed_ms / 1000) / (v.driving_ms / 1000) * 1000 END
FROM rollup_vehicle_{unit} v
WHERE v.vehicle_id = d.vehicle_id AND v.{unit} = d.{unit} AND v.fleet_id = d.fleet_id AND d.fleet_id = %s
    AND ({among})
"""


def share_out(fleet_id: int, buckets: Collection[tuple[int, date]], unit: str) -> None:
    """What a vehicle's records showed of its day (or hour: buckets of moments), to whoever drove it, by distance and
    time. Call when both the trips and the records are summed up. Whole metres and seconds, so that no product is too
    large."""
    by_moment: dict[date, list[int]] = defaultdict(list)
    for vehicle, moment in buckets:
        by_moment[moment].append(vehicle)
    if not by_moment:
        return
    among: list[str] = []
    params: list[Any] = []
    for moment, vehicles in sorted(by_moment.items()):
        among.append(f"d.{unit} = %s AND d.vehicle_id IN ({', '.join(['%s'] * len(vehicles))})")
        params += [_moment(moment), *sorted(vehicles)]
    with connection.cursor() as cursor:
        cursor.execute(_SHARE.format(unit=unit, among=" OR ".join(among)), [fleet_id, *params])


def _moment(value: date) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
