"""The socket: who may watch what, what it says, and how often. On the layer the suite runs with: memory or Redis."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.test import Client

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.alerting.alerts import Report, raise_alert
from fleet.models import Role, Severity, User, VehicleState
from telemetry import consumers, live, logger
from tests.asgi import routes
from tests.deliveries import deliver, drain_all
from tests.drives import START, drive, encode
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db(transaction=True)


class Socket:
    """A client of /ws."""

    history: list[dict[str, Any]]

    def __init__(self, query: str = "", **headers: str) -> None:
        pairs = {
            "host": "fleet.example",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        encoded = [(name.encode(), value.encode()) for name, value in pairs.items()]
        self.communicator = WebsocketCommunicator(routes, f"/ws?{query}", encoded)

    async def open(self) -> "Socket":
        connected, _ = await self.communicator.connect(timeout=5)
        assert connected
        return self

    async def say(self, content: Any) -> None:
        if isinstance(content, str):
            await self.communicator.send_to(text_data=content)
        else:
            await self.communicator.send_json_to(content)

    async def next(self, kind: str, seconds: float = 5) -> Any:
        """The next message of this type; others are passed over."""
        # The communicator's own receive ends the application when its time is up.
        async with asyncio.timeout(seconds):
            while True:
                message = await self.communicator.output_queue.get()
                assert message["type"] == "websocket.send", message
                content = json.loads(message["text"])
                if content["type"] == kind:
                    return content

    async def all_within(self, seconds: float, kind: str = "telemetry") -> list[Any]:
        found, deadline = [], time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                found.append(await self.next(kind, left))
            except TimeoutError:
                break
        return found


Opener = Callable[..., Any]


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    """Opens sockets and closes them after the test."""
    sockets: list[Socket] = []

    async def open_one(query: str = "", **headers: str) -> Socket:
        socket = await Socket(query, **headers).open()
        sockets.append(socket)
        socket.history = (await socket.next("history"))["data"]
        return socket

    yield open_one
    for socket in sockets:
        await socket.communicator.disconnect()


def cookie_of(user: User) -> str:
    browser = Client()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return (
        f"{django_settings.SESSION_COOKIE_NAME}={browser.cookies[django_settings.SESSION_COOKIE_NAME].value}"
    )


def bearer(car: Car) -> str:
    return f"Bearer {car.token}"


@database_sync_to_async
def send_in(car: Car, messages: list[Telemetry]) -> None:
    deliver(car, messages)
    drain_all()


@database_sync_to_async
def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@database_sync_to_async
def revoke(car: Car) -> None:
    car.token_row.revoke()


@pytest.fixture
def car(transactional_db: None) -> Car:
    return make_car("demo", "van-1")


@pytest.fixture
def member_cookie(car: Car) -> str:
    return cookie_of(make_person("member@example.com", "demo"))


class TestAccess:
    @pytest.mark.parametrize("query", ["", "token=wrong"])
    async def test_refused_without_login_or_token(self, car: Car, query: str) -> None:
        socket = await Socket(query).open()
        message = await socket.communicator.receive_output(timeout=5)
        assert (message["type"], message["code"]) == ("websocket.close", consumers.NO_ACCESS)

    async def test_refused_with_a_revoked_token(self, car: Car) -> None:
        await revoke(car)
        socket = await Socket(authorization=bearer(car)).open()
        assert (await socket.communicator.receive_output(timeout=5))["type"] == "websocket.close"

    async def test_another_sites_page_cannot_use_the_visitors_cookie(
        self, car: Car, member_cookie: str
    ) -> None:
        socket = Socket(cookie=member_cookie, origin="https://evil.example")
        assert (await socket.communicator.connect(timeout=5))[0] is False
        own = Socket(cookie=member_cookie, origin="https://fleet.example")
        assert (await own.communicator.connect(timeout=5))[0] is True
        await own.communicator.disconnect()

    async def test_member_sees_own_fleet_only(self, car: Car, member_cookie: str, opened: Opener) -> None:
        foreign = await database_sync_to_async(make_car)("other", "van-1")
        socket = await opened(cookie=member_cookie)
        assert socket.history == []
        await send_in(foreign, encode(foreign.vin, drive(1)))
        await send_in(car, encode(car.vin, drive(1)))
        vins = {message["data"]["vehicle_vin"] for message in await socket.all_within(1)}
        assert vins == {car.vin}

    async def test_superuser_sees_every_fleet_and_a_member_of_none_sees_nothing(
        self, car: Car, opened: Opener
    ) -> None:
        make = database_sync_to_async(make_person)
        boss = await make("boss@example.com", is_superuser=True, is_staff=True)
        nobody = await make("nobody@example.com")
        cookies = [await database_sync_to_async(cookie_of)(user) for user in (boss, nobody)]
        sockets = [await opened(cookie=cookie) for cookie in cookies]
        await send_in(car, encode(car.vin, drive(1)))
        assert (await sockets[0].next("telemetry"))["data"]["vehicle_vin"] == car.vin
        assert await sockets[1].all_within(0.3) == []

    @pytest.mark.parametrize("how", ["header", "query"])
    async def test_device_token_sees_only_its_vehicle(self, car: Car, opened: Opener, how: str) -> None:
        sibling = await database_sync_to_async(make_car)("demo", "van-2")
        for one in (car, sibling):
            await send_in(one, encode(one.vin, drive(1)))
        socket = await (
            opened(authorization=bearer(car)) if how == "header" else opened(f"token={car.token}")
        )
        assert {record["vehicle_vin"] for record in socket.history} == {car.vin}
        for one in (sibling, car):
            await send_in(one, encode(one.vin, drive(1, start=START + 5), stream_id=5))
        assert {m["data"]["vehicle_vin"] for m in await socket.all_within(1)} == {car.vin}

    async def test_one_vehicle_of_the_fleet_by_name(
        self, car: Car, member_cookie: str, opened: Opener
    ) -> None:
        sibling = await database_sync_to_async(make_car)("demo", "van-2")
        socket = await opened("vehicle=van-2", cookie=member_cookie)
        stranger = await opened("vehicle=van-9", cookie=member_cookie)
        for one in (car, sibling):
            await send_in(one, encode(one.vin, drive(1)))
        assert (await socket.next("telemetry"))["data"]["vehicle"] == "van-2"
        assert await socket.all_within(0.3) == []
        assert await stranger.all_within(0.1) == []


class TestMessages:
    async def test_history_on_connect_then_telemetry_in_the_documents_shape(
        self, car: Car, member_cookie: str, opened: Opener
    ) -> None:
        messages = encode(car.vin, drive(4))
        await send_in(car, messages[:3])
        socket = await opened(cookie=member_cookie)
        assert [record["timestamp"] for record in socket.history] == [START, START + 1, START + 2]
        await send_in(car, messages[3:])
        message = await socket.next("telemetry")
        assert message.keys() == {"type", "data"}
        data = message["data"]
        assert data["vehicle_vin"] == car.vin and data["timestamp"] == START + 3
        assert {"speed", "battery", "power", "heading"} <= data.keys()
        assert all(isinstance(data[name], float) for name in ("speed", "battery", "latitude"))
        assert set(data["reconstructed"]) <= data.keys() and data["quality"] == "verified"
        assert len(data["reconstructed"]) == messages[3].omitted

    async def test_incomplete_record_shows_nothing_that_was_not_sent(
        self, car: Car, member_cookie: str, opened: Opener, settings: Any
    ) -> None:
        settings.TELEMETRY_GAP_WAIT_S = 0
        messages = encode(car.vin, drive(6))
        await send_in(car, messages[:2])
        socket = await opened(cookie=member_cookie)
        await asyncio.sleep(0.3)
        await send_in(car, messages[4:5])
        data = (await socket.next("telemetry"))["data"]
        sent = {field.name for field, _ in messages[4].ListFields() if 5 < field.number < 40}
        known = {"vehicle_vin", "vehicle", "vehicle_id", "timestamp", "reconstructed", "quality", "motion"}
        assert (data["quality"], data["reconstructed"], data.keys() - known) == ("incomplete", [], sent)

    async def test_history_since_brings_what_was_missed(
        self, car: Car, member_cookie: str, opened: Opener
    ) -> None:
        await send_in(car, encode(car.vin, drive(10)))
        socket = await opened(cookie=member_cookie)
        await socket.say({"type": "history", "since": START + 6})
        missed = await socket.next("history")
        assert missed["since"] == START + 6 and missed["more"] is False
        assert [record["timestamp"] for record in missed["data"]] == [START + 7, START + 8, START + 9]

    async def test_compression_statistics(self, car: Car, member_cookie: str, opened: Opener) -> None:
        await send_in(car, encode(car.vin, drive(10)))
        socket = await opened(cookie=member_cookie)
        data = (await socket.next("compression_stats"))["data"]
        assert data["total_readings"] == data["transmitted_readings"] + data["skipped_readings"] > 0
        assert data["compression_ratio"] == round(data["skipped_readings"] / data["total_readings"], 4)

    async def test_statistics_survive_a_database_fault(
        self, car: Car, member_cookie: str, opened: Opener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(consumers, "STATS_EVERY_S", 0.1)
        rename = "ALTER TABLE {} RENAME TO {}"
        await execute(rename.format("compression_stats", "compression_away"))
        try:
            socket = await opened(cookie=member_cookie)
            await asyncio.sleep(0.3)
        finally:
            await execute(rename.format("compression_away", "compression_stats"))
        assert (await socket.next("compression_stats"))["data"]["records"] == 0

    async def test_late_data_does_not_move_the_vehicle_back(
        self, car: Car, member_cookie: str, opened: Opener
    ) -> None:
        await send_in(car, encode(car.vin, drive(2, start=START + 100)))
        socket = await opened(cookie=member_cookie)
        await send_in(car, encode(car.vin, drive(2), stream_id=9))
        assert await socket.all_within(0.5) == []

    async def test_batches_when_asked_for(self, car: Car, member_cookie: str, opened: Opener) -> None:
        socket = await opened("batch=1", cookie=member_cookie)
        await send_in(car, encode(car.vin, drive(1)))
        message = await socket.next("telemetry_batch")
        assert [record["vehicle_vin"] for record in message["data"]] == [car.vin]

    async def test_a_map_gets_positions(self, car: Car, member_cookie: str, opened: Opener) -> None:
        socket = await opened("view=map", cookie=member_cookie)
        await send_in(car, encode(car.vin, drive(1)))
        message = await socket.next("positions")
        [row] = [dict(zip(message["fields"], row, strict=True)) for row in message["data"]]
        state = await VehicleState.objects.aget(vehicle__vin=car.vin)
        assert row["vehicle_id"] == state.vehicle_id and row["timestamp"] == state.time.timestamp()
        assert (row["latitude"], row["longitude"]) == (state.latitude_deg, state.longitude_deg)
        assert (row["heading"], row["speed"]) == (state.heading_deg, state.speed_kmh)
        assert row["battery"] == state.battery_percent and row["motion"] == state.motion().value

    @pytest.mark.parametrize(
        "nonsense",
        [" ", "{", "7", "[]", '"type"', "{}", '{"type": null}', '{"type": []}', '{"type": {"a": 1}}',
         '{"type": "dance"}',
         '{"type": "history"}', '{"type": "history", "since": "x"}', '{"type": "history", "since": 1e300}',
         '{"type": "history", "since": NaN}', '{"type": "history", "since": -1e18}', "x" * 10_000],
    )  # fmt: skip
    async def test_nonsense_is_answered_and_the_socket_lives(
        self, car: Car, member_cookie: str, opened: Opener, nonsense: str
    ) -> None:
        socket = await opened(cookie=member_cookie)
        await socket.say(nonsense)
        message = await socket.next("log")
        assert message["log_type"] == "error" and message["message"] and message["timestamp"]
        await send_in(car, encode(car.vin, drive(1)))
        await socket.next("telemetry")

    async def test_many_loggers_that_start_at_once_are_one_line(
        self, car: Car, member_cookie: str, opened: Opener
    ) -> None:
        socket = await opened(cookie=member_cookie)
        cars = [await database_sync_to_async(make_car)(name=f"bus-{number}") for number in range(1, 9)]
        for one in cars:
            await database_sync_to_async(deliver)(one, encode(one.vin, drive(1)))
        await database_sync_to_async(drain_all)()
        lines = [m["message"] for m in await socket.all_within(0.5) if m["type"] == "log"]
        shards = {one.vehicle.pk % django_settings.DRAIN_SHARDS for one in cars}
        assert len(lines) <= len(shards) and all("logger started sending" in line for line in lines)

    async def test_log_lines_reach_the_fleet(self, car: Car, member_cookie: str, opened: Opener) -> None:
        socket = await opened(cookie=member_cookie)
        live.publish_log(car.vehicle.fleet_id, "hello")
        message = await socket.next("log")
        assert (
            message.keys() == {"type", "log_type", "message", "timestamp"} and message["message"] == "hello"
        )


class TestAlerts:
    async def test_the_other_browsers_of_the_fleet_hear_that_one_was_raised(
        self, car: Car, member_cookie: str, opened: Opener
    ) -> None:
        stranger = await database_sync_to_async(make_person)("stranger@example.com")
        mine = await opened("view=hints", cookie=member_cookie)
        theirs = await opened("view=hints", cookie=await database_sync_to_async(cookie_of)(stranger))
        assert mine.history == []
        await database_sync_to_async(raise_alert)(
            car.vehicle, Report("hot", Severity.CRITICAL, "too hot", datetime.now(UTC))
        )
        assert await mine.next("alerts_changed") == {"type": "alerts_changed"}
        assert await theirs.all_within(0.3, "alerts_changed") == []


class TestLoggerCommands:
    async def test_staff_start_and_stop_it(self, car: Car, opened: Opener) -> None:
        boss = await database_sync_to_async(make_person)("boss@example.com", is_superuser=True, is_staff=True)
        socket = await opened(cookie=await database_sync_to_async(cookie_of)(boss))
        await socket.say({"type": "start_logger"})
        assert (await socket.next("log"))["log_type"] == "error"  # none is running beside this server
        cache.set(logger.SEEN, 1)
        for kind, wish in (("start_logger", "run"), ("stop_logger", "stop")):
            await socket.say({"type": kind})
            assert (await socket.next("log"))["log_type"] == "info"
            assert cache.get(logger.WISH) == wish

    @pytest.mark.parametrize("role", [Role.OWNER, Role.VIEWER])
    async def test_members_may_not(self, car: Car, opened: Opener, role: str) -> None:
        cache.set(logger.SEEN, 1)
        user = await database_sync_to_async(make_person)("m@example.com", "demo", role)
        socket = await opened(cookie=await database_sync_to_async(cookie_of)(user))
        await socket.say({"type": "stop_logger"})
        assert (await socket.next("log"))["log_type"] == "error"
        assert cache.get(logger.WISH) is None


@pytest.mark.sqlite
async def test_a_subscription_in_memory_does_not_end_after_a_day(
    car: Car, member_cookie: str, opened: Opener
) -> None:
    socket = await opened(cookie=member_cookie)
    members = live.channel_layer().groups[live.group(car.vehicle.fleet_id)]  # type: ignore[attr-defined]
    for name in members:
        members[name] -= 30 * 86_400
    for start in (START, START + 1):
        await send_in(car, encode(car.vin, drive(1, start=start), stream_id=int(start)))
        await socket.next("telemetry")


class TestRate:
    async def test_at_most_four_updates_per_vehicle_and_second_and_the_newest_wins(
        self, car: Car, member_cookie: str, opened: Opener
    ) -> None:
        socket = await opened(cookie=member_cookie)
        messages = encode(car.vin, drive(60))
        began = time.monotonic()

        async def produce() -> None:
            for message in messages:
                await send_in(car, [message])

        producing = asyncio.create_task(produce())
        found: list[Any] = []
        while not found or found[-1]["data"]["timestamp"] < START + 59:
            found.append(await socket.next("telemetry"))
        await producing
        seconds = time.monotonic() - began
        assert len(found) <= 4 * seconds + 2
        times = [message["data"]["timestamp"] for message in found]
        assert times == sorted(times)
