"""The processes of a full installation, each of which may be killed and started again."""

import json
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from tests.environment import PYTHON, ROOT, clean_environment
from tests.servers import Postgres, Process, Valkey, free_port, healthy

VEHICLES = 4
SETTINGS = {"INGEST_RATE": "0", "TELEMETRY_GAP_WAIT_S": "1", "REPLAY": "0", "SECRET_KEY": "x" * 60}


def manage(env: dict[str, str], *arguments: str) -> str:
    command = [PYTHON, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def provisioned(env: dict[str, str]) -> list[dict[str, str]]:
    made = (
        manage(env, "provision", "storm", f"car-{n}", "--vin", f"STORM{n:08}", "--json")
        for n in range(VEHICLES)
    )
    return [json.loads(text) for text in made]


def empty(postgres: Postgres) -> None:
    """Without what the test before left."""
    with psycopg.connect(postgres.url, autocommit=True) as administrator:
        administrator.execute("DROP SCHEMA public CASCADE")
        administrator.execute("CREATE SCHEMA public")


class Stack:
    """The processes of a full installation, each of which may be killed and started again."""

    def __init__(self, folder: Path, postgres: Postgres, valkey: Valkey) -> None:
        self.postgres, self.valkey, self.port = postgres, valkey, free_port()
        urls = {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url}
        self.env = clean_environment(
            DATA_DIR=str(folder / "data"), STATIC_ROOT=str(folder), **SETTINGS, **urls
        )
        web = ["config.uvicorn", "--port", str(self.port)]
        worker = ["celery", "-A", "config", "worker", "--concurrency", "2", "--beat"]
        schedule = ["--schedule", str(folder / "beat")]
        self.web = Process("web", [PYTHON, "-m", *web], folder)
        self.worker = Process("worker", [PYTHON, "-m", *worker, *schedule], folder)
        self.web.env = self.worker.env = self.env

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url) as connection:
            return connection.execute(sql).fetchall()

    def start(self) -> None:
        self.postgres.start()
        self.valkey.start()
        if not self.web.running:
            self.web.spawn().wait_ready(lambda: healthy(f"http://127.0.0.1:{self.port}"))
        if not self.worker.running:
            self.worker.spawn()

    def kill(self, victim: str) -> None:
        getattr(self, victim).kill()

    def stop(self) -> None:
        self.web.stop()
        self.worker.stop()
