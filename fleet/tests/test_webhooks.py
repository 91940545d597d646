"""Webhooks over the API and in the browser: made, changed, tested, deleted; the secret told once; all on record."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.alerting.alerts import Report, raise_alert
from fleet.models import AuditEntry, EscalationStep, Role, Severity, Webhook, WebhookDelivery
from fleet.notifying import deliveries
from fleet.sealed import unseal
from tests.receivers import HttpReceiver, http_receiver
from tests.world import Car, make_car, make_person

API = "/api/v1/fleet/own/webhooks"
PAGE = "/fleets/own/notifications"


@pytest.fixture(autouse=True)
def _private_networks(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = True


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture
def car(db: None) -> Car:
    return make_car("own", "van")


@pytest.fixture
def manager(car: Car) -> Client:
    client = Client()
    person = make_person("m@example.com", "own", Role.MANAGER)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, body, content_type="application/json")


def opened(car: Car, kind: str = "hot") -> Any:
    return raise_alert(car.vehicle, Report(kind, Severity.CRITICAL, "hot", timezone.now())).alert


class TestApi:
    def test_the_whole_life(self, car: Car, manager: Client, receiver: HttpReceiver) -> None:
        made = post(manager, API, name="ours", url=receiver.url, severity="warning")
        assert made.status_code == 201, made.content
        told = made.json()
        assert (
            told["secret"].startswith("whsec_")
            and told["severity"] == "WARNING"
            and told["health"] == "unused"
        )
        own = f"{API}/{told['id']}"
        stored = Webhook.objects.get()
        assert told["secret"] not in stored.sealed_secret and unseal(stored.sealed_secret) == told["secret"]
        assert "secret" not in manager.get(own).json() and len(manager.get(API).json()["results"]) == 1
        changed = manager.patch(own, {"kinds": ["opened"]}, content_type="application/json")
        assert changed.json()["kinds"] == ["opened"] and changed.json()["name"] == "ours"

        assert post(manager, f"{own}/test").status_code == 202
        alert = opened(car)
        deliveries.send_due()
        rows = manager.get(f"{own}/deliveries").json()["results"]
        assert [row["event"] for row in rows] == ["opened", "test"] and rows[0]["alert_id"] == alert.pk
        assert rows[0]["state"] == "delivered" and rows[0]["status"] == 200
        assert rows[0]["log"][0]["answer"] == "ok"
        again = post(manager, f"{own}/deliveries/{rows[0]['id']}/resend")
        assert again.status_code == 202 and again.json()["state"] == "waiting"
        deliveries.send_due()
        assert receiver.ids.count(rows[0]["id"]) == 2
        assert len(manager.get(f"{own}/deliveries?state=dead").json()["results"]) == 0
        assert manager.get(f"{own}/deliveries?state=odd").status_code == 400

        renewed = post(manager, f"{own}/secret").json()["secret"]
        assert renewed != told["secret"]
        assert manager.delete(own).status_code == 204 and manager.get(own).status_code == 404
        acts = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
        assert acts == [
            "webhook.created", "webhook.changed", "webhook.tested", "webhook.resent", "webhook.secret_renewed",
            "webhook.deleted",
        ]  # fmt: skip
        record = str(list(AuditEntry.objects.values_list("before", "after")))
        assert "whsec_" not in record and stored.sealed_secret not in record

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"url": "nonsense"}, "url"),
            ({"url": "ftp://example.com/"}, "url"),
            ({"name": " "}, "name"),
            ({"kinds": []}, "kinds"),
            ({"kinds": ["burst"]}, "kinds[0]"),
            ({"severity": "LOUD"}, "severity"),
        ],
    )
    def test_nonsense(self, manager: Client, wrong: dict[str, Any], field: str) -> None:
        answer = post(manager, API, **({"name": "ours", "url": "https://example.com/"} | wrong))
        assert answer.status_code == 400 and answer.json()["errors"][0]["field"].startswith(field[:5])
        assert not Webhook.objects.exists()

    def test_no_private_networks_where_they_are_off(self, manager: Client, settings: Any) -> None:
        settings.WEBHOOK_PRIVATE_NETWORKS = False
        answer = post(manager, API, name="ours", url="https://192.168.1.1/")
        assert answer.status_code == 400 and "not a public address" in answer.json()["detail"]

    def test_a_disabled_one_is_not_tested(self, manager: Client) -> None:
        number = post(manager, API, name="ours", url="https://example.com/", enabled=False).json()["id"]
        assert post(manager, f"{API}/{number}/test").status_code == 409

    def test_what_a_log_costs(self, car: Car, manager: Client, django_assert_num_queries: Any) -> None:
        number = post(manager, API, name="ours", url="https://example.com/").json()["id"]
        for kind in range(12):
            opened(car, f"kind-{kind}")
        with django_assert_num_queries(6):  # session, person, roles, fleet, webhook, rows
            assert len(manager.get(f"{API}/{number}/deliveries").json()["results"]) == 12
        with django_assert_num_queries(5):
            manager.get(API)


class TestPages:
    def made(self, manager: Client, url: str = "https://example.com/") -> Webhook:
        page = manager.post(
            PAGE, {"act": "add-webhook", "name": "ours", "url": url, "severity": "0", "kinds": ["opened"]}
        )
        hook = Webhook.objects.get()
        # The page that shows the secret has another address than the webhook's: its forms must name theirs.
        assert page.content.count(f'action="/fleets/own/webhooks/{hook.pk}"'.encode()) == 6
        assert unseal(hook.sealed_secret).encode() in page.content.replace(b"&#x3D;", b"=")
        return hook

    def test_from_nothing_to_a_log(self, car: Car, manager: Client, receiver: HttpReceiver) -> None:
        assert b"No webhook yet" in manager.get(PAGE).content
        hook = self.made(manager, receiver.url)
        own = f"/fleets/own/webhooks/{hook.pk}"
        assert b"whsec_" not in manager.get(own).content
        assert b"on its way" in manager.post(own, {"act": "test"}, follow=True).content
        opened(car, "<i>hot</i>")
        deliveries.send_due()
        page = manager.get(own).content.decode()
        assert "&lt;i&gt;hot" in page and "1 attempt" in page and "✓" not in page and "Send again" in page
        row = WebhookDelivery.objects.filter(kind="opened").get()
        manager.post(own, {"act": "resend", "delivery": row.pk})
        deliveries.send_due()
        assert receiver.ids.count(str(row.public_id)) == 2
        part = manager.get(own, headers={"HX-Request": "true"}).content.decode()
        assert "2 attempts" in part and "<html" not in part
        assert b"whsec_" in manager.post(own, {"act": "secret"}).content
        for act in ("disable", "enable"):
            manager.post(own, {"act": act})
            hook.refresh_from_db()
            assert hook.enabled == (act == "enable")
        manager.post(own, {"act": "delete"})
        assert not Webhook.objects.exists()

    def test_refusals_name_their_field(self, manager: Client) -> None:
        page = manager.post(
            PAGE, {"act": "add-webhook", "name": "x", "url": "gopher://x", "severity": "0", "kinds": "opened"}
        )
        assert page.status_code == 400 and b"Write the whole address" in page.content
        hook = self.made(manager)
        page = manager.post(
            f"/fleets/own/webhooks/{hook.pk}", {"act": "save", "name": "", "url": "https://x.example/"}
        )
        assert page.status_code == 400 and b"This field is required" in page.content
        page = manager.post(f"/fleets/own/webhooks/{hook.pk}", {"act": "resend", "delivery": "77"})
        assert page.status_code == 404

    def test_steps(self, manager: Client) -> None:
        form = {
            "act": "add-step",
            "severity": "2",
            "after_minutes": "15",
            "role": "",
            "people": "m@example.com",
        }
        page = manager.post(PAGE, form, follow=True).content.decode()
        assert "15 min" in page and "m@example.com" in page and "Step added" in page
        wrong = manager.post(PAGE, form | {"after_minutes": "0"})
        assert wrong.status_code == 400
        del form["people"]
        assert b"Name a role" in manager.post(PAGE, form).content
        number = EscalationStep.objects.get().pk
        assert (
            b"Step removed" in manager.post(PAGE, {"act": "remove-step", "step": number}, follow=True).content
        )

    def test_what_the_pages_cost(self, car: Car, manager: Client, django_assert_num_queries: Any) -> None:
        hook = self.made(manager)
        for kind in range(12):
            opened(car, f"kind-{kind}")
        # session, person, roles, fleet, its people, webhooks, steps, fleets for the head
        with django_assert_num_queries(8):
            manager.get(PAGE)
        # session, person, roles, fleet, webhook, count, rows, fleets for the head
        with django_assert_num_queries(8):
            manager.get(f"/fleets/own/webhooks/{hook.pk}")
