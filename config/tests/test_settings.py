"""Settings from the environment: each case is a process of its own, as it is in life."""

import json
import os
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from config.secret import local_secret
from tests.environment import PYTHON, ROOT, clean_environment

SHOWN = (
    "DATABASES", "CACHES", "CHANNEL_LAYERS", "CELERY_BROKER_URL", "EMBEDDED", "SUPABASE_ENABLED", "SECRET_KEY",
    "PORT", "DEBUG",
)  # fmt: skip
SCRIPT = (
    "import json; from config import settings; "
    f"print(json.dumps({{name: getattr(settings, name) for name in {SHOWN}}}, default=str))"
)


def settings_with(folder: Path, **values: str) -> dict[str, Any]:
    env = clean_environment(DATA_DIR=str(folder), **values)
    done = subprocess.run(
        [PYTHON, "-c", SCRIPT], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_without_any_setting_everything_is_embedded(tmp_path: Path) -> None:
    found = settings_with(tmp_path / "var")
    database = found["DATABASES"]["default"]
    assert database["ENGINE"].endswith("sqlite3") and database["NAME"] == str(
        tmp_path / "var" / "convoy.sqlite3"
    )
    assert (
        database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
        and "WAL" in database["OPTIONS"]["init_command"]
    )
    assert found["EMBEDDED"] is True and found["CELERY_BROKER_URL"] == "memory://"
    assert found["DEBUG"] is False and found["PORT"] == 8000
    assert found["SECRET_KEY"] == (tmp_path / "var" / "secret-key").read_text("utf-8")


def test_postgresql_with_a_pool_of_its_own(tmp_path: Path) -> None:
    url = "postgres://user:pass@db.example:5433/fleet?sslmode=require&options=-c%20work_mem%3D8MB"
    database = settings_with(tmp_path, DATABASE_URL=url, DATABASE_POOL_SIZE="7")["DATABASES"]["default"]
    assert (
        database["ENGINE"].endswith("postgresql") and database["NAME"] == "fleet" and database["PORT"] == 5433
    )
    assert database["OPTIONS"]["pool"]["max_size"] == 7 and database["CONN_MAX_AGE"] == 0
    assert database["OPTIONS"]["sslmode"] == "require"
    assert "prepare_threshold" not in database["OPTIONS"]
    assert database["OPTIONS"]["options"] == "-c work_mem=8MB -c jit=off"


class TestSupabase:
    @pytest.mark.parametrize(
        ("values", "pooler"),
        [
            ({"SUPABASE_DB_URL": "postgres://postgres.ref:pw@aws-0.pooler.example:6543/postgres"}, True),
            ({"SUPABASE_DB_URL": "postgres://postgres:pw@db.ref.example:5432/postgres"}, False),
            (
                {"SUPABASE_DB_URL": "postgres://u:pw@proxy.example:5432/postgres", "DATABASE_POOLER": "1"},
                True,
            ),
        ],
    )
    def test_is_postgresql_and_its_pooler_is_respected(
        self, tmp_path: Path, values: dict[str, str], pooler: bool
    ) -> None:
        found = settings_with(tmp_path, ENABLE_SUPABASE="true", SUPABASE_URL="https://ref.example", **values)
        database = found["DATABASES"]["default"]
        assert found["SUPABASE_ENABLED"] is True and database["ENGINE"].endswith("postgresql")
        assert ("prepare_threshold" in database["OPTIONS"]) is pooler
        assert (database["OPTIONS"].get("options") == "-c jit=off") is not pooler
        assert database.get("DISABLE_SERVER_SIDE_CURSORS", False) is pooler

    def test_does_not_take_precedence_over_a_named_database(self, tmp_path: Path) -> None:
        found = settings_with(
            tmp_path, ENABLE_SUPABASE="1", SUPABASE_DB_URL="postgres://a:b@supa.example/x",
            DATABASE_URL="postgres://a:b@own.example/y",
        )  # fmt: skip
        assert found["DATABASES"]["default"]["HOST"] == "own.example"

    def test_off_means_off(self, tmp_path: Path) -> None:
        found = settings_with(
            tmp_path, ENABLE_SUPABASE="false", SUPABASE_DB_URL="postgres://a:b@supa.example/x"
        )
        assert found["SUPABASE_ENABLED"] is False
        assert found["DATABASES"]["default"]["ENGINE"].endswith("sqlite3")


def test_redis_serves_cache_layer_and_broker(tmp_path: Path) -> None:
    found = settings_with(tmp_path, REDIS_URL="redis://cache.example:6379/0")
    assert found["CACHES"]["default"]["LOCATION"] == "redis://cache.example:6379/0"
    assert "redis" in found["CHANNEL_LAYERS"]["default"]["BACKEND"]
    assert found["CELERY_BROKER_URL"] == "redis://cache.example:6379/0" and found["EMBEDDED"] is False
    found = settings_with(tmp_path, REDIS_URL="redis://a/0", CELERY_BROKER_URL="amqp://b//", PORT="9001")
    assert (found["CELERY_BROKER_URL"], found["PORT"]) == ("amqp://b//", 9001)


class TestSecretKey:
    def test_is_made_once_and_readable_by_its_owner_only(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "deep"
        first = local_secret(folder)
        assert len(first) > 60 and local_secret(folder) == first
        assert stat.S_IMODE((folder / "secret-key").stat().st_mode) == 0o600
        assert [path.name for path in folder.iterdir()] == ["secret-key"]

    def test_even_with_a_generous_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            local_secret(tmp_path / "key")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "key" / "secret-key").stat().st_mode) == 0o600

    def test_processes_that_start_at_once_agree(self, tmp_path: Path) -> None:
        script = "import sys; from pathlib import Path; from config.secret import local_secret; "
        script += "sys.stdin.read(1); print(local_secret(Path(sys.argv[1])))"
        command = [PYTHON, "-c", script, str(tmp_path)]
        started = [
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(6)
        ]
        threads = [
            threading.Thread(target=lambda p=p: p.stdin.write("x") or p.stdin.flush()) for p in started
        ]
        for thread in threads:
            thread.start()
        keys = {process.communicate(timeout=30)[0].strip() for process in started}
        for thread in threads:
            thread.join()
        assert len(keys) == 1 and len(keys.pop()) > 60
        assert [path.name for path in tmp_path.iterdir()] == ["secret-key"]

    def test_one_that_is_given_leaves_no_file(self, tmp_path: Path) -> None:
        assert settings_with(tmp_path, SECRET_KEY="given")["SECRET_KEY"] == "given"
        assert not (tmp_path / "secret-key").exists()
