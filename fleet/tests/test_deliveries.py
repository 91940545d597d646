"""Webhooks to a real receiver: signed, again after a failure, dead after a day, each by one worker at a time."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.alerting.alerts import Report, act, raise_alert
from fleet.audit import SYSTEM
from fleet.models import DeliveryState, Fleet, Happening, Severity, Webhook, WebhookDelivery
from fleet.notifying import deliveries, outbound, webhooks
from fleet.notifying.webhooks import WebhookError
from tests.receivers import HttpReceiver, http_receiver
from tests.world import Car, make_car


@pytest.fixture(autouse=True)
def _private_networks(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = True
    settings.SITE_URL = "https://fleet.example"


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture
def car(db: None) -> Car:
    return make_car("own", "van")


def hooked(url: str, **fields: Any) -> tuple[Webhook, str]:
    fleet = Fleet.objects.get(slug="own")
    return webhooks.create(SYSTEM, fleet, Webhook(name="ours", url=url, **fields))


def opened(car: Car, kind: str = "hot", severity: Severity = Severity.CRITICAL) -> Any:
    return raise_alert(car.vehicle, Report(kind, severity, "too hot", timezone.now())).alert


def only() -> WebhookDelivery:
    return WebhookDelivery.objects.get()


def verified(secret: str, heard: Any) -> bool:
    """As docs/webhooks.md tells a receiver to."""
    signed = f"{heard.headers['webhook-id']}.{heard.headers['webhook-timestamp']}.".encode() + heard.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, one) for one in heard.headers["webhook-signature"].split())


class TestOne:
    def test_what_a_receiver_gets(self, car: Car, receiver: HttpReceiver) -> None:
        hook, secret = hooked(receiver.url + "?a=1")
        alert = opened(car)
        assert deliveries.send_due() == 1
        (heard,) = receiver.heard
        body = json.loads(heard.body)
        assert body["type"] == "alert.opened" and body["data"]["id"] == alert.pk
        assert body["data"]["severity"] == "CRITICAL" and body["data"]["vehicle_id"] == "van"
        assert body["data"]["url"] == f"https://fleet.example/alerts/{alert.pk}"
        assert heard.headers["webhook-id"] == str(only().public_id)
        assert abs(int(heard.headers["webhook-timestamp"]) - time.time()) < 10
        assert verified(secret, heard) and not verified(webhooks.new_secret(), heard)
        row = only()
        assert row.state == DeliveryState.DELIVERED and row.status == 200 and row.last["answer"] == "ok"
        hook.refresh_from_db()
        assert hook.health_at(timezone.now()) == "working" and deliveries.send_due() == 0

    def test_only_what_it_wants(self, car: Car, receiver: HttpReceiver) -> None:
        hooked(receiver.url, severity=Severity.CRITICAL, kinds=[Happening.RESOLVED])
        act(opened(car), SYSTEM, "resolve", timezone.now())
        act(opened(car, "warm", Severity.WARNING), SYSTEM, "resolve", timezone.now())
        assert deliveries.send_due() == 1
        assert json.loads(receiver.heard[0].body)["type"] == "alert.resolved"

    def test_a_replaced_secret_still_signs_for_a_day(self, car: Car, receiver: HttpReceiver) -> None:
        hook, old = hooked(receiver.url)
        new = webhooks.renew_secret(SYSTEM, hook)
        opened(car)
        deliveries.send_due()
        assert verified(old, receiver.heard[0]) and verified(new, receiver.heard[0])
        with time_machine.travel(timezone.now() + timedelta(hours=25)):
            opened(car, "cold")
            deliveries.send_due()
        assert not verified(old, receiver.heard[1]) and verified(new, receiver.heard[1])

    def test_a_secret_of_another_server_key_is_said_so(
        self, car: Car, receiver: HttpReceiver, settings: Any
    ) -> None:
        hooked(receiver.url)
        opened(car)
        settings.SECRET_KEY = "another " * 9
        deliveries.send_due()
        assert "Make a new one" in only().last["error"] and not receiver.heard


class TestRetries:
    @given(attempts=st.integers(1, 200), chance=st.floats(0, 1), asked=st.none() | st.floats(0, 1e5))
    @settings(max_examples=60, deadline=None)
    def test_the_schedule(self, attempts: int, chance: float, asked: float | None) -> None:
        wait = deliveries.retry_after_s(attempts, asked, chance)
        whole = min(3600.0, 5.0 * 2 ** min(attempts - 1, 20))
        assert wait == asked if asked and asked > whole else whole / 2 <= wait <= max(whole, asked or 0)

    def test_a_day_of_them(self) -> None:
        waits = [deliveries.retry_after_s(attempt, None, 0.5) for attempt in range(1, 60)]
        in_a_day = next(n for n in range(60) if sum(waits[:n]) > 24 * 3600)
        assert 25 < in_a_day < 50

    def test_dead_after_a_day_and_the_same_message_each_time(self, car: Car, receiver: HttpReceiver) -> None:
        hook, _ = hooked(receiver.url)
        receiver.answers = [(500, {"Retry-After": "14400"}, b"broken\x00")]
        begin = timezone.now()
        with time_machine.travel(begin, tick=False) as clock:
            opened(car)
            while (row := only()).due_at is not None:
                clock.move_to(max(row.due_at, timezone.now()))
                deliveries.send_due()
            row = only()
            assert row.state == DeliveryState.DEAD and row.ended_at == begin + timedelta(hours=24)
            hook.refresh_from_db()
            assert hook.health_at(timezone.now()) == "failing"
        assert row.attempts == len(receiver.heard) == 7 and row.last["answer"] == "broken"
        assert set(receiver.ids) == {str(row.public_id)} and len({one.body for one in receiver.heard}) == 1
        gaps = [entry["at"] for entry in row.log]
        assert gaps == sorted(gaps)

    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_it_waits_as_long_as_it_is_asked_to(self, car: Car, receiver: HttpReceiver, form: str) -> None:
        now = datetime(2026, 5, 1, tzinfo=UTC)
        when = "900" if form == "seconds" else format_datetime(now + timedelta(seconds=900), usegmt=True)
        receiver.answers = [(429, {"Retry-After": when}, b""), (204, {"Content-Length": "0"}, b"")]
        hooked(receiver.url)
        with time_machine.travel(now, tick=False) as clock:
            opened(car)
            deliveries.send_due()
            assert only().due_at == now + timedelta(seconds=900)
            clock.shift(900)
            deliveries.send_due()
        assert only().state == DeliveryState.DELIVERED and only().attempts == 2

    def test_what_comes_while_it_fails_waits_with_it_and_goes_when_it_is_back(
        self, car: Car, receiver: HttpReceiver
    ) -> None:
        hook, _ = hooked(receiver.url)
        receiver.answers = [(503, {"Retry-After": "600"}, b""), (200, {}, b"")]
        with time_machine.travel(datetime(2026, 5, 1, tzinfo=UTC), tick=False) as clock:
            opened(car)
            deliveries.send_due()
            opened(car, "cold")
            assert deliveries.send_due() == 0 and len(receiver.heard) == 1
            clock.shift(600)
            assert deliveries.send_due() == 2
        hook.refresh_from_db()
        assert hook.failing_since is None and hook.retry_at is None

    def test_gone_disables_it(self, car: Car, receiver: HttpReceiver) -> None:
        hook, _ = hooked(receiver.url)
        receiver.answers = [(410, {}, b"")]
        opened(car)
        deliveries.send_due()
        hook.refresh_from_db()
        assert only().state == DeliveryState.DEAD and not hook.enabled

    def test_a_redirect_is_not_followed(self, car: Car, receiver: HttpReceiver) -> None:
        hooked(receiver.url)
        receiver.answers = [(302, {"Location": receiver.url}, b"")]
        opened(car)
        deliveries.send_due()
        assert len(receiver.heard) == 1 and only().last["status"] == 302 and only().state == "waiting"


class TestByHand:
    def test_a_test_is_tried_once(self, car: Car, receiver: HttpReceiver) -> None:
        hook, secret = hooked(receiver.url, kinds=[Happening.RESOLVED])
        receiver.answers = [(500, {}, b"")]
        webhooks.test(SYSTEM, hook)
        deliveries.send_due()
        assert json.loads(receiver.heard[0].body)["type"] == "test" and verified(secret, receiver.heard[0])
        assert only().state == DeliveryState.DEAD

    def test_again_with_the_same_id(self, car: Car, receiver: HttpReceiver) -> None:
        hooked(receiver.url)
        opened(car)
        deliveries.send_due()
        webhooks.resend(SYSTEM, only())
        deliveries.send_due()
        assert len(receiver.ids) == 2 and len(set(receiver.ids)) == 1 and only().attempts == 2

    def test_not_while_a_worker_has_it(self, car: Car, receiver: HttpReceiver) -> None:
        hooked(receiver.url)
        opened(car)
        deliveries.claim(timezone.now(), 8, [])
        with pytest.raises(WebhookError, match="being sent"):
            webhooks.resend(SYSTEM, only())

    def test_nothing_goes_to_a_disabled_one(self, car: Car, receiver: HttpReceiver) -> None:
        hook, _ = hooked(receiver.url)
        opened(car)
        webhooks.change(SYSTEM, hook, {"enabled": False})
        opened(car, "cold")
        assert deliveries.send_due() == 0 and only().state == DeliveryState.DEAD
        with pytest.raises(WebhookError):
            webhooks.test(SYSTEM, hook)


class TestLeases:
    def test_a_worker_that_dies_before_the_mark(self, car: Car, receiver: HttpReceiver) -> None:
        hooked(receiver.url)
        opened(car)
        now = timezone.now()
        assert len(deliveries.claim(now, 8, [])) == 1 and deliveries.claim(now, 8, []) == []
        with time_machine.travel(now + deliveries.LEASE + timedelta(seconds=1)):
            assert deliveries.send_due() == 1
        assert only().attempts == 1 and len(only().log) == 1

    def test_a_worker_that_dies_after_it(self, car: Car, receiver: HttpReceiver) -> None:
        hooked(receiver.url)
        opened(car)
        now = timezone.now()
        deliveries.hand_over(deliveries.claim(now, 8, []))
        assert deliveries.send_due() == 0 and only().state == DeliveryState.SENDING
        with time_machine.travel(now + 2 * deliveries.LEASE):
            assert deliveries.send_due() == 1
        row = only()
        assert row.attempts == 2 and "ended before it knew" in row.log[0]["error"] and row.status == 200

    def test_whose_lease_is_over_neither_sends_nor_writes(self, car: Car, receiver: HttpReceiver) -> None:
        hooked(receiver.url)
        opened(car)
        now = timezone.now()
        slow = deliveries.claim(now, 8, [])
        with time_machine.travel(now + 2 * deliveries.LEASE):
            assert deliveries.hand_over(slow) == []
            deliveries.send_due()
            deliveries.settle(slow[0], outbound.Answer(500, 1), timezone.now())
        assert only().state == DeliveryState.DELIVERED

    def test_a_dead_receiver_does_not_hold_up_the_others(
        self, car: Car, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "TOTAL_S", 1.5)
        with http_receiver() as dead:
            dead.stalled.set()
            hooked(dead.url)
            hooked(receiver.url)
            for number in range(8):
                opened(car, f"kind-{number}")
            began = time.time()
            deliveries.send_due()
            assert len(receiver.heard) == 8 and receiver.heard[-1].at - began < 1.5
            assert len(dead.heard) == 3
        failed = WebhookDelivery.objects.filter(state=DeliveryState.WAITING)
        errors = {row.last["error"] for row in failed if row.log}
        assert errors and errors <= {"no answer in time", "no whole answer within 1.5 s"}

    @pytest.mark.postgres
    def test_many_workers_send_each_once(self, transactional_db: None, receiver: HttpReceiver) -> None:
        cars = [make_car("own", f"van-{n}") for n in range(3)]
        for _ in range(3):
            hooked(receiver.url)
        start = threading.Barrier(6)

        def work() -> None:
            start.wait()
            for _ in range(3):
                deliveries.send_due(4)
            connections.close_all()

        def report() -> None:
            start.wait()
            for number in range(5):
                for car in cars:
                    opened(car, f"kind-{number}")
            connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(5)] + [threading.Thread(target=report)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        deliveries.send_due()
        times = Counter(receiver.ids)
        assert len(times) == 3 * 3 * 5 and set(times.values()) == {1}
        assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"delivered"}


class TestOutbound:
    @pytest.mark.parametrize(
        "url",
        [
            "http://example.com/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "https://169.254.1.1/",
            "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://0.0.0.0/",
            "https://localhost/", "https://db.internal/", "https://100.64.0.1/", "https://224.0.0.1/",
            "https://[fe80::1]/", "https://user:pw@example.com/", "ftp://example.com", "https://", "nonsense",
            "https://exa mple.com/", "https://example.com:99999/", "https://bücher.example/",
        ],
    )  # fmt: skip
    def test_what_is_refused(self, url: str, settings: Any) -> None:
        settings.WEBHOOK_PRIVATE_NETWORKS = False
        with pytest.raises(outbound.RefusedError):
            outbound.check(url)
        assert outbound.post(url, {}, b"").status is None

    @pytest.mark.parametrize("url", ["https://example.com/", "https://93.184.216.34:8443/x?y=1"])
    def test_what_is_allowed(self, url: str, settings: Any) -> None:
        settings.WEBHOOK_PRIVATE_NETWORKS = False
        outbound.check(url)

    def test_a_name_that_leads_home_is_refused_when_it_is_resolved(
        self, receiver: HttpReceiver, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The resolver is the world outside: here it answers as a rebinding name server would."""
        settings.WEBHOOK_PRIVATE_NETWORKS = False
        port = int(receiver.url.split(":")[2].split("/")[0])
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        answer = outbound.post(f"https://rebound.example:{port}/", {}, b"")
        assert "not a public address" in answer.error and not receiver.heard

    def test_an_answer_drop_by_drop_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbound, "TOTAL_S", 0.5)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=_drip, args=(listener,), daemon=True).start()
            began = time.monotonic()
            answer = outbound.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, b"{}")
        assert answer.status is None and "no whole answer" in answer.error and time.monotonic() - began < 2

    def test_a_long_answer_is_not_read_to_its_end(self, receiver: HttpReceiver) -> None:
        receiver.answers = [(200, {}, b"x" * 5_000_000)]
        answer = outbound.post(receiver.url, {}, b"{}")
        assert answer.good and len(answer.excerpt) == outbound.EXCERPT

    def test_nobody_listens(self) -> None:
        assert "refused" in outbound.post("http://127.0.0.1:9/", {}, b"").error


def _drip(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X")
                time.sleep(0.05)
        except OSError:
            return
