"""Scheduled reports: at the right moment by the right clock, of the right days, one mail a person and time."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.audit import Actor
from fleet.journeys.trips import keep
from fleet.models import (
    AuditEntry,
    ExportState,
    Fleet,
    Membership,
    ReportDelivery,
    ReportExport,
    ReportSchedule,
    Rhythm,
    Role,
    User,
    WhenEmpty,
)
from fleet.reports import deliveries, exports, schedules
from fleet.reports.schedules import Plan, next_slot, period_of
from fleet.reports.wishes import Wish, WishError
from fleet.tests.test_report_exports import BACKEND, stored
from fleet.tests.test_rollups import told
from tests.receivers import MailServer, mail_server
from tests.world import make_car, make_person

BERLIN = "Europe/Berlin"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday


@pytest.fixture(autouse=True)
def files_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    with mail_server() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.EMAIL_TIMEOUT = 5
        settings.SITE_URL = "https://fleet.example"
        yield running


@pytest.fixture
def owner(db: None) -> User:
    return people()


def people() -> User:
    car = make_car("north", "van")
    Fleet.objects.filter(slug="north").update(time_zone=BERLIN, name="North")
    keep(car.vehicle, [told("t", START - timedelta(hours=20), 30, 10)])
    make_person("viewer@example.com", "north")
    return make_person("owner@example.com", "north", Role.OWNER)


def kept(owner: User, emails: tuple[str, ...] = ("owner@example.com",), **fields: Any) -> ReportSchedule:
    usual = {
        "name": "Figures", "report": "trips", "format": "csv", "rhythm": Rhythm.DAILY, "at": time(6),
        "time_zone": BERLIN, "when_empty": WhenEmpty.SEND,
    }  # fmt: skip
    fleet = Fleet.objects.get(slug="north")
    plan = Plan(usual | fields, Wish(zone=BERLIN), emails)
    return schedules.keep(Actor(str(owner), owner), ReportSchedule(fleet=fleet), plan)


def tick() -> None:
    """What beat and the workers do."""
    schedules.plan_due(timezone.now())
    exports.make_due()
    deliveries.send_due()


def states() -> list[str]:
    return [str(state) for state in ReportDelivery.objects.order_by("id").values_list("state", flat=True)]


def schedule(rhythm: str, at: time, zone: str = BERLIN, **days: int) -> ReportSchedule:
    fleet = Fleet(slug="x", time_zone=zone)
    return ReportSchedule(fleet=fleet, rhythm=rhythm, at=at, time_zone=zone, **days)


class TestSlots:
    @pytest.mark.parametrize(
        ("rhythm", "days", "at", "after", "slot"),
        [
            ("daily", {}, time(6), "2026-11-20T04:59:59", "2026-11-20T05:00"),
            ("daily", {}, time(6), "2026-11-20T05:00:00", "2026-11-21T05:00"),
            # In the night of 29 March 2026 there is no 02:30 in Berlin; in that of 25 October there are two.
            ("daily", {}, time(2, 30), "2026-03-28T12:00:00", "2026-03-29T01:30"),
            ("daily", {}, time(2, 30), "2026-03-29T01:30:00", "2026-03-30T00:30"),
            ("daily", {}, time(2, 30), "2026-10-24T12:00:00", "2026-10-25T00:30"),
            ("daily", {}, time(2, 30), "2026-10-25T00:30:00", "2026-10-26T01:30"),
            ("weekly", {"weekday": 0}, time(7), "2026-11-20T12:00:00", "2026-11-23T06:00"),
            ("monthly", {"month_day": 31}, time(7), "2026-02-01T00:00:00", "2026-02-28T06:00"),
            ("monthly", {"month_day": 31}, time(7), "2026-02-28T06:00:00", "2026-03-31T05:00"),
            ("monthly", {"month_day": 1}, time(0), "2026-11-30T23:00:00", "2026-12-31T23:00"),
        ],
    )
    def test_by_the_clock_on_the_wall(self, rhythm: str, days: Any, at: time, after: str, slot: str) -> None:
        found = next_slot(schedule(rhythm, at, **days), datetime.fromisoformat(after).replace(tzinfo=UTC))
        assert found == datetime.fromisoformat(slot).replace(tzinfo=UTC)

    @settings(max_examples=60, deadline=None)
    @given(
        rhythm=st.sampled_from(Rhythm.values),
        at=st.times(),
        zone=st.sampled_from(
            [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]
        ),
        start=st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
        weekday=st.integers(0, 6),
        month_day=st.integers(1, 31),
    )
    def test_periods_follow_each_other_without_gap_or_overlap(
        self, rhythm: str, at: time, zone: str, start: datetime, weekday: int, month_day: int
    ) -> None:
        """Whatever clocks do; but for the day that Apia never had."""
        one = schedule(rhythm, at, zone, weekday=weekday, month_day=month_day)
        slot = next_slot(one, start)
        for _ in range(8):
            following = next_slot(one, slot)
            before, after = period_of(one, slot), period_of(one, following)
            missing = {date(2011, 12, 30)} if zone == "Pacific/Apia" else set()
            assert following > slot
            gap = after.first - before.last
            assert gap == timedelta(days=1) or (missing and gap == timedelta(days=0))
            slot = following


class TestOnce:
    def test_made_and_mailed_at_its_time(self, owner: User, server: MailServer) -> None:
        with time_machine.travel(START, tick=False) as clock:
            kept(owner, ("owner@example.com", "viewer@example.com"))
            tick()
            assert not server.mails
            clock.move_to(datetime(2026, 11, 21, 5, tzinfo=UTC))
            tick()
            tick()
        assert states() == ["sent"] * 2 and len(server.mails) == 2
        mail = next(mail for mail in server.mails if mail["To"] == "viewer@example.com")
        assert mail["Subject"] == "Figures: 2026-11-20 · North"
        (file,) = mail.iter_attachments()
        assert file.get_filename() == "trips-north-2026-11-20.csv"
        assert "Start (Europe/Berlin)" in file.get_payload(decode=True).decode()  # type: ignore[union-attr]
        row = ReportDelivery.objects.get(user__email="viewer@example.com")
        assert mail["Message-ID"] == f"<report-{row.pk}@localhost>"

    def test_what_passed_while_nothing_ran_is_made_up_for(self, owner: User, server: MailServer) -> None:
        with time_machine.travel(START, tick=False) as clock:
            kept(owner)
            clock.shift(timedelta(days=3))
            tick()
            tick()
        wishes = [Wish.of(row.wish).first for row in ReportExport.objects.order_by("slot")]
        assert (
            wishes == [date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22)] and len(server.mails) == 3
        )

    def test_paused_passes_by_and_run_now_is_once_more(self, owner: User, server: MailServer) -> None:
        with time_machine.travel(START, tick=False) as clock:
            row = kept(owner)
            schedules.pause(Actor("owner", owner), row, True)
            clock.shift(timedelta(days=3))
            tick()
            assert not server.mails
            row.refresh_from_db()
            schedules.run_now(Actor("owner", owner), row)
            assert schedules.run_now(Actor("owner", owner), row) is None, "the same moment is the same time"
            tick()
            assert len(server.mails) == 1
            schedules.pause(Actor("owner", owner), row, False)
            tick()
            assert len(server.mails) == 1
        actions = AuditEntry.objects.filter(action__startswith="report_schedule.").values_list(
            "action", flat=True
        )
        assert {"report_schedule.added", "report_schedule.paused", "report_schedule.run"} <= set(actions)

    @pytest.mark.parametrize(
        ("rule", "mails", "files", "state"),
        [
            ("send", 1, 1, ExportState.DONE),
            ("say", 1, 0, ExportState.DONE),
            ("skip", 0, 0, ExportState.EMPTY),
        ],
    )
    def test_without_a_row(
        self, owner: User, server: MailServer, rule: str, mails: int, files: int, state: ExportState
    ) -> None:
        with time_machine.travel(START, tick=False) as clock:
            kept(owner, when_empty=rule, report="alerts")
            clock.shift(timedelta(days=1))
            tick()
        assert len(server.mails) == mails and ReportExport.objects.get().state == state
        assert len(stored()) == (rule != "skip")
        for mail in server.mails:
            assert len(list(mail.iter_attachments())) == files
            body = mail.get_body(("plain",))
            assert body and ("nothing to report" in body.get_content()) == (rule == "say")

    def test_a_large_file_is_a_link_that_recipients_may_follow(
        self, owner: User, server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deliveries, "ATTACHED_MOST", 10)
        with time_machine.travel(START, tick=False) as clock:
            kept(owner, ("viewer@example.com",))
            clock.shift(timedelta(days=1))
            tick()
            (mail,), export = server.mails, ReportExport.objects.get()
            body = mail.get_body(("plain",))
            assert body and f"https://fleet.example/exports/{export.uid}" in body.get_content()
            for email, status in (("viewer@example.com", 200), ("owner@example.com", 404)):
                client = Client()
                client.force_login(User.objects.get(email=email), backend=BACKEND)
                assert client.get(f"/exports/{export.uid}/file").status_code == status

    def test_who_left_or_became_a_driver_gets_none(self, owner: User, server: MailServer) -> None:
        with time_machine.travel(START, tick=False) as clock:
            kept(owner, ("owner@example.com", "viewer@example.com"))
            Membership.objects.filter(user__email="viewer@example.com").update(role=Role.DRIVER)
            clock.shift(timedelta(days=1))
            schedules.plan_due(timezone.now())
            exports.make_due()
            Membership.objects.filter(user=owner).delete()
            deliveries.send_due()
        assert states() == ["dropped"] and not server.mails

    def test_the_mark_decides_what_a_dead_worker_means(self, owner: User, server: MailServer) -> None:
        with time_machine.travel(START, tick=False) as clock:
            kept(owner, ("owner@example.com", "viewer@example.com"))
            clock.shift(timedelta(days=1))
            schedules.plan_due(timezone.now())
            exports.make_due()
            before, after = deliveries.claim(timezone.now()), deliveries.claim(timezone.now())
            assert before and after and deliveries.claim(timezone.now()) is None
            assert deliveries._hand_over(after)
            clock.shift(deliveries.LEASE + timedelta(seconds=1))
            assert deliveries.deliver(before) is False, "its lease is over"
            assert deliveries.send_due() == 1 and deliveries.send_due() == 0
        assert sorted(states()) == ["sent", "uncertain"] and len(server.mails) == 1

    @pytest.mark.parametrize(("reply", "state"), [("450 busy", "waiting"), ("550 nobody", "failed")])
    def test_a_server_that_says_no(self, owner: User, server: MailServer, reply: str, state: str) -> None:
        server.replies = {"RCPT": [reply]}
        with time_machine.travel(START, tick=False) as clock:
            kept(owner)
            clock.shift(timedelta(days=1))
            tick()
            assert states() == [state] and not server.mails
            clock.shift(60)
            tick()
        assert len(server.mails) == (state == "waiting")

    @pytest.mark.postgres
    def test_many_workers_mail_each_once(self, transactional_db: None, server: MailServer) -> None:
        owner = people()
        for number in range(3):
            kept(owner, ("owner@example.com", "viewer@example.com"), name=f"Figures {number}")
        ReportSchedule.objects.update(next_at=timezone.now() - timedelta(hours=1))
        start = threading.Barrier(5)

        def work() -> None:
            start.wait()
            for _ in range(3):
                tick()
            connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tick()
        assert states() == ["sent"] * 6 and len(server.mails) == 6 and len(stored()) == 3


class TestPages:
    FORM = {
        "name": "Weekly", "report": "summary", "format": "pdf", "rhythm": "weekly", "weekday": "0", "month_day": "1",
        "at": "07:00", "time_zone": BERLIN, "when_empty": "say", "units": "metric", "dialect": "comma",
        "recipients": "owner@example.com, viewer@example.com", "vehicles": "", "label": "",
    }  # fmt: skip
    LIST = "/fleets/north/report-schedules"

    def client(self, email: str) -> Client:
        client = Client()
        client.force_login(User.objects.get(email=email), backend=BACKEND)
        return client

    def test_managers_add_change_run_and_delete(self, owner: User, server: MailServer) -> None:
        client = self.client("owner@example.com")
        page = client.post(self.LIST, self.FORM)["Location"]
        assert "Weekly" in client.get(self.LIST).content.decode()
        client.post(page, {"act": "run"})
        tick()
        log = client.get(page).content.decode()
        assert log.count("sent") >= 2 and "12 rows" in log
        client.post(page, self.FORM | {"act": "save", "rhythm": "monthly", "at": "08:30"})
        row = ReportSchedule.objects.get()
        assert (row.rhythm, row.at) == ("monthly", time(8, 30))
        client.post(page, {"act": "delete"})
        assert not ReportSchedule.objects.exists() and client.get(page).status_code == 404

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("recipients", "stranger@example.com"), ("recipients", ""), ("time_zone", "Mars/Base"), ("at", "25:00"),
            ("vehicles", "bus"), ("format", "doc"), ("month_day", "40"), ("name", ""),
        ],
    )  # fmt: skip
    def test_what_makes_no_sense_is_said_beside_its_field(self, owner: User, field: str, value: str) -> None:
        form = self.FORM | {"report": "trips", "format": "csv", field: value}
        reply = self.client("owner@example.com").post(self.LIST, form)
        assert reply.status_code == 400 and reply.context["form"].errors[field]
        assert not ReportSchedule.objects.exists()

    def test_a_report_that_cannot_be_so(self, owner: User) -> None:
        with pytest.raises(WishError, match="comes as"):
            kept(owner, report="trips", format="pdf")
        reply = self.client("owner@example.com").post(self.LIST, self.FORM | {"vehicles": "van"})
        assert reply.context["form"].errors["vehicles"] == ["This report is about the whole fleet."]

    def test_viewers_read_and_change_nothing(self, owner: User) -> None:
        row, client = kept(owner), self.client("viewer@example.com")
        assert "Run now" not in client.get(f"{self.LIST}/{row.pk}").content.decode()
        assert client.post(f"{self.LIST}/{row.pk}", {"act": "run"}).status_code == 403
        assert client.post(self.LIST, self.FORM).status_code == 403 and not ReportExport.objects.exists()

    def test_over_the_api(self, owner: User, server: MailServer) -> None:
        client, address = self.client("owner@example.com"), "/api/v1/fleet/north/report-schedules"
        body = {
            "name": "Daily", "report": "trips", "format": "csv", "rhythm": "daily", "at": "06:00",
            "recipients": ["viewer@example.com"], "wish": {"vehicles": ["van"], "columns": ["start", "distance"]},
        }  # fmt: skip
        made = client.post(address, body, content_type="application/json")
        assert made.status_code == 201 and made.json()["time_zone"] == BERLIN and made.json()["next_at"]
        own = f"{address}/{made.json()['id']}"
        changed = client.patch(own, {"at": "07:30", "paused": True}, content_type="application/json").json()
        assert (changed["at"], changed["next_at"]) == ("07:30", None)
        assert changed["wish"]["columns"] == ["start", "distance"] and changed["recipients"] == [
            "viewer@example.com"
        ]
        assert client.post(f"{own}/run").status_code == 202
        tick()
        (run,) = client.get(f"{own}/runs").json()["results"]
        assert run["state"] == "done" and run["mails"][0]["state"] == "sent"
        wrong = client.post(
            address, body | {"recipients": ["x@example.com"]}, content_type="application/json"
        )
        assert wrong.status_code == 400 and wrong.json()["errors"][0]["field"] == "recipients"
        assert client.delete(own).status_code == 204 and client.get(own).status_code == 404
