"""Alerts that follow from other rows: the episodes of a rule, the urgencies of a trip. Counted anew, never added to.

The alerts of a cause share its episodes out by what people did: an episode that began before somebody resolved an
alert belongs to that one, any later one to the cause's present alert, of which there is at most one. Nothing here
depends on the order in which records came.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from fleet.aggregation.rollups import driving, touch
from fleet.alerting.alerts import day_of, note, open_up
from fleet.alerting.ruletext import data_of, message_of
from fleet.audit import Actor
from fleet.models import Alert, AlertReport, AlertRule, AlertState, Episode, Happening, Severity, Vehicle
from fleet.notifying.notifications import News, announce
from fleet.readings import Catalogue

RULE = Actor("rule")
REPORTS = 100
_DIGEST = "episode"


@dataclass(frozen=True, slots=True)
class Sum:
    """What an alert must show."""

    count: int
    severity: int
    message: str
    data: dict[str, Any]
    first_at: datetime
    last_at: datetime
    ended_at: datetime | None = None
    """It is over, and nobody needs to do anything about it."""
    holding: bool = False


@transaction.atomic
def settle(
    rule: AlertRule, vehicle: Vehicle, catalogue: Catalogue, since: datetime | None = None
) -> list[Alert]:
    """Bring the alerts of a rule and a vehicle in line with the episodes; answers those that were opened.

    `since`: no episode begun before it has changed, so that alerts which are over before it are left alone.
    """
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    mine = Alert.objects.select_for_update(of=("self",)).filter(
        vehicle=vehicle, source="rule", key=rule.cause
    )
    alerts = list(mine.order_by("id"))
    given = _share_out(rule, vehicle, alerts)
    opened = []
    days: set[date] = set()
    for alert in alerts:
        over = _by_person(alert) and since is not None and alert.last_at < since
        if over and alert.pk not in given:
            continue
        days.add(day_of(alert))
        found = _sum(rule, vehicle, alert, catalogue)
        if found is None:
            withdraw(alert)
            continue
        if show(alert, found):
            opened.append(alert)
        days.add(day_of(alert))
        _report(rule, vehicle, alert, catalogue)
    touch(driving(vehicle.fleet_id, vehicle.pk, days))
    return opened


def _by_person(alert: Alert) -> bool:
    return alert.state == AlertState.RESOLVED and not alert.resolved_by_rule


def _share_out(rule: AlertRule, vehicle: Vehicle, alerts: list[Alert]) -> set[int]:
    """Give each new episode its alert; the present alert is made when one needs it. Answers who got any."""
    given: set[int] = set()
    fresh = Episode.objects.filter(rule=rule, vehicle=vehicle, confirmed=True, alert=None)
    by_people = sorted(
        (one for one in alerts if _by_person(one)),
        key=lambda one: (one.resolved_at, one.pk),
    )
    for episode in fresh.order_by("started_at"):
        began = episode.started_at
        alert = next(
            (one for one in by_people if one.resolved_at and one.resolved_at >= began), None
        ) or next((one for one in alerts if not _by_person(one)), None)
        if alert is None:
            # Resolved until `show` has looked at its episodes: one that is over already opens nothing.
            alert = Alert.objects.create(
                fleet_id=vehicle.fleet_id, vehicle=vehicle, type=rule.name, key=rule.cause, source="rule",
                severity=episode.severity, first_at=episode.started_at, last_at=episode.started_at,
                state=AlertState.RESOLVED, resolved_at=episode.started_at, resolved_by_rule=True,
            )  # fmt: skip
            alerts.append(alert)
        Episode.objects.filter(pk=episode.pk).update(alert=alert)
        given.add(alert.pk)
    return given


def _sum(rule: AlertRule, vehicle: Vehicle, alert: Alert, catalogue: Catalogue) -> Sum | None:
    episodes = Episode.objects.filter(alert=alert, confirmed=True)
    newest = episodes.order_by("-started_at", "-id").first()
    if newest is None:
        return None
    whole = episodes.aggregate(
        count=Count("id"), severity=Max("severity"), first=Min("started_at"), ended=Max("ended_at"),
        holding=Count("id", filter=Q(ended_at=None)),
    )  # fmt: skip
    return Sum(
        count=whole["count"],
        severity=whole["severity"],
        message=message_of(rule, vehicle.name, newest.peak, newest.codes, catalogue),
        data=data_of(rule, newest.peak, newest.codes, catalogue),
        first_at=whole["first"],
        last_at=newest.started_at,
        ended_at=whole["ended"] if rule.auto_resolve and not whole["holding"] else None,
        holding=bool(whole["holding"]),
    )


def show(alert: Alert, found: Sum) -> bool:
    """Write it where it differs; was the alert opened? Never one that a person resolved, nor for what is older."""
    anew = found.holding or not alert.count or found.last_at > alert.last_at
    state, severity = alert.state, alert.severity
    changed = False
    for name in ("count", "severity", "message", "data", "first_at", "last_at"):
        if getattr(alert, name) != getattr(found, name):
            setattr(alert, name, getattr(found, name))
            changed = True
    if found.ended_at is not None:
        changed |= _resolve(alert, found.ended_at, f"it ended at {found.ended_at:%Y-%m-%d %H:%M:%S} UTC")
    elif alert.state == AlertState.RESOLVED and alert.resolved_by_rule and anew:
        if alert.notes.exists():
            note(alert, RULE, "reopened", f"again since {found.last_at:%Y-%m-%d %H:%M:%S} UTC")
        open_up(alert)
        return True
    if changed:
        alert.save()
        _announce(alert, state, severity)
    return False


def _announce(alert: Alert, state: str, severity: int) -> None:
    """What has become of it since it was in this state and of this severity; opening tells of itself."""
    if alert.state == AlertState.RESOLVED:
        if state != AlertState.RESOLVED:
            announce(alert, News(Happening.RESOLVED, RULE))
    elif alert.severity > severity:
        announce(alert, News(Happening.RAISED))


def _resolve(alert: Alert, at: datetime, why: str) -> bool:
    if alert.state == AlertState.RESOLVED:
        moved = alert.resolved_by_rule and alert.resolved_at != at
        if not moved:
            return False
        alert.resolved_at = at
        return True
    alert.state, alert.resolved_at, alert.resolved_by_rule = AlertState.RESOLVED, at, True
    alert.snoozed_until = None
    note(alert, RULE, "resolved", why)
    return True


def withdraw(alert: Alert) -> None:
    """Late data show that it was not so. The alert stays, for those who saw it."""
    if alert.count:
        alert.count, state = 0, alert.state
        AlertReport.objects.filter(alert=alert).delete()
        _resolve(alert, timezone.now(), "withdrawn: late data show that it was not so")
        alert.save()
        _announce(alert, state, alert.severity)


def _report(rule: AlertRule, vehicle: Vehicle, alert: Alert, catalogue: Catalogue) -> None:
    """One report for each episode, of the newest ones."""
    newest = Episode.objects.filter(alert=alert, confirmed=True).order_by("-started_at")[:REPORTS]
    episodes = {one.started_at: one for one in newest}
    known = {one.at: one for one in AlertReport.objects.filter(alert=alert)}
    AlertReport.objects.filter(pk__in=[one.pk for at, one in known.items() if at not in episodes]).delete()
    fresh = []
    for at, episode in episodes.items():
        report = known.get(at) or AlertReport(alert=alert, at=at, digest=_DIGEST)
        before = (report.severity, report.message, report.data) if report.pk else None
        report.severity = Severity(episode.severity)
        report.message = message_of(rule, vehicle.name, episode.peak, episode.codes, catalogue)
        report.data = data_of(rule, episode.peak, episode.codes, catalogue)
        if before is None:
            fresh.append(report)
        elif before != (report.severity, report.message, report.data):
            report.save()
    AlertReport.objects.bulk_create(fresh)
