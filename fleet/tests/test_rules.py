"""Alert rules as managers make them: over the API and on the pages, with every mistake named by its field."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.alerting.ruletext import duration_text, filled
from fleet.models import Alert, AlertRule, AuditEntry, Episode, Role, SensorType, Severity
from tests.deliveries import deliver, derive_all, drain_all
from tests.rules import at, make_rule
from tests.world import Car, make_car, make_person

RULES = "/api/v1/fleet/north/alert-rules"
COOLANT: dict[str, Any] = {
    "name": "Coolant hot", "kind": "threshold", "field": "coolant_temperature", "direction": "above", "limit": 105,
    "clear": 100, "min_duration_s": 60, "severity": "critical",
}  # fmt: skip
FORM = {
    "name": "Fast",
    "kind": "overspeed",
    "limit": "60",
    "severity": "1",
    "all_vehicles": "on",
    "enabled": "on",
}


@pytest.fixture
def car(db: None) -> Car:
    return make_car("north", "van")


@pytest.fixture
def manager(car: Car, client: Client) -> Client:
    person = make_person("boss@example.com", "north", Role.MANAGER)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def post(client: Client, **changes: Any) -> Any:
    return client.post(RULES, COOLANT | changes, content_type="application/json")


class TestApi:
    def test_made_read_changed_deleted(self, manager: Client, car: Car) -> None:
        SensorType.objects.create(
            fleet=car.vehicle.fleet, type="coolant_temperature", label="Water", unit="K"
        )
        made = post(manager)
        assert made.status_code == 201, made.content
        told = made.json()
        assert told["summary"] == "Water above 105.0 K (until 100.0 K) for 1 min"
        assert (told["severity"], told["auto_resolve"], told["vehicles"], told["version"]) == (
            "CRITICAL", True, None, 1,
        )  # fmt: skip
        address = f"{RULES}/{told['id']}"
        assert manager.get(address).json() == told
        assert manager.get(RULES).json()["results"] == [told]
        limited = manager.put(
            address, COOLANT | {"limit": 110, "vehicles": ["van"]}, content_type="application/json"
        ).json()
        assert (limited["limit"], limited["vehicles"], limited["version"]) == (110, ["van"], 2)
        assert limited["since"] > told["since"]
        entry = AuditEntry.objects.get(action="rule.changed")
        assert entry.before == {"limit": 105.0, "vehicles": [], "all_vehicles": True, "version": 1}
        assert manager.delete(address).status_code == 204
        assert not AlertRule.objects.exists()
        assert AuditEntry.objects.filter(action="rule.deleted").exists()

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"name": ""}, "name"),
            ({"kind": "moon"}, "kind"),
            ({"kind": "geofence", "crossing": "enter"}, "geofence_id"),
            ({"kind": "geofence", "crossing": "enter", "geofence_id": 2**40}, "geofence_id"),
            ({"field": " "}, "field"),
            ({"direction": ""}, "direction"),
            ({"limit": None}, "limit"),
            ({"limit": "hot"}, "limit"),
            ({"clear": 106}, "clear"),
            ({"direction": "below", "clear": 99}, "clear"),
            ({"min_duration_s": -1}, "min_duration_s"),
            ({"message": "{value} of {secret}"}, "message"),
            ({"severity": "loud"}, "severity"),
            ({"vehicles": ["van", "nobody"]}, "vehicles[1]"),
            ({"kind": "silence"}, "silent_after_s"),
            ({"kind": "silence", "silent_after_s": 3}, "silent_after_s"),
            ({"kind": "low_charge", "limit": 120, "clear": None}, "limit"),
            ({"kind": "overspeed", "limit": 0, "clear": None}, "limit"),
            ({"kind": "fault", "codes": ["x" * 41]}, "codes[0]"),
            ({"replay_days": 365}, "replay_days"),
        ],
    )
    def test_a_mistake_is_named(self, manager: Client, changes: dict[str, Any], field: str) -> None:
        answer = post(manager, **changes)
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert not AlertRule.objects.exists()

    def test_a_name_once_in_a_fleet(self, manager: Client) -> None:
        assert post(manager).status_code == 201
        assert post(manager).json()["errors"][0]["field"] == "name"

    def test_episodes_are_paged(self, manager: Client, car: Car) -> None:
        rule = make_rule(car)
        now = timezone.now()
        Episode.objects.bulk_create(
            Episode(
                rule=rule, vehicle=car.vehicle, started_at=now - timedelta(hours=n), last_at=now, peak=n,
                severity=1, rule_version=1, confirmed=n != 3,
            )
            for n in range(6)
        )  # fmt: skip
        page = manager.get(f"{RULES}/{rule.pk}/episodes?limit=3&vehicle=van").json()
        rest = manager.get(page["next"]).json()
        assert [row["peak"] for row in [*page["results"], *rest["results"]]] == [0, 1, 2, 4, 5]
        assert rest["next"] is None
        assert manager.get(f"{RULES}/{rule.pk}/episodes?vehicle=other").json()["results"] == []

    def test_what_the_list_costs(self, manager: Client, car: Car, django_assert_max_num_queries: Any) -> None:
        for n in range(20):
            make_rule(car, name=f"rule {n}")
        with django_assert_max_num_queries(8):
            assert len(manager.get(RULES).json()["results"]) == 20
        with django_assert_max_num_queries(11):
            assert b"rule 19" in manager.get("/fleets/north/rules").content

    def test_another_fleets_rule_does_not_exist(self, manager: Client, car: Car) -> None:
        other = make_rule(make_car("south"))
        assert manager.get(f"{RULES}/{other.pk}").status_code == 404
        assert manager.get(f"/api/v1/fleet/south/alert-rules/{other.pk}").status_code == 404


class TestPages:
    def test_made_switched_off_and_deleted(self, manager: Client) -> None:
        assert "No rules yet" in manager.get("/fleets/north/rules").content.decode()
        answer = manager.post("/fleets/north/rules/new", FORM, follow=True)
        text = answer.content.decode()
        assert "Fast watches from now on." in text and "Speed above 60 km/h" in text
        rule = AlertRule.objects.get()
        assert (rule.limit, rule.field, rule.auto_resolve, rule.severity) == (
            60,
            "speed",
            False,
            Severity.WARNING,
        )
        manager.post(f"/fleets/north/rules/{rule.pk}/switch")
        rule.refresh_from_db()
        assert not rule.enabled
        changed = FORM | {"limit": "70", "clear": "80"}
        refused = manager.post(f"/fleets/north/rules/{rule.pk}", changed)
        assert refused.status_code == 400 and "Must not be above the limit" in refused.content.decode()
        manager.post(f"/fleets/north/rules/{rule.pk}", changed | {"clear": "65"})
        rule.refresh_from_db()
        assert (rule.limit, rule.clear, rule.enabled, rule.version) == (70, 65, True, 3)
        assert (
            "Its alerts stay"
            in manager.post(f"/fleets/north/rules/{rule.pk}/delete", follow=True).content.decode()
        )
        assert not AlertRule.objects.exists()

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"kind": "silence"}, "after how long"),
            ({"all_vehicles": ""}, "Choose vehicles"),
            ({"kind": "threshold"}, "Name a signal"),
            ({"message": "{wrong}"}, "There is no {wrong}"),
            ({"name": ""}, "required"),
        ],
    )
    def test_a_mistake_stands_beside_its_field(
        self, manager: Client, changes: dict[str, str], text: str
    ) -> None:
        answer = manager.post("/fleets/north/rules/new", FORM | changes)
        assert answer.status_code == 400 and text in answer.content.decode()
        assert not AlertRule.objects.exists()

    def test_silence_in_minutes_and_codes_as_words(self, manager: Client) -> None:
        silence = FORM | {"kind": "silence", "silent_after_min": "7.5", "ignore_parked": "on"}
        manager.post("/fleets/north/rules/new", silence)
        rule = AlertRule.objects.get()
        assert (rule.silent_after_s, rule.ignore_parked, rule.limit) == (450, True, None)
        assert 'value="7.5"' in manager.get(f"/fleets/north/rules/{rule.pk}").content.decode()
        fault = FORM | {"name": "DTC", "kind": "fault", "field": "dtc", "codes": "P0301, P0420"}
        manager.post("/fleets/north/rules/new", fault)
        assert AlertRule.objects.get(name="DTC").codes == ["P0301", "P0420"]

    def test_filters_and_export(self, manager: Client, car: Car) -> None:
        make_rule(car, name="=fast")
        make_rule(car, "low_charge", name="low", limit=20)
        text = manager.get("/fleets/north/rules?kind=low_charge&q=LOW&sort=newest").content.decode()
        assert "State of charge below 20.0 %" in text and "=fast" not in text
        assert "No rule matches" in manager.get("/fleets/north/rules?q=nothing").content.decode()
        answer = manager.get("/fleets/north/rules?export=csv&sort=severity")
        rows = list(csv.reader(io.StringIO(answer.content.decode())))
        assert [row[0] for row in rows] == ["name", "'=fast", "low"]

    def test_a_viewer_reads(self, car: Car, client: Client) -> None:
        make_rule(car, name="fast one")
        viewer = make_person("v@example.com", "north")
        client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
        text = client.get("/fleets/north/rules").content.decode()
        assert "fast one" in text and "New rule" not in text and "<button" not in text.split('id="rules"')[1]
        assert "/fleets/north/rules" in client.get("/alerts").content.decode()


class TestTrial:
    def test_it_says_what_would_have_been_and_saves_nothing(self, manager: Client, car: Car) -> None:
        from tests.drives import START

        ago = timezone.now().timestamp() - 3600 - START
        deliver(car, [at(ago + n, speed=speed) for n, speed in enumerate([50, 70, 50, 80, 50])])
        drain_all()
        answer = manager.post("/fleets/north/rules/try", FORM)
        text = answer.content.decode()
        assert "<strong>1 alert</strong> with 2 episodes" in text and "van: 2" in text
        part = manager.post("/fleets/north/rules/try", FORM | {"limit": "90"}, headers={"HX-Request": "true"})
        assert "it would have been quiet" in part.content.decode() and b"<html" not in part.content
        silence = FORM | {"kind": "silence", "silent_after_min": "1"}
        assert (
            "<strong>0 alerts</strong>" in manager.post("/fleets/north/rules/try", silence).content.decode()
        )
        assert "required" in manager.post("/fleets/north/rules/try", FORM | {"name": ""}).content.decode()
        assert not AlertRule.objects.exists() and not Episode.objects.exists() and not Alert.objects.exists()


def test_texts() -> None:
    assert filled("{value} {unit} of {vehicle.__class__} {0}", {"value": "1", "unit": "%"}) == (
        "1 % of {vehicle.__class__} {0}"
    )
    assert [duration_text(n) for n in (45, 90, 60, 5400, 7200, 86_400, 172_800)] == [
        "45 s", "90 s", "1 min", "90 min", "2 h", "1 day", "2 days",
    ]  # fmt: skip


def test_messages_are_in_the_fleets_words(car: Car) -> None:
    SensorType.objects.create(
        fleet=car.vehicle.fleet, type="fruiting.temp", label="Fruiting room", unit="°C", decimals=1
    )
    told = {"field": "fruiting.temp", "direction": "above", "limit": 30.0}
    make_rule(car, "threshold", name="a", **told)
    make_rule(car, "threshold", name="b", message="{vehicle} is at {value} {unit}!", **told)
    deliver(car, [at(0, **{"fruiting.temp": 31.26})])
    drain_all()
    derive_all()
    assert list(Alert.objects.order_by("type").values_list("message", flat=True)) == [
        "Fruiting room 31.3 °C, above 30.0 °C", "van is at 31.3 °C!",
    ]  # fmt: skip
