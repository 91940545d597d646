"""The second factor: set up, asked for at every log-in, each code good once, taken away only by who may."""

import re
import time
from base64 import b32decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings as DjangoSettings

from fleet.access import person
from fleet.audit import Actor
from fleet.models import AuditEntry, Fleet, Membership, RecoveryCode, Role, Session, User
from fleet.people import account, members, second_factor
from fleet.tests.conftest import BACKEND, People
from tests.world import make_car, make_person

pytestmark = pytest.mark.django_db
PAGE = "/account/second-factor"


@pytest.fixture(autouse=True)
def nobody_came_before() -> None:
    cache.clear()


def code_of(user: User, later: int = 0) -> str:
    """What the app shows; `later`: so many half minutes from now."""
    key = TOTPDevice.objects.get(user=user).bin_key
    return f"{totp(key, drift=later):06d}"


def enrol(user: User) -> list[str]:
    """Recovery codes. The app's code of now is used up."""
    second_factor.begin(user)
    codes = second_factor.confirm(Actor(str(user), user), user, code_of(user), None)
    assert codes
    return codes


def log_in(client: Client, user: User, password: str = "secret") -> Any:
    return client.post("/login", {"username": user.email, "password": password, "next": "/drivers/"})


def api(user: User, **body: str) -> Any:
    told = {"email": user.email, "password": "secret", **body}
    return Client().post("/api/v1/auth/login", told, content_type="application/json")


class TestSettingUp:
    def test_by_hand_or_by_picture(self, client: Client, people: People) -> None:
        log_in(client, people.owner)
        page = client.get(f"{PAGE}?next=/drivers/")
        text = page.content.decode()
        assert "no-store" in page.headers["Cache-Control"]
        shown = re.search(r'class="key-text">([A-Z2-7 ]+)<', text)
        assert shown and "<svg" in text and "style=" not in text
        assert shown[1] in client.get(PAGE).content.decode()  # a reload shows what was scanned
        key = b32decode(shown[1].replace(" ", ""))
        assert client.post(PAGE, {"code": "000000"}).status_code == 400
        with time_machine.travel(timezone.now() + timedelta(seconds=5)):  # wrong codes are slowed down
            done = client.post(PAGE, {"code": f"{totp(key):06d}", "next": "/drivers/"})
        codes = re.findall(r"<code>([a-z0-9-]{19})</code>", done.content.decode())
        assert len(set(codes)) == second_factor.CODES and 'href="/drivers/"' in done.content.decode()
        assert "no-store" in done.headers["Cache-Control"]
        assert codes[0] not in client.get(PAGE).content.decode()
        stored = set(RecoveryCode.objects.values_list("digest", flat=True))
        assert not stored & set(codes) and all(len(digest) == 64 for digest in stored)
        assert AuditEntry.objects.filter(action="second_factor.enabled", user=people.owner).exists()

    def test_ends_log_ins_that_had_one_factor(self, client: Client, people: People) -> None:
        other = Client()
        log_in(other, people.owner)
        refresh = api(people.owner).json()["refresh"]
        log_in(client, people.owner)
        client.get(PAGE)
        client.post(PAGE, {"code": code_of(people.owner)})
        assert client.get("/drivers/").status_code == 200
        assert other.get("/drivers/").status_code == 302
        again = Client().post("/api/v1/auth/refresh", {"refresh": refresh}, content_type="application/json")
        assert again.status_code == 401


