"""What devices say about themselves: car-status, PUT /devices/{id}, history, the panel."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from devices.models import DeviceStatus
from devices.status import Report, note, prune
from fleet.models import AuditEntry, Role, VehicleState
from tests.world import Car, make_car, make_person

PAYLOAD = {
    "timestamp": "2024-11-04T10:30:00.000Z",
    "license_plate": "ABC-123",
    "status": "online",
    "details": {"component": "C1_cloud_communicator"},
    "source": "C1_cloud_communicator",
}


@pytest.fixture
def car(db: None) -> Car:
    car = make_car("north", "taxi")
    car.vehicle.plate = "ABC-123"
    car.vehicle.save()
    return car


def call(car: Car, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {car.token}"}
    return getattr(Client(), method)(path, body, content_type="application/json", headers=headers)


def send(car: Car, **changes: Any) -> Any:
    return call(car, "post", "/api/car-status", {**PAYLOAD, **changes})


def person(role: str) -> Client:
    client = Client()
    client.force_login(
        make_person(f"{role}@example.com", "north", role),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def address(car: Car, more: str = "") -> str:
    return f"/api/v1/devices/{car.device.slug}{more}"


def test_the_documents_own_example(car: Car) -> None:
    answer = send(car)
    assert answer.status_code == 200
    assert answer.json()["status"] == "received"
    row = DeviceStatus.objects.get()
    assert (row.device, row.status, row.source) == (car.device, "online", "C1_cloud_communicator")
    assert row.details == {"component": "C1_cloud_communicator"}
    assert row.time == datetime(2024, 11, 4, 10, 30, tzinfo=UTC)
    told = call(car, "get", address(car)).json()
    assert (told["status"], told["online"]) == ("online", True)


def test_history_in_event_time_whatever_the_order(car: Car) -> None:
    reports = [(1730716200 + n, f"state {n}") for n in range(20)] * 2
    random.Random(5).shuffle(reports)
    for time, status in reports:
        assert send(car, timestamp=time, status=status).status_code == 200
    assert DeviceStatus.objects.count() == 20
    assert call(car, "get", address(car)).json()["status"] == "state 19"
    pages, follow = [], address(car, "/statuses?limit=7")
    while follow:
        page = call(car, "get", follow).json()
        pages.append([row["status"] for row in page["results"]])
        follow = page["next"]
    assert [len(page) for page in pages] == [7, 7, 6]
    assert [status for page in pages for status in page] == [f"state {n}" for n in reversed(range(20))]


def test_further_keys_are_kept(car: Car) -> None:
    send(car, details=["low voltage"], battery=11.8)
    assert DeviceStatus.objects.get().details == {"value": ["low voltage"], "battery": 11.8}


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"status": None}, 400, "status"),
        ({"status": "x" * 65}, 400, "status"),
        ({"timestamp": "noon"}, 400, "timestamp"),
        ({"timestamp": 4102444800}, 400, "timestamp"),
        ({"timestamp": True}, 400, "timestamp"),
        ({"license_plate": ""}, 400, "license_plate"),
        ({"license_plate": "XYZ-789"}, 404, ""),
        ({"details": {"a\0": 1}}, 400, "details.a?"),
        ({"details": {"text": "x" * 20_000}}, 400, "details"),
        ({"further": "\0"}, 400, ""),
    ],
)
def test_garbage(car: Car, wrong: dict[str, Any], status: int, field: str) -> None:
    answer = send(car, **wrong)
    assert answer.status_code == status
    if field:
        assert answer.json()["errors"][0]["field"] == field
    assert not DeviceStatus.objects.exists()


def test_a_device_updates_itself(car: Car) -> None:
    answer = call(
        car, "put", address(car), {"status": "ONLINE", "name": "Gateway", "firmware": "1.4", "ip": "x"}
    )
    assert answer.status_code == 200
    assert answer.json()["status"] == "ONLINE"
    assert answer.json()["name"] == "Gateway"
    assert answer.json()["metadata"] == {"firmware": "1.4", "ip": "x"}
    assert call(car, "put", address(car), {"ip": None}).json()["metadata"] == {"firmware": "1.4"}
    assert DeviceStatus.objects.count() == 1
    assert not AuditEntry.objects.exists()


def test_a_manager_updates_it_and_that_is_on_record(car: Car) -> None:
    answer = person(Role.MANAGER).put(
        address(car), {"name": "Spare", "status": "MAINTENANCE"}, content_type="application/json"
    )
    assert answer.status_code == 200
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.fleet) == ("device.updated", car.vehicle.fleet)
    assert entry.after == {"name": "Spare", "status": "MAINTENANCE"}
    assert (
        person(Role.VIEWER).put(address(car), {"name": "x"}, content_type="application/json").status_code
        == 403
    )


def test_another_device_does_not_exist(car: Car) -> None:
    other = make_car("north", "bus")
    for method in ("get", "put"):
        assert call(other, method, address(car), {} if method == "put" else None).status_code == 404
    assert call(other, "get", address(car, "/statuses")).status_code == 404


def test_silence(car: Car, settings: Any) -> None:
    long_ago = timezone.now() - timedelta(seconds=settings.OFFLINE_AFTER_S + 5)
    VehicleState.objects.create(vehicle=car.vehicle, time=long_ago, received_at=long_ago)
    viewer = person(Role.VIEWER)
    told = viewer.get(address(car)).json()
    assert told["online"] is False
    assert told["last_seen"] is not None
    note(car.device.pk, Report("online", long_ago, {}))
    assert viewer.get(address(car)).json()["online"] is True


def test_the_panel(car: Car, django_assert_max_num_queries: Any) -> None:
    viewer = person(Role.VIEWER)
    page = f"/vehicles/north/{car.vehicle.slug}/devices"
    assert "never" in viewer.get(page).content.decode()
    for n in range(30):
        note(car.device.pk, Report(f"state <{n}>", timezone.now() + timedelta(seconds=n), {"volt": n}))
    with django_assert_max_num_queries(8):
        text = viewer.get(page).content.decode()
    assert "state &lt;29&gt;" in text
    assert text.count("volt:") == 12


@pytest.mark.django_db(transaction=True)
def test_the_same_report_at_once_is_kept_once(car: Car) -> None:
    report = Report("online", timezone.now(), {})

    def tell(_: int) -> None:
        try:
            note(car.device.pk, report)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(24)))
    assert DeviceStatus.objects.count() == 1


def test_old_reports_are_forgotten_but_for_the_newest(db: None, settings: Any) -> None:
    settings.STATUS_DAYS = 400
    now = timezone.now()
    quiet, busy = make_car("acme", "quiet"), make_car("acme", "busy")
    for days in (900, 700, 500):
        note(quiet.device.pk, Report(f"day {days}", now - timedelta(days=days), {}))
    for days in (401, 399, 1):
        note(busy.device.pk, Report(f"day {days}", now - timedelta(days=days), {}))
    note(busy.device.pk, Report("also", now - timedelta(days=401), {}))
    settings.STATUS_DAYS = 0
    assert prune(now) == 0
    settings.STATUS_DAYS = 400
    assert prune(now) == 4 and prune(now) == 0
    left = DeviceStatus.objects.order_by("id").values_list("status", flat=True)
    assert list(left) == ["day 500", "day 399", "day 1"]
