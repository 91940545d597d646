"""Taking the database away from the running test process, and giving it back."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from django.db import connection, connections

_QUICK_S = 0.3


@contextmanager
def database_down(*threads: Callable[[Callable[..., None]], Any]) -> Iterator[None]:
    """No write succeeds inside. `threads` run a callable in each thread that holds a connection of its own."""
    release: list[Any] = [*threads, lambda act: act()]
    database: Any = connection
    every: Any = connections
    options = database.settings_dict["OPTIONS"]
    kept = dict(options)
    for run in release:
        run(every.close_all)
    try:
        if connection.vendor == "postgresql":
            database.close_pool()
            options["pool"] = {**kept["pool"], "timeout": _QUICK_S}
            with _no_connections(connection.get_connection_params()):
                yield
        else:
            options["timeout"] = _QUICK_S
            with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=5)) as other:
                other.execute("BEGIN EXCLUSIVE")
                yield
    finally:
        for run in release:
            run(every.close_all)
        if connection.vendor == "postgresql":
            database.close_pool()
        options.clear()
        options.update(kept)


@contextmanager
def _no_connections(parameters: dict[str, Any]) -> Iterator[None]:
    """The server ends every connection to the test database and lets no new one in."""
    where = {key: parameters[key] for key in ("host", "port", "user", "password") if key in parameters}
    name = parameters["dbname"]
    with psycopg.connect(**where, dbname="postgres", autocommit=True) as administrator:
        administrator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            administrator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
