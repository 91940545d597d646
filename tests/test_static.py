"""The image's collectstatic: every file that a style sheet or a script names is really there."""

from pathlib import Path

from django.core.management import call_command
from pytest_django import Settings

MANIFEST = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


def test_collected_files_find_each_other(settings: Settings, tmp_path: Path) -> None:
    """The same hashing as in production, without its compression, which takes a minute and finds nothing."""
    vendor = settings.NODE_MODULES / "leaflet"
    assert vendor.is_dir(), "front-end packages are not installed: make setup"
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": MANIFEST}}
    call_command("collectstatic", interactive=False, verbosity=0)
    collected = (tmp_path / "staticfiles.json").read_text("utf-8")
    for name in ("vendor/leaflet/leaflet.js", "vendor/uplot/uPlot.iife.min.js", "vendor/pico/pico.min.css"):
        assert f'"{name}"' in collected, name
