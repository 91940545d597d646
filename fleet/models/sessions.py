"""Log-ins of the pages, kept by person so that each can look at theirs and end them."""

import hashlib
from typing import Any

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models


class Session(AbstractBaseSession):
    # No constraint: Django's session code takes an IntegrityError for a key in use, and tries again for ever.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="sessions",
        db_constraint=False,
    )
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField("browser", max_length=200, blank=True)
    began_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True, help_text="To the nearest five minutes.")

    class Meta:
        db_table = "people_sessions"

    def __str__(self) -> str:
        return f"{self.user} from {self.address}"

    @property
    def public_id(self) -> str:
        """What pages call it: the key itself would let its reader in."""
        return hashlib.sha256(self.session_key.encode()).hexdigest()[:20]

    @classmethod
    def get_session_store_class(cls) -> Any:
        from fleet.people.sessions import SessionStore

        return SessionStore
