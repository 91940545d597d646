"""Settings of what goes out: e-mail, webhooks, reports; and the queues that their workers have to themselves."""

from pathlib import Path
from typing import Any

import environ
from kombu import Exchange, Queue

QUEUES = [Queue(name, Exchange(name), routing_key=name) for name in ("celery", "derive", "notify", "reports")]
# What can wait, a slow mail server or receiver, a report of a million rows: none may take the places of the drains.
ROUTES = {
    "telemetry.derive_paced": {"queue": "derive", "routing_key": "derive"},
    "fleet.keep_rollups": {"queue": "derive", "routing_key": "derive"},
    "fleet.prune_rollups": {"queue": "derive", "routing_key": "derive"},
    "fleet.send_*": {"queue": "notify", "routing_key": "notify"},
    "fleet.make_*": {"queue": "reports", "routing_key": "reports"},
}


def mail(env: environ.Env, data_dir: Path) -> dict[str, Any]:
    """EMAIL_URL; without one, every e-mail is a file in DATA_DIR/mail."""
    url = env.str("EMAIL_URL", default="")
    if not url:
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "EMAIL_FILE_PATH": str(data_dir / "mail"),
        }
    named: dict[str, Any] = env.email_url_config(url)
    if named.get("EMAIL_FILE_PATH"):
        named["EMAIL_FILE_PATH"] = "/" + str(named["EMAIL_FILE_PATH"])
    # Absent parts of the address leave Django's own defaults.
    return {name: value for name, value in named.items() if value is not None}


def site_url(env: environ.Env, hosts: list[str], port: int, https: bool) -> str:
    """Where links in e-mails and webhooks lead, without a slash at the end."""
    host = next((name for name in hosts if name.strip(".*")), "localhost").lstrip(".")
    guess = f"https://{host}" if https else f"http://{host}:{port}"
    return str(env.str("SITE_URL", default=guess)).rstrip("/")
