"""Settings that would lose data or be unsafe, found before anybody is hurt (`manage.py check`)."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from telemetry.transports.limits import parse_rate


@register("convoy")
def settings_make_sense(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    try:
        parse_rate(settings.INGEST_RATE)
    except (KeyError, ValueError):
        found.append(
            Error(
                f"INGEST_RATE={settings.INGEST_RATE!r} is no rate.",
                hint="Write 50/s or 600/min.",
                id="convoy.E001",
            )
        )
    if settings.DRAIN_SHARDS < 1:
        found.append(
            Error("DRAIN_SHARDS must be at least 1.", hint="One or two per worker.", id="convoy.E002")
        )
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if settings.SUPABASE_ENABLED and sqlite:
        found.append(
            Error(
                "ENABLE_SUPABASE is on, but no PostgreSQL is named.",
                hint="Set SUPABASE_DB_URL to the project's connection string, or SUPABASE_DB_PASSWORD beside "
                "SUPABASE_URL, which alone is only an HTTP address.",
                id="convoy.E003",
            )
        )
    return found


@register(Tags.security, deploy=True)
def fit_for_production(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.EMBEDDED:
        found.append(
            Warning(
                "The Celery broker lives in this process: workers elsewhere never see a task.",
                hint="Set CELERY_BROKER_URL (or REDIS_URL); the embedded mode is `manage.py serve`.",
                id="convoy.W001",
            )
        )
    if not settings.REDIS_URL:
        found.append(
            Warning(
                "Cache and channel layer live in this process: other processes' browsers get no live updates.",
                hint="Set REDIS_URL.",
                id="convoy.W002",
            )
        )
    return found
