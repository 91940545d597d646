"""Invitations: durable first, sent by a worker, good once and for a week; they tell nobody who has an account."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings as DjangoSettings

from fleet.audit import Actor
from fleet.models import AuditEntry, Fleet, Invitation, Membership, Role, User
from fleet.pace import within
from fleet.people import invitations, members
from fleet.tests.conftest import BACKEND, People
from tests.world import make_person

pytestmark = pytest.mark.django_db
PASSWORD = "a fine long password"
NEW = {"name": "Ada Maria Berg", "time_zone": "Asia/Tokyo", "password": PASSWORD, "again": PASSWORD}
API = "/api/v1/fleet/north/invitations"


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture(autouse=True)
def nobody_came_before() -> None:
    cache.clear()


@pytest.fixture
def owner(people: People) -> Actor:
    return Actor(str(people.owner), people.owner)


@pytest.fixture
def invited(fleet: Fleet, owner: Actor) -> Invitation:
    return invitations.invite(owner, fleet, " Ada@Example.com", Role.MANAGER)


def link(invitation: Invitation) -> str:
    """As the mail has it, without the site."""
    return re.sub("^http://[^/]+", "", invitations.link_of(invitation))


def test_the_mail_has_the_link_and_the_database_has_not(invited: Invitation) -> None:
    invitations.send_one(invited.pk)
    (letter,) = mail.outbox
    assert letter.to == ["ada@example.com"] and invitations.link_of(invited) in letter.body
    token = invitations.token_of(invited)
    row = Invitation.objects.values().get()
    assert not any(token in str(value) for value in row.values())
    assert row["mailed_at"] and row["mail_due_at"] is None and len(token) == 43
    invitations.send_one(invited.pk)  # a repeated task
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_away(invited: Invitation, settings: DjangoSettings) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1", 1,
    )  # fmt: skip
    invitations.send_one(invited.pk)
    invited.refresh_from_db()
    assert invited.mailed_at is None and "refused" in invited.mail_error
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    invitations.send_due()
    assert not mail.outbox  # not yet: five minutes between tries
    with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=False):
        invitations.send_due()
    invited.refresh_from_db()
    assert len(mail.outbox) == 1 and invited.mail_error == ""


def test_a_lost_task_and_a_crash_between_claim_and_send(invited: Invitation) -> None:
    invitations.send_due()
    assert len(mail.outbox) == 1
    Invitation.objects.update(mailed_at=None, mail_due_at=timezone.now() - timedelta(seconds=1), mail_tries=1)
    invitations.send_due()
    assert len(mail.outbox) == 2


def test_a_new_person_joins(client: Client, invited: Invitation) -> None:
    page = client.get(link(invited))
    assert page.status_code == 200 and "New here" in page.content.decode()
    joined = client.post(link(invited), NEW)
    assert joined.headers["Location"] == "/fleets/north/"
    ada = User.objects.get(email="ada@example.com")
    assert (ada.first_name, ada.last_name, ada.time_zone) == ("Ada Maria", "Berg", "Asia/Tokyo")
    assert ada.check_password(PASSWORD) and ada.memberships.get().role == Role.MANAGER
    assert client.get("/fleets/north/members").status_code == 200  # logged in
    told = AuditEntry.objects.filter(fleet=invited.fleet).values_list("action", flat=True)
    assert {"invitation.sent", "invitation.accepted", "member.added"} <= set(told)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"password": "short", "again": "short"}, "too short"),
        ({"password": "password123", "again": "password123"}, "too common"),
        ({"password": "adaexample.com", "again": "adaexample.com"}, "too similar"),
        ({"again": "another long one"}, "differ"),
        ({"time_zone": "Mars/Base"}, "not a time zone"),
        ({"name": " "}, "required"),
    ],
)
def test_what_a_new_person_may_get_wrong(
    client: Client, invited: Invitation, wrong: dict[str, str], why: str
) -> None:
    answer = client.post(link(invited), {**NEW, **wrong})
    assert answer.status_code == 400 and why in answer.content.decode()
    assert not User.objects.filter(email="ada@example.com").exists()
    invited.refresh_from_db()
    assert invited.accepted_at is None


def test_an_account_joins_and_keeps_the_higher_role(fleet: Fleet, invited: Invitation) -> None:
    ada = make_person("ada@example.com", "north", Role.VIEWER)
    browser(ada).post(link(invited))
    assert ada.memberships.get().role == Role.MANAGER
    Membership.objects.filter(user=ada).delete()
    lower = invitations.invite(
        Actor("x", User.objects.get(email="owner@example.com")), fleet, ada.email, "driver"
    )
    Membership.objects.create(fleet=fleet, user=ada, role=Role.MANAGER)
    invitations.accept(lower, None, ada, None)
    assert ada.memberships.get().role == Role.MANAGER


def test_the_wrong_account_is_told_so(people: People, invited: Invitation) -> None:
    client = browser(people.outsider)
    page = client.get(link(invited)).content.decode()
    assert "You are logged in as outsider@example.com" in page and "Log out and go on" in page
    assert client.post(link(invited)).status_code == 409
    assert people.outsider.memberships.count() == 1
    back = client.post(f"/logout?next={link(invited)}")
    assert back.headers["Location"] == link(invited)


def test_it_works_once(client: Client, invited: Invitation) -> None:
    assert client.post(link(invited), NEW).status_code == 302
    again = Client().get(link(invited))
    assert again.status_code == 410 and "Accepted already" in again.content.decode()
    assert Client().post(link(invited), NEW | {"name": "Eve"}).status_code == 410
    ada = User.objects.get(email="ada@example.com")
    with pytest.raises(members.RefusedError, match="any more"):  # also where the page was open since before
        invitations.accept(invited, None, ada, None)


def test_it_works_for_a_week(client: Client, invited: Invitation, owner: Actor) -> None:
    with time_machine.travel(invited.expires_at, tick=False):
        page = client.get(link(invited))
        assert page.status_code == 410 and "has expired" in page.content.decode()
        assert client.post(link(invited), NEW).status_code == 410
        invitations.resend(owner, invited)
        assert client.get(link(invited)).status_code == 200
    with time_machine.travel(invited.expires_at + timedelta(days=6), tick=False):
        assert client.get(link(invited)).status_code == 200


def test_withdrawn_replaced_and_unknown(
    client: Client, fleet: Fleet, invited: Invitation, owner: Actor
) -> None:
    newer = invitations.invite(owner, fleet, "ada@example.com", Role.VIEWER)
    gone = client.get(link(invited))
    assert gone.status_code == 410 and "Withdrawn" in gone.content.decode()
    assert client.get(link(newer)).status_code == 200
    invitations.revoke(owner, newer)
    assert client.get(link(newer)).status_code == 410
    for token in ("", "x" * 43, "\x00", "é" * 300):
        assert client.get("/invitation", {"token": token}).status_code == 404


def test_nobody_learns_who_has_an_account(client: Client, people: People, invited: Invitation) -> None:
    """The same page and the same answers to the inviter, whether there is an account or not."""
    boss = browser(people.owner)
    make_person("known@example.com")
    answers = [self_free(boss.post(API, {"email": f"{name}@example.com"}, content_type="application/json").json())
               for name in ("known", "unknown")]  # fmt: skip
    assert answers[0] == answers[1]
    rows = {row.email: row for row in Invitation.objects.unanswered()}
    pages = []
    for name in ("known@example.com", "unknown@example.com"):
        text = client.get(link(rows[name])).content.decode().replace(name, "X")
        pages.append(re.sub(r'value="[\w-]{60,}"|token%3D[\w-]+', "", text))
    assert pages[0] == pages[1]
    taken = client.post(link(rows["known@example.com"]), NEW)  # only who holds the link is told
    assert taken.status_code == 409 and "log in with it" in taken.content.decode()


def self_free(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in answer.items()
        if name not in {"id", "email", "created_at", "expires_at"}
    }


def test_managers_invite_viewers_and_drivers(fleet: Fleet, people: People, invited: Invitation) -> None:
    manager = make_person("m@example.com", "north", Role.MANAGER)
    actor = Actor("m", manager)
    invitations.invite(actor, fleet, "new@example.com", Role.DRIVER)
    for act in (
        lambda: invitations.invite(actor, fleet, "new@example.com", Role.MANAGER),
        lambda: invitations.invite(actor, fleet, "ada@example.com", Role.VIEWER),  # would replace an owner's
        lambda: invitations.revoke(actor, invited),
        lambda: invitations.resend(actor, invited),
        lambda: invitations.invite(Actor("v", people.viewer), fleet, "x@example.com", Role.DRIVER),
    ):
        with pytest.raises(members.ForbiddenError):
            act()


def test_how_many_mails_a_fleet_may_cause(
    fleet: Fleet, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "PER_HOUR", 3)
    sent = [invitations.invite(owner, fleet, f"n{number}@example.com", Role.VIEWER) for number in range(3)]
    with pytest.raises(members.TooManyError):
        invitations.invite(owner, fleet, "n0@example.com", Role.VIEWER)
    invitations.send_one(sent[0].pk)
    with pytest.raises(members.TooManyError, match="moment ago"):
        invitations.resend(owner, sent[0])


def test_over_the_api(people: People, invited: Invitation, settings: DjangoSettings) -> None:
    client = browser(people.owner)
    made = client.post(API, {"email": "bob@example.com", "role": "ADMIN"}, content_type="application/json")
    told = made.json()
    assert (
        made.status_code == 201 and told["role"] == "owner" and told["state"] == "open" and "link" not in told
    )
    where = made.headers["Location"]
    assert client.post(f"{where}/resend").status_code == 202
    assert [row["email"] for row in client.get(f"{API}?state=open").json()["results"]] == [
        "bob@example.com", "ada@example.com",
    ]  # fmt: skip
    assert client.delete(where).status_code == 204 and client.delete(where).status_code == 409
    assert client.get(f"{API}?state=revoked").json()["results"][0]["id"] == told["id"]
    assert client.get(f"{API}?state=lost").status_code == 400
    member = client.post(API, {"email": "viewer@example.com"}, content_type="application/json")
    assert member.status_code == 409 and "member" in member.json()["detail"]
    assert (
        client.post(API, {"email": "x"}, content_type="application/json").json()["errors"][0]["field"]
        == "email"
    )
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    shown = client.post(API, {"email": "c@example.com"}, content_type="application/json").json()
    assert Client().get(shown["link"].removeprefix(settings.SITE_URL)).status_code == 200


def test_on_the_page(people: People, fleet: Fleet, settings: DjangoSettings) -> None:
    client = browser(people.owner)
    client.post("/fleets/north/invitations", {"email": "eve@example.com", "role": "viewer"})
    row = Invitation.objects.get()
    page = client.get("/fleets/north/members").content.decode()
    assert "eve@example.com" in page and invitations.token_of(row) not in page
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert invitations.token_of(row) in client.get("/fleets/north/members").content.decode()
    client.post(f"/fleets/north/invitations/{row.pk}", {"act": "revoke"})
    client.get("/fleets/north/members")  # says that it was withdrawn
    assert "eve@example.com" not in client.get("/fleets/north/members").content.decode()
    wrong = client.post("/fleets/north/invitations", {"email": "no", "role": "king"}, follow=True)
    assert "valid email" in wrong.content.decode() and Invitation.objects.count() == 1


def test_guessing_is_slowed_down(client: Client, invited: Invitation) -> None:
    for _ in range(29):
        assert within("accept", "127.0.0.1", 30, 600)
    assert [client.post(link(invited), {}).status_code for _ in range(2)] == [400, 429]
