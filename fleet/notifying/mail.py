"""Letters to people: queued after the commit, written and sent by workers."""

import logging
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

log = logging.getLogger(__name__)
_STAYS_HERE = ("console.EmailBackend", "filebased.EmailBackend")


def send(to: str, subject: str, template: str, **content: Any) -> None:
    """Raises what the mail server's refusal raises. `template`: a name in templates/mail/."""
    body = render_to_string(f"mail/{template}.txt", content)
    EmailMessage(" ".join(subject.split()), body.strip() + "\n", to=[to]).send()


def address_of(path: str) -> str:
    """A path as a link that works in a mail."""
    return f"{settings.SITE_URL}{path}"


def goes_out() -> bool:
    """False: mails are only printed or kept in files, so the page must show their links itself."""
    return not settings.EMAIL_BACKEND.endswith(_STAYS_HERE)


def queue(task: str, *args: Any) -> None:
    """Start a task after the commit. A broker that is down is logged: who asked can ask again."""

    def start() -> None:
        try:
            current_app.send_task(task, args)
        except Exception:
            log.warning("could not queue %s", task, exc_info=True)

    transaction.on_commit(start)
