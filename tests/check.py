"""`make check`: one step after the other, stopping at the first that fails and saying what to do about it."""

import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.environment import PYTHON, ROOT, clean_environment

PRODUCTION = {
    "SECRET_KEY": secrets.token_urlsafe(64),
    "DEBUG": "false",
    "HTTPS": "true",
    "ALLOWED_HOSTS": "fleet.example",
    "CSRF_TRUSTED_ORIGINS": "https://fleet.example",
    "DATABASE_URL": "postgres://convoy@127.0.0.1/convoy",
    "REDIS_URL": "redis://127.0.0.1/0",
    "EMAIL_URL": "smtp+tls://convoy:secret@mail.example:587",
}


@dataclass(frozen=True)
class Step:
    name: str
    command: str
    advice: str
    env: dict[str, str] = field(default_factory=dict)


STEPS = (
    Step("format", "ruff format --check --output-format concise .", "run `make format`"),
    Step("lint", "ruff check --output-format concise .", "run `make format`, then fix what is left"),
    Step("types", "mypy .", "every function is annotated; an ignore names its error code"),
    Step("imports", "lint-imports --no-logo --no-cache", "the contracts are in pyproject.toml"),
    Step(
        "migrations",
        "manage.py makemigrations --check --dry-run",
        "run `manage.py makemigrations`, name it by hand",
    ),
    Step("deploy", "manage.py check --deploy --fail-level WARNING", "the hint is in the message", PRODUCTION),
    Step(
        "budgets",
        "pytest -q -p no:cacheprovider tests/test_architecture.py",
        "one noun, one flow, one page a file",
    ),
)


def run(step: Step) -> bool:
    program, *rest = step.command.split()
    command = [PYTHON, program] if program.endswith(".py") else [str(Path(PYTHON).parent / program)]
    began = time.monotonic()
    print(f"{step.name:<11}", end="", flush=True)
    done = subprocess.run(
        [*command, *rest],
        cwd=ROOT,
        env=clean_environment(**step.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode == 0:
        print(f"ok      {seconds:5.1f} s")
        return True
    print(f"FAILED  {seconds:5.1f} s\n\n{done.stdout.strip()}\n\n{step.name} failed: {step.advice}.")
    return False


if __name__ == "__main__":
    sys.exit(0 if all(run(step) for step in STEPS) else 1)
