"""The sensor catalogue: edited in the browser and over the API by managers, on record, used for gauges."""

from typing import Any

import pytest
from django.test import Client

from fleet.models import AuditEntry, Fleet, Membership, Role, SensorType, User, Vehicle
from fleet.tests.conftest import People, report

PAGE = "/fleets/north/sensors"
API = "/api/v1/fleet/north/sensor-catalogue"
TEMP = {"type": "fruiting.temp", "label": "Fruiting room", "unit": "°C", "low": 10, "high": 30, "decimals": 1}


@pytest.fixture
def manager(client: Client, people: People, fleet: Fleet) -> Client:
    user = User.objects.create_user("manager@example.com", "secret")
    Membership.objects.create(fleet=fleet, user=user, role=Role.MANAGER)
    client.force_login(user)
    return client


def put(client: Client, *entries: dict[str, Any]) -> Any:
    return client.put(API, {"sensors": list(entries)}, content_type="application/json")


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_over_the_api(manager: Client) -> None:
    assert manager.get(API).json() == {"sensors": []}
    answer = put(manager, TEMP, {"type": "speed", "unit": "mph"})
    assert answer.status_code == 200
    usual = {"label": "", "low": None, "high": None, "decimals": None}
    assert answer.json() == {"sensors": [TEMP, {**usual, "type": "speed", "unit": "mph"}]}
    put(manager, {**TEMP, "high": 28})
    assert [row.type for row in SensorType.objects.all()] == ["fruiting.temp"]
    assert actions() == ["sensor.described", "sensor.described", "sensor.forgotten", "sensor.described"]
    last = AuditEntry.objects.order_by("id").last()
    assert last is not None
    assert (last.before, last.after) == ({"high": 30}, {"high": 28})
    put(manager, {**TEMP, "high": 28})
    assert len(actions()) == 4, "what changes nothing is no act"


@pytest.mark.parametrize(
    ("entries", "field"),
    [
        ([{"label": "x"}], "sensors[0].type"),
        ([TEMP, {**TEMP, "type": "b", "low": None}], "sensors[1].high"),
        ([{**TEMP, "low": 50}], "sensors[0].high"),
        ([{**TEMP, "decimals": 9}], "sensors[0].decimals"),
        ([TEMP, TEMP], "sensors"),
        ([{"type": f"t{n}"} for n in range(501)], "sensors"),
        ([5], "sensors"),
    ],
)
def test_nonsense_changes_nothing(manager: Client, entries: list[Any], field: str) -> None:
    answer = put(manager, *entries)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith(field)
    assert not SensorType.objects.exists()


def test_in_the_browser(manager: Client, fleet: Fleet) -> None:
    van = Vehicle.objects.create(fleet=fleet, slug="van", name="Van")
    state = report(van, speed=3.0)
    state.further = {"fruiting.temp": [24.5, state.time.timestamp()]}
    state.save()
    text = manager.get(PAGE).content.decode()
    assert "<code>fruiting.temp</code>" in text
    assert "<code>speed</code>" in text
    assert manager.post(PAGE, TEMP).status_code == 302
    text = manager.get(PAGE).content.decode()
    assert "fruiting.temp saved." in text
    assert 'value="Fruiting room"' in text
    page = manager.get(van.get_absolute_url()).content.decode()
    assert "<h3>Fruiting room</h3>" in page
    assert "24.5</span> <small>°C</small>" in page
    assert manager.post(PAGE, {"type": "fruiting.temp", "forget": "1"}).status_code == 302
    assert not SensorType.objects.exists()
    assert actions() == ["sensor.described", "sensor.forgotten"]


def test_a_refused_form_keeps_what_was_typed(manager: Client) -> None:
    answer = manager.post(PAGE, {**TEMP, "low": 40})
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "Must be above the lower end." in text
    assert 'value="Fruiting room"' in text
    assert not SensorType.objects.exists()


def test_viewers_read_and_outsiders_see_nothing(client: Client, people: People, fleet: Fleet) -> None:
    SensorType.objects.create(fleet=fleet, **TEMP)
    client.force_login(people.viewer)
    text = client.get(PAGE).content.decode()
    assert "Fruiting room" in text
    assert "<button>Save</button>" not in text
    assert client.post(PAGE, TEMP).status_code == 403
    client.force_login(people.outsider)
    assert {client.get(PAGE).status_code, client.get(API).status_code} == {404}


def test_what_the_page_costs(manager: Client, fleet: Fleet, django_assert_max_num_queries: Any) -> None:
    """Session, person, roles, fleet, catalogue, states, and the fleets in the head: whatever their number."""
    for n in range(30):
        SensorType.objects.create(fleet=fleet, type=f"type{n}")
        report(Vehicle.objects.create(fleet=fleet, slug=f"van-{n}", name="Van"), speed=1.0)
    with django_assert_max_num_queries(8):
        manager.get(PAGE)
