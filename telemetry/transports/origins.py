"""CORS for answers that are given in front of Django's middleware: the same origins, the same headers."""

from corsheaders.conf import conf
from corsheaders.middleware import (
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
)

_VARY = {"Vary": "Origin"}


def headers_for(origin: str) -> dict[str, str]:
    """What a browser at this origin needs in order to read the answer; empty where it may not."""
    if conf.CORS_ALLOW_ALL_ORIGINS and not conf.CORS_ALLOW_CREDENTIALS:
        return {ACCESS_CONTROL_ALLOW_ORIGIN: "*", **_exposed()}
    if not conf.CORS_ALLOW_ALL_ORIGINS and not conf.CORS_ALLOWED_ORIGINS:
        return {}
    if not origin or not (conf.CORS_ALLOW_ALL_ORIGINS or origin in conf.CORS_ALLOWED_ORIGINS):
        return _VARY
    allowed = {ACCESS_CONTROL_ALLOW_ORIGIN: origin, **_VARY, **_exposed()}
    if conf.CORS_ALLOW_CREDENTIALS:
        allowed[ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
    return allowed


def _exposed() -> dict[str, str]:
    names = conf.CORS_EXPOSE_HEADERS
    return {ACCESS_CONTROL_EXPOSE_HEADERS: ", ".join(names)} if names else {}
