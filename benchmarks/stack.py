"""The processes that are measured: product and peer on one PostgreSQL server, and the product embedded."""

import json
import os
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

import psutil
import psycopg

from benchmarks.load import Vehicle
from benchmarks.machine import Cpu, Machine, tree_seconds
from tests.environment import PYTHON, ROOT, clean_environment
from tests.servers import Process, free_port, healthy

VEHICLES = 1_000
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
_TABLES = (
    "telemetry_data, telemetry_frame, telemetry_held, telemetry_gap, telemetry_stream, compression_stats, "
    "vehicle_state"
)


class Subject(ABC):
    """Something that takes telemetry over HTTP, keeps it, and shows it on WebSockets."""

    name: str
    port: int
    web: Process
    others: list[Process]
    cookie = ""
    vehicles: list[Vehicle]
    socket_path = "ws"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def processes(self) -> list[Process]:
        return [self.web, *self.others]

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_idle(self, seconds: float = 120.0) -> None:
        """Until everything accepted has become rows. What follows a gap is not due for a while and not waited for."""
        deadline = time.monotonic() + seconds
        while not self.idle():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} still has work after {seconds:.0f} s")
            time.sleep(0.03)

    def web_bytes(self) -> int:
        """Resident memory of the process that serves sockets."""
        assert self.web.child
        return int(psutil.Process(self.web.child.pid).memory_info().rss)

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def forget(self) -> None:
        """Empty the tables, so that the same records are new again."""

    @abstractmethod
    def rows(self) -> int: ...

    @abstractmethod
    def idle(self) -> bool: ...

    @abstractmethod
    def cpu(self) -> Cpu: ...


class OnPostgres(Subject):
    machine: Machine
    url: str

    def query(self, text: str) -> Any:
        row = self._connection.execute(text.encode()).fetchone()
        assert row
        return row[0]

    def command(self, text: str) -> None:
        self._connection.execute(text.encode())

    @cached_property
    def _connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def cpu(self) -> Cpu:
        server = {process.name: tree_seconds(process) for process in self.processes}
        return Cpu(server, tree_seconds(self.machine.postgres.process))


class Product(OnPostgres):
    """uvicorn (one process), two Celery workers of two, beat; Valkey is counted with them."""

    name = "product"
    socket_path = "ws?view=map"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.url = machine.database("product")
        self.port = free_port()
        folder = machine.folder / "product"
        folder.mkdir()
        self.env = clean_environment(
            DATABASE_URL=self.url, REDIS_URL=machine.valkey.url, DATA_DIR=str(folder / "data"),
            SECRET_KEY="only for benchmarks: " + "x" * 50, INGEST_RATE="0", LOG_LEVEL="WARNING",
        )  # fmt: skip
        self.vehicles, self.cookie = provisioned(self.env)
        programs = Path(PYTHON).parent
        celery = [str(programs / "celery"), "-A", "config"]
        uvicorn = [PYTHON, "-m", "config.uvicorn", "--port", str(self.port), "--log-level", "warning"]
        working = [*celery, "worker", "--loglevel", "warning", "--concurrency", "2", "--queues"]
        worker = [*working, "celery,notify,reports"]
        deriver = ["nice", "-n", "10", *working, "derive", "--hostname", "deriver@%h"]
        beat = [*celery, "beat", "--loglevel", "warning", "--schedule", str(folder / "schedule")]
        self.web = Process("web", uvicorn, folder)
        commands = {"worker": worker, "deriver": deriver, "beat": beat}
        self.others = [Process(name, command, folder) for name, command in commands.items()]
        for process in self.processes:
            process.env = self.env

    def start(self) -> None:
        for process in self.processes:
            process.spawn()
        self.web.wait_ready(self._whole)

    def _whole(self) -> bool:
        """Its health names the worker only when beat, broker and worker have met."""
        if not healthy(f"http://{self.host}"):
            return False
        with urlopen(f"http://{self.host}/health", timeout=5) as answer:
            return json.load(answer)["worker_last_seen_s"] is not None

    def forget(self) -> None:
        self.wait_idle()
        self.command(f"TRUNCATE {_TABLES}")
        self.command("CHECKPOINT")

    def rows(self) -> int:
        return int(self.query("SELECT count(*) FROM telemetry_data"))

    def idle(self) -> bool:
        return not self.query("SELECT EXISTS (SELECT 1 FROM telemetry_frame WHERE due_at <= now())")

    def cpu(self) -> Cpu:
        cpu = super().cpu()
        return Cpu({**cpu.server, "valkey": tree_seconds(self.machine.valkey.process)}, cpu.database)


