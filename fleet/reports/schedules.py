"""Reports that come by themselves: when, of which days, to whom.

The export row of a time is made by the transaction that moves the schedule on to its next time, and is unique: a crash
leaves both or none. A time that passed while nothing ran is made up for, with the days it was meant for.
"""

import calendar
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.utils import timezone

from fleet.aggregation.days import ONE_DAY, Period
from fleet.audit import Actor, record
from fleet.models import Fleet, Membership, ReportExport, ReportSchedule, Rhythm, Role, User
from fleet.notifying import mail
from fleet.reports.wishes import Wish, WishError, report_named, table_of

log = logging.getLogger(__name__)
SCHEDULES_MOST = 100
"""In one fleet."""
RECIPIENTS_MOST = 100


@dataclass(frozen=True)
class Plan:
    """What somebody wants of a schedule. `fields`: those of the row; `emails`: of members."""

    fields: dict[str, Any]
    wish: Wish
    emails: Collection[str]


def next_slot(schedule: ReportSchedule, after: datetime) -> datetime:
    """The first of its times after a moment. What a clock change leaves out comes an hour later; of two, the first."""
    zone = ZoneInfo(schedule.time_zone)
    for day in _days(schedule, after.astimezone(zone).date()):
        slot = datetime.combine(day, schedule.at, zone).astimezone(UTC)
        if slot > after:
            return slot
    raise AssertionError("days do not end")


def _days(schedule: ReportSchedule, day: date) -> Iterator[date]:
    while True:
        last = calendar.monthrange(day.year, day.month)[1]
        match schedule.rhythm:
            case Rhythm.WEEKLY:
                fits = day.weekday() == schedule.weekday
            case Rhythm.MONTHLY:
                fits = day.day == min(schedule.month_day, last)
            case _:
                fits = True
        if fits:
            yield day
        day += ONE_DAY


def period_of(schedule: ReportSchedule, slot: datetime) -> Period:
    """The day before, the seven days before, the calendar month before; as days of the fleet."""
    today = slot.astimezone(ZoneInfo(schedule.time_zone)).date()
    match schedule.rhythm:
        case Rhythm.WEEKLY:
            first, last = today - timedelta(days=7), today - ONE_DAY
        case Rhythm.MONTHLY:
            last = today.replace(day=1) - ONE_DAY
            first = last.replace(day=1)
        case _:
            first = last = today - ONE_DAY
    return Period(first, last, schedule.fleet.time_zone)


def anything_due(now: datetime) -> bool:
    return ReportSchedule.objects.filter(next_at__lte=now).exists()


def plan_due(now: datetime) -> int:
    """Make the export rows of all times that have come. How many."""
    made = 0
    while True:
        with transaction.atomic():
            due = ReportSchedule.objects.filter(next_at__lte=now).order_by("next_at")
            schedule = due.select_for_update(skip_locked=True, of=("self",)).first()
            if schedule is None:
                return made
            assert schedule.next_at is not None
            made += _plan(schedule, schedule.next_at, now) is not None
            schedule.next_at = next_slot(schedule, schedule.next_at)
            schedule.save(update_fields=["next_at"])


def _plan(schedule: ReportSchedule, slot: datetime, now: datetime) -> ReportExport | None:
    wish = Wish.of(schedule.wish).within(period_of(schedule, slot))
    try:
        with transaction.atomic():
            export = ReportExport.objects.create(
                fleet=schedule.fleet, user=schedule.created_by, schedule=schedule, slot=slot,
                report=schedule.report, format=schedule.format, wish=wish.stored, due_at=now, created_at=now,
            )  # fmt: skip
    except IntegrityError:  # of this time there is one
        return None
    mail.queue("fleet.make_reports")
    return export


