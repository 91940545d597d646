"""Commands over the socket, and the logger of a vehicle."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from devices import commands
from devices.commands import Order
from devices.models import Command, DeviceToken, State
from fleet.audit import Actor
from fleet.models import Role
from telemetry.tests.test_live import Opener, Socket, bearer, cookie_of
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def car(transactional_db: None) -> Car:
    return make_car("demo", "van-1")


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    sockets: list[Socket] = []

    async def open_one(query: str = "", **headers: str) -> Socket:
        socket = await Socket(query, **headers).open()
        sockets.append(socket)
        await socket.next("history")
        return socket

    yield open_one
    for socket in sockets:
        await socket.communicator.disconnect()


@database_sync_to_async
def send(car: Car, action: str = "honk") -> Command:
    return commands.send(Actor("somebody"), car.device, Order(action))


@database_sync_to_async
def again(command: Command) -> Command:
    return Command.objects.get(pk=command.pk)


async def test_a_connected_device_is_told_and_answers(car: Car, opened: Opener) -> None:
    socket = await opened(authorization=bearer(car))
    sent = await send(car)
    message = await socket.next("command")
    assert message == {"type": "command", "data": commands.as_json(sent)}
    kept = await again(sent)
    assert (kept.state, kept.path) == (State.DELIVERED, "socket")
    ack = {
        "type": "command_ack",
        "id": message["data"]["id"],
        "success": False,
        "message": "no horn",
        "volt": 11,
    }
    for _ in range(2):
        await socket.say(ack)
        assert (await socket.next("command_ack"))["data"] == {
            "id": str(sent.public_id),
            "state": "failed",
            "message": "no horn",
        }
    assert (await again(sent)).result == {"volt": 11}


async def test_a_token_without_the_scope_is_told_nothing(car: Car, opened: Opener) -> None:
    _, text = await database_sync_to_async(DeviceToken.objects.issue)(car.device, "limited", scopes=["read"])
    socket = await opened(authorization=f"Bearer {text}")
    sent = await send(car)
    assert await socket.all_within(0.3, "command") == []
    assert (await again(sent)).state == State.QUEUED


async def test_what_waited_is_delivered_on_connect_in_order(car: Car, opened: Opener) -> None:
    sent = [str((await send(car)).public_id) for _ in range(3)]
    socket = await opened(authorization=bearer(car))
    assert [(await socket.next("command"))["data"]["id"] for _ in sent] == sent


async def test_two_sockets_of_a_device_share_and_never_repeat(car: Car, opened: Opener) -> None:
    sockets = [await opened(authorization=bearer(car)) for _ in range(2)]
    sent = {str((await send(car)).public_id) for _ in range(10)}
    found = await asyncio.gather(*(socket.all_within(2, "command") for socket in sockets))
    got = [message["data"]["id"] for messages in found for message in messages]
    assert len(got) == 10 and set(got) == sent


async def test_nobody_else_is_told(car: Car, opened: Opener) -> None:
    other = await database_sync_to_async(make_car)("demo", "van-2")
    member = await database_sync_to_async(make_person)("m@example.com", "demo", Role.OWNER)
    cookie = await database_sync_to_async(cookie_of)(member)
    sockets = [
        await opened(authorization=bearer(other)),
        await opened(cookie=cookie),
        await opened("commands=0", authorization=bearer(car)),
    ]
    sent = await send(car)
    for socket in sockets:
        assert await socket.all_within(0.5, "command") == []
    assert (await again(sent)).state == State.QUEUED


@pytest.mark.parametrize(
    "wrong",
    [{}, {"id": "x", "success": True}, {"id": None, "success": True}, {"success": "yes"},
     {"success": True, "message": 7}, {"success": True, "message": "\x00"}, {"success": True, "big": "x" * 3900}],
)  # fmt: skip
async def test_nonsense_is_answered(car: Car, opened: Opener, wrong: dict[str, Any]) -> None:
    socket = await opened(authorization=bearer(car))
    await socket.say({"type": "command_ack", **wrong})
    assert (await socket.next("command_ack"))["data"]["error"]


async def test_a_person_cannot_acknowledge(car: Car, opened: Opener) -> None:
    member = await database_sync_to_async(make_person)("m@example.com", "demo", Role.OWNER)
    socket = await opened(cookie=await database_sync_to_async(cookie_of)(member))
    sent = await send(car)
    await database_sync_to_async(commands.take)(car.device.pk, "poll")
    await socket.say({"type": "command_ack", "id": str(sent.public_id), "success": True})
    assert (await socket.next("log"))["log_type"] == "error"
    assert (await again(sent)).state == State.DELIVERED


async def test_a_page_is_told_that_something_changed(car: Car, opened: Opener) -> None:
    member = await database_sync_to_async(make_person)("m@example.com", "demo")
    cookie = await database_sync_to_async(cookie_of)(member)
    page, other = await opened("batch=1", cookie=cookie), await opened("batch=1&vehicle=van-9", cookie=cookie)
    sent = await send(car)
    news = {"type": "commands_changed", "data": {"vehicle_ids": [car.vehicle.pk]}}
    assert await page.next("commands_changed") == news
    await database_sync_to_async(commands.take)(car.device.pk, "poll")
    assert await page.next("commands_changed") == news
    await database_sync_to_async(commands.acknowledge)(car.device.pk, sent.public_id, True)
    assert await page.next("commands_changed") == news
    assert await other.all_within(0.2, "commands_changed") == []


class TestLoggerOfAVehicle:
    @pytest.fixture
    def boss(self, car: Car) -> Client:
        client = Client()
        user = make_person("boss@example.com", is_superuser=True, is_staff=True)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    @pytest.mark.parametrize("what", ["start", "stop"])
    def test_is_a_command_to_its_device(self, car: Car, boss: Client, what: str) -> None:
        body = {"vehicle": car.vin}
        answer = boss.post(f"/logger/{what}", body, content_type="application/json")
        assert answer.status_code == 200 and answer.json()["status"] == "success"
        [taken] = commands.take(car.device.pk, "poll")
        assert taken.action == f"{what}_logger" and str(taken.public_id) in answer.json()["message"]
        assert taken.sender and taken.sender.email == "boss@example.com"

    def test_refusals(self, car: Car, boss: Client) -> None:
        def post(vehicle: Any) -> int:
            return boss.post(
                "/logger/start", {"vehicle": vehicle}, content_type="application/json"
            ).status_code

        make_car("other", "van-1")
        assert [post(name) for name in ("nobody", "\x00", 7, "van-1")] == [404, 400, 404, 409]
        car.vehicle.devices.update(active=False)
        assert post(car.vin) == 409
        assert not Command.objects.exists()

    def test_is_for_staff_only(self, car: Car) -> None:
        client = Client()
        client.force_login(
            make_person("o@example.com", "demo", Role.OWNER),
            backend="django.contrib.auth.backends.ModelBackend",
        )
        answer = client.post("/logger/start", {"vehicle": "van-1"}, content_type="application/json")
        assert answer.status_code == 403 and not Command.objects.exists()

    async def test_over_the_socket(self, car: Car, opened: Opener) -> None:
        make = database_sync_to_async(make_person)
        user = await make("b@example.com", is_superuser=True, is_staff=True)
        socket = await opened(cookie=await database_sync_to_async(cookie_of)(user))
        await socket.say({"type": "stop_logger", "vehicle": "van-1"})
        assert (await socket.next("log"))["log_type"] == "info"
        [taken] = await database_sync_to_async(commands.take)(car.device.pk, "poll")
        assert taken.action == "stop_logger" and taken.sender_id == user.pk
