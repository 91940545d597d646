"""Databases as `manage.py migrate` leaves them, made once and copied: migrating takes twenty seconds of a processor.

What makes them (our migrations, the installed packages) is in their names, so that a change makes new ones. The first
start of the product from nothing is tried where these are not used (tests/faults/test_kill.py, tests/test_compose.py).
"""

import fcntl
import hashlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg.sql import SQL, Identifier

from tests.environment import PYTHON, ROOT, clean_environment
from tests.servers import Postgres

_KEPT = ROOT / "test-results" / "migrated"
_TIMEOUT_S = 600


def sqlite(folder: Path) -> None:
    """Put one into a data folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_kept_sqlite(), folder / "convoy.sqlite3")


def sqlite_into(connection: sqlite3.Connection) -> None:
    """Fill an empty database, which may be in memory."""
    with closing(sqlite3.connect(_kept_sqlite())) as kept:
        kept.backup(connection)


def _kept_sqlite() -> Path:
    kept = _KEPT / f"{_made_of()}.sqlite3"
    with _alone():
        if not kept.exists():
            with TemporaryDirectory() as made:
                _migrate(clean_environment(DATA_DIR=made))
                draft = kept.with_suffix(".draft")
                with (
                    closing(sqlite3.connect(f"{made}/convoy.sqlite3")) as new,
                    closing(sqlite3.connect(draft)) as to,
                ):
                    new.backup(to)
                draft.rename(kept)
    return kept


def postgres(server: Postgres, env: Mapping[str, str]) -> None:
    """Fill the server's empty database, which `env` names."""
    kept = _KEPT / f"{_made_of()}.sql"
    with _alone():
        if not kept.exists():
            _migrate(env)
            draft = kept.with_suffix(".draft")
            _run([str(server.bin / "pg_dump"), "--no-owner", "--file", str(draft), server.url])
            draft.rename(kept)
            return
    _run(
        [
            str(server.bin / "psql"),
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-o",
            "/dev/null",
            "-f",
            str(kept),
            server.url,
        ]
    )


def postgres_template(url: str) -> str:
    """The name of one on the server of this database, which Django's test runner can copy."""
    name = f"convoy_migrated_{_made_of()}"
    with _alone(), psycopg.connect(url, autocommit=True) as server:
        there = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not there:
            draft = Identifier(f"{name}_draft")
            server.execute(SQL("DROP DATABASE IF EXISTS {}").format(draft))
            server.execute(SQL("CREATE DATABASE {}").format(draft))
            _migrate(clean_environment(DATABASE_URL=f"{url.rpartition('/')[0]}/{name}_draft"))
            server.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(draft, Identifier(name)))
    return name


def _migrate(env: Mapping[str, str]) -> None:
    _run([PYTHON, "manage.py", "migrate", "--noinput", "-v", "0"], env)


def _run(command: list[str], env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr[-3000:]


@contextmanager
def _alone() -> Iterator[None]:
    """One process makes it, the others wait."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def _made_of() -> str:
    known = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        known.update(path.read_bytes())
    return known.hexdigest()[:16]
