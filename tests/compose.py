"""docker-compose.yml as local processes: its very commands and environment, only addresses replaced."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.environment import PYTHON, ROOT, clean_environment
from tests.servers import Process, free_port, healthy

FILE = ROOT / "docker-compose.yml"


def document() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return content


def words(command: str | list[str]) -> list[str]:
    return command if isinstance(command, list) else shlex.split(command)


def substituted(text: str, values: Mapping[str, str]) -> str:
    """What compose makes of ${NAME}, ${NAME:-default} and ${NAME:?message}."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if values.get(name):
            return values[name]
        assert operator != ":?", f"{name}: {rest}"
        return rest or ""

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)


class Stack:
    """The processes of one run; `urls` of web and ingest once they are up."""

    def __init__(self, folder: Path, **addresses: str) -> None:
        self.folder = folder
        self.addresses = addresses
        self.secrets = {
            name: f"{name.lower()}-for-tests-{'x' * 50}"
            for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD")
        }
        self.services = document()["services"]
        self.processes: dict[str, Process] = {}
        self.ports = {name: free_port() for name in ("web", "ingest")}

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def environment(self, service: str) -> dict[str, str]:
        """The service's own environment, except that servers and files are this machine's."""
        declared = {
            name: substituted(value, self.secrets)
            for name, value in self.services[service]["environment"].items()
        }
        here = {**self.addresses, "DATA_DIR": str(self.folder / "data"), "ALLOWED_HOSTS": "127.0.0.1"}
        unknown = here.keys() - declared.keys()
        assert not unknown, f"docker-compose.yml does not set {unknown} for {service}"
        path = f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"
        return clean_environment(**{**declared, **here, "PATH": path})

    def command(self, service: str) -> list[str]:
        """The file's words, with free ports on loopback, and our own folder. `environment` finds the programs."""
        local = {
            "0.0.0.0": "127.0.0.1",
            "8000": str(self.ports["web"]),
            "8001": str(self.ports["ingest"]),
            "/tmp/celerybeat-schedule": str(self.folder / "celerybeat-schedule"),
        }
        return [local.get(word, word) for word in words(self.services[service]["command"])]

    def spawn(self, service: str) -> Process:
        process = Process(service, self.command(service), self.folder)
        process.env = self.environment(service)
        self.processes[service] = process
        return process.spawn()

    def run(self, service: str, seconds: float = 300) -> None:
        """A one-shot service: it must end by itself with 0."""
        process = self.spawn(service)
        assert process.child is not None
        code = process.child.wait(seconds)
        assert code == 0, f"{service} ended with {code}:\n{process.log[-4000:]}"

    def start(self) -> None:
        self.run("migrate")
        for service in ("web", "ingest", "worker", "deriver", "notifier", "reporter", "beat"):
            self.spawn(service)
        for service in ("web", "ingest"):
            self.processes[service].wait_ready(partial(healthy, self.url(service)))
        for service in ("worker", "deriver", "notifier", "reporter"):
            worker = self.processes[service]
            worker.wait_ready(lambda worker=worker: " ready." in worker.log)  # type: ignore[misc]
        beat = self.processes["beat"]
        beat.wait_ready(lambda: "beat: Starting" in beat.log)

    def stop(self) -> dict[str, int | None]:
        """Each service's exit code; None for one that had to be killed."""
        order = ("beat", "reporter", "notifier", "deriver", "worker", "ingest", "web")
        return {name: self.processes[name].stop() for name in order if name in self.processes}


@contextmanager
def running(folder: Path, **addresses: str) -> Iterator[Stack]:
    stack = Stack(folder, **addresses)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
