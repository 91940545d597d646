"""Commands over HTTP, as a device and as its people."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from devices import commands
from devices.auth import tokens
from devices.commands import Order
from devices.models import Command, DeviceToken, State
from fleet.audit import Actor
from fleet.models import AuditEntry, Role, User
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def car(db: None) -> Car:
    return make_car("acme", "van")


class Caller:
    """JSON in, JSON out."""

    def __init__(self, who: User | Car) -> None:
        self.client = Client()
        self.headers: dict[str, str] = {}
        if isinstance(who, Car):
            self.headers["Authorization"] = f"Bearer {who.token}"
        else:
            self.client.force_login(who, backend=BACKEND)

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/{path}", headers=self.headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        content = {} if body is None else body
        return self.client.post(
            f"/api/v1/{path}", content, content_type="application/json", headers=self.headers | headers
        )


@pytest.fixture
def device(car: Car) -> Caller:
    return Caller(car)


@pytest.fixture
def manager(car: Car) -> Caller:
    return Caller(make_person("ann@example.com", "acme", Role.MANAGER))


@pytest.fixture
def owner(car: Car) -> Caller:
    return Caller(make_person("ben@example.com", "acme", Role.OWNER))


@pytest.fixture
def viewer(car: Car) -> Caller:
    return Caller(make_person("vic@example.com", "acme", Role.VIEWER))


def queue(car: Car, *actions: str) -> list[Command]:
    return [commands.send(Actor("somebody"), car.device, Order(action)) for action in actions]


class TestDevice:
    def test_takes_what_is_queued_once(self, car: Car, device: Caller, manager: Caller) -> None:
        sent = manager.post(
            "vehicles/van/commands", {"action": "start_heating", "parameters": {"target_temp": 21}}
        )
        assert sent.status_code == 201 and sent["Location"] == f"/api/v1/commands/{sent.json()['id']}"
        answer = device.get(f"devices/{car.device.slug}/commands")
        assert answer.status_code == 200 and answer["Cache-Control"] == "no-store"
        [command] = answer.json()["commands"]
        assert command.keys() == {"id", "action", "parameters", "expires_at"}
        assert (command["id"], command["action"]) == (sent.json()["id"], "start_heating")
        assert command["parameters"] == {"target_temp": 21}
        assert device.get(f"devices/{car.device.slug}/commands").json() == {"commands": []}
        shown = manager.get(f"commands/{command['id']}").json()
        assert (shown["state"], shown["path"], shown["delivered_at"] is None) == ("delivered", "poll", False)

    def test_a_viewer_looks_and_leaves_them(self, car: Car, viewer: Caller, device: Caller) -> None:
        queue(car, "honk", "unlock")
        address = f"devices/{car.device.slug}/commands"
        looked = [viewer.get(address).json() for _ in range(2)]
        assert looked[0] == looked[1] == device.get(address).json()
        assert [command["action"] for command in looked[0]["commands"]] == ["honk"]

    def test_a_driver_does_not_even_look(self, car: Car) -> None:
        driver = Caller(make_person("d@example.com", "acme", Role.DRIVER))
        [sent] = queue(car, "honk")
        for path in (
            f"devices/{car.device.slug}/commands",
            "vehicles/van/commands",
            f"commands/{sent.public_id}",
        ):
            assert driver.get(path).status_code == 403

    def test_another_device_of_the_same_vehicle_is_an_outsider(self, car: Car, device: Caller) -> None:
        sibling = car.vehicle.devices.create(slug="sibling", name="Sibling")
        assert device.get(f"devices/{sibling.slug}/commands").status_code == 404

    def test_acknowledges_once(self, car: Car, device: Caller) -> None:
        [sent] = queue(car, "honk")
        device.get(f"devices/{car.device.slug}/commands")
        ack = f"devices/{car.device.slug}/commands/{sent.public_id}/ack"
        first = device.post(ack, {"success": True, "message": "honked", "decibel": 104})
        told = {"id": str(sent.public_id), "state": "succeeded", "success": True, "message": "honked"}
        assert (first.status_code, first.json()) == (200, told)
        assert device.post(ack, {"success": False, "message": "no"}).json() == told
        kept = Command.objects.get()
        assert (kept.state, kept.result) == (State.SUCCEEDED, {"decibel": 104})

    @pytest.mark.parametrize(
        ("body", "field"),
        [({}, "success"), ({"success": "perhaps"}, "success"), ({"success": None}, "success"), ([], ""), (7, ""),
         ({"success": True, "message": {}}, "message"), ({"success": True, "message": "\x00"}, "message"),
         ({"success": True, "more": "x" * 5000}, "result"), ({"success": True, "n": 2**64}, "n")],
    )  # fmt: skip
    def test_nonsense_is_no_answer(self, car: Car, device: Caller, body: Any, field: str) -> None:
        [sent] = queue(car, "honk")
        device.get(f"devices/{car.device.slug}/commands")
        answer = device.post(f"devices/{car.device.slug}/commands/{sent.public_id}/ack", body)
        assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == field
        assert Command.objects.get().state == State.DELIVERED

    def test_a_message_may_be_left_out_or_null_or_long(self, car: Car, device: Caller) -> None:
        for body in ({}, {"message": None}, {"message": ""}, {"message": "x" * 5000}):
            [sent] = queue(car, "honk")
            device.get(f"devices/{car.device.slug}/commands")
            answer = device.post(
                f"devices/{car.device.slug}/commands/{sent.public_id}/ack", body | {"success": True}
            )
            assert answer.status_code == 200 and len(answer.json()["message"]) <= 500

    def test_what_was_not_delivered_is_a_conflict_and_what_is_not_there_404(
        self, car: Car, device: Caller
    ) -> None:
        [sent] = queue(car, "honk")
        ack = f"devices/{car.device.slug}/commands/%s/ack"
        answer = device.post(ack % sent.public_id, {"success": True})
        assert answer.status_code == 409 and "ask for your commands first" in answer.json()["detail"]
        for key in ("17", "x", "6c1f7a3e-6f0e-4a52-8a55-0a6c8f3f7d1b"):
            assert device.post(ack % key, {"success": True}).status_code == 404


def test_scopes_of_a_token(car: Car) -> None:
    address = f"devices/{car.device.slug}/commands"
    for scopes, status in (([], 200), (["commands"], 200), (["telemetry", "read"], 403)):
        _, text = DeviceToken.objects.issue(car.device, "limited", scopes=scopes)
        tokens.clear()
        assert Caller(Car(car.vehicle, car.device, text)).get(address).status_code == status


class TestPeople:
    @pytest.mark.parametrize(
        ("body", "field"),
        [({}, "action"), ({"action": "start_heating"}, "parameters.target_temp"), ([], ""),
         ({"action": "start_heating", "parameters": {"target_temp": 99}}, "parameters.target_temp"),
         ({"action": "honk", "ttl_s": 5}, "ttl_s"), ({"action": "honk", "ttl_s": "x"}, "ttl_s"),
         ({"action": "No!"}, "action"), ({"action": "honk", "device": "other"}, "device")],
    )  # fmt: skip
    def test_nonsense_is_refused_by_field(self, manager: Caller, body: Any, field: str) -> None:
        answer = manager.post("vehicles/van/commands", body)
        assert answer.status_code == 400 and answer["Content-Type"] == "application/problem+json"
        assert answer.json()["errors"][0]["field"] == field and not Command.objects.exists()

    @pytest.mark.parametrize("name", ["van", "{vin}", "B-AB 1"])
    def test_a_vehicle_by_any_name(self, car: Car, manager: Caller, name: str) -> None:
        car.vehicle.plate = "B-AB 1"
        car.vehicle.save()
        answer = manager.post(
            f"vehicles/{name.format(vin=car.vin)}/commands", {"action": "own.action", "ttl_s": 60}
        )
        assert answer.status_code == 201 and answer.json()["vehicle_id"] == "van"

    def test_not_to_one_of_two(self, car: Car) -> None:
        other = make_car("other", "van")
        staff = Caller(make_person("s@example.com", is_staff=True, is_superuser=True))
        assert staff.post("vehicles/van/commands", {"action": "honk"}).status_code == 409
        assert staff.post(f"vehicles/{other.vin}/commands", {"action": "honk"}).status_code == 201

    def test_without_a_device(self, car: Car, manager: Caller) -> None:
        car.vehicle.devices.update(active=False)
        assert manager.post("vehicles/van/commands", {"action": "honk"}).status_code == 409

    def test_approval(self, car: Car, manager: Caller, owner: Caller, viewer: Caller, device: Caller) -> None:
        sent = manager.post("vehicles/van/commands", {"action": "immobilise"}).json()
        assert (sent["state"], sent["needs_approval"], sent["sender"]) == (
            "awaiting_approval",
            True,
            "ann@example.com",
        )
        approve = f"commands/{sent['id']}/approve"
        assert [who.post(approve).status_code for who in (viewer, manager, owner, owner)] == [
            403,
            409,
            200,
            200,
        ]
        assert owner.get(f"commands/{sent['id']}").json()["approver"] == "ben@example.com"
        assert len(device.get(f"devices/{car.device.slug}/commands").json()["commands"]) == 1
        late = owner.post(f"commands/{sent['id']}/cancel")
        assert late.status_code == 409 and "Too late" in late.json()["detail"]

    def test_cancel(self, car: Car, manager: Caller, viewer: Caller) -> None:
        [sent] = queue(car, "honk")
        cancel = f"commands/{sent.public_id}/cancel"
        assert viewer.post(cancel).status_code == 403
        assert manager.post(cancel).json()["state"] == manager.post(cancel).json()["state"] == "cancelled"
        entry = AuditEntry.objects.latest("id")
        assert (entry.action, entry.actor, entry.address) == (
            "command.cancelled",
            "ann@example.com",
            "127.0.0.1",
        )

    def test_history_is_paged_filtered_and_cheap(
        self, car: Car, manager: Caller, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(3):
            queue(car, "honk", "locate")
        queue(make_car("acme", "bus"), "honk")
        commands.take(car.device.pk, "poll", 2)
        page = manager.get("vehicles/van/commands?limit=4").json()
        assert len(page["results"]) == 4 and page["previous"] is None
        rest = manager.client.get(page["next"]).json()
        found = [command["id"] for command in page["results"] + rest["results"]]
        assert len(set(found)) == 6 and rest["next"] is None
        counts = {
            s: len(manager.get(f"vehicles/van/commands?state={s}").json()["results"]) for s in State.values
        }
        assert counts == dict.fromkeys(State.values, 0) | {"queued": 4, "delivered": 2}
        assert len(manager.get("vehicles/van/commands?action=locate").json()["results"]) == 3
        assert manager.get("vehicles/van/commands?state=dancing").status_code == 400
        with django_assert_num_queries(5):  # session, person, their roles, vehicle, page
            manager.get("vehicles/van/commands")

    def test_kinds(self, viewer: Caller) -> None:
        kinds = {kind["action"]: kind for kind in viewer.get("commands/kinds").json()["kinds"]}
        assert kinds["unlock"]["needs_approval"] and not kinds["lock"]["needs_approval"]
        assert kinds["start_heating"]["schema"]["properties"]["target_temp"]["maximum"] == 30


def test_what_a_device_pays(
    car: Car, device: Caller, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    address = f"devices/{car.device.slug}/commands"
    device.get(address)
    with django_assert_num_queries(2):  # the device; is there anything?
        device.get(address)
    queue(car, "honk")
    with django_assert_num_queries(6):  # and savepoint twice, the delivery, the fleet to tell
        device.get(address)
