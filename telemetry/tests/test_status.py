"""/status in the document's shape, /health by part, /logger for staff."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from fleet.models import Role
from telemetry import housekeeping, logger, status
from tests.deliveries import deliver, drain_all
from tests.drives import drive, encode
from tests.outage import database_down
from tests.world import Car, make_car, make_person


@pytest.fixture(autouse=True)
def fresh_answer() -> Iterator[None]:
    status._last_health = (0.0, {}, 200)
    yield
    status._last_health = (0.0, {}, 200)


class TestStatus:
    def test_documents_shape(self, car: Car, client: Client) -> None:
        deliver(car, encode(car.vin, drive(20)))
        drain_all()
        content = client.get("/status").json()
        assert {"status", "compression_stats", "supabase_enabled"} <= content.keys()
        assert content["status"] == "healthy" and content["supabase_enabled"] is False
        stats = content["compression_stats"]
        assert stats["total_readings"] == stats["transmitted_readings"] + stats["skipped_readings"] > 0
        assert stats["compression_ratio"] == round(stats["skipped_readings"] / stats["total_readings"], 4)

    def test_empty_installation(self, db: None, client: Client) -> None:
        stats = client.get("/status").json()["compression_stats"]
        assert (stats["total_readings"], stats["compression_ratio"]) == (0, 0.0)

    def test_says_nothing_about_any_one_vehicle(self, car: Car, client: Client) -> None:
        deliver(car, encode(car.vin, drive(2)))
        drain_all()
        assert car.vin not in client.get("/status").content.decode()

    @pytest.mark.parametrize("path", ["/status", "/health", "/api/v1/health"])
    def test_without_a_slash_and_only_for_reading(self, db: None, client: Client, path: str) -> None:
        assert client.get(path).status_code == 200


class TestHealth:
    def test_everything_up(self, db: None, client: Client) -> None:
        housekeeping.beat(timezone.now())
        reply = client.get("/health")
        content = reply.json()
        assert (reply.status_code, content["status"]) == (200, "healthy"), content
        assert [content[part] for part in ("database", "cache", "broker", "channel_layer")] == ["ok"] * 4
        assert content["worker_last_seen_s"] < 5 and content["oldest_unprocessed_frame_s"] is None

    def test_worker_never_seen_or_silent_is_degraded(self, db: None, client: Client) -> None:
        assert client.get("/health").json()["status"] == "degraded"
        cache.set(housekeeping.WORKER_SEEN, timezone.now().timestamp() - 100)
        status._last_health = (0.0, {}, 200)
        content = client.get("/health").json()
        assert content["status"] == "degraded" and content["worker_last_seen_s"] >= 100

    def test_records_that_nobody_works_on_are_shown(self, car: Car, client: Client) -> None:
        housekeeping.beat(timezone.now())
        deliver(car, encode(car.vin, drive(1)))
        assert 0 <= client.get("/health").json()["oldest_unprocessed_frame_s"] < 5

    @pytest.mark.postgres
    def test_database_down_is_503(self, transactional_db: None, client: Client) -> None:
        with database_down():
            reply = client.get("/health")
            assert (reply.status_code, reply.json()["database"]) == (503, "unavailable")
            assert client.get("/status").status_code == 503
        status._last_health = (0.0, {}, 200)
        assert client.get("/health").status_code == 200


class TestLogger:
    @pytest.mark.parametrize("path", ["/logger/start", "/logger/stop"])
    def test_staff_only(self, car: Car, client: Client, path: str) -> None:
        cache.set(logger.SEEN, 1)
        assert client.post(path).status_code in {401, 403}
        headers = {"authorization": f"Bearer {car.token}"}
        assert client.post(path, headers=headers).status_code == 403
        client.force_login(make_person("owner@example.com", "demo", Role.OWNER), backend=BACKEND)
        assert client.post(path).status_code == 403
        assert cache.get(logger.WISH) is None

    def test_start_and_stop(self, db: None, client: Client) -> None:
        make_car()
        boss = make_person("boss@example.com", is_staff=True, is_superuser=True)
        client.force_login(boss, backend=BACKEND)
        assert client.post("/logger/start").status_code == 409  # nothing to start beside this server
        cache.set(logger.SEEN, 1)
        for word, wish in (("start", "run"), ("stop", "stop")):
            reply = client.post(f"/logger/{word}")
            assert (reply.status_code, reply.json()["status"]) == (200, "success")
            assert cache.get(logger.WISH) == wish
        assert client.get("/logger/start").status_code == 405

    def test_another_sites_form_cannot_use_the_cookie(self, db: None) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(
            make_person("boss@example.com", is_staff=True, is_superuser=True), backend=BACKEND
        )
        assert browser.post("/logger/stop").status_code == 403


BACKEND = "django.contrib.auth.backends.ModelBackend"
