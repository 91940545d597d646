"""A separate front end may use /api/telemetry from its own origin: both lanes say the same."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.db import connections

from tests.asgi import Client, Reply, application, routes
from tests.world import Car

HERE = "https://front.example"
BODY = orjson.dumps({"timestamp": 1732186800.0, "speed": 65.0})


@pytest.fixture(scope="module", autouse=True)
def no_connection_left() -> Iterator[None]:
    yield
    application.inbox._thread.submit(connections.close_all).result()


@pytest.fixture(params=[application, routes], ids=["fast", "view"])
def client(request: pytest.FixtureRequest, transactional_db: None, car: Car) -> Client:
    return Client(request.param, {"authorization": f"Bearer {car.token}", "content-type": "application/json"})


def post(client: Client, origin: str, body: bytes = BODY) -> Reply:
    return client.request("POST", "/api/telemetry", body, {"origin": origin} if origin else {})


def test_an_allowed_origin_may_read_the_answer(client: Client, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [HERE]
    for body, status in ((BODY, 200), (b"{", 400)):
        reply = post(client, HERE, body)
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == HERE
        assert {"ETag", "Retry-After"} <= {*reply.headers["access-control-expose-headers"].split(", ")}
        assert "origin" in reply.headers["vary"].lower()


def test_other_origins_may_not(client: Client, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [HERE]
    for origin in ("https://evil.example", "null", ""):
        assert "access-control-allow-origin" not in post(client, origin).headers


def test_nothing_is_said_where_no_origin_is_configured(client: Client, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = []
    assert "access-control-allow-origin" not in post(client, HERE).headers


def test_the_preflight(client: Client, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [HERE]
    asks = {
        "origin": HERE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key",
    }
    reply = client.request("OPTIONS", "/api/telemetry", b"", asks)
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == HERE
    allowed = reply.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "x-api-key", "content-type"} <= set(allowed)