class TestLoggingIn:
    def test_takes_two_steps(self, client: Client, people: People) -> None:
        enrol(people.owner)
        first = log_in(client, people.owner)
        assert first.headers["Location"] == "/login/code"
        assert client.get("/drivers/").status_code == 302  # not yet
        before = client.session.session_key
        last_login = User.objects.get(pk=people.owner.pk).last_login
        assert client.get("/login/code").status_code == 200
        done = client.post("/login/code", {"code": code_of(people.owner, 1)})
        assert done.headers["Location"] == "/drivers/" and client.get("/drivers/").status_code == 200
        assert client.session.session_key != before  # rotated
        assert User.objects.get(pk=people.owner.pk).last_login != last_login

    def test_a_code_works_once(self, client: Client, people: People) -> None:
        enrol(people.owner)
        code = code_of(people.owner, 1)
        for expected in (302, 200):
            log_in(client, people.owner)
            assert client.post("/login/code", {"code": code}).status_code == expected
            client.logout()
            TOTPDevice.objects.update(throttling_failure_count=0)

    def test_a_recovery_code_works_once(self, client: Client, people: People) -> None:
        code = enrol(people.owner)[3]
        log_in(client, people.owner)
        assert client.post("/login/code", {"code": f" {code.upper()} "}).status_code == 302
        client.logout()
        log_in(client, people.owner)
        assert client.post("/login/code", {"code": code}).status_code == 200
        assert second_factor.codes_left(people.owner) == 9

    def test_without_the_first_step_there_is_no_second(self, client: Client, people: People) -> None:
        enrol(people.owner)
        assert client.post("/login/code", {"code": code_of(people.owner, 1)}).headers["Location"] == "/login"
        log_in(client, people.owner)
        with time_machine.travel(timezone.now() + timedelta(minutes=11)):
            assert client.get("/login/code").headers["Location"] == "/login"
        log_in(client, people.owner)
        account.set_password(Actor("x"), people.owner, "another password")
        assert client.get("/login/code").headers["Location"] == "/login"

    def test_wrong_codes_lock_out_like_wrong_passwords(
        self, client: Client, people: People, settings: DjangoSettings
    ) -> None:
        settings.AXES_FAILURE_LIMIT = 4
        enrol(people.owner)
        log_in(client, people.owner, "wrong")
        log_in(client, people.owner)
        answers = [client.post("/login/code", {"code": "000000"}).status_code for _ in range(3)]
        assert answers == [200, 200, 429]
        assert client.get("/login/code").headers["Location"] == "/login"
        assert log_in(client, people.owner).status_code == 429  # the right password is no way around
        assert api(people.owner, otp=code_of(people.owner, 1)).status_code == 429

    @time_machine.travel(datetime(2026, 11, 20, 9, tzinfo=UTC), tick=False)
    def test_guesses_from_everywhere_are_slowed_down(self, client: Client, people: People) -> None:
        """The lock-out counts by address; the key itself counts them all."""
        codes = enrol(people.owner)
        for number in range(3):
            where = {"REMOTE_ADDR": f"203.0.113.{number}"}
            visitor = Client(**where)  # type: ignore[arg-type]
            log_in(visitor, people.owner)
            told = visitor.post("/login/code", {"code": "000000"}).content.decode()
        assert "Too many wrong codes: wait" in told
        log_in(client, people.owner)
        assert "wait" in client.post("/login/code", {"code": code_of(people.owner, 1)}).content.decode()
        assert client.post("/login/code", {"code": codes[0]}).status_code == 302

    def test_the_admin_asks_too(self, client: Client) -> None:
        root = User.objects.create_superuser("root@example.com", "secret")
        enrol(root)
        asked = client.get("/admin/", follow=True)
        assert asked.request["PATH_INFO"] == "/login" and "next=%2Fadmin%2F" in asked.request["QUERY_STRING"]
        client.post("/login", {"username": root.email, "password": "secret", "next": "/admin/"})
        assert client.get("/admin/").status_code == 302
        assert client.post("/login/code", {"code": code_of(root, 1)}).headers["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200

    def test_who_is_no_staff_is_not_sent_in_circles(self, client: Client, people: People) -> None:
        log_in(client, people.owner)
        assert client.get("/admin/", follow=True).status_code == 403

    def test_the_forms_need_a_token_of_this_site(self, people: People) -> None:
        strict = Client(enforce_csrf_checks=True)
        for path in ("/login", "/login/code", "/password-reset", "/invitation", "/account/password"):
            assert strict.post(path, {"username": "a", "password": "b"}).status_code == 403, path


class TestApi:
    def test_asks_for_a_code_with_a_type_to_go_by(self, people: People) -> None:
        codes = enrol(people.owner)
        asked = api(people.owner)
        assert asked.status_code == 401 and asked["Content-Type"] == "application/problem+json"
        assert (
            asked.json()["type"] == "urn:convoy:problem:second-factor-required" and asked["WWW-Authenticate"]
        )
        wrong = api(people.owner, otp="000000")
        assert wrong.status_code == 401 and wrong.json()["type"] == "urn:convoy:problem:second-factor-wrong"
        assert api(people.owner, otp=codes[0]).status_code == 200
        assert api(people.owner, otp=codes[0]).status_code == 401
        TOTPDevice.objects.update(throttling_failure_count=0)
        assert api(people.owner, otp=code_of(people.owner, 1)).json()["access"]

    def test_a_wrong_password_says_nothing_of_it(self, people: People) -> None:
        enrol(people.owner)
        answers = [api(user, password="wrong").json() for user in (people.owner, people.viewer)]
        assert answers[0] == answers[1] and answers[0]["type"] == "about:blank"

    def test_a_devices_account_has_none(self, people: People) -> None:
        car = make_car("north", "gateway")
        car.device.account = User.objects.create_user("device@example.com", "secret", is_device=True)
        car.device.save()
        enrol(car.device.account)
        assert api(car.device.account).status_code == 200

    def test_one_locked_account_locks_no_other_from_that_address(
        self, people: People, settings: DjangoSettings
    ) -> None:
        settings.AXES_FAILURE_LIMIT = 3
        for _ in range(4):
            api(people.owner, password="wrong")
        assert api(people.owner).status_code == 429 and api(people.viewer).status_code == 200
        assert log_in(Client(), people.owner).status_code == 429  # the page and the API count together


class TestTakingItAway:
    def test_takes_password_and_code(self, client: Client, people: People) -> None:
        codes = enrol(people.owner)
        client.force_login(people.owner, backend=BACKEND)
        for wrong in ({"password": "secret", "code": "000000"}, {"password": "wrong", "code": codes[0]}, {}):
            assert client.post(PAGE, {"act": "off", **wrong}).status_code == 400
            assert client.post(PAGE, {"act": "codes", **wrong}).status_code == 400
        assert second_factor.is_on(people.owner)
        new = client.post(PAGE, {"act": "codes", "password": "secret", "code": codes[0]}).content.decode()
        assert len(re.findall(r"<code>[a-z0-9-]{19}</code>", new)) == 10 and codes[1] not in new
        again = re.findall(r"<code>([a-z0-9-]{19})</code>", new)
        assert client.post(PAGE, {"act": "off", "password": "secret", "code": again[0]}).status_code == 302
        assert not second_factor.is_on(people.owner) and not RecoveryCode.objects.exists()

    def test_an_owner_helps_who_lost_the_phone(self, people: People, fleet: Fleet) -> None:
        enrol(people.viewer)
        theirs = Client()
        theirs.force_login(people.viewer, backend=BACKEND)
        boss, member = Client(), people.viewer.memberships.get()
        boss.force_login(people.owner, backend=BACKEND)
        assert "Reset the second factor" in boss.get(f"/fleets/north/members/{member.pk}").content.decode()
        boss.post(f"/fleets/north/members/{member.pk}/act", {"act": "reset"})
        assert not second_factor.is_on(people.viewer)
        assert theirs.get("/drivers/").status_code == 302
        entry = AuditEntry.objects.get(action="second_factor.reset")
        assert entry.fleet == fleet and entry.object_name == str(people.viewer)
        account.send_notice(people.viewer.pk, "second_factor.reset", people.viewer.email)
        assert "reset" in mail.outbox[0].subject

    def test_but_not_where_others_rely_on_it(self, people: People, fleet: Fleet) -> None:
        enrol(people.viewer)
        owner = Actor("o", people.owner)
        Membership.objects.create(fleet=Fleet.objects.get(slug="south"), user=people.viewer)
        with pytest.raises(second_factor.NotYoursError):
            second_factor.reset(owner, people.viewer, fleet)
        root = make_person("root@example.com", "north", is_superuser=True, is_staff=True)
        enrol(root)
        with pytest.raises(second_factor.NotYoursError):
            second_factor.reset(owner, root, fleet)
        enrol(people.owner)
        with pytest.raises(second_factor.NotYoursError):  # one's own takes password and code
            second_factor.reset(owner, people.owner, fleet)
        second_factor.reset(Actor("root", root), people.viewer, None)
        assert not second_factor.is_on(people.viewer)

    def test_managers_may_not(self, people: People) -> None:
        manager, member = make_person("m@example.com", "north", Role.MANAGER), people.viewer.memberships.get()
        enrol(people.viewer)
        client = Client()
        client.force_login(manager, backend=BACKEND)
        assert client.post(f"/fleets/north/members/{member.pk}/act", {"act": "reset"}).status_code == 403
        assert second_factor.is_on(people.viewer)


class TestRequired:
    def test_members_are_led_to_it_before_they_see_the_fleet(self, people: People, fleet: Fleet) -> None:
        make_car("north", "van")
        boss, client = Client(), Client()
        boss.force_login(people.owner, backend=BACKEND)
        client.force_login(people.viewer, backend=BACKEND)
        boss.post("/fleets/north/second-factor", {"required": "on"})
        fleet.refresh_from_db()
        assert not fleet.second_factor_required  # the owner has none
        enrol(people.owner)
        boss.force_login(people.owner, backend=BACKEND)
        boss.post("/fleets/north/second-factor", {"required": "on"})
        assert boss.get("/vehicles/north/van/").status_code == 200
        led = client.get("/vehicles/north/van/?x=1")
        assert led.headers["Location"] == f"{PAGE}?next=%2Fvehicles%2Fnorth%2Fvan%2F%3Fx%3D1"
        assert client.get("/").headers["Location"].startswith(PAGE)
        assert "North can be seen" in client.get(led.headers["Location"]).content.decode()
        assert client.get("/account").status_code == 200
        assert client.get("/api/v1/vehicles/van/status").status_code == 404
        assert client.get("/api/v1/vehicles").json()["results"] == []
        access = api(people.viewer).json()["access"]
        bearer: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {access}"}
        assert Client().get("/api/v1/vehicles", **bearer).json()["results"] == []
        client.post(PAGE, {"code": code_of(people.viewer)})
        assert client.get("/vehicles/north/van/").status_code == 200

    def test_other_fleets_stay_open(self, people: People, fleet: Fleet) -> None:
        Membership.objects.create(fleet=Fleet.objects.get(slug="south"), user=people.viewer)
        Fleet.objects.filter(slug="north").update(second_factor_required=True)
        client = Client()
        client.force_login(people.viewer, backend=BACKEND)
        assert "North can be seen with a second factor only" in client.get("/drivers/").content.decode()
        assert client.get("/fleets/south/").status_code == 200
        assert client.get("/fleets/north/").headers["Location"].startswith(PAGE)
        assert person(people.viewer).withheld == {fleet.pk}

    def test_only_owners_decide(self, people: People, fleet: Fleet) -> None:
        client = Client()
        client.force_login(make_person("m@example.com", "north", Role.MANAGER), backend=BACKEND)
        assert client.post("/fleets/north/second-factor", {"required": "on"}).status_code == 403
        Fleet.objects.update(second_factor_required=True)
        enrol(people.owner)
        members.require_second_factor(Actor("o", people.owner), fleet, False)
        assert AuditEntry.objects.get(action="fleet.changed").after == {"second_factor_required": False}

    def test_of_staff(self, client: Client, settings: DjangoSettings) -> None:
        make_car("north", "van")
        root = User.objects.create_superuser("root@example.com", "secret")
        settings.STAFF_SECOND_FACTOR = True
        log_in(client, root)
        for path in ("/", "/admin/", "/admin/fleet/user/", "/vehicles/north/van/"):
            assert client.get(path).headers["Location"].startswith(PAGE), path
        assert client.get("/api/v1/vehicles").json()["results"] == []
        assert "Staff need" in client.get(PAGE).content.decode()
        client.post(PAGE, {"code": code_of(root)})
        assert client.get("/admin/").status_code == client.get("/vehicles/north/van/").status_code == 200


def test_sessions_are_kept_by_person(people: People) -> None:
    client = Client(
        headers={"user-agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"}, REMOTE_ADDR="203.0.113.5"
    )
    log_in(client, people.owner)
    row = Session.objects.get(user=people.owner)
    assert row.address == "203.0.113.5" and "Firefox" in row.agent and row.began_at == row.seen_at
    with time_machine.travel(time.time() + 400):
        client.get("/drivers/")
    row.refresh_from_db()
    assert row.seen_at and row.began_at and row.seen_at - row.began_at > timedelta(seconds=390)
    assert django_settings.SESSION_COOKIE_HTTPONLY and django_settings.SESSION_COOKIE_SAMESITE == "Lax"
