"""POST /api/car-data, by a client written from its document alone; then what the document leaves open."""

import gzip
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.test import Client

from devices import commands
from devices.models import Path, State
from edge.protocol.signals import BY_NAME
from fleet.audit import Actor
from fleet.models import Role, VehicleState
from telemetry import ingest
from telemetry.models import Frame, TelemetryRecord
from telemetry.transports.car_data import SIGNAL_OF
from tests.deliveries import drain_all
from tests.outage import database_down
from tests.world import Car, make_car, make_person, rows_of

PAYLOAD = {
    "timestamp": "2024-11-04T10:30:00.000Z",
    "license_plate": "ABC-123",
    "data": {
        "indoorTemp": 22.5,
        "outdoorTemp": 15.2,
        "gps": {"lat": 60.1699, "lng": 24.9384},
        "speed": 65,
        "engineStatus": "running",
    },
    "source": "C1_cloud_communicator",
}


class Communicator:
    """What the document shows: a JSON POST with an API key."""

    def __init__(self, api_key: str) -> None:
        self.http = Client()
        self.headers = {"X-API-Key": api_key}

    def post(self, body: Any, path: str = "/api/car-data", **more: Any) -> Any:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.http.post(path, content, content_type="application/json", headers=self.headers, **more)


@pytest.fixture
def car(db: None) -> Car:
    car = make_car("north", "taxi")
    car.vehicle.plate = "ABC-123"
    car.vehicle.save()
    return car


@pytest.fixture
def communicator(car: Car) -> Communicator:
    return Communicator(car.token)


def body(**changes: Any) -> dict[str, Any]:
    return {**PAYLOAD, **changes}


def stored(car: Car) -> TelemetryRecord:
    drain_all()
    return TelemetryRecord.objects.get(vehicle=car.vehicle)


def test_the_documents_own_example(communicator: Communicator, car: Car) -> None:
    answer = communicator.post(PAYLOAD)
    assert answer.status_code == 200
    assert answer.json() == {"status": "received", "message": "1 received", "commands": []}
    row = stored(car)
    assert row.time == datetime(2024, 11, 4, 10, 30, tzinfo=UTC)
    assert (row.speed_kmh, row.latitude_deg, row.longitude_deg) == (65, 60.1699, 24.9384)
    assert (row.cabin_temperature_c, row.outdoor_temperature_c, row.ignition) == (22.5, 15.2, 1.0)
    assert row.extra == {"engineStatus": "running", "source": "C1_cloud_communicator"}


def test_it_moves_the_vehicle_on_the_map(communicator: Communicator, car: Car) -> None:
    communicator.post(PAYLOAD)
    drain_all()
    later = body(timestamp=1730716210, data={"gps": {"lat": 60.17, "lng": 24.95}, "speed": 30})
    communicator.post(later)
    drain_all()
    state = VehicleState.objects.get(vehicle=car.vehicle)
    assert (state.latitude_deg, state.longitude_deg, state.speed_kmh) == (60.17, 24.95, 30)
    assert state.time.timestamp() == 1730716210


@pytest.mark.parametrize(
    ("word", "ignition"), [("ON", 1.0), ("idling", 1.0), ("off", 0.0), (False, 0.0), ("error", None)]
)
def test_the_engines_words(communicator: Communicator, car: Car, word: Any, ignition: float | None) -> None:
    communicator.post(body(data={"speed": 0, "engineStatus": word}))
    assert stored(car).ignition == ignition


def test_further_keys_are_kept(communicator: Communicator, car: Car) -> None:
    tyres = {
        "tyres": {"front": {"left": 2.3}, "kind": "winter"},
        "doors": ["open"],
        "lights": True,
        "x": None,
    }
    communicator.post(body(data={"speed": 1, **tyres}, firmware={"major": 4}))
    extra = stored(car).extra
    assert extra == {
        "tyres.front.left": 2.3, "tyres.kind": "winter", "doors": '["open"]', "lights": 1.0, "firmware.major": 4.0,
        "source": "C1_cloud_communicator",
    }  # fmt: skip


@pytest.mark.parametrize("plate", ["abc-123", " ABC 123 ", "ABC123"])
def test_a_plate_in_other_dress(communicator: Communicator, plate: str) -> None:
    assert communicator.post(body(license_plate=plate)).status_code == 200


def test_another_cars_plate_does_not_exist(communicator: Communicator) -> None:
    other = make_car("south", "bus")
    other.vehicle.plate = "XYZ-789"
    other.vehicle.save()
    refused = [communicator.post(body(license_plate=plate)) for plate in ("XYZ-789", "NO-BODY")]
    assert [answer.status_code for answer in refused] == [404, 404]
    assert refused[0].json()["errors"][0]["field"] == "license_plate"
    assert refused[0].content.replace(b"XYZ-789", b"NO-BODY") == refused[1].content
    assert not Frame.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"timestamp": None}, ["timestamp"]),
        ({"timestamp": "yesterday"}, ["timestamp"]),
        ({"timestamp": 1e300}, ["timestamp"]),
        ({"timestamp": 12}, ["timestamp"]),
        ({"timestamp": 4102444800}, ["timestamp"]),
        ({"license_plate": " "}, ["license_plate"]),
        ({"license_plate": ["ABC-123"]}, ["license_plate"]),
        ({"data": 5}, ["data"]),
        ({"data": {}}, ["data"]),
        (
            {"data": {"speed": "fast", "gps": {"lat": 99, "lng": 1}}},
            ["data.speed", "data.gps.lat", "data.gps"],
        ),
        ({"data": {f"k{n}": n for n in range(300)}}, ["extra"]),
    ],
)
def test_what_makes_a_record_must_be_right(
    communicator: Communicator, wrong: dict[str, Any], fields: list[str]
) -> None:
    answer = communicator.post(body(**wrong))
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert not Frame.objects.exists()


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"5", b"[]", b"[[]]", b'"x"', b"\xff\xfe", b'{"timestamp": NaN}']
)
def test_garbage(communicator: Communicator, garbage: bytes) -> None:
    answer = communicator.post(garbage)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert not Frame.objects.exists()


