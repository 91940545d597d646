"""Settings that would lose data or be unsafe, found before anybody is hurt (`manage.py check`)."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from fleet.notifying import mail
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
    if not urlsplit(settings.SITE_URL).netloc:
        found.append(
            Error(
                f"SITE_URL={settings.SITE_URL!r} is no address.",
                hint="Write https://fleet.example: links in mails begin with it.",
                id="convoy.E004",
            )
        )
    return found


@register(Tags.security, deploy=True)
def fit_for_production(**_: Any) -> list[CheckMessage]:
    return [Warning(said, hint=hint, id=f"convoy.{name}") for wrong, name, said, hint in _unfit() if wrong]


def _unfit() -> Iterator[tuple[bool, str, str, str]]:
    """Is it so, the message's name, what it means, what to do."""
    yield (
        settings.EMBEDDED, "W001",
        "The Celery broker lives in this process: workers elsewhere never see a task.",
        "Set CELERY_BROKER_URL (or REDIS_URL); the embedded mode is `manage.py serve`.",
    )  # fmt: skip
    yield (
        not settings.REDIS_URL, "W002",
        "Cache and channel layer live in this process: other processes' browsers get no live updates.",
        "Set REDIS_URL.",
    )  # fmt: skip
    yield (
        not mail.goes_out(), "W003",
        "No e-mail leaves this machine: no alerts, no new passwords; inviters see the links themselves.",
        "Set EMAIL_URL, such as smtp+tls://USER:PASSWORD@HOST:587, and EMAIL_FROM.",
    )  # fmt: skip
    yield (
        not settings.STAFF_SECOND_FACTOR, "W004",
        "Staff, who may do everything, log in with a password alone.",
        "Leave STAFF_SECOND_FACTOR on.",
    )  # fmt: skip
    yield (
        settings.WEBHOOK_PRIVATE_NETWORKS, "W005",
        "Webhooks may call addresses of private networks, this machine's own among them.",
        "Set WEBHOOK_PRIVATE_NETWORKS=false unless every manager of every fleet may do that.",
    )  # fmt: skip
