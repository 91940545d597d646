"""People who act at once: an owner remains, a link lets in one, a code works once. On PostgreSQL, with real threads."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from fleet.audit import Actor
from fleet.models import Fleet, Invitation, Membership, Role, User
from fleet.people import invitations, members, second_factor
from fleet.tests.test_second_factor import code_of, enrol
from tests.world import make_person

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each returned, or the refusal it raised."""
    outcomes: list[Any] = [None] * len(acts)
    gate = threading.Barrier(len(acts))

    def run(place: int) -> None:
        gate.wait()
        try:
            outcomes[place] = acts[place]()
        except members.RefusedError as refused:
            outcomes[place] = refused
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return outcomes


@pytest.fixture
def owners(transactional_db: None) -> list[Membership]:
    Fleet.objects.create(slug="north", name="North")
    return [make_person(f"o{n}@example.com", "north", Role.OWNER).memberships.get() for n in range(2)]


def actor(user: User) -> Actor:
    return Actor(str(user), user)


@pytest.mark.parametrize("wish", ["demote", "remove", "leave"])
def test_two_owners_against_each_other(owners: list[Membership], wish: str) -> None:
    one, two = owners

    def act(by: Membership, on: Membership) -> Any:
        if wish == "demote":
            return members.change_role(actor(by.user), on, Role.VIEWER)
        return members.remove(actor(by.user), by if wish == "leave" else on)

    outcomes = at_once(lambda: act(one, two), lambda: act(two, one))
    assert sum(isinstance(outcome, members.RefusedError) for outcome in outcomes) == 1
    assert Membership.objects.filter(role=Role.OWNER).count() == 1


def test_a_link_opened_twice_makes_one_person(owners: list[Membership]) -> None:
    owner = owners[0]
    invited = invitations.invite(actor(owner.user), owner.fleet, "new@example.com", Role.VIEWER)

    def join(name: str) -> Any:
        return invitations.accept(invited, None, None, invitations.NewPerson(name, "a fine password", "UTC"))

    outcomes = at_once(*[lambda name=name: join(name) for name in ("Ada", "Bob", "Eve")])
    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    assert Membership.objects.filter(user__email="new@example.com").count() == 1


def test_invitations_to_two_fleets_accepted_at_once(owners: list[Membership]) -> None:
    south = Fleet.objects.create(slug="south", name="South")
    Membership.objects.create(fleet=south, user=owners[0].user, role=Role.OWNER)
    boss, new = actor(owners[0].user), invitations.NewPerson("Ada", "a fine password", "UTC")
    sent = [
        invitations.invite(boss, fleet, "new@example.com", Role.VIEWER) for fleet in (owners[0].fleet, south)
    ]
    outcomes = at_once(*[lambda i=i: invitations.accept(i, None, None, new) for i in sent])
    assert {type(outcome) for outcome in outcomes} == {User, invitations.TakenError}
    assert Invitation.objects.unanswered().count() == 1


def test_two_who_invite_the_same_address(owners: list[Membership]) -> None:
    fleet = owners[0].fleet
    at_once(
        *[
            lambda o=o: invitations.invite(actor(o.user), fleet, "new@example.com", Role.VIEWER)
            for o in owners
        ]
    )
    assert Invitation.objects.unanswered().count() == 1 and Invitation.objects.count() == 2


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_a_code_sent_twice_at_once_is_right_once(owners: list[Membership], kind: str) -> None:
    user = owners[0].user
    codes = enrol(user)
    code = code_of(user, 1) if kind == "app" else codes[0]
    verdicts = at_once(*[lambda: second_factor.verify(user, code)] * 4)
    assert [verdict.right for verdict in verdicts].count(True) == 1


def test_setting_it_up_twice_at_once(owners: list[Membership]) -> None:
    user = owners[0].user
    devices = at_once(*[lambda: second_factor.begin(user)] * 3)
    assert len({device.pk for device in devices}) == 1
    code = code_of(user)
    outcomes = at_once(*[lambda: second_factor.confirm(actor(user), user, code, None)] * 3)
    assert sum(outcome is not None for outcome in outcomes) == 1
    assert second_factor.codes_left(user) == second_factor.CODES


def test_a_mail_claimed_by_two_workers_goes_once(owners: list[Membership], mailoutbox: list[Any]) -> None:
    owner = owners[0]
    invited = invitations.invite(actor(owner.user), owner.fleet, "new@example.com", Role.VIEWER)
    at_once(*[lambda: invitations.send_one(invited.pk)] * 3)
    assert len(mailoutbox) == 1
