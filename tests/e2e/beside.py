"""A process beside a running site, on its data: runs the lines of Python it is sent. Starting Django costs seconds."""

import atexit
import json
import subprocess
import sys
import traceback
from typing import Any

from tests.environment import PYTHON, ROOT

_started: dict[str, "Beside"] = {}


class Beside:
    def __init__(self, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [PYTHON, "-m", "tests.e2e.beside"],
            cwd=ROOT,
            env=env | {"DJANGO_SETTINGS_MODULE": "config.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        atexit.register(self._process.kill)

    @classmethod
    def of(cls, name: str, env: dict[str, str]) -> "Beside":
        if name not in _started:
            _started[name] = cls(env)
        return _started[name]

    def run(self, code: str) -> None:
        assert self._process.stdin and self._process.stdout
        print(json.dumps(code), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, f"it ended with {self._process.wait()}"
        assert not json.loads(answer), json.loads(answer)


def serve() -> None:
    """For each line, a program in JSON: run it and answer what went wrong, in a line."""
    import django

    django.setup()
    from django.db import close_old_connections

    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        wrong, names = "", dict[str, Any]()
        close_old_connections()
        try:
            exec(json.loads(line), names)
        except Exception:
            wrong = traceback.format_exc()
        print(json.dumps(wrong), file=out, flush=True)


if __name__ == "__main__":
    serve()
