"""A full installation per test, on a database that is empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import migrated
from tests.faults.stack import Stack, empty
from tests.servers import Postgres, Valkey


@pytest.fixture
def stack(tmp_path: Path, postgres_server: Postgres, valkey_server: Valkey) -> Iterator[Stack]:
    empty(postgres_server)
    stack = Stack(tmp_path, postgres_server, valkey_server)
    migrated.postgres(postgres_server, stack.env)
    stack.start()
    yield stack
    stack.stop()
