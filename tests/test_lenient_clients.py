"""What clients written from a document alone get wrong, or write in their own way: understood, or told what to do."""

import time
from datetime import timedelta
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.core.cache import cache
from django.test import Client

from config.asgi import application
from devices.auth import tokens
from devices.models import DeviceToken
from fleet.models import Alert, Role
from telemetry.models import Frame
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
JSON = "application/json"
V1 = "/api/v1"


@pytest.fixture
def car() -> Car:
    return make_car("own", "van")


@pytest.fixture(autouse=True)
def nobody_guessed_before() -> None:
    """What other tests tried from this address does not count."""
    cache.clear()
    tokens.clear()


def post(car: Car, path: str, body: Any, content_type: str = JSON) -> Any:
    return Client().post(path, body, content_type=content_type, headers={"X-API-Key": car.token})


@pytest.mark.parametrize("form", ["Bearer {}", "bearer  {}", "Token {}", "ApiKey {}", "Api-Key {}", "{}"])
def test_the_ways_to_send_a_token(car: Car, form: str) -> None:
    assert Client().get(f"{V1}/trips", headers={"Authorization": form.format(car.token)}).status_code == 200
    assert Client().get(f"{V1}/trips", headers={"Authorization": form.format("cvy_x_y")}).status_code == 401


def test_a_broken_access_token_is_told_what_to_do() -> None:
    reply = Client().get(f"{V1}/trips", headers={"X-API-Key": "a.b.c"})
    assert reply.status_code == 401 and "log in again" in reply.json()["detail"]


def test_an_expired_token_is_not_believed_from_memory(car: Car, settings: Any) -> None:
    settings.TOKEN_CACHE_S = 60.0
    tokens.clear()
    row, text = DeviceToken.objects.issue(car.device, "short")
    DeviceToken.objects.filter(pk=row.pk).update(expires_at=row.created_at + timedelta(seconds=1.5))
    key = {"Authorization": f"Bearer {text}"}
    assert Client().get(f"{V1}/trips", headers=key).status_code == 200
    time.sleep(1.6)
    assert Client().get(f"{V1}/trips", headers=key).status_code == 401
    tokens.clear()


@pytest.mark.parametrize("form", [1, 1e3, 1e6])
def test_times_in_milliseconds(car: Car, form: float) -> None:
    body = {"timestamp": int(1_769_594_400 * form), "speed": 50}
    assert post(car, "/api/telemetry", body).json()["accepted"] == 1
    assert Frame.objects.get().time.timestamp() == 1_769_594_400


def test_telemetry_that_nobody_named_the_type_of(car: Car) -> None:
    for body in (b'{"timestamp": 1769594400, "speed": 50}', b' [{"timestamp": 1769594401, "speed": 50}]'):
        assert post(car, "/api/telemetry", body, content_type="").json()["accepted"] == 1
    assert post(car, "/api/telemetry", b"\x01\x02", content_type="").status_code == 400


@pytest.mark.parametrize("name", ["readings", "records", "batch", "data"])
def test_an_empty_list_is_no_reading(car: Car, name: str) -> None:
    for around in ({}, {"timestamp": 1_769_594_400, "device_id": car.device.slug}):
        reply = post(car, f"{V1}/sensors/data", {name: [], **around})
        assert reply.status_code == 400 and not Frame.objects.exists()


@pytest.mark.parametrize("name", ["data", "readings", "payload"])
def test_a_record_wrapped_once_more(car: Car, name: str) -> None:
    inner = {"fruiting": {"temp": 11}, "timestamp": 1_769_594_400}
    assert post(car, f"{V1}/sensors/data", {"device_id": car.device.slug, name: inner}).status_code == 200
    [frame] = Frame.objects.all()
    assert frame.time.timestamp() == 1_769_594_400 and b"fruiting.temp" in frame.payload
    assert name.encode() not in frame.payload


def test_an_alert_in_another_devices_name(car: Car) -> None:
    make_car("other", "bus")
    alert = {"type": "hot", "message": "x", "severity": "CRITICAL"}
    reply = post(car, f"{V1}/alerts/trigger", alert | {"device_id": "other-bus"})
    assert reply.status_code == 404 and "other-bus" in reply.json()["detail"] and not Alert.objects.exists()
    for name in (car.device.slug, car.vehicle.slug, car.vin):
        assert post(car, f"{V1}/alerts/trigger", alert | {"device_id": name}).status_code in {200, 201}
    assert Alert.objects.get().source == "device"