class Peer(OnPostgres):
    """The FastAPI stand-in of the peers folder; answers after its INSERT and its broadcast."""

    def __init__(self, machine: Machine, folder: Path, mode: str = "generous") -> None:
        self.machine = machine
        self.name = f"peer {mode}"
        self.url = machine.database(f"peer_{mode}")
        self.port = free_port()
        self.vehicles = [Vehicle(f"BENCH{number:012}", "") for number in range(VEHICLES)]
        command = [str(PEER_PYTHON), "-m", "uvicorn", "peer3_server:app", "--port", str(self.port)]
        quiet = ["--no-access-log", "--log-level", "warning"]
        # `faithful` also runs as its document installs it: without uvloop and httptools.
        plain = ["--loop", "asyncio", "--http", "h11"] if mode == "faithful" else []
        self.web = Process(f"peer-{mode}", [*command, *quiet, *plain], machine.folder)
        self.others = []
        self.web.cwd = folder
        self.web.env = {**os.environ, "PEER_MODE": mode, "PEER_DSN": self.url, "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self) -> None:
        self.web.spawn().wait_ready(self._answers)

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://{self.host}/status", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def forget(self) -> None:
        self.command("TRUNCATE peer3_telemetry, peer3_stats")
        self.command("CHECKPOINT")

    def rows(self) -> int:
        return int(self.query("SELECT count(*) FROM peer3_telemetry"))

    def idle(self) -> bool:
        return True


class Embedded(Subject):
    """`manage.py serve` on SQLite: what `make run` starts, without its demo fleet."""

    name = "product, SQLite"
    socket_path = "ws?view=map"

    def __init__(self, machine: Machine) -> None:
        folder = machine.folder / "embedded"
        folder.mkdir()
        self.port = free_port()
        self.file = folder / "data" / "convoy.sqlite3"
        env = clean_environment(
            DATA_DIR=str(folder / "data"),
            PORT=str(self.port),
            REPLAY="0",
            INGEST_RATE="0",
            LOG_LEVEL="WARNING",
        )
        self.file.parent.mkdir()
        self.vehicles, self.cookie = provisioned(env)
        self.web = Process("embedded", [PYTHON, "manage.py", "serve"], folder)
        self.web.env = env
        self.others = []

    def start(self) -> None:
        self.web.spawn().wait_ready(lambda: healthy(f"http://{self.host}"))

    def forget(self) -> None:
        self.wait_idle()
        with sqlite3.connect(self.file, timeout=30) as connection:
            for table in _TABLES.split(", "):
                connection.execute(f"DELETE FROM {table}")
        connection.close()

    def rows(self) -> int:
        return int(self._query("SELECT count(*) FROM telemetry_data"))

    def idle(self) -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        return not self._query("SELECT EXISTS (SELECT 1 FROM telemetry_frame WHERE due_at <= ?)", now)

    def _query(self, text: str, *params: str) -> Any:
        connection = sqlite3.connect(self.file, timeout=30)
        try:
            return connection.execute(text, params).fetchone()[0]
        finally:
            connection.close()

    def cpu(self) -> Cpu:
        return Cpu({self.web.name: tree_seconds(self.web)}, 0.0)


def provisioned(env: dict[str, str]) -> tuple[list[Vehicle], str]:
    """Migrate, make the vehicles, log a member in: the vehicles and the member's cookie."""
    command = [PYTHON, "-m", "benchmarks.provision", str(VEHICLES)]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    made = json.loads(done.stdout.splitlines()[-1])
    return [Vehicle(one["vin"], one["token"]) for one in made["vehicles"]], made["cookie"]
