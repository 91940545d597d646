"""The erasure of a person, step by step. Each is a transaction, and finds nothing to do when it ran before.

Sums, distances and scores stay under a pseudonym that nothing leads back from. Where they were goes: out of what is
derived, and out of the records of their trips.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Model, Q

from fleet.aggregation.legs import span
from fleet.audit import SYSTEM, record
from fleet.models import (
    Alert,
    AlertNote,
    AlertReport,
    Dismissal,
    Driver,
    DriverDay,
    DriverHour,
    DriverMinute,
    DriverMonth,
    DrivingEvent,
    Invitation,
    Notification,
    PersonWish,
    PrivateKind,
    PrivateRule,
    RecoveryCode,
    ReportExport,
    Trip,
    TripSummary,
    User,
    Visit,
)
from fleet.people import sessions
from fleet.privacy import spans
from fleet.privacy.gate import Stretch
from fleet.privacy.personfile import acts_about, scenarios_of
from fleet.push import access_changed
from fleet.recording import footage

_TICK: Final = timedelta(microseconds=1)
"""The moment of the end belongs to the trip."""
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED: Final[tuple[type[Model], ...]] = (
    TripSummary, DrivingEvent, DriverMinute, DriverHour, DriverDay, DriverMonth,
)  # fmt: skip


@dataclass
class _Followers:
    """What other apps erase: positions of stretches of history; what they keep of a driver."""

    positions: list[Callable[[list[Stretch]], None]] = field(default_factory=list)
    drivers: list[Callable[[Driver], None]] = field(default_factory=list)


followers = _Followers()


def work(wish: PersonWish) -> None:
    driver = Driver.objects.select_related("fleet", "user").filter(pk=wish.driver_id or 0).first()
    if driver is None:
        return
    user = wish.user
    for step in (_places, _told, _kept_elsewhere, _trail):
        with transaction.atomic():
            step(wish, driver, user)
    if user is not None:
        with transaction.atomic():
            _account(wish, driver, user)
    with transaction.atomic():
        _names(wish, driver)


def _places(wish: PersonWish, driver: Driver, user: User | None) -> None:
    """All their trips so far become private for ever, so that records which come late are hidden too; and the
    positions of those that came go."""
    rule, _ = PrivateRule.objects.get_or_create(
        fleet=driver.fleet, driver=driver, kind=PrivateKind.DRIVER, since=_LONG_AGO,
        defaults={"until": wish.created_at},
    )  # fmt: skip
    spans.renew([rule])
    stretches = [
        *rule.spans.exclude(summary=None).values_list("vehicle", "begins_at", "ends_at"),
        *_driven(driver),
    ]
    for vehicle, begins, ends in stretches:
        there = Visit.objects.filter(vehicle=vehicle, entered_at__lt=ends)
        there.filter(Q(left_at=None) | Q(left_at__gte=begins), entered_at__gte=begins).delete()
    for follower in followers.positions:
        follower(stretches)


def _driven(driver: Driver) -> Iterator[Stretch]:
    """Trips that are theirs because they had the vehicle."""
    asked = {"fleet": driver.fleet, "driven_by": driver.slug}
    for summary in TripSummary.objects.filter(**asked):
        begin, end = span(summary)
        yield summary.vehicle_id, begin, end + _TICK
    for trip in Trip.objects.filter(**asked):
        yield trip.vehicle_id, trip.started_at, trip.ended_at + _TICK


def _told(wish: PersonWish, driver: Driver, user: User | None) -> None:
    """What devices said of them besides, and files that people made."""
    TripSummary.objects.filter(fleet=driver.fleet, driver_id=driver.slug).update(metadata={})
    scenarios_of(driver).update(metadata={})
    alerts = Alert.objects.filter(fleet=driver.fleet)
    _scrub(alerts.filter(data__driver_id=driver.slug), ("message", "data"), wish, driver, user)
    reports = AlertReport.objects.filter(alert__fleet=driver.fleet, data__driver_id=driver.slug)
    _scrub(reports, ("message", "data"), wish, driver, user)
    files = ReportExport.objects.filter(fleet=driver.fleet).exclude(stored_as="")
    old = PersonWish.objects.filter(driver=driver).exclude(stored_as="")
    names = [name for rows in (files, old) for name in rows.values_list("stored_as", flat=True)]
    files.update(stored_as="", state="expired")
    old.update(stored_as="", state="expired")
    transaction.on_commit(lambda: footage.delete(names), robust=True)


def _trail(wish: PersonWish, driver: Driver, user: User | None) -> None:
    """That it happened stays; who it was does not."""
    names = ("object_name", "actor", "before", "after")
    entries = acts_about(driver, user)
    if user is not None:
        entries.filter(user=user).update(address=None, actor=wish.pseudonym)
        AlertNote.objects.filter(user=user).update(who=wish.pseudonym)
        Dismissal.objects.filter(by=user).update(by_name=wish.pseudonym)
    _scrub(entries, names, wish, driver, user)


def _kept_elsewhere(wish: PersonWish, driver: Driver, user: User | None) -> None:
    for follower in followers.drivers:
        follower(driver)


def _account(wish: PersonWish, driver: Driver, user: User) -> None:
    """It leaves this fleet. One that is in no other is nobody's any more."""
    user.memberships.filter(fleet=driver.fleet).delete()
    Alert.objects.filter(fleet=driver.fleet, assigned_to=user).update(assigned_to=None)
    access_changed(user.pk)
    if user.memberships.exists():
        return
    sessions.end_all(user)
    Invitation.objects.filter(email=user.email).update(email=f"{wish.pseudonym}@erased.invalid")
    Notification.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
    user.email, user.first_name, user.last_name = f"{wish.pseudonym}@erased.invalid", "", ""
    user.is_active = False
    user.set_unusable_password()
    user.save()


def _names(wish: PersonWish, driver: Driver) -> None:
    """Last, for until then the name says what is theirs."""
    for model in _NAMED:
        rows = model._default_manager.filter(fleet=driver.fleet, driver_id=driver.slug)
        rows.update(driver_id=wish.pseudonym)
    for driven in (TripSummary, Trip):
        mine = driven._default_manager.filter(fleet=driver.fleet, driven_by=driver.slug)
        mine.update(driven_by=wish.pseudonym)
    driver.slug, driver.name, driver.user = wish.pseudonym, "", None
    driver.labels, driver.active = [], False
    driver.save()
    PersonWish.objects.filter(driver=driver).update(reason="")
    record(SYSTEM, "person.erased", driver, driver.fleet, ({}, {}))


def _scrub(rows: Any, names: tuple[str, ...], wish: PersonWish, driver: Driver, user: User | None) -> None:
    """The person's names, wherever they stand in these columns of text or JSON."""
    words = {driver.slug, driver.name, *([user.email, user.get_full_name()] if user else [])} - {
        "",
        wish.pseudonym,
    }
    changed = []
    for row in rows.iterator():
        for name in names:
            setattr(row, name, _without(getattr(row, name), words, wish.pseudonym))
        changed.append(row)
    if changed:
        rows.model._default_manager.bulk_update(changed, names, batch_size=500)


def _without(value: Any, words: set[str], pseudonym: str) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for word in sorted(words, key=len, reverse=True):
        spelled = word if isinstance(value, str) else json.dumps(word, ensure_ascii=False)[1:-1]
        text = text.replace(spelled, pseudonym)
    return text if isinstance(value, str) else json.loads(text)
