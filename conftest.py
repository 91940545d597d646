"""Fixtures that every app's tests may use, and the rule that CI skips nothing."""

import os
from collections.abc import Generator, Iterator

import pytest
from django.conf import settings
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.test import TransactionTestCase

from tests import emptied, migrated, servers
from tests.environment import CI

_DATABASE = {"db", "transactional_db", "django_db_reset_sequences", "live_server", "django_db_setup"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that say what they need are skipped, visibly, where the suite runs without it.

    With `--only-database` those that touch no database are left out: another one makes no difference to them.
    """
    if config.getoption("--only-database"):
        touching = [item for item in items if _touches_a_database(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(touching)])
        items[:] = touching
    engine = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
    lacking = {
        "sqlite": engine != "sqlite3" and "the suite runs on PostgreSQL",
        "postgres": engine != "postgresql" and "the suite runs on SQLite (make test has both)",
        "redis": not settings.REDIS_URL and "the suite runs without Redis (make test has both)",
    }
    for item in items:
        for marker, reason in lacking.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only-database", action="store_true", help="leave out tests that touch no database")


def _touches_a_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    needs = any(item.get_closest_marker(name) for name in ("django_db", "postgres", "redis"))
    return needs or bool(fixtures & _DATABASE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI=true a skip is a failure: `make test` leaves out by marker what a phase cannot run."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.longrepr = f"{item.nodeid}: skipped under CI=true: {reason}"
    return report


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> Iterator[None]:
    """The tests' database begins as a copy of a migrated one: migrating takes twenty seconds a worker."""
    database = connections.settings["default"]
    if connection.vendor == "postgresql":
        database["TEST"]["TEMPLATE"] = migrated.postgres_template(os.environ["TEST_DATABASE_URL"])
        yield
        return
    connection_created.connect(_fill)
    yield
    connection_created.disconnect(_fill)


def _fill(connection: BaseDatabaseWrapper, **_: object) -> None:
    """The first connection to the database in memory finds nothing in it."""
    if connection.vendor == "sqlite" and not connection.introspection.table_names():
        migrated.sqlite_into(connection.connection)


@pytest.fixture(autouse=True, scope="session")
def emptied_where_full() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", emptied.empty)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_pauses() -> Iterator[None]:
    """What workers leave to others after a piece of work, nobody needs in a test."""
    from fleet.aggregation import rollups
    from telemetry import drain
    from telemetry.derivation import derive

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drain, "_BREATH_MOST_S", 0.0)
        patch.setattr(derive, "_BREATH_S", 0.0)
        patch.setattr(derive, "_REST_MOST_S", 0.0)
        patch.setattr(rollups, "_BREATH_S", 0.0)
        yield


@pytest.fixture(scope="session")
def _postgres() -> Iterator[servers.Postgres]:
    server = servers.Postgres()
    yield server
    server.remove()


@pytest.fixture
def postgres_server(_postgres: servers.Postgres) -> servers.Postgres:
    """This worker's PostgreSQL: `.url`, `.kill()`, `.start()`, `.stop()`; it runs when a test begins."""
    return _postgres.start()


@pytest.fixture(scope="session")
def _valkey() -> Iterator[servers.Valkey]:
    server = servers.Valkey()
    yield server
    server.remove()


@pytest.fixture
def valkey_server(_valkey: servers.Valkey) -> servers.Valkey:
    """This worker's Redis-compatible server, with the same methods; it keeps its data between tests."""
    return _valkey.start()


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """RabbitMQ, in a virtual host of this worker's own."""
    with servers.rabbitmq() as url:
        yield url


@pytest.fixture(scope="session")
def mosquitto_address() -> tuple[str, int]:
    return servers.mosquitto_address()
