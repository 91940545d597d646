"""Environments for tests and the processes they start: nothing of the developer's own machine leaks in."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def setting_names() -> list[str]:
    """The settings that .env.example documents, commented out or not."""
    text = (ROOT / ".env.example").read_text("utf-8")
    return re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)


def clean_environment(**values: str) -> dict[str, str]:
    """This process's environment without any setting of the product, plus `values`."""
    dropped = {*setting_names(), "DJANGO_SETTINGS_MODULE", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, **compiling_once(), "ENV_FILE": os.devnull, "PYTHONUNBUFFERED": "1", **values}


def compiling_once() -> dict[str, str]:
    """Bytecode is kept, and away from the sources, whatever PYTHONDONTWRITEBYTECODE says (images of containers often
    set it): a process that compiles Django and all of ours anew takes two seconds of a processor more to start."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(ROOT / "test-results" / "bytecode")}
