"""E-mails to a real mail server: one per person and moment, never twice, held by quiet hours, honest about the rest."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from fleet.alerting.alerts import Report, act, raise_alert
from fleet.audit import SYSTEM
from fleet.models import (
    Channel,
    Fleet,
    Membership,
    Notification,
    NotificationChoice,
    NotificationState,
    Reach,
    Role,
    Severity,
    User,
)
from fleet.notifying import mails
from tests.receivers import MailServer, mail_server
from tests.world import Car, make_car, make_person

NIGHT = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)  # in Berlin 00:30, and the clocks change in this night


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    with mail_server() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.EMAIL_TIMEOUT = 5
        settings.SITE_URL = "https://fleet.example"
        yield running


@pytest.fixture
def car(db: None) -> Car:
    return make_car("own", "van")


@pytest.fixture
def owner(car: Car) -> User:
    return make_person("owner@example.com", "own", Role.OWNER, time_zone="Europe/Berlin")


def opened(car: Car, kind: str = "hot", severity: Severity = Severity.CRITICAL) -> Any:
    return raise_alert(car.vehicle, Report(kind, severity, f"<b>{kind}</b>", timezone.now())).alert


def states() -> list[str]:
    rows = Notification.objects.filter(channel=Channel.EMAIL).order_by("id")
    return [str(state) for state in rows.values_list("state", flat=True)]


def at(moment: datetime) -> Any:
    return time_machine.travel(moment, tick=False)


class TestOne:
    def test_what_it_says(self, car: Car, owner: User, server: MailServer) -> None:
        with at(datetime(2026, 7, 1, 10, tzinfo=UTC)):
            alert = opened(car)
            assert mails.send_due() == 1
        (mail,) = server.mails
        assert mail["To"] == "owner@example.com" and mail["Subject"] == "[CRITICAL] New alert: hot · van"
        row = Notification.objects.get(channel="email")
        assert mail["Message-ID"] == f"<notification-{row.pk}@localhost>" and row.state == "sent"
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
        assert f"https://fleet.example/alerts/{alert.pk}" in text and "12:00:00 CEST" in text
        assert "<b>hot</b>" in text and "&lt;b&gt;hot" in html
        assert mails.send_due() == 0 and len(server.mails) == 1

    def test_a_line_break_cannot_make_a_header(self, car: Car, owner: User, server: MailServer) -> None:
        opened(car, "hot\r\nBcc: everybody@example.com")
        assert mails.send_due() == 1
        assert server.mails[0]["Bcc"] is None

    def test_who_left_the_fleet_gets_none(self, car: Car, owner: User, server: MailServer) -> None:
        opened(car)
        Membership.objects.filter(user=owner).delete()
        assert mails.send_due() == 0 and states() == ["dropped"] and not server.mails


class TestRefusals:
    def test_no_server_is_tried_again_and_given_up_some_day(
        self, car: Car, owner: User, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mails, "GIVE_UP_AFTER", timedelta(hours=2))
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody listens
        begin = timezone.now()
        waits: list[float] = []
        with time_machine.travel(begin, tick=False) as clock:
            opened(car)
            while states() == ["waiting"] and len(waits) < 100:
                assert mails.send_due() == 0
                row = Notification.objects.get(channel="email")
                if row.due_at:
                    waits.append((row.due_at - timezone.now()).total_seconds())
                    clock.move_to(row.due_at)
        assert waits[:4] == [30, 60, 120, 240] and max(waits) == 1800 and states() == ["failed"]
        assert timedelta(hours=2) <= timedelta(seconds=sum(waits)) < timedelta(hours=3)

    @pytest.mark.parametrize(
        ("moment", "reply", "state", "sent"),
        [
            ("RCPT", "450 busy", "waiting", 0),
            ("RCPT", "550 nobody of that name", "failed", 0),
            ("MAIL", "421 too many", "waiting", 0),
            ("END", "451 try later", "waiting", 1),
            ("END", "554 no", "failed", 1),
        ],
    )
    def test_a_server_that_says_no(
        self, car: Car, owner: User, server: MailServer, moment: str, reply: str, state: str, sent: int
    ) -> None:
        server.replies = {moment: [reply]}
        opened(car)
        assert mails.send_due() == 0 and states() == [state] and len(server.mails) == sent
        row = Notification.objects.get(channel="email")
        assert reply.split()[1] in row.error
        with at(timezone.now() + timedelta(minutes=2)):
            assert mails.send_due() == (state == "waiting")

    def test_silence_after_the_message_is_uncertain_and_stays_so(
        self, car: Car, owner: User, server: MailServer, settings: Any
    ) -> None:
        settings.EMAIL_TIMEOUT = 0.2
        server.stall_at = "END"
        opened(car)
        assert mails.send_due() == 0 and states() == ["uncertain"]
        server.stall_at = ""
        with at(timezone.now() + timedelta(days=2)):
            assert mails.send_due() == 0
        assert len(server.mails) == 1
        assert "may have arrived" in Notification.objects.get(channel="email").error


class TestLeases:
    def test_a_worker_that_dies_before_the_mark_leaves_it_to_the_next(
        self, car: Car, owner: User, server: MailServer
    ) -> None:
        opened(car)
        now = timezone.now()
        assert mails.claim(now) and mails.claim(now) is None and mails.send_due() == 0
        with at(now + mails.LEASE + timedelta(seconds=1)):
            assert mails.send_due() == 1
        assert len(server.mails) == 1

    def test_whose_lease_is_over_does_not_send(self, car: Car, owner: User, server: MailServer) -> None:
        opened(car)
        now = timezone.now()
        slow = mails.claim(now)
        assert slow
        with at(now + mails.LEASE + timedelta(seconds=1)):
            assert mails.deliver(slow) is False and not server.mails
            assert mails.send_due() == 1
            assert mails.deliver(slow) is False
        assert len(server.mails) == 1

    @pytest.mark.postgres
    def test_many_workers_send_each_once(self, transactional_db: None, server: MailServer) -> None:
        cars = [make_car("own", f"van-{n}") for n in range(3)]
        for number in range(6):
            make_person(f"p{number}@example.com", "own", Role.OWNER)
        start = threading.Barrier(7)

        def work() -> None:
            start.wait()
            for _ in range(4):
                mails.send_due()
            connections.close_all()

        def report() -> None:
            start.wait()
            for number in range(4):
                for car in cars:
                    opened(car, f"kind-{number}")
            connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(6)] + [threading.Thread(target=report)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        mails.send_due()
        assert set(states()) == {"sent"} and len(states()) == 6 * 3 * 4
        told = [line for mail in server.mails for line in _alerts_in(mail, mail["To"])]
        assert len(told) == len(set(told)) == 6 * 3 * 4


def _alerts_in(mail: Any, to: str) -> list[tuple[str, str]]:
    text = mail.get_body(("plain",)).get_content()
    return [(to, line.strip()) for line in text.splitlines() if "/alerts/" in line]


class TestQuietHours:
    @pytest.fixture
    def sleeper(self, owner: User) -> User:
        fleet = Fleet.objects.get(slug="own")
        NotificationChoice.objects.create(
            user=owner, fleet=fleet, email_reach=Reach.INFO, quiet_from=time(22), quiet_to=time(7)
        )
        return owner

    def test_one_digest_when_they_end(self, car: Car, sleeper: User, server: MailServer) -> None:
        with time_machine.travel(NIGHT, tick=False) as clock:
            for number in range(3):
                resolved = opened(car, f"kind-{number}", Severity.WARNING)
                assert mails.send_due() == 0
                clock.shift(600)
            act(resolved, SYSTEM, "resolve", timezone.now())
            due = set(Notification.objects.filter(channel="email").values_list("due_at", flat=True))
            # 07:00 in Berlin is 06:00 UTC after the clocks went back.
            assert due == {datetime(2026, 10, 25, 6, tzinfo=UTC)}
            clock.move_to(datetime(2026, 10, 25, 5, 59, 59, tzinfo=UTC))
            assert mails.send_due() == 0
            clock.shift(1)
            assert mails.send_due() == 1
        (mail,) = server.mails
        assert mail["Subject"] == "[WARNING] 3 alert messages of 1 vehicle"
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert "kind-0" in text and "now Resolved" in text and "02:30 CEST" in text.replace("00:30", "02:30")
        assert states() == ["sent"] * 3

    @pytest.mark.parametrize("breaks", [True, False])
    def test_critical_ones_by_choice(self, car: Car, sleeper: User, server: MailServer, breaks: bool) -> None:
        NotificationChoice.objects.update(critical_breaks=breaks)
        with at(NIGHT):
            opened(car, "warm", Severity.WARNING)
            opened(car, "hot")
            assert mails.send_due() == breaks
        assert [mail["Subject"] for mail in server.mails] == ["[CRITICAL] New alert: hot · van"] * breaks

    @pytest.mark.postgres
    def test_one_digest_also_of_many_workers(self, transactional_db: None, server: MailServer) -> None:
        car = make_car("own", "van")
        user = make_person("owner@example.com", "own", Role.OWNER)
        Notification.objects.all().delete()
        for number in range(30):
            opened(car, f"kind-{number}")
        due = timezone.now() - timedelta(seconds=1)
        Notification.objects.filter(channel="email").update(due_at=due, state=NotificationState.WAITING)
        start = threading.Barrier(6)

        def work() -> None:
            start.wait()
            mails.send_due()
            connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.mails) == 1 and len(_alerts_in(server.mails[0], user.email)) == 30
