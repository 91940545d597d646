"""The commands panel and pages: what each role is shown, forms with and without scripts, queries."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from devices import commands
from devices.commands import Order
from devices.models import Command, State
from fleet.audit import Actor
from fleet.models import Role
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db
URL = "/vehicles/acme/van/commands"
HX = {"HX-Request": "true", "HX-Target": "commands"}


@pytest.fixture
def car(db: None) -> Car:
    return make_car("acme", "van")


def login(email: str, role: str) -> Client:
    client = Client()
    user = make_person(email, "acme", role)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def manager(car: Car) -> Client:
    return login("ann@example.com", Role.MANAGER)


def text(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    return str(response.content.decode())


def send(car: Car, action: str = "honk") -> Command:
    return commands.send(Actor("somebody"), car.device, Order(action))


def test_a_manager_sends_with_and_without_scripts(car: Car, manager: Client) -> None:
    body = {"action": "start_heating", "p-target_temp": "22.5", "ttl_s": "900"}
    answer = manager.post(URL, body)
    assert answer.status_code == 302 and answer["Location"] == URL
    page = text(manager.get(URL))
    assert "Start heating: queued." in page and "22.5" in page
    assert "Start heating" in text(manager.post(URL, body, headers=HX))
    sent = Command.objects.latest("id")
    assert sent.parameters == {"target_temp": 22.5} and (sent.expires_at - sent.created_at).seconds == 900


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"action": "start_heating", "p-target_temp": "99"}, "Must be between 10 and 30 °C."),
        ({"action": "start_heating", "p-target_temp": ""}, "Is needed."),
        ({"action": "start_heating", "p-target_temp": "warm"}, "Must be a number."),
        ({"action": "start_heating", "p-target_temp": "nan"}, "Must be a number."),
        ({"action": "custom", "own_action": "Set Fan"}, "Must begin with a lower-case letter"),
        ({"action": "custom", "own_action": "set_fan", "own_parameters": "[1"}, "Must be an object."),
        ({"action": "custom", "own_action": "immobilize"}, "Send `immobilise`"),
    ],
)
def test_nonsense_stands_beside_its_field(manager: Client, body: dict[str, str], reason: str) -> None:
    for headers in ({}, HX):
        page = text(manager.post(URL, body, headers=headers))
        assert reason in page.replace("&#x27;", "'")
    assert not Command.objects.exists()


def test_what_is_filled_in_is_escaped(manager: Client) -> None:
    page = text(
        manager.post(URL, {"action": "custom", "own_action": "<script>x", "own_parameters": "</textarea>"})
    )
    assert "<script>x" not in page and "</textarea></textarea>" not in page
    manager.post(URL, {"action": "custom", "own_action": "say", "own_parameters": '{"<b>": "<i>"}'})
    assert "<i>" not in text(manager.get(URL))


def test_choosing_a_kind_brings_its_form_only(manager: Client) -> None:
    part = text(manager.get(f"{URL}?action=set_interval", headers=HX | {"HX-Target": "command-form"}))
    assert 'name="p-seconds"' in part and 'max="86400"' in part and "command-list" not in part
    assert "approve it in time" in text(manager.get(f"{URL}?action=unlock"))
    assert 'name="p-target_temp"' in text(manager.get(f"{URL}?action=nonsense"))


def test_a_viewer_reads_and_a_driver_does_not(car: Car) -> None:
    send(car)
    viewer, driver = login("v@example.com", Role.VIEWER), login("d@example.com", Role.DRIVER)
    page = text(viewer.get(URL))
    assert (
        "Honk" in page
        and "<button>Cancel" not in page
        and 'name="do"' not in page
        and "command-form" not in page
    )
    assert viewer.post(URL, {"action": "honk"}).status_code == 403
    assert [driver.get(path).status_code for path in (URL, f"{URL}/newest")] == [403, 403]
    assert "No commands yet" in text(driver.get("/commands"))
    assert Command.objects.count() == 1


def test_buttons_are_there_for_who_may_press_them(car: Car, manager: Client) -> None:
    manager.post(URL, {"action": "unlock"})
    sent = Command.objects.get()
    owner = login("o@example.com", Role.OWNER)
    assert "Approve" not in text(manager.get(URL, {"action": "honk"})).replace("approve it", "")
    assert f'id="approve-{sent.pk}"' in text(owner.get(URL))
    refused = manager.post(f"{URL}/{sent.public_id}", {"do": "approve"}, headers=HX)
    assert "Somebody else has to approve" in text(refused)
    told = manager.post(f"{URL}/{sent.public_id}", {"do": "approve"}, follow=True)
    assert "Somebody else has to approve" in text(told)
    assert "Queued" in text(owner.post(f"{URL}/{sent.public_id}", {"do": "approve"}, headers=HX))
    assert "Cancelled" in text(manager.post(f"{URL}/{sent.public_id}", {"do": "cancel"}, headers=HX))
    assert Command.objects.get().state == State.CANCELLED


def test_without_a_device_it_says_so(car: Car, manager: Client) -> None:
    car.vehicle.devices.update(active=False)
    assert "no active device" in text(manager.post(URL, {"action": "honk"}))


def test_the_list_is_of_own_fleets_filtered_and_paged(
    car: Car, manager: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from devices.pages import commandlist as pages

    monkeypatch.setattr(pages, "ROWS", 3)
    bus = make_car("other", "bus")
    for action in ("honk", "locate", "lock", "honk"):
        send(car, action)
        send(bus, action)
    first = text(manager.get("/commands"))
    assert first.count('class="order"') == 3 and "/vehicles/other/" not in first
    older = first.split('href="?')[1].split('"')[0].replace("&amp;", "&")
    assert text(manager.get(f"/commands?{older}")).count('class="order"') == 1
    assert text(manager.get("/commands?action=honk")).count('class="order"') == 2
    assert "No command matches" in text(manager.get("/commands?state=failed"))
    assert text(manager.get("/commands?state=nonsense&before=x")).count('class="order"') == 3


def test_what_a_page_costs(
    car: Car, manager: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(8):
        send(car)
    with django_assert_num_queries(5):  # session, person, roles, vehicle, commands
        manager.get(f"{URL}/newest", headers=HX)
    with django_assert_num_queries(5):  # session, person, roles, commands, fleets for the head
        manager.get("/commands")
