"""A socket's access ends when its owner's does: at once by a hint, or within a minute when the hint is lost."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async

from fleet.audit import Actor
from fleet.models import Fleet, Membership, Role, User
from fleet.people import members, sessions
from fleet.people.account import set_password
from telemetry import consumers
from telemetry.tests.test_live import Opener, Socket, bearer, cookie_of, opened, revoke
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["opened"]  # the fixture


@pytest.fixture
def car(transactional_db: None) -> Car:
    return make_car("demo", "van-1")


@pytest.fixture
def owner(car: Car) -> Actor:
    user = make_person("owner@example.com", "demo", Role.OWNER)
    return Actor(str(user), user)


@pytest.fixture
def watching(car: Car) -> Membership:
    return make_person("member@example.com", "demo").memberships.get()


async def closed(socket: Socket) -> int:
    """The code it is closed with."""
    while True:
        message = await socket.communicator.receive_output(5)
        if message["type"] == "websocket.close":
            return int(message["code"])


def end_sessions(user: User) -> None:
    sessions.end_all(user)


def shut(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


ACTS: dict[str, tuple[Callable[[Actor, Membership], Any], int]] = {
    "removed": (members.remove, consumers.ACCESS_CHANGED),
    "another role": (lambda by, on: members.change_role(by, on, Role.DRIVER), consumers.ACCESS_CHANGED),
    "logged out": (lambda by, on: end_sessions(on.user), consumers.NO_ACCESS),
    "another password": (lambda by, on: set_password(by, on.user, "something else"), consumers.NO_ACCESS),
}


@pytest.mark.parametrize("how", ACTS)
async def test_a_hint_closes_it_at_once(owner: Actor, watching: Membership, opened: Opener, how: str) -> None:
    cookie = await sync_to_async(cookie_of)(watching.user)
    socket = await opened(cookie=cookie)
    act, code = ACTS[how]
    await database_sync_to_async(act)(owner, watching)
    assert await closed(socket) == code
    if code == consumers.ACCESS_CHANGED:  # and what is opened again shows what is allowed now
        again = await opened(cookie=cookie)
        assert await again.all_within(0.2) == []


async def test_others_stay(owner: Actor, watching: Membership, opened: Opener) -> None:
    assert owner.user
    cookie = await sync_to_async(cookie_of)(owner.user)
    socket = await opened(cookie=cookie)
    await database_sync_to_async(members.remove)(owner, watching)
    await socket.say({"type": "history", "since": 0})
    assert (await socket.next("history"))["since"] == 0


@pytest.mark.parametrize("how", ["account closed", "fleet wants a second factor", "token revoked"])
async def test_a_lost_hint_closes_it_a_little_later(
    car: Car, watching: Membership, opened: Opener, monkeypatch: pytest.MonkeyPatch, settings: Any, how: str
) -> None:
    monkeypatch.setattr(consumers, "ACCESS_CHECK_S", 0.1)
    settings.TOKEN_CACHE_S = 0.0
    if how == "token revoked":
        socket = await opened(authorization=bearer(car))
        await revoke(car)
    else:
        socket = await opened(cookie=await sync_to_async(cookie_of)(watching.user))
        if how == "account closed":
            await database_sync_to_async(shut)(watching.user)
        else:
            await database_sync_to_async(Fleet.objects.update)(second_factor_required=True)
    expected = consumers.ACCESS_CHANGED if "factor" in how else consumers.NO_ACCESS
    assert await closed(socket) == expected
