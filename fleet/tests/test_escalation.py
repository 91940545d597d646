"""Nobody acknowledges an alert: each step is told exactly once, unless somebody acts before."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, connections
from django.utils import timezone

from fleet.alerting.alerts import Report, act, comment, raise_alert, snooze
from fleet.alerting.escalation import StepError, add, escalate, remove
from fleet.audit import SYSTEM
from fleet.models import (
    Alert,
    AlertEvent,
    Escalation,
    EscalationStep,
    Fleet,
    Notification,
    Role,
    Severity,
    User,
)
from tests.world import Car, make_car, make_person

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def car(db: None) -> Car:
    return make_car("own", "van")


@pytest.fixture
def chief(car: Car) -> User:
    return make_person("chief@example.com", "own", Role.VIEWER)


def step(
    minutes: int, *people: str, severity: Severity = Severity.CRITICAL, role: str = ""
) -> EscalationStep:
    wish = EscalationStep(severity=severity, after_minutes=minutes, role=role)
    return add(SYSTEM, Fleet.objects.get(slug="own"), wish, list(people))


def opened(car: Car, severity: Severity = Severity.CRITICAL, kind: str = "hot") -> Alert:
    return raise_alert(car.vehicle, Report(kind, severity, "hot", timezone.now())).alert


def fired() -> list[tuple[str, int]]:
    return list(AlertEvent.objects.filter(kind="escalated").order_by("id").values_list("by", "number"))


def minutes_later(minutes: float) -> Any:
    return time_machine.travel(NOON + timedelta(minutes=minutes), tick=False)


def test_step_by_step_each_once(car: Car, chief: User) -> None:
    make_person("boss@example.com", "own", Role.OWNER)
    step(5, "chief@example.com")
    step(15, role=Role.OWNER)
    with minutes_later(0):
        opened(car)
    for minute, steps in ((4.9, 0), (5, 1), (9, 1), (15, 2), (16, 2), (600, 2)):
        with minutes_later(minute):
            escalate(timezone.now())
            escalate(timezone.now())
        assert len(fired()) == steps
    told = Notification.objects.filter(event__kind="escalated", channel="email").order_by("id")
    assert [row.user.email for row in told] == ["chief@example.com", "boss@example.com"]
    assert fired()[0] == ("nobody acknowledged it within 5 min", 1)


@pytest.mark.parametrize("what", ["acknowledge", "resolve"])
def test_whoever_acts_stops_it(car: Car, chief: User, what: str) -> None:
    step(5, "chief@example.com")
    with minutes_later(0):
        alert = opened(car)
    with minutes_later(4):
        act(alert, SYSTEM, what, timezone.now())
    with minutes_later(300):
        assert escalate(timezone.now()) == 0 and fired() == []


def test_snoozing_puts_it_off(car: Car, chief: User) -> None:
    step(5, "chief@example.com", severity=Severity.WARNING)
    step(7, "chief@example.com")
    with minutes_later(0):
        alert = opened(car, Severity.WARNING)
    with minutes_later(4):
        snooze(alert, SYSTEM, NOON + timedelta(hours=1), timezone.now())
        comment(alert, SYSTEM, "looking into it")
    with minutes_later(10):
        opened(car, Severity.CRITICAL)
    for minute, steps in ((64.9, 0), (65, 1), (66.9, 1), (67, 2), (600, 2)):
        with minutes_later(minute):
            escalate(timezone.now())
        assert len(fired()) == steps, minute


def test_reopened_it_begins_anew(car: Car, chief: User) -> None:
    step(5, "chief@example.com")
    with minutes_later(0):
        alert = opened(car)
    with minutes_later(6):
        escalate(timezone.now())
        act(alert, SYSTEM, "resolve", timezone.now())
        act(alert, SYSTEM, "reopen", timezone.now())
    with minutes_later(10):
        assert escalate(timezone.now()) == 0
    with minutes_later(11):
        assert escalate(timezone.now()) == 1 and [number for _, number in fired()] == [1, 2]


def test_worse_counts_from_when_it_became_worse(car: Car, chief: User) -> None:
    step(5, "chief@example.com")
    with minutes_later(0):
        opened(car, Severity.WARNING)
    with minutes_later(10):
        assert escalate(timezone.now()) == 0
        opened(car, Severity.CRITICAL)
    with minutes_later(14.9):
        assert escalate(timezone.now()) == 0
    with minutes_later(15):
        assert escalate(timezone.now()) == 1


def test_a_step_that_was_removed_is_not_met(car: Car, chief: User) -> None:
    gone = step(5, "chief@example.com")
    with minutes_later(0):
        opened(car)
    remove(SYSTEM, gone)
    with minutes_later(6):
        assert escalate(timezone.now()) == 0


@pytest.mark.parametrize(
    ("minutes", "people", "role", "field"),
    [
        (0, ["chief@example.com"], "", "after_minutes"),
        (10_081, ["chief@example.com"], "", "after_minutes"),
        (5, [], "", "people"),
        (5, ["stranger@example.com"], "", "people"),
        (5, [], Role.OWNER, "role"),
    ],
)
def test_steps_nobody_could_follow(
    car: Car, chief: User, minutes: int, people: list[str], role: str, field: str
) -> None:
    make_person("stranger@example.com")
    with pytest.raises(StepError) as refused:
        step(minutes, *people, role=role)
    assert refused.value.field == field and not EscalationStep.objects.exists()


def test_deadlines_are_found_by_their_own_index(car: Car) -> None:
    query = str(Escalation.objects.filter(due_at__lte=NOON).order_by("due_at").values("pk").query)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(
                f"EXPLAIN {query}".replace("2026-03-01 12:00:00+00:00", "'2026-03-01 12:00:00+00:00'")
            )
        else:
            cursor.execute(
                "EXPLAIN QUERY PLAN SELECT id FROM alert_escalations WHERE due_at <= '2026-03-01' ORDER BY due_at"
            )
        plan = str(cursor.fetchall())
    assert "alert_escalations_due" in plan


@pytest.mark.postgres
def test_many_workers_and_somebody_who_acknowledges(transactional_db: None) -> None:
    cars = [make_car("own", f"van-{n}") for n in range(8)]
    make_person("chief@example.com", "own", Role.VIEWER)
    step(1, "chief@example.com")
    alerts = [opened(car) for car in cars]
    later = timezone.now() + timedelta(minutes=2)
    start = threading.Barrier(5)

    def work() -> None:
        start.wait()
        for _ in range(3):
            escalate(later)
        connections.close_all()

    def acknowledge() -> None:
        start.wait()
        for alert in reversed(alerts):
            act(alert, SYSTEM, "acknowledge", timezone.now())
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)] + [threading.Thread(target=acknowledge)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = AlertEvent.objects.filter(kind__in=["escalated", "acknowledged"]).order_by("id")
    for alert in alerts:
        kinds = [event.kind for event in events if event.alert_id == alert.pk]
        assert kinds in (["acknowledged"], ["escalated", "acknowledged"])
    assert not Escalation.objects.filter(due_at__isnull=False).exists()
