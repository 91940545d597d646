"""What is kept of a person, as a ZIP of JSON files (GDPR, articles 15 and 20)."""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import orjson
from django.db.models import Exists, Q, QuerySet

from fleet.journeys.matching import summaries
from fleet.models import (
    AuditEntry,
    Driver,
    DriverAssignment,
    DriverDay,
    DriverHour,
    DriverMinute,
    DriverMonth,
    DrivingEvent,
    PersonWish,
    PrivateRule,
    Scenario,
    Trip,
    TripSummary,
    User,
)


@dataclass
class _Further:
    """What other apps keep of a driver: a file's name to its content. `own`: only for the person's own eyes."""

    parts: list[Callable[[Driver], dict[str, Any]]] = field(default_factory=list)
    own: list[Callable[[Driver, list[TripSummary]], dict[str, Any]]] = field(default_factory=list)


further = _Further()


def zipped(wish: PersonWish) -> BytesIO:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in _files(wish):
            made.writestr(name, orjson.dumps(content, option=orjson.OPT_INDENT_2, default=str))
    out.seek(0)
    return out


def _files(wish: PersonWish) -> Iterator[tuple[str, Any]]:
    driver = wish.driver
    if driver is None:
        return
    fleet, slug = driver.fleet_id, driver.slug
    yield "driver.json", _rows(Driver.objects.filter(pk=driver.pk))
    if wish.user is not None:
        yield "account.json", _account(wish.user)
    told = TripSummary.objects.filter(Q(driver_id=slug) | Q(driven_by=slug), fleet=fleet).order_by(
        "start_time"
    )
    yield "trip_summaries.json", _rows(told)
    driven = Trip.objects.filter(Exists(summaries().filter(driver_id=slug)) | Q(driven_by=slug), fleet=fleet)
    yield "trips.json", _rows(driven.order_by("started_at"))
    yield (
        "driving_events.json",
        _rows(DrivingEvent.objects.filter(fleet=fleet, driver_id=slug).order_by("started_at")),
    )
    yield "assignments.json", _rows(DriverAssignment.objects.filter(driver=driver).order_by("started_at"))
    sums = (
        ("sums_by_minute.json", DriverMinute),
        ("sums_by_hour.json", DriverHour),
        ("sums_by_day.json", DriverDay),
        ("sums_by_month.json", DriverMonth),
    )
    for name, model in sums:
        yield name, _rows(model._default_manager.filter(fleet=fleet, driver_id=slug).order_by("pk"))
    yield "scenarios.json", _rows(scenarios_of(driver))
    yield "private_time.json", _rows(PrivateRule.objects.filter(driver=driver))
    yield "audit.json", _rows(acts_about(driver, wish.user))
    for part in further.parts:
        yield from part(driver).items()
    if wish.own:
        for own in further.own:
            yield from own(driver, list(told)).items()


def scenarios_of(driver: Driver) -> "QuerySet[Scenario]":
    """Recorded while they drove."""
    told = TripSummary.objects.filter(fleet=driver.fleet_id, driver_id=driver.slug)
    begun = Q(pk__in=())
    for vehicle, start, end in told.values_list("vehicle", "start_time", "end_time"):
        begun |= Q(vehicle=vehicle, time__gte=start, time__lte=end or start)
    return Scenario.objects.filter(begun, fleet=driver.fleet_id).order_by("time")


def acts_about(driver: Driver, user: User | None) -> "QuerySet[AuditEntry]":
    """Of this fleet: done to them, or by them."""
    about = Q(object_type="driver", object_id=str(driver.pk))
    if user is not None:
        about |= Q(object_type="user", object_id=str(user.pk)) | Q(user=user)
    return AuditEntry.objects.filter(about, fleet=driver.fleet_id).order_by("pk")


def _rows(rows: Any) -> list[dict[str, Any]]:
    return list(rows.values())


def _account(user: User) -> dict[str, Any]:
    names = ("email", "first_name", "last_name", "time_zone", "date_joined", "last_login")
    members = user.memberships.values("fleet__slug", "role", "created_at")
    sessions = user.sessions.values("address", "agent", "began_at", "seen_at")
    return {name: getattr(user, name) for name in names} | {
        "memberships": list(members), "sessions": list(sessions),
    }  # fmt: skip
