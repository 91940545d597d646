"""Who sees which vehicles: in the rules, in querysets and over the API. Outside is 404, never 403."""

import pytest
from django.test import Client

from fleet.access import Principal, person, principal_of, visible_fleets, visible_vehicles
from fleet.models import Fleet, Membership, Role, User, Vehicle
from tests.deliveries import deliver, drain_all
from tests.drives import drive, encode
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def cars() -> dict[str, Car]:
    return {
        "own": make_car("north", "van-1"),
        "sibling": make_car("north", "van-2"),
        "foreign": make_car("south", "van-3"),
    }


@pytest.fixture
def member(cars: dict[str, Car]) -> User:
    return make_person("member@example.com", "north")


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def device(car: Car) -> Client:
    return Client(headers={"authorization": f"Bearer {car.token}"})


def listed(client: Client) -> set[str]:
    reply = client.get("/api/v1/vehicles")
    assert reply.status_code == 200
    return {vehicle["vehicle_id"] for vehicle in reply.json()["results"]}


def test_member_sees_the_fleet(cars: dict[str, Car], member: User) -> None:
    assert listed(browser(member)) == {"van-1", "van-2"}


def test_outsider_sees_nothing(cars: dict[str, Car]) -> None:
    client = browser(make_person("outsider@example.com"))
    assert listed(client) == set()
    assert client.get("/api/v1/vehicles/van-1/status").status_code == 404


def test_member_of_two_fleets_sees_both_once(cars: dict[str, Car], member: User) -> None:
    Membership.objects.create(fleet=Fleet.objects.get(slug="south"), user=member)
    reply = browser(member).get("/api/v1/vehicles").json()["results"]
    assert sorted(vehicle["vehicle_id"] for vehicle in reply) == ["van-1", "van-2", "van-3"]


def test_superuser_sees_everything(cars: dict[str, Car]) -> None:
    boss = make_person("boss@example.com", is_superuser=True, is_staff=True)
    assert listed(browser(boss)) == {"van-1", "van-2", "van-3"}


def test_staff_without_membership_sees_nothing(cars: dict[str, Car]) -> None:
    assert listed(browser(make_person("staff@example.com", is_staff=True))) == set()


def test_device_sees_its_own_vehicle_only(cars: dict[str, Car]) -> None:
    client = device(cars["own"])
    assert listed(client) == {"van-1"}
    assert client.get("/api/v1/vehicles/van-1/status").status_code == 200
    for name in ("van-2", "van-3", cars["sibling"].vin):
        assert client.get(f"/api/v1/vehicles/{name}/status").status_code == 404


def test_membership_that_ended_ends_access_at_once(cars: dict[str, Car], member: User) -> None:
    client = browser(member)
    assert listed(client)
    Membership.objects.all().delete()
    assert listed(client) == set()


@pytest.mark.parametrize("path", ["/api/v1/vehicles", "/api/v1/vehicles/van-1/status"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}])
def test_nobody_is_asked_to_authenticate(cars: dict[str, Car], path: str, headers: dict[str, str]) -> None:
    reply = Client().get(path, headers=headers)
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_reading_only(cars: dict[str, Car], method: str) -> None:
    assert getattr(device(cars["own"]), method)("/api/v1/vehicles/van-1/status").status_code == 405
    assert Vehicle.objects.count() == 3


@pytest.mark.parametrize("name", ["van-1", "WDB123", "wdb123", "B-XY 12", "b-xy 12"])
def test_status_by_slug_vin_or_plate(cars: dict[str, Car], member: User, name: str) -> None:
    Vehicle.objects.filter(slug="van-1").update(vin="WDB123", plate="B-XY 12")
    content = browser(member).get(f"/api/v1/vehicles/{name}/status").json()
    assert (content["vehicle_id"], content["fleet_id"], content["state"]) == ("van-1", "north", "never")


def test_the_empty_plate_is_nobodys_name(cars: dict[str, Car], member: User) -> None:
    assert browser(member).get("/api/v1/vehicles/%20/status").status_code == 404


def test_same_slug_in_another_fleet_is_not_shown(cars: dict[str, Car], member: User) -> None:
    make_car("south", "van-1")
    assert browser(member).get("/api/v1/vehicles/van-1/status").json()["fleet_id"] == "north"


def test_status_after_a_drive(cars: dict[str, Car], member: User) -> None:
    car, readings = cars["own"], drive(20)
    deliver(car, encode(car.vin, readings))
    drain_all()
    content = browser(member).get("/api/v1/vehicles/van-1/status").json()
    assert content["status"] == "online" and content["state"] in {"idle", "moving", "parked"}
    assert content["position"] == {
        "lat": content["values"]["latitude"], "lng": content["values"]["longitude"],
        "heading": content["values"]["heading"],
    }  # fmt: skip
    assert content["values"].keys() == readings[-1][1].keys() and content["quality"] == "verified"
    assert set(content["reconstructed"]) < content["values"].keys()


def test_listing_asks_the_same_for_three_vehicles_or_thirty(
    cars: dict[str, Car], member: User, django_assert_max_num_queries: object
) -> None:
    client = browser(member)
    for _ in range(30):
        make_car("north")
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        assert len(listed(client)) == 32


class TestRules:
    @pytest.mark.parametrize(
        ("held", "wanted", "may"),
        [
            (Role.OWNER, Role.OWNER, True), (Role.OWNER, Role.DRIVER, True), (Role.MANAGER, Role.OWNER, False),
            (Role.MANAGER, Role.VIEWER, True), (Role.VIEWER, Role.MANAGER, False), (Role.DRIVER, Role.VIEWER, False),
        ],
    )  # fmt: skip
    def test_roles_include_those_below(self, held: str, wanted: str, may: bool) -> None:
        principal = Principal("p", user_id=1, roles={5: held})
        assert principal.can(wanted, 5) is may
        assert principal.can(Role.DRIVER, 6) is False

    def test_devices_hold_no_role(self, cars: dict[str, Car]) -> None:
        principal = cars["own"].principal
        assert not principal.can(Role.DRIVER, cars["own"].vehicle.fleet_id)

    def test_fleets(self, cars: dict[str, Car], member: User) -> None:
        own = cars["own"].vehicle.fleet_id
        assert person(member).fleet_ids() == [own] and cars["own"].principal.fleet_ids() == [own]
        assert list(visible_fleets(member).values_list("slug", flat=True)) == ["north"]
        boss = make_person("boss@example.com", is_superuser=True)
        assert person(boss).fleet_ids() is None and visible_fleets(boss).count() == 2

    def test_querysets_take_people_and_principals(self, cars: dict[str, Car], member: User) -> None:
        assert set(visible_vehicles(member)) == set(visible_vehicles(principal_of(member)))
        assert [v.slug for v in visible_vehicles(cars["own"].principal)] == ["van-1"]
