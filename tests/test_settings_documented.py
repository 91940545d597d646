"""Every setting is in .env.example, and nothing else is."""

import re

from tests.environment import ROOT, setting_names

# Read by name, or substituted by compose.
READ = re.compile(r"""\b(?:env\.\w+|environ\.get)\(\s*["']([A-Z][A-Z0-9_]+)["']""")
SUBSTITUTED = re.compile(r"\$\{([A-Z][A-Z0-9_]+)")


def read_by_settings() -> set[str]:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "config").rglob("*.py"))
    return set(READ.findall(text)) - {"ENV_FILE"}


def read_by_compose() -> set[str]:
    return set(SUBSTITUTED.findall((ROOT / "docker-compose.yml").read_text("utf-8")))


def test_every_setting_is_documented() -> None:
    missing = (read_by_settings() | read_by_compose()) - set(setting_names())
    assert not missing, f"add to .env.example: {', '.join(sorted(missing))}"


def test_every_documented_setting_is_read() -> None:
    stale = set(setting_names()) - read_by_settings() - read_by_compose()
    assert not stale, f"nothing reads these lines of .env.example: {', '.join(sorted(stale))}"


def test_each_setting_is_documented_once() -> None:
    names = setting_names()
    assert len(names) == len(set(names))
