"""Handing an e-mail to the mail server so that everybody knows what became of it, or that nobody can know.

The caller's mark is committed when the server is connected and right before it gets the message: whoever dies before it
has changed nothing; after it nobody knows whether the server took it.
"""

import logging
import smtplib
from collections.abc import Callable
from enum import Enum, auto

from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

log = logging.getLogger(__name__)


class Posted(Enum):
    SENT = auto()
    NOT_MINE = auto()
    """The mark was refused: somebody else has it."""
    LATER = auto()
    REFUSED = auto()
    UNCERTAIN = auto()


def post(letter: Callable[[BaseEmailBackend], EmailMessage], mark: Callable[[], bool]) -> tuple[Posted, str]:
    """What became of it, and why. `mark` commits that it goes out now, or says False."""
    connection = mail.get_connection()
    try:
        message = letter(connection)
        connection.open()
        if isinstance(connection, SmtpBackend) and connection.connection:
            connection.connection.ehlo_or_helo_if_needed()  # else only after the mark
    except (OSError, smtplib.SMTPException) as error:
        return Posted.LATER, f"The mail server cannot be reached: {error}"
    try:
        if not mark():
            return Posted.NOT_MINE, ""
        try:
            connection.send_messages([message])
        except (OSError, smtplib.SMTPException) as error:
            return _failure(error)
        return Posted.SENT, ""
    finally:
        try:
            connection.close()
        except (OSError, smtplib.SMTPException):  # what became of it is known all the same
            log.info("the mail server did not say good-bye", exc_info=True)


def _failure(error: Exception) -> tuple[Posted, str]:
    codes = _refusal(error)
    if codes is None:
        return Posted.UNCERTAIN, f"It may have arrived, so it is not sent again: {error!r}"
    if all(400 <= code < 500 for code in codes):
        return Posted.LATER, f"The mail server asks to try later: {error}"
    return Posted.REFUSED, f"The mail server refused it: {error}"


def _refusal(error: Exception) -> list[int] | None:
    """The codes with which a server said no. None: it said nothing, so nobody knows."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return [code for code, _ in error.recipients.values()]
        case smtplib.SMTPResponseException():
            return [error.smtp_code]
    return None
