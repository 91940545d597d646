"""Alerts: one per cause, the same in whatever order reports come, and what people may do with them."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.alerting.alerts import Report, act, assign, raise_alert, snooze
from fleet.audit import SYSTEM
from fleet.models import Alert, AlertReport, AlertState, AuditEntry, Role, Severity, Vehicle
from tests.world import Car, make_car, make_person

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CO2 = {"type": "high_co2", "message": "CO2 exceeded threshold", "severity": "CRITICAL"}


def report(minute: int, severity: Severity = Severity.WARNING, kind: str = "hot", text: str = "") -> Report:
    return Report(kind, severity, text or f"minute {minute}", NOON + timedelta(minutes=minute))


@pytest.fixture
def car(db: None) -> Car:
    return make_car("own", "van")


@pytest.fixture
def manager(car: Car) -> Client:
    client = Client()
    person = make_person("m@example.com", "own", Role.MANAGER)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def trigger(car: Car, body: Any) -> Any:
    header: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {car.token}"}
    return Client().post("/api/v1/alerts/trigger", body, content_type="application/json", **header)


class TestTrigger:
    def test_as_the_document_says(self, car: Car) -> None:
        answer = trigger(car, CO2)
        assert answer.status_code == 201
        told = answer.json()
        assert told["status"] == "success" and told["severity"] == "CRITICAL" and told["state"] == "open"
        again = trigger(car, CO2 | {"message": "still"})
        assert again.status_code == 200 and again.json()["id"] == told["id"] and again.json()["count"] == 2

    def test_the_same_report_again_changes_nothing(self, car: Car) -> None:
        body = CO2 | {"timestamp": NOON.timestamp()}
        assert [trigger(car, body).json()["count"] for _ in range(3)] == [1, 1, 1]

    @pytest.mark.parametrize(
        ("spoiled", "field"),
        [
            ({"severity": "LOUD"}, "severity"),
            ({"type": ""}, "type"),
            ({"type": None}, "type"),
            ({"message": "x" * 501}, "message"),
            ({"timestamp": "tomorrow"}, "timestamp"),
            ({"timestamp": "2199-01-01"}, "timestamp"),
            ({"data": [1]}, "data"),
        ],
    )
    def test_nonsense_is_refused_with_its_field(self, car: Car, spoiled: dict[str, Any], field: str) -> None:
        answer = trigger(car, CO2 | spoiled)
        assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == field
        assert not Alert.objects.exists()

    def test_only_for_its_own_vehicle(self, car: Car) -> None:
        other = make_car("own", "bus")
        assert trigger(car, CO2 | {"vehicle_id": other.vehicle.slug}).status_code == 404


class TestOneAlertPerCause:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_order_and_repeats_do_not_matter(self, car: Car, data: st.DataObject) -> None:
        Alert.objects.all().delete()
        reports = data.draw(
            st.lists(
                st.builds(
                    report, st.integers(0, 5), st.sampled_from(Severity), st.sampled_from(["hot", "cold"])
                ),
                min_size=1,
                max_size=8,
            )
        )
        told = []
        for order in (reports, data.draw(st.permutations(reports + reports))):
            for one in order:
                raise_alert(car.vehicle, one)
            fields = ("key", "severity", "message", "first_at", "last_at", "count", "state")
            told.append(sorted(Alert.objects.values_list(*fields)))
            Alert.objects.all().delete()
        assert told[0] == told[1]

    def test_after_it_was_resolved_late_reports_wake_nobody(self, car: Car) -> None:
        first = raise_alert(car.vehicle, report(0)).alert
        act(first, SYSTEM, "resolve", NOON + timedelta(minutes=30))
        late = raise_alert(car.vehicle, report(10))
        assert late.alert.pk == first.pk and not late.opened and late.alert.count == 2
        assert late.alert.state == AlertState.RESOLVED
        fresh = raise_alert(car.vehicle, report(40))
        assert fresh.opened and fresh.alert.pk != first.pk

    def test_many_first_reports_at_once(self, transactional_db: None) -> None:
        car = make_car("own", "van")

        def send(minute: int) -> None:
            raise_alert(Vehicle.objects.get(pk=car.vehicle.pk), report(minute))
            connections.close_all()

        threads = [threading.Thread(target=send, args=(n % 4,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Alert.objects.get().count == AlertReport.objects.count() == 4


class TestPeople:
    def post(self, client: Client, alert: Alert, what: str, **body: Any) -> Any:
        return client.post(f"/api/v1/alerts/{alert.pk}/{what}", body, content_type="application/json")

    @pytest.fixture
    def alert(self, car: Car) -> Alert:
        return raise_alert(car.vehicle, report(0)).alert

    def test_the_whole_life(self, alert: Alert, manager: Client) -> None:
        assert self.post(manager, alert, "acknowledge", text="on it").json()["state"] == "acknowledged"
        assert self.post(manager, alert, "comment", text="bad sensor").status_code == 200
        assert (
            self.post(manager, alert, "assign", user="M@example.com").json()["assigned_to"] == "m@example.com"
        )
        assert self.post(manager, alert, "resolve").json()["state"] == "resolved"
        refused = self.post(manager, alert, "acknowledge")
        assert refused.status_code == 400 and "reopen" in refused.json()["detail"]
        told = self.post(manager, alert, "reopen").json()
        assert told["state"] == "open" and told["resolved_at"] is None
        acts = [note["act"] for note in told["notes"]]
        assert acts == ["acknowledged", "commented", "assigned", "resolved", "reopened"]
        assert told["notes"][0]["text"] == "on it"
        assert AuditEntry.objects.filter(action__startswith="alert.").count() == 4

    def test_repeating_an_act_changes_nothing(self, alert: Alert, manager: Client) -> None:
        for _ in range(3):
            assert self.post(manager, alert, "acknowledge").status_code == 200
        assert alert.notes.count() == 1

    @pytest.mark.parametrize(
        ("what", "body", "field"),
        [
            ("snooze", {}, "until"),
            ("snooze", {"until": "2020-01-01T00:00:00Z"}, "until"),
            ("assign", {}, "user"),
            ("assign", {"user": "stranger@example.com"}, "user"),
            ("comment", {"text": "  "}, "text"),
        ],
    )
    def test_nonsense(
        self, alert: Alert, manager: Client, what: str, body: dict[str, Any], field: str
    ) -> None:
        make_person("stranger@example.com")
        answer = self.post(manager, alert, what, **body)
        assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == field
        assert not alert.notes.exists()

    def test_an_alert_cannot_be_told_to_dance(self, alert: Alert, manager: Client) -> None:
        assert self.post(manager, alert, "dance").status_code == 404

    def test_reopening_does_not_make_two(self, alert: Alert, car: Car, manager: Client) -> None:
        act(alert, SYSTEM, "resolve", NOON)
        raise_alert(car.vehicle, report(90))
        answer = self.post(manager, alert, "reopen")
        assert answer.status_code == 400 and "newer" in answer.json()["detail"]

    def test_snooze_and_assignment_by_the_product_itself(self, alert: Alert) -> None:
        snooze(alert, SYSTEM, NOON + timedelta(hours=1), NOON)
        assign(alert, SYSTEM, None)
        assert list(alert.notes.values_list("act", flat=True)) == ["snoozed", "assigned"]


class TestLists:
    def test_filters_pages_and_queries(
        self, car: Car, manager: Client, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(15):
            raise_alert(car.vehicle, report(number, Severity(number % 3), f"kind-{number}"))
        make_other = make_car("other", "bus")
        raise_alert(make_other.vehicle, report(0))
        act(Alert.objects.get(type="kind-0"), SYSTEM, "resolve", NOON)
        with django_assert_max_num_queries(5):
            first = manager.get("/api/v1/fleet/own/alerts?limit=10").json()
        second = manager.get(first["next"]).json()
        kinds = [row["type"] for row in first["results"] + second["results"]]
        assert kinds == [f"kind-{number}" for number in reversed(range(15))] and second["next"] is None

        def count(query: str) -> int:
            return len(manager.get(f"/api/v1/alerts?{query}").json()["results"])

        assert count("state=waiting") == 14 and count("state=resolved") == 1
        assert count("severity=critical") == 5 and count("severity=warning") == 10
        assert count("type=kind-3") == 1 and count("vehicle=van") == 15 and count("fleet=other") == 0
        assert manager.get("/api/v1/alerts?state=odd").status_code == 400