def test_nested_without_end(communicator: Communicator) -> None:
    deep = b'{"a":' * 200 + b"1" + b"}" * 200
    text = orjson.dumps(PAYLOAD).replace(b'"speed":65', b'"speed":' + deep)
    assert communicator.post(text).status_code == 400


def test_one_odd_reading_does_not_lose_the_others(communicator: Communicator, car: Car) -> None:
    data = {**PAYLOAD["data"], "indoorTemp": 900, "outdoorTemp": "cold", "gps": {"lat": 60.1}, "bad\0": 1}  # type: ignore[dict-item]
    answer = communicator.post(body(data=data))
    assert answer.status_code == 200
    assert [each["field"] for each in answer.json()["left_out"]] == [
        "data.indoorTemp", "data.outdoorTemp", "data.bad?", "data.gps",
    ]  # fmt: skip
    row = stored(car)
    assert row.speed_kmh == 65
    assert (row.cabin_temperature_c, row.outdoor_temperature_c, row.latitude_deg) == (None, None, None)


def test_a_list_keeps_the_good_ones(communicator: Communicator, car: Car) -> None:
    rows = [body(timestamp=1730716200 + n) for n in range(3)]
    answer = communicator.post([rows[0], body(data=None), rows[1], body(license_plate="NO"), rows[2]]).json()
    assert (answer["status"], answer["message"]) == ("received", "3 received")
    assert [(each["record"], each["field"]) for each in answer["rejected"]] == [
        (1, "data"), (3, "license_plate"),
    ]  # fmt: skip
    assert communicator.post([body(data=None), 7]).json()["errors"][1]["field"] == "[1]"
    assert drain_all() == 3


def test_repeated_and_shuffled_bodies_give_the_same_rows(communicator: Communicator, car: Car) -> None:
    bodies = [
        body(timestamp=1730716200 + n, data={"speed": n, "extra_key": n / 2, "engineStatus": "on"})
        for n in range(30)
    ]
    for each in bodies:
        communicator.post(each)
    drain_all()
    straight = rows_of(car)
    other = make_car("north", "cab")
    other.vehicle.plate = "ABC-124"
    other.vehicle.save()
    shuffled = [{**each, "license_plate": "ABC-124"} for each in [*bodies, *bodies]]
    random.Random(7).shuffle(shuffled)
    for place, each in enumerate(shuffled):
        assert Communicator(other.token).post(each).status_code == 200
        if place % 7 == 0:
            drain_all()
    drain_all()
    assert rows_of(other) == straight
    assert len(straight) == 30


def test_a_repetition_says_so(communicator: Communicator) -> None:
    communicator.post(PAYLOAD)
    assert communicator.post(PAYLOAD).json()["message"] == "0 received, 1 again"


def test_gzip_and_sizes(communicator: Communicator, settings: Any) -> None:
    packed = gzip.compress(orjson.dumps(PAYLOAD))
    headers = communicator.headers | {"Content-Encoding": "gzip"}
    assert (
        communicator.http.post(
            "/api/car-data", packed, content_type="application/json", headers=headers
        ).status_code
        == 200
    )
    settings.TELEMETRY_BATCH_LIMIT = 2
    assert communicator.post([PAYLOAD] * 3).status_code == 413
    settings.TELEMETRY_BODY_LIMIT = 100
    assert communicator.post(PAYLOAD).status_code == 413


def test_commands_ride_back_once(communicator: Communicator, car: Car) -> None:
    person = make_person("boss@example.com", "north", Role.MANAGER)
    wish = commands.Order("start_heating", {"target_temp": 22})
    sent = commands.send(Actor("boss", person), car.device, wish)
    refused = communicator.post(body(data=None))
    assert refused.status_code == 400
    [command] = communicator.post(PAYLOAD).json()["commands"]
    assert (command["action"], command["parameters"]) == ("start_heating", {"target_temp": 22})
    assert command["id"] == str(sent.public_id)
    assert set(command) == {"id", "action", "parameters", "expires_at"}
    assert communicator.post(PAYLOAD).json()["commands"] == []
    sent.refresh_from_db()
    assert (sent.state, sent.path) == (State.DELIVERED, Path.CAR_DATA)
    assert Frame.objects.count() == 1


def test_without_a_token(car: Car) -> None:
    answer = Client().post("/api/car-data", PAYLOAD, content_type="application/json")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db(transaction=True)
def test_an_outage_keeps_nothing_and_says_so(communicator: Communicator) -> None:
    communicator.post(PAYLOAD)  # the token is known from now on
    with database_down():
        answer = communicator.post(PAYLOAD)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) == ingest.RETRY_AFTER_S


def test_what_a_request_costs(communicator: Communicator, django_assert_max_num_queries: Any) -> None:
    """Vehicle, savepoint, inbox, savepoint, lost streams, however many records; and is there a command."""
    communicator.post(PAYLOAD)
    communicator.post(PAYLOAD)
    later = (datetime.now(UTC) - timedelta(minutes=1)).timestamp()
    with django_assert_max_num_queries(6):
        communicator.post([body(timestamp=later + n) for n in range(50)])


def test_every_key_is_a_signal() -> None:
    assert set(SIGNAL_OF.values()) == set(BY_NAME)
