"""The whole API against its own schema: requests made from it, right ones and wrong ones, by several callers.

    SCHEMA_EXAMPLES=200 pytest -n 2 tests/test_schema_conformance.py

tries more of them, and SCHEMA_ONLY=/trips those whose path has that in it. A route is tried because it is in the
schema: nothing is listed here.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from rest_framework.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.test_permissions import World

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "4"))
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# On one database in `make test`; by hand on any.
pytestmark = [] if "SCHEMA_EXAMPLES" in os.environ else [pytest.mark.sqlite]


@cache
def operations() -> dict[str, Any]:
    """By name. Not while tests are collected: each worker of each phase would make the schema."""
    schema = schemathesis.openapi.from_wsgi("/api/schema", get_wsgi_application())
    made: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    return {one.label: one for one in made if os.environ.get("SCHEMA_ONLY", "") in one.label}


@schemathesis.serializer("application/offset+octet-stream")
def octets(context: Any, value: Any) -> Any:
    """The bytes of a resumed upload."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Callers:
    """The world of the permission table, and headers for those who come furthest in it."""

    def __init__(self) -> None:
        self.world = World()
        owner = RefreshToken.for_user(self.world.people["owner"])
        self.headers = {
            "device": {"X-API-Key": self.world.own.token},
            "owner": {"Authorization": f"Bearer {owner.access_token}"},
            "nobody": {},
        }
        self.places = self.world.places()
        self.tried = 0

    def address(self, case: Any) -> None:
        """What is there, where a path says what it wants: a made-up name is only ever 404."""
        for name in case.path_parameters:
            if name in self.places:
                case.path_parameters[name] = self.places[name]


@pytest.fixture
def callers(db: None) -> Iterator[Callers]:
    rates = dict.fromkeys(api_settings.DEFAULT_THROTTLE_RATES, "0/s")
    unlimited = override_settings(
        REST_FRAMEWORK=django_settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    )
    # The test's transaction is on this connection: a real server would look whether to close it after each request.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    with unlimited:
        yield Callers()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_operation(callers: Callers, mode: GenerationMode) -> None:
    """One world for all of them, and every request undone: its making takes longer than most operations' requests."""
    found = {}
    for label, operation in operations().items():
        try:
            attempts(callers, operation, mode)()
        except Unsatisfiable:  # nothing of it can be wrong
            assert mode is GenerationMode.NEGATIVE
        except Exception as error:  # the others are of interest too
            found[label] = "".join(traceback.format_exception_only(error)) + "".join(told(error))
    sys.stderr.write(f"{callers.tried} requests to {len(operations())} operations\n")
    assert callers.tried >= EXAMPLES * len(operations()) * 0.8
    assert not found, "\n\n".join(f"{label}\n{text}" for label, text in found.items())


def attempts(callers: Callers, operation: Any, mode: GenerationMode) -> Any:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        who=st.sampled_from(["device", "device", "owner", "owner", "nobody"]),
        real=st.sampled_from([True, True, True, False]),
    )
    def attempt(case: Any, who: str, real: bool) -> None:
        if real:
            callers.address(case)
        with transaction.atomic():
            response = case.call(headers=callers.headers[who])
            transaction.set_rollback(True)
        callers.tried += 1
        case.validate_response(response, checks=CHECKS)

    return attempt


def told(error: BaseException) -> Iterator[str]:
    """What went wrong inside a group of failures."""
    for inner in getattr(error, "exceptions", ()):
        yield f"\n{inner}\n"
        yield from told(inner)
