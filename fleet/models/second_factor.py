"""What stands in for a lost authenticator app, and who has one. The app's key is django-otp's TOTPDevice."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django_otp.plugins.otp_totp.models import TOTPDevice


class RecoveryCode(models.Model):
    """80 random bits, shown once, good once: a plain SHA-256 of that much needs no salt."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    digest = models.CharField(max_length=64, unique=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return "used" if self.used_at else "unused"


def has_second_factor(user: str) -> Any:
    """As a condition in a query; `user`: the column that names the person."""
    return Exists(TOTPDevice.objects.filter(user=OuterRef(user), confirmed=True))
