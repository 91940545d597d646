"""The alerts inbox in the browser, without scripts."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.alerting.alerts import Report, raise_alert
from fleet.models import Alert, AlertState, Role, Severity
from tests.world import Car, make_car, make_person

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def car(db: None) -> Car:
    return make_car("own", "van")


def logged_in(role: str) -> Client:
    client = Client()
    person = make_person(f"{role}@example.com", "own", role)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def manager(car: Car) -> Client:
    return logged_in(Role.MANAGER)


@pytest.fixture
def alert(car: Car) -> Alert:
    return raise_alert(car.vehicle, Report("high_co2", Severity.CRITICAL, "<b>too</b> much", NOON)).alert


def post(client: Client, alert: Alert, **form: str) -> Any:
    return client.post(f"/alerts/{alert.pk}/act", form, follow=True)


def test_an_empty_inbox_says_so(manager: Client) -> None:
    assert b"Nothing waits for you" in manager.get("/alerts").content
    assert b"No alert matches" in manager.get("/alerts?q=nothing").content


def test_the_inbox_shows_escapes_filters_and_counts(manager: Client, alert: Alert, car: Car) -> None:
    raise_alert(car.vehicle, Report("door", Severity.INFO, "open", NOON))
    raise_alert(make_car("other", "bus").vehicle, Report("secret", Severity.CRITICAL, "x", NOON))
    page = manager.get("/alerts").content.decode()
    assert "&lt;b&gt;too&lt;/b&gt; much" in page and "secret" not in page
    assert page.index("high_co2") < page.index("door")
    assert "door" not in manager.get("/alerts?severity=2").content.decode()
    assert "high_co2" not in manager.get("/alerts?q=door").content.decode()
    part = manager.get("/alerts", headers={"HX-Request": "true"}).content.decode()
    assert "high_co2" in part and "<html" not in part


def test_from_the_inbox_to_resolved(manager: Client, alert: Alert) -> None:
    page = post(manager, alert, act="acknowledge", text="looking at it")
    assert b"looking at it" in page.content and b"Acknowledged" in page.content
    post(manager, alert, act="assign", user="manager@example.com")
    assert "high_co2" in manager.get("/alerts?tab=mine").content.decode()
    post(manager, alert, act="snooze", until="8h")
    alert.refresh_from_db()
    assert alert.snoozed_until and alert.snoozed_until > timezone.now() + timedelta(hours=7)
    assert "high_co2" not in manager.get("/alerts").content.decode()
    assert "high_co2" in manager.get("/alerts?tab=snoozed").content.decode()
    post(manager, alert, act="resolve")
    alert.refresh_from_db()
    assert alert.state == AlertState.RESOLVED and alert.snoozed_until is None
    assert "high_co2" in manager.get("/alerts?tab=resolved").content.decode()


@pytest.mark.parametrize(
    "form", [{}, {"act": "dance"}, {"act": "comment"}, {"act": "snooze", "until": "1000y"}], ids=str
)
def test_odd_forms_change_nothing_and_say_why(manager: Client, alert: Alert, form: dict[str, str]) -> None:
    page = post(manager, alert, **form)
    assert page.status_code == 200 and b"Choose what to do" in page.content
    assert not alert.notes.exists()


def test_viewers_read_and_do_nothing(alert: Alert) -> None:
    viewer = logged_in(Role.VIEWER)
    page = viewer.get(f"/alerts/{alert.pk}")
    assert page.status_code == 200 and b"Take care of it" not in page.content
    assert post(viewer, alert, act="resolve").status_code == 403


def test_export_is_a_table_that_cannot_run(manager: Client, alert: Alert, car: Car) -> None:
    raise_alert(car.vehicle, Report("=cmd", Severity.INFO, "@SUM(A1)", NOON))
    answer = manager.get("/alerts?export=csv")
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["type"] for row in rows] == ["high_co2", "'=cmd"]
    assert rows[1]["message"] == "'@SUM(A1)" and rows[0]["first_at_utc"] == "2026-03-01 12:00:00"


def test_what_the_inbox_costs(manager: Client, car: Car, django_assert_num_queries: Any) -> None:
    for number in range(60):
        raise_alert(car.vehicle, Report(f"kind-{number}", Severity.INFO, "x", NOON))
    # session, user, memberships, counts, the rows, fleets for the head of the page
    with django_assert_num_queries(6):
        page = manager.get("/alerts")
    assert b"1\xe2\x80\x9350 of 60" in page.content
    assert b"51" in manager.get("/alerts?page=2").content
