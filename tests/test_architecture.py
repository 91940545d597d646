"""The house rules that no linter sees: sizes, names, keys given as strings, what is committed."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps

from tests.environment import ROOT

FILE_LINES, TEST_FILE_LINES, FUNCTION_LINES = 300, 500, 40
LAYERS = ("fleet", "devices", "telemetry", "config")
SIBLINGS = {"profiles": "telemetry"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "managers", "manager", "misc", "services"}
# What Django tutorials call it, and what it is called here.
ELSEWHERE = {
    "views": "pages/ for people, api/ for machines",
    "serializers": "api/",
    "permissions": "access.py",
    "signals": "a call from the function that knows",
}
TEXT = {
    ".py",
    ".html",
    ".js",
    ".css",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".in",
    ".txt",
    ".conf",
    ".json",
    ".proto",
    "",
}
NOT_OURS = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w"),
    "a package registry": re.compile(
        r"pypi\.(?:org|python)|pythonhosted\.org|registry\.npm|npmjs\.(?:org|com)/|deb\.debian\.org|index-url\s*="
    ),
    "a tool that is no part of the product": re.compile(r"\bfarm-\w"),
}


@cache
def committed() -> tuple[Path, ...]:
    """Every file git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(path for name in names if (path := ROOT / name).is_file())


def sources() -> Iterator[Path]:
    """Our own Python: not what Django or protoc wrote."""
    for path in committed():
        if path.suffix == ".py" and "migrations" not in path.parts and not path.name.endswith("_pb2.py"):
            yield path


def is_test(path: Path) -> bool:
    return "tests" in path.parts or path.name == "conftest.py"


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_fit_their_budget() -> None:
    long = []
    for path in sources():
        budget = TEST_FILE_LINES if is_test(path) else FILE_LINES
        lines = len(path.read_text("utf-8").splitlines())
        if lines > budget:
            long.append(f"{shown(path)}: {lines} lines, budget {budget}")
    assert not long, "\n".join(long)


def test_functions_fit_their_budget() -> None:
    long = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    where = f"{shown(path)}:{node.lineno} {node.name}"
                    long.append(f"{where}: {lines} lines, budget {FUNCTION_LINES}")
    assert not long, "\n".join(long)


def test_modules_are_named_after_what_they_hold() -> None:
    vague = [shown(path) for path in sources() if path.stem in VAGUE or path.parent.name in VAGUE]
    assert not vague, "\n".join(vague)


def test_the_same_file_name_means_the_same_in_every_app() -> None:
    wrong = []
    for app in set(our_apps()) - {"config"}:
        folder = ROOT / app
        stems = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
        wrong += [f"{app}/{name}: belongs in {place}" for name, place in ELSEWHERE.items() if name in stems]
        needed = {"apps", "tests"} if stems - {"__init__", "__pycache__", "apps", "migrations"} else {"apps"}
        wrong += [f"{app}/{name}: missing" for name in sorted(needed - stems)]
        wrong += [
            f"{app}/{name}.py and {app}/{name}/: one of them"
            for name in ("models", "tasks", "urls", "admin", "access")
            if (folder / f"{name}.py").exists() and (folder / name).is_dir()
        ]
    assert not wrong, "\n".join(wrong)


def our_apps() -> list[str]:
    return [app.label for app in apps.get_app_configs() if (ROOT / app.name / "__init__.py").is_file()]


def rank(app: str) -> int:
    return LAYERS.index(SIBLINGS.get(app, app))


def test_every_app_has_its_floor() -> None:
    """Here and in the contracts of pyproject.toml, which can only judge packages they are told of."""
    assert {SIBLINGS.get(app, app) for app in our_apps()} <= set(LAYERS)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert {*our_apps(), "edge"} <= set(contracts["root_packages"])


def keys() -> Iterator[tuple[str, str, str]]:
    """(app, field, app it points to) of every relation that a model of ours declares."""
    for model in apps.get_models():
        if model._meta.app_label not in our_apps():
            continue
        for field in [*model._meta.local_fields, *model._meta.local_many_to_many]:
            target = field.related_model
            if target is not None:
                assert not isinstance(target, str), f"{field} points to the unknown model {target}"
                name = f"{model._meta.label}.{field.name}"
                yield model._meta.app_label, name, target._meta.app_label


def test_keys_point_down_or_across_nothing() -> None:
    ours = our_apps()
    wrong = [
        f"{name} points from {app} to {target}"
        for app, name, target in keys()
        if target in ours and target != app and rank(target) >= rank(app)
    ]
    assert not wrong, "\n".join(wrong)


def test_migrations_depend_downwards() -> None:
    wrong = []
    for app in our_apps():
        for path in (ROOT / app / "migrations").glob("[0-9]*.py"):
            targets = re.findall(r'^\s+\("(\w+)", "\w+"\),', path.read_text("utf-8"), re.MULTILINE)
            wrong += [
                f"{shown(path)} depends on {target}"
                for target in targets
                if target in our_apps() and target != app and rank(target) >= rank(app)
            ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("what", NOT_OURS)
def test_nothing_committed_names(what: str) -> None:
    found = []
    for path in committed():
        if path.suffix not in TEXT or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if match := NOT_OURS[what].search(line):
                found.append(f"{shown(path)}:{number}: {match[0]}")
    assert not found, "\n".join(found)


def test_lists_of_packages_carry_no_address() -> None:
    lists = [*ROOT.glob("requirements*.txt"), ROOT / "package-lock.json"]
    found = [shown(path) for path in lists if re.search(r"https?://", path.read_text("utf-8"))]
    assert not found, "an address would tie the lists to one registry: " + ", ".join(found)
