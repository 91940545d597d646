"""Settings of log-in: how passwords are kept and judged, and when guessing is stopped."""

from datetime import timedelta
from typing import Any

import environ

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]


def log_in(env: environ.Env) -> dict[str, Any]:
    """Lock-out (axes), second factor (otp), sessions."""
    return {
        "AXES_FAILURE_LIMIT": env.int("LOGIN_FAILURE_LIMIT", default=8),
        "AXES_COOLOFF_TIME": timedelta(minutes=15),
        "AXES_LOCKOUT_PARAMETERS": [["username", "ip_address"]],
        "AXES_USERNAME_FORM_FIELD": "username",
        "AXES_LOCKOUT_TEMPLATE": "registration/locked.html",
        "AXES_SENSITIVE_PARAMETERS": ["username", "ip_address", "code"],
        "AXES_VERBOSE": False,
        "OTP_TOTP_ISSUER": "Convoy",
        "OTP_ADMIN_HIDE_SENSITIVE_DATA": True,
        "SESSION_ENGINE": "fleet.people.sessions",
        "SESSION_COOKIE_HTTPONLY": True,
        "PASSWORD_RESET_TIMEOUT": 3600,
    }
