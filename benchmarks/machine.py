"""What everything runs on: one PostgreSQL, one Valkey, a folder; and the processor time processes have used."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg

from tests.servers import Postgres, Process, Valkey


class DurablePostgres(Postgres):
    """As docker-compose.yml runs it: a commit is on the disk before it is answered."""

    OPTIONS = (
        "fsync=on",
        "synchronous_commit=on",
        "max_connections=200",
        "shared_buffers=512MB",
        "max_wal_size=4GB",
        "listen_addresses=127.0.0.1",
        "timezone=UTC",
    )


class Machine:
    """The servers beneath everything, and a folder that goes with them."""

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="convoy-bench-"))
        self.postgres, self.valkey = DurablePostgres(), Valkey()
        self.postgres.start()
        self.valkey.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.valkey.remove()
        self.postgres.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.postgres.url.rpartition("/")[0] + f"/{name}"


def tree_seconds(process: Process) -> float:
    """CPU time of a process, its living children, and those it has waited for."""
    assert process.child
    parent = psutil.Process(process.child.pid)
    total = 0.0
    for each in [parent, *parent.children(recursive=True)]:
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:  # its parent has its time now
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds used so far: by each process tree of the server, and by PostgreSQL."""

    server: dict[str, float]
    database: float

    def each_us(self, before: "Cpu", records: int) -> dict[str, float]:
        """Microseconds for each record since `before`."""
        scale = 1e6 / max(records, 1)
        parts = {f"{name}_us": (used - before.server[name]) * scale for name, used in self.server.items()}
        database = (self.database - before.database) * scale
        return {"server_us": sum(parts.values()), "database_us": database, **parts}
