"""A full installation per test, on a database that is empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.stack import Stack, empty, manage
from tests.servers import Postgres, Valkey


@pytest.fixture
def stack(tmp_path: Path, postgres_server: Postgres, valkey_server: Valkey) -> Iterator[Stack]:
    empty(postgres_server)
    stack = Stack(tmp_path, postgres_server, valkey_server)
    manage(stack.env, "migrate", "--noinput", "-v", "0")
    stack.start()
    yield stack
    stack.stop()
