"""Notifications in the browser, without scripts: the bell, the list, choices, and who was told on an alert's page."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.alerting.alerts import Report, raise_alert
from fleet.models import Alert, Notification, NotificationChoice, Reach, Role, Severity, User
from fleet.notifying import mails
from fleet.pages import notifications
from tests.world import Car, make_car, make_person


@pytest.fixture
def car(db: None) -> Car:
    return make_car("own", "van")


def logged_in(role: str) -> tuple[Client, User]:
    client = Client()
    person = make_person(f"{role}@example.com", "own", role)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client, person


@pytest.fixture
def owner(car: Car) -> Client:
    return logged_in(Role.OWNER)[0]


def opened(car: Car, kind: str = "hot", severity: Severity = Severity.CRITICAL) -> Alert:
    return raise_alert(car.vehicle, Report(kind, severity, f"<b>{kind}</b>", timezone.now())).alert


class TestBell:
    def test_it_counts_what_is_unread_on_every_page(self, car: Car, owner: Client) -> None:
        assert b"unread</span>" not in owner.get("/drivers/").content
        for kind in ("a", "b"):
            opened(car, kind)
        assert b"Notifications, 2 unread" in owner.get("/drivers/").content
        assert owner.get("/notifications/bell").json() == {"unread": 2, "shown": "2"}
        owner.get(f"/alerts/{Alert.objects.get(type='a').pk}")
        assert b"Notifications, 1 unread" in owner.get("/drivers/").content

    def test_no_more_than_it_can_show_is_counted(self, car: Car, owner: Client) -> None:
        opened(car)
        first = Notification.objects.filter(channel="page").get()
        event = first.event
        rows = []
        for number in range(2, 130):
            event.pk, event.number, event.kind = None, number, "raised"
            event.save(force_insert=True)
            rows.append(
                Notification(
                    event_id=event.pk, user=first.user, fleet=first.fleet, channel="page", state="shown",
                    created_at=first.created_at,
                )
            )  # fmt: skip
        Notification.objects.bulk_create(rows)
        assert b"Notifications, 99+ unread" in owner.get("/drivers/").content
        assert owner.get("/notifications/bell").json() == {"unread": 100, "shown": "99+"}

    def test_it_costs_no_query_of_its_own(
        self, car: Car, owner: Client, django_assert_num_queries: Any
    ) -> None:
        opened(car)
        with django_assert_num_queries(4):  # session, person, roles, count
            owner.get("/notifications/bell")
        with django_assert_num_queries(
            6
        ):  # session, person, roles, counts, rows, fleets and count for the head
            owner.get("/alerts")


class TestList:
    def test_it_shows_filters_marks_and_exports(self, car: Car, owner: Client) -> None:
        assert b"Nobody had to tell you anything" in owner.get("/notifications").content
        opened(car, "=hot")
        opened(car, "door", Severity.INFO)
        page = owner.get("/notifications").content.decode()
        assert "&lt;b&gt;=hot" in page and page.index("door") < page.index("=hot") and "Mark all read" in page
        assert "door" not in owner.get("/notifications?severity=2").content.decode()
        assert "=hot" not in owner.get("/notifications?q=door").content.decode()
        part = owner.get("/notifications", headers={"HX-Request": "true"}).content.decode()
        assert "door" in part and "<html" not in part
        door = Notification.objects.get(event__alert__type="door", channel="page")
        owner.post("/notifications/read", {"id": door.pk})
        unread = owner.get("/notifications?unread=1").content.decode()
        assert "=hot" in unread and "door" not in unread
        owner.post("/notifications/read")
        assert b"Nothing matches" in owner.get("/notifications?unread=1").content
        answer = owner.get("/notifications?export=csv")
        rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
        assert [row["type"] for row in rows] == ["door", "'=hot"] and rows[0]["read_at_utc"]

    def test_what_it_costs(
        self, car: Car, owner: Client, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(12):
            opened(car, f"kind-{number}")
        monkeypatch.setattr(notifications, "PAGE_SIZE", 10)
        # session, person, roles, count, rows, unread, fleets it may set, fleets for the head
        with django_assert_num_queries(8):
            page = owner.get("/notifications").content.decode()
        assert "1–10" in page and "kind-0<" not in page
        assert "kind-0<" in owner.get("/notifications?page=2").content.decode()


class TestChoices:
    def form(self, **more: str) -> dict[str, str]:
        fields = {"page_reach": "1", "email_reach": "0", "quiet_from": "", "quiet_to": ""} | more
        return {"fleet": "own", **{f"own-{name}": value for name, value in fields.items()}}

    def test_they_show_what_holds_and_keep_what_is_chosen(self, car: Car, owner: Client) -> None:
        page = owner.get("/account/notifications").content.decode()
        assert '<option value="2" selected>critical only</option>' in page
        form = self.form(quiet_from="22:00", quiet_to="07:00", critical_breaks="on")
        page = owner.post("/account/notifications", form, follow=True).content.decode()
        assert "Saved for own" in page and 'value="22:00"' in page
        kept = NotificationChoice.objects.get()
        assert (kept.page_reach, kept.email_reach, kept.tell_resolved) == (Reach.WARNING, Reach.INFO, False)
        owner.post("/account/notifications", self.form())
        assert NotificationChoice.objects.get().quiet_from is None

    @pytest.mark.parametrize(
        "wrong", [{"quiet_from": "22:00"}, {"quiet_from": "07:00", "quiet_to": "07:00"}, {"email_reach": "9"}]
    )
    def test_nonsense_is_not_kept(self, car: Car, owner: Client, wrong: dict[str, str]) -> None:
        page = owner.post("/account/notifications", self.form(**wrong))
        assert page.status_code == 200 and not NotificationChoice.objects.exists()

    def test_not_of_other_fleets(self, car: Car, owner: Client) -> None:
        make_car("other", "bus")
        owner.post("/account/notifications", {**self.form(), "fleet": "other"})
        assert not NotificationChoice.objects.exists()
        stranger = Client()
        stranger.force_login(make_person("s@example.com"), "django.contrib.auth.backends.ModelBackend")
        assert b"You belong to no fleet" in stranger.get("/account/notifications").content

    def test_without_quiet_hours_what_they_held_goes_at_once(self, car: Car, owner: Client) -> None:
        opened(car)
        Notification.objects.filter(channel="email").update(due_at=timezone.now() + timedelta(hours=5))
        assert mails.send_due() == 0
        owner.post("/account/notifications", self.form())
        assert mails.send_due() == 1


def test_an_alert_says_its_managers_who_was_told(car: Car, owner: Client) -> None:
    alert = opened(car)
    mails.send_due()
    Notification.objects.filter(channel="email").update(state="uncertain", error="It may have arrived.")
    page = owner.get(f"/alerts/{alert.pk}").content.decode()
    assert "Who was told" in page and "It may have arrived." in page
    viewer, _ = logged_in(Role.VIEWER)
    assert "Who was told" not in viewer.get(f"/alerts/{alert.pk}").content.decode()
