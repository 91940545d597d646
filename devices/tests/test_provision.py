"""`manage.py provision`: from nothing to a token, as often as it is called."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from devices.auth import TokenCache
from devices.models import Device, DeviceToken
from fleet.models import Fleet, Vehicle

pytestmark = pytest.mark.django_db


def provision(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("provision", *arguments, "--json", stdout=out)
    content: dict[str, Any] = json.loads(out.getvalue())
    return content


def counts() -> tuple[int, int, int, int]:
    return Fleet.objects.count(), Vehicle.objects.count(), Device.objects.count(), DeviceToken.objects.count()


def test_makes_everything_and_prints_it_as_one_json_object() -> None:
    made = provision("demo", "van-1", "--vin", "wdb123", "--plate", "B-XY 12", "--name", "Van one")
    assert made.keys() == {"fleet", "vehicle", "vin", "plate", "device", "token"}
    assert made["fleet"] == "demo" and made["vehicle"] == "van-1"
    assert made["vin"] == "WDB123" and made["plate"] == "B-XY 12"
    assert Vehicle.objects.get().name == "Van one"
    principal = TokenCache().resolve(made["token"])
    assert principal and principal.vehicle_id == Vehicle.objects.get().pk
    assert counts() == (1, 1, 1, 1)


def test_again_changes_nothing_but_issues_a_new_token() -> None:
    first = provision("demo", "van-1", "--vin", "WDB123", "--name", "Van one")
    second = provision("demo", "van-1")
    assert {**first, "token": ""} == {**second, "token": ""} and first["token"] != second["token"]
    assert counts() == (1, 1, 1, 2)
    assert TokenCache().resolve(first["token"]) is not None
    assert Vehicle.objects.get().name == "Van one"


def test_corrects_what_is_said_anew() -> None:
    provision("demo", "van-1", "--vin", "OLD1")
    assert provision("demo", "van-1", "--vin", "NEW2", "--plate", "B 2")["vin"] == "NEW2"
    assert Vehicle.objects.get().plate == "B 2"


def test_a_vin_that_another_vehicle_has_is_explained_and_nothing_is_made() -> None:
    provision("demo", "van-1", "--vin", "WDB123")
    before = counts()
    with pytest.raises(CommandError, match="VIN already exists"):
        provision("other", "van-9", "--vin", "wdb123")
    assert counts() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "van-1", "--vin", "NOT A VIN!"),
        ("demo", "van-1", "--vin", "X" * 18),
        ("???", "van-1"),
        ("demo", "!!!"),
        ("f" * 200, "van-1"),
        ("demo", "v" * 200),
        ("demo", "van-1", "--plate", "P" * 30),
    ],
)
def test_what_cannot_be_is_one_line_not_a_stack_trace(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        provision(*arguments)
    assert counts() == (0, 0, 0, 0)


def test_names_become_slugs() -> None:
    made = provision("Großer Fuhrpark", "Wagen 7")
    assert (made["fleet"], made["vehicle"]) == ("groer-fuhrpark", "wagen-7")
    assert Fleet.objects.get().name == "Großer Fuhrpark" and Vehicle.objects.get().name == "Wagen 7"


def test_same_vehicle_name_in_two_fleets() -> None:
    one, two = provision("north", "van-1"), provision("south", "van-1")
    assert one["device"] != two["device"] and counts()[:2] == (2, 2)


def test_device_names_that_would_collide() -> None:
    devices = {provision("a-b", "c")["device"], provision("a", "b-c")["device"]}
    assert len(devices) == 2
    long_fleet = "f" * 64
    devices = {provision(long_fleet, "v" * 30 + str(n))["device"] for n in range(3)}
    assert len(devices) == 3


def test_an_inactive_device_is_replaced_by_a_new_one() -> None:
    first = provision("demo", "van-1")
    Device.objects.update(active=False)
    second = provision("demo", "van-1")
    assert first["device"] != second["device"] and counts() == (1, 1, 2, 2)


def test_without_json_it_is_for_people() -> None:
    out = StringIO()
    call_command("provision", "demo", "van-1", stdout=out)
    assert "van-1" in out.getvalue() and "token" in out.getvalue()
