"""One's own account: facts, address, password, forgotten password, sessions. And what outsiders can learn: nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from fleet.models import AuditEntry, Session, User
from fleet.people import account, sessions
from fleet.tests.conftest import People
from fleet.tests.test_second_factor import code_of, enrol
from tests.world import make_person

pytestmark = pytest.mark.django_db
NEW = "a fine long password"


@pytest.fixture(autouse=True)
def nobody_came_before() -> None:
    cache.clear()


@pytest.fixture
def me(people: People) -> User:
    return people.owner


def logged_in(user: User, **browser: Any) -> Client:
    client = Client(**browser)
    client.post("/login", {"username": user.email, "password": "secret"})
    return client


def link_in(letter: Any) -> str:
    found = re.search(r"http://[^/\s]+(/\S+)", letter.body)
    assert found
    return found[1]


class TestFacts:
    def test_name_and_zone(self, me: User) -> None:
        client = logged_in(me)
        told = {"first_name": "Grace", "last_name": "Hill", "time_zone": "Asia/Tokyo"}
        assert client.post("/account", told).headers["Location"] == "/account"
        page = client.get("/account").content.decode()
        assert "Grace Hill" in page and 'value="Asia/Tokyo"' in page
        assert client.post("/account", told | {"time_zone": "Moon"}).status_code == 400
        me.refresh_from_db()
        assert (me.first_name, me.time_zone) == ("Grace", "Asia/Tokyo")

    def test_nothing_else_can_be_set(self, me: User) -> None:
        logged_in(me).post("/account", {"time_zone": "UTC", "is_superuser": "1", "email": "x@example.com"})
        me.refresh_from_db()
        assert not me.is_superuser and me.email == "owner@example.com"


class TestAddress:
    def test_changes_when_the_link_is_opened(self, me: User) -> None:
        client = logged_in(me)
        for wrong in (
            {"password": "wrong", "email": "new@example.com"},
            {"password": "secret", "email": "no"},
        ):
            assert client.post("/account/address", wrong).status_code == 400
        client.post("/account/address", {"password": "secret", "email": "New@Example.com"})
        account.send_new_address(me.pk, "new@example.com")
        (letter,) = mail.outbox
        assert letter.to == ["new@example.com"]
        me.refresh_from_db()
        assert me.email == "owner@example.com"
        assert Client().get(link_in(letter)).status_code == 302  # log in first
        assert "new@example.com" in client.get(link_in(letter)).content.decode()
        assert client.post(link_in(letter)).headers["Location"] == "/account"
        me.refresh_from_db()
        assert me.email == "new@example.com"
        entry = AuditEntry.objects.get(action="account.address_changed")
        assert (entry.before, entry.after) == ({"email": "owner@example.com"}, {"email": "new@example.com"})
        assert client.get(link_in(letter)).status_code == 410  # once

    def test_the_link_is_for_one_account_and_a_day(self, me: User, people: People) -> None:
        account.send_new_address(me.pk, "new@example.com")
        link = link_in(mail.outbox[0])
        other = logged_in(people.viewer)
        assert other.get(link).status_code == 410 and other.post(link).status_code == 410
        with time_machine.travel(timezone.now() + timedelta(hours=25)):
            assert logged_in(me).post(link).status_code == 410
        make_person("new@example.com")  # somebody was quicker
        assert logged_in(me).post(link).status_code == 410
        assert User.objects.get(pk=me.pk).email == "owner@example.com"

    def test_an_address_in_use_is_told_its_holder_only(self, me: User) -> None:
        client = logged_in(me)
        answers = [
            client.post(
                "/account/address", {"password": "secret", "email": email}, follow=True
            ).content.decode()
            for email in ("viewer@example.com", "nobody@example.com")
        ]
        words = [re.findall("We have written to", text) for text in answers]
        assert words[0] == words[1] == ["We have written to"]
        account.send_new_address(me.pk, "viewer@example.com")
        assert "already" in mail.outbox[0].body and "http" not in mail.outbox[0].body


class TestPassword:
    def test_a_change_ends_every_other_log_in(self, me: User) -> None:
        client, other = logged_in(me), logged_in(me)
        told = {"password": "secret", "new_password1": NEW, "new_password2": NEW}
        for wrong in ({"password": "wrong"}, {"new_password2": "differs"}, {"new_password1": "short"}):
            assert client.post("/account/password", told | wrong).status_code == 400
        assert client.post("/account/password", told).headers["Location"] == "/account"
        assert client.get("/account").status_code == 200 and other.get("/account").status_code == 302
        assert Session.objects.filter(user=me).count() == 1
        account.send_notice(me.pk, "account.password_changed", me.email)
        assert "password was changed" in mail.outbox[0].body

    def test_takes_the_second_factor_too(self, me: User) -> None:
        client = logged_in(me)
        enrol(me)
        client.post("/login", {"username": me.email, "password": "secret"})
        client.post("/login/code", {"code": code_of(me, 1)})
        told = {"password": "secret", "new_password1": NEW, "new_password2": NEW}
        assert client.post("/account/password", told).status_code == 400
        TOTPDevice.objects.update(throttling_failure_count=0)
        with time_machine.travel(timezone.now() + timedelta(seconds=60)):
            assert client.post("/account/password", told | {"code": code_of(me, 1)}).status_code == 302

    def test_guessing_it_is_locked_out(self, me: User) -> None:
        client = logged_in(me)
        told = {"password": "wrong", "new_password1": NEW, "new_password2": NEW}
        answers = [client.post("/account/password", told).status_code for _ in range(9)]
        assert answers[0] == 400 and answers[-1] == 429

    def test_a_forgotten_one(self, me: User) -> None:
        client = Client()
        known = client.post("/password-reset", {"email": " Owner@Example.com "})
        unknown = client.post("/password-reset", {"email": "nobody@example.com"})
        assert known.status_code == unknown.status_code == 200
        texts = [re.sub(r"\S+@example.com", "X", answer.content.decode()) for answer in (known, unknown)]
        assert texts[0] == texts[1] and not mail.outbox  # mails are the workers' business
        account.send_reset("nobody@example.com")
        account.send_reset(me.email)
        link = link_in(mail.outbox[0])
        landed = client.get(link)
        assert landed.headers["Location"] == "/password-reset/new"  # the secret leaves the address bar
        weak = client.post("/password-reset/new", {"new_password1": "12345", "new_password2": "12345"})
        assert "too short" in weak.content.decode()
        done = client.post("/password-reset/new", {"new_password1": NEW, "new_password2": NEW})
        assert done.headers["Location"] == "/login"
        assert User.objects.get(pk=me.pk).check_password(NEW)
        assert Client().get(link, follow=True).status_code == 410  # once
        assert client.get("/account").status_code == 302  # and it lets nobody in by itself

    def test_a_reset_link_lives_an_hour(self, me: User) -> None:
        account.send_reset(me.email)
        with time_machine.travel(timezone.now() + timedelta(minutes=61)):
            assert Client().get(link_in(mail.outbox[0]), follow=True).status_code == 410
        for query in ("?for=&token=x", "?for=zzz&token=%00", "?for=" + "A" * 80 + "&token=b"):
            assert Client().get(f"/password-reset/new{query}", follow=True).status_code == 410

    @pytest.mark.parametrize("facts", [{"is_device": True}, {"is_active": False}])
    def test_devices_and_closed_accounts_get_no_link(self, db: None, facts: dict[str, Any]) -> None:
        make_person("x@example.com", **facts)
        account.send_reset("x@example.com")
        assert not mail.outbox

    def test_asking_is_limited(self, db: None) -> None:
        answers = [Client().post("/password-reset", {"email": "x@example.com"}).status_code for _ in range(4)]
        assert answers == [200, 200, 200, 429]


class TestSessions:
    def test_seen_and_ended(self, me: User, people: People) -> None:
        here = logged_in(me)
        phone = logged_in(me, headers={"user-agent": "Mozilla (Linux; Android 15) Chrome/150"})
        tablet, stranger = logged_in(me), logged_in(people.viewer)
        page = here.get("/account").content.decode()
        assert "This browser" in page and "Chrome on Android" in page
        assert str(phone.session.session_key) not in page
        row = Session.objects.get(session_key=phone.session.session_key)
        assert stranger.post("/account/sessions", {"end": row.public_id}).status_code == 302
        assert phone.get("/account").status_code == 200
        here.post("/account/sessions", {"end": row.public_id})
        assert phone.get("/account").status_code == 302 and tablet.get("/account").status_code == 200
        here.post("/account/sessions", {"end": "others"})
        assert tablet.get("/account").status_code == 302
        assert here.get("/account").status_code == stranger.get("/account").status_code == 200

    def test_programs(self, me: User) -> None:
        told = {"email": me.email, "password": "secret"}
        refresh = Client().post("/api/v1/auth/login", told, content_type="application/json").json()["refresh"]
        client = logged_in(me)
        assert "1 program over the API" in client.get("/account").content.decode()
        client.post("/account/sessions", {"end": "api"})
        again = Client().post("/api/v1/auth/refresh", {"refresh": refresh}, content_type="application/json")
        assert again.status_code == 401 and not sessions.api_log_ins(me)

    def test_expired_ones_are_forgotten(self, me: User) -> None:
        logged_in(me)
        Session.objects.update(expire_date=timezone.now())
        assert not sessions.active(me)
        sessions.prune()
        assert not Session.objects.exists()