def test_an_alert_by_hand_says_so(car: Car) -> None:
    client = Client()
    client.force_login(
        make_person("m@example.com", "own", Role.MANAGER), backend="django.contrib.auth.backends.ModelBackend"
    )
    body = {"type": "flat_tyre", "vehicle_id": "van", "severity": "WARNING"}
    assert client.post(f"{V1}/alerts/trigger", body, content_type=JSON).json()["source"] == "person"


def test_what_is_said_at_registration_is_the_status(car: Car) -> None:
    body = {"device_id": car.device.slug, "status": "starting", "firmware": "1"}
    told = post(car, f"{V1}/devices", body).json()
    assert told["metadata"] == {"firmware": "1"}
    state = Client().get(f"{V1}/devices/{car.device.slug}", headers={"X-API-Key": car.token}).json()
    assert state["status"] == "starting"


def test_the_id_of_a_new_device_says_nothing_of_other_fleets(car: Car) -> None:
    make_car("other", "tesla")
    client = Client()
    client.force_login(
        make_person("o@example.com", "own", Role.OWNER), backend="django.contrib.auth.backends.ModelBackend"
    )
    ids = {
        name: client.post(f"{V1}/devices", {"device_id": name}, content_type=JSON).json()["id"]
        for name in ("other-tesla", "never-heard")
    }
    assert ids == {"other-tesla": "own-other-tesla", "never-heard": "own-never-heard"}


@pytest.mark.parametrize("limit", ["-1", "0", "abc", "1.5", "9" * 12])
def test_a_limit_that_is_none(car: Car, limit: str) -> None:
    for path in ("trips", "alerts", "vehicles", "devices", "scenarios"):
        reply = Client().get(f"{V1}/{path}?limit={limit}", headers={"X-API-Key": car.token})
        assert reply.status_code == 400 and reply.json()["errors"][0]["field"] == "limit", path
    assert Client().get(f"{V1}/trips?limit=5000", headers={"X-API-Key": car.token}).status_code == 200


@pytest.mark.parametrize("cursor", ["AAAA", "zz", "cD0=AA", "bm90aGluZz0x"])
def test_a_cursor_that_is_none(car: Car, cursor: str) -> None:
    reply = Client().get(f"{V1}/trips?cursor={cursor}", headers={"X-API-Key": car.token})
    assert reply.status_code == 400 and reply.json()["errors"][0]["field"] == "cursor"


def test_another_content_type_is_told_which(car: Car) -> None:
    reply = post(car, f"{V1}/trips", b"trip_id=1", content_type="application/x-www-form-urlencoded")
    assert reply.status_code == 415 and "Send application/json" in reply.json()["detail"]


def test_bytes_that_are_no_text(car: Car) -> None:
    for path in (f"{V1}/trips", f"{V1}/sensors/data"):
        reply = post(car, path, b'{"a": "\xff"}')
        assert reply.status_code == 400 and "byte 7" in reply.json()["detail"]


def test_a_severity_that_is_none_is_named(car: Car) -> None:
    reply = Client().get(f"{V1}/alerts?severity=zzz", headers={"X-API-Key": car.token})
    assert reply.json()["errors"][0]["field"] == "severity"


def test_a_group_begins_with_its_devices(car: Car) -> None:
    client = Client()
    client.force_login(
        make_person("g@example.com", "own", Role.MANAGER), backend="django.contrib.auth.backends.ModelBackend"
    )
    body = {"name": "Night", "devices": [car.device.slug]}
    assert client.post(f"{V1}/fleet/own/groups", body, content_type=JSON).json()["devices"] == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/", "/api/v1/ws", "/wsx", "/health"])
async def test_other_sockets_are_refused_without_an_error(path: str) -> None:
    socket = WebsocketCommunicator(
        application, path, headers=[(b"origin", b"http://testserver"), (b"host", b"testserver")]
    )
    connected, _ = await socket.connect()
    assert not connected
    await socket.wait()
