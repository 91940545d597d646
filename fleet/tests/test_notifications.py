"""Who is told of what: planned with the alert, once, by choice and by role; read in the page and over the API."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client
from django.utils import timezone

from fleet.alerting.alerts import Raised, Report, act, assign, raise_alert
from fleet.audit import SYSTEM, Actor
from fleet.models import (
    Alert,
    AlertEvent,
    Membership,
    Notification,
    NotificationChoice,
    Reach,
    Role,
    Severity,
    User,
    Vehicle,
)
from fleet.notifying.notifications import prune
from tests.world import Car, make_car, make_person

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def car(db: None) -> Car:
    return make_car("own", "van")


@pytest.fixture
def owner(car: Car) -> User:
    return make_person("owner@example.com", "own", Role.OWNER)


@pytest.fixture
def viewer(car: Car) -> User:
    return make_person("viewer@example.com", "own", Role.VIEWER)


def opened(car: Car, severity: Severity = Severity.CRITICAL, kind: str = "hot", minute: int = 0) -> Raised:
    return raise_alert(car.vehicle, Report(kind, severity, f"{kind}!", NOON + timedelta(minutes=minute)))


def told(*, kind: str = "") -> set[tuple[str, str]]:
    found = Notification.objects.filter(**({"event__kind": kind} if kind else {}))
    return {(row.user.email.split("@")[0], row.channel) for row in found.select_related("user")}


def choose(user: User, **fields: Any) -> NotificationChoice:
    fleet = Membership.objects.get(user=user).fleet
    return NotificationChoice.objects.create(user=user, fleet=fleet, **fields)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


class TestPlanning:
    def test_an_alert_tells_its_people(self, car: Car, owner: User, viewer: User) -> None:
        make_person("other@example.com", "", Role.OWNER)
        make_person("machine@example.com", "own", Role.OWNER, is_device=True)
        make_person("gone@example.com", "own", Role.OWNER, is_active=False)
        opened(car)
        assert told() == {("owner", "page"), ("owner", "email"), ("viewer", "page")}
        opened(car, Severity.INFO, "door")
        assert Notification.objects.filter(event__alert__type="door", channel="email").count() == 0

    @pytest.mark.parametrize("reach", Reach)
    @pytest.mark.parametrize("severity", Severity)
    def test_by_choice(self, car: Car, viewer: User, reach: Reach, severity: Severity) -> None:
        choose(viewer, page_reach=Reach.NEVER, email_reach=reach)
        opened(car, severity)
        assert told() == ({("viewer", "email")} if severity >= reach else set())

    def test_repeats_say_nothing_worse_says_so_once(self, car: Car, owner: User) -> None:
        for minute in range(3):
            opened(car, Severity.INFO, minute=minute)
        opened(car, Severity.CRITICAL, minute=4)
        opened(car, Severity.CRITICAL, minute=5)
        kinds = list(AlertEvent.objects.order_by("id").values_list("kind", "severity"))
        assert kinds == [("opened", Severity.INFO), ("raised", Severity.CRITICAL)]
        assert told(kind="raised") == {("owner", "page"), ("owner", "email")}

    def test_late_reports_of_a_resolved_alert_wake_nobody(self, car: Car, owner: User) -> None:
        first = opened(car, Severity.INFO).alert
        act(first, SYSTEM, "resolve", NOON + timedelta(hours=1))
        opened(car, Severity.CRITICAL, minute=10)
        assert not AlertEvent.objects.filter(kind="raised").exists()

    def test_resolution_for_those_who_asked_and_not_for_who_did_it(
        self, car: Car, owner: User, viewer: User
    ) -> None:
        for user in (owner, viewer):
            choose(user, tell_resolved=True)
        act(opened(car).alert, Actor("owner", owner), "resolve", NOON)
        assert told(kind="resolved") == {("viewer", "page"), ("viewer", "email")}

    def test_who_is_assigned_is_told(self, car: Car, owner: User, viewer: User) -> None:
        choose(viewer, page_reach=Reach.NEVER, email_reach=Reach.NEVER)
        assign(opened(car).alert, Actor("owner", owner), viewer)
        assert told(kind="assigned") == {("viewer", "page"), ("viewer", "email")}

    def test_resolved_and_reopened_and_resolved_are_four_events(self, car: Car, owner: User) -> None:
        alert = opened(car).alert
        for name in ("resolve", "reopen", "resolve"):
            act(alert, SYSTEM, name, timezone.now())
        numbers = list(AlertEvent.objects.order_by("id").values_list("kind", "number"))
        assert numbers == [("opened", 1), ("resolved", 1), ("reopened", 1), ("resolved", 2)]

    def test_with_the_alert_or_not_at_all(self, car: Car, owner: User) -> None:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            opened(car)
            assert Notification.objects.exists()
            raise ZeroDivisionError
        assert not Alert.objects.exists() and not AlertEvent.objects.exists()

    def test_what_it_costs_does_not_grow_with_people(
        self, car: Car, django_assert_max_num_queries: Any
    ) -> None:
        with django_assert_max_num_queries(30) as alone:
            opened(car, kind="a")
        for number in range(20):
            make_person(f"p{number}@example.com", "own", Role.MANAGER)
        with django_assert_max_num_queries(len(alone)):
            opened(car, kind="b")
        assert Notification.objects.count() == 40

    def test_many_reports_at_once_tell_once(self, transactional_db: None) -> None:
        car = make_car("own", "van")
        make_person("m@example.com", "own", Role.MANAGER)

        def send(number: int) -> None:
            severity = Severity(number % 3)
            vehicle = Vehicle.objects.get(pk=car.vehicle.pk)
            raise_alert(vehicle, Report("hot", severity, "hot", NOON + timedelta(minutes=number % 4)))
            connections.close_all()

        threads = [threading.Thread(target=send, args=(n,)) for n in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        alert = Alert.objects.get()
        events = list(AlertEvent.objects.order_by("id"))
        assert events[0].kind == "opened" and events[-1].severity == alert.severity == 2
        severities = [event.severity for event in events]
        assert severities == sorted(set(severities))
        assert Notification.objects.filter(channel="page").count() == len(events)

    def test_old_ones_are_forgotten_and_the_alert_stays(self, car: Car, owner: User) -> None:
        opened(car)
        assert prune(timezone.now() - timedelta(minutes=1)) == 0
        assert prune(timezone.now() + timedelta(minutes=1)) > 0
        assert Alert.objects.exists() and not Notification.objects.exists()


class TestApi:
    def get(self, user: User, query: str = "") -> list[dict[str, Any]]:
        answer = client_of(user).get(f"/api/v1/notifications{query}")
        assert answer.status_code == 200, answer.content
        rows: list[dict[str, Any]] = answer.json()["results"]
        return rows

    def test_mine_and_read(self, car: Car, owner: User, viewer: User) -> None:
        for kind in ("a", "b", "c"):
            opened(car, kind=kind)
        opened(car, Severity.INFO, kind="d")
        rows = self.get(owner)
        assert [row["alert_type"] for row in rows] == ["d", "c", "b", "a"]
        assert rows[1]["event"] == "opened" and rows[1]["severity"] == "CRITICAL"
        assert len(self.get(owner, "?severity=warning")) == 3 and self.get(owner, "?fleet=other") == []
        client = client_of(owner)
        answer = client.post(f"/api/v1/notifications/{rows[0]['id']}/read")
        assert answer.status_code == 200 and answer.json()["read_at"]
        some = client.post("/api/v1/notifications/read", {"ids": [rows[1]["id"]]}, "application/json")
        assert some.json() == {"read": 1} and len(self.get(owner, "?unread=1")) == 2
        assert client.post("/api/v1/notifications/read", {}, "application/json").json() == {"read": 2}
        assert self.get(owner, "?unread=1") == [] and len(self.get(viewer, "?unread=1")) == 4
        foreign = self.get(viewer)[0]["id"]
        assert client.post(f"/api/v1/notifications/{foreign}/read").status_code == 404

    def test_who_left_the_fleet_sees_nothing_of_it(self, car: Car, owner: User) -> None:
        opened(car)
        Membership.objects.filter(user=owner).delete()
        assert self.get(owner) == [] and client_of(owner).get("/notifications/bell").json()["unread"] == 0

    def test_what_a_page_of_them_costs(self, car: Car, owner: User, django_assert_num_queries: Any) -> None:
        for number in range(12):
            opened(car, kind=f"k{number}")
        client = client_of(owner)
        with django_assert_num_queries(4):  # session, person, memberships, rows
            assert len(client.get("/api/v1/notifications").json()["results"]) == 12
