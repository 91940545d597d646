"""/health of a full installation while its parts go away and come back."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.faults.stack import Stack
from tests.servers import wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]


def asked(stack: Stack, path: str = "/health") -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}{path}", timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read())


def wait_for(stack: Stack, word: str, seconds: float = 30) -> dict[str, Any]:
    wait_until(lambda: asked(stack)[1]["status"] == word, word, seconds)
    return asked(stack)[1]


def test_every_part_is_named_when_it_is_down(stack: Stack) -> None:
    content = wait_for(stack, "healthy")
    assert [content[part] for part in ("database", "cache", "broker", "channel_layer")] == ["ok"] * 4

    stack.kill("valkey")
    content = wait_for(stack, "degraded")
    assert [content[part] for part in ("cache", "broker", "channel_layer")] == ["unavailable"] * 3
    assert asked(stack)[0] == 200, "records are kept all the same"
    assert asked(stack, "/status")[0] == 200
    stack.start()
    wait_for(stack, "healthy")

    stack.kill("postgres")
    began = time.monotonic()
    code, content = asked(stack)
    while content["status"] != "unhealthy":
        code, content = asked(stack)
    assert (code, content["database"]) == (503, "unavailable")
    code, content = asked(stack, "/status")
    assert (code, content["status"]) == (503, "unhealthy")
    assert time.monotonic() - began < 45
    stack.start()
    wait_for(stack, "healthy")