def run_now(actor: Actor, schedule: ReportSchedule) -> ReportExport | None:
    """Once more, now, to everybody on the list; its times stay. None: somebody did so in this moment."""
    with transaction.atomic():
        now = timezone.now()
        export = _plan(schedule, now, now)
        record(actor, "report_schedule.run", schedule, schedule.fleet, ({}, {}))
    return export


def keep(actor: Actor, schedule: ReportSchedule, plan: Plan) -> ReportSchedule:
    """A new one, or what there is changed. Raises WishError."""
    for name, value in plan.fields.items():
        setattr(schedule, name, value)
    report = report_named(schedule.report)
    if schedule.format not in report.formats:
        raise WishError("format", f"This report comes as {', '.join(report.formats)}.")
    now = timezone.now()
    table_of(report, schedule.fleet, plan.wish.within(period_of(schedule, now)))
    people = _people(schedule.fleet, plan.emails)
    schedule.wish = plan.wish.stored
    schedule.next_at = None if schedule.paused else next_slot(schedule, now)
    new = schedule.pk is None
    with transaction.atomic():
        Fleet.objects.select_for_update(no_key=True).get(pk=schedule.fleet_id)
        before = {} if new else facts(ReportSchedule.objects.get(pk=schedule.pk))
        if new and ReportSchedule.objects.filter(fleet=schedule.fleet).count() >= SCHEDULES_MOST:
            raise WishError("name", f"A fleet has at most {SCHEDULES_MOST} schedules: delete one first.")
        if new:
            schedule.created_by = actor.user
        schedule.save()
        schedule.recipients.set(people)
        act = "report_schedule.added" if new else "report_schedule.changed"
        record(actor, act, schedule, schedule.fleet, (before, facts(schedule)))
    return schedule


def _people(fleet: Fleet, emails: Collection[str]) -> list[User]:
    wanted = {email.strip().lower() for email in emails if email.strip()}
    if not wanted:
        raise WishError("recipients", "Name at least one member of the fleet.")
    if len(wanted) > RECIPIENTS_MOST:
        raise WishError("recipients", f"At most {RECIPIENTS_MOST}.")
    people = list(readers(fleet).filter(email__in=wanted))
    missing = wanted - {user.email for user in people}
    if missing:
        raise WishError("recipients", f"{min(missing)[:80]} is no member who may read this fleet’s reports.")
    return people


def readers(fleet: Fleet) -> Any:
    """Who can be on a list: members of the fleet from viewer up."""
    members = Membership.objects.filter(fleet=fleet).exclude(role=Role.DRIVER)
    return User.objects.filter(pk__in=members.values("user"), is_active=True).order_by("email")


def pause(actor: Actor, schedule: ReportSchedule, paused: bool) -> None:
    """What passes while it is paused is not made up for."""
    with transaction.atomic():
        locked = ReportSchedule.objects.select_for_update(of=("self",)).get(pk=schedule.pk)
        locked.paused = paused
        locked.next_at = None if paused else next_slot(locked, timezone.now())
        locked.save(update_fields=["paused", "next_at"])
        act = "report_schedule.paused" if paused else "report_schedule.resumed"
        record(actor, act, locked, locked.fleet, ({}, {}))


def remove(actor: Actor, schedule: ReportSchedule) -> None:
    """With its log; files that were not fetched go with the next sweep."""
    with transaction.atomic():
        record(actor, "report_schedule.deleted", schedule, schedule.fleet, (facts(schedule), {}))
        schedule.delete()


def facts(schedule: ReportSchedule) -> dict[str, Any]:
    """For the audit trail."""
    return {
        "name": schedule.name,
        "report": schedule.report,
        "format": schedule.format,
        "rhythm": schedule.rhythm,
        "at": f"{schedule.at:%H:%M}",
        "time_zone": schedule.time_zone,
        "when_empty": schedule.when_empty,
        "paused": schedule.paused,
        "wish": schedule.wish,
        "recipients": sorted(schedule.recipients.values_list("email", flat=True)) if schedule.pk else [],
    }
