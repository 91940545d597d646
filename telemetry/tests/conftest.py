"""Every test starts with a process that knows nothing: no cached tokens, flags or places in streams."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from devices import refusals
from devices.auth import tokens
from telemetry import drain, ingest, known
from telemetry.derivation import activity, minutes
from tests.world import Car, make_car


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(drain, "_BREATH_MOST_S", 0.0)  # no pauses
    cache.clear()
    tokens.clear()
    known.forget()
    activity.noted.__init__()  # type: ignore[misc]
    minutes.noted.__init__()  # type: ignore[misc]
    refusals.forget()
    ingest._places.__init__()  # type: ignore[misc]
    ingest._lost.__init__()  # type: ignore[misc]
    yield
    tokens.clear()


@pytest.fixture
def car(request: pytest.FixtureRequest) -> Car:
    if "transactional_db" not in request.fixturenames:
        request.getfixturevalue("db")
    return make_car()
