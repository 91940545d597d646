"""Settings of the REST API."""

from datetime import timedelta
from typing import Any

import environ
from corsheaders.defaults import default_headers


def rest_framework(env: environ.Env) -> dict[str, Any]:
    return {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "devices.auth.DeviceTokenAuthentication",
            "devices.auth.JwtAuthentication",
            "rest_framework.authentication.SessionAuthentication",
        ],
        "DEFAULT_PERMISSION_CLASSES": [
            "rest_framework.permissions.IsAuthenticated",
            "fleet.api.scopes.WithinScope",
        ],
        "DEFAULT_RENDERER_CLASSES": ["fleet.api.json.OrjsonRenderer"],
        "DEFAULT_PARSER_CLASSES": ["fleet.api.json.JsonParser"],
        "DEFAULT_CONTENT_NEGOTIATION_CLASS": "fleet.api.json.Negotiation",
        "DEFAULT_PAGINATION_CLASS": "fleet.api.paging.Pages",
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "DEFAULT_THROTTLE_CLASSES": ["fleet.api.throttles.PrincipalThrottle"],
        "DEFAULT_THROTTLE_RATES": {
            "principal": env.str("API_RATE", default="1200/min"),
            "upload": env.str("UPLOAD_RATE", default="6000/min"),
            "login": env.str("LOGIN_RATE", default="60/min"),
            "strangers": env.str("STRANGER_RATE", default="60/min"),
        },
        "EXCEPTION_HANDLER": "fleet.api.problems.handle",
        "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    }


def simple_jwt(env: environ.Env) -> dict[str, Any]:
    return {
        "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.int("JWT_ACCESS_MINUTES", default=15)),
        "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("JWT_REFRESH_DAYS", default=30)),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
        "UPDATE_LAST_LOGIN": True,
        # A changed password ends every session.
        "CHECK_REVOKE_TOKEN": True,
    }


SPECTACULAR_SETTINGS = {
    "TITLE": "Convoy",
    "DESCRIPTION": "The cloud for vehicle fleets. Devices send `Authorization: Bearer <token>` or `X-API-Key`; "
    "people and device accounts log in at /api/v1/auth/login. Errors are problem documents (RFC 9457).",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "fleet.api.openapi.complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        "MotionEnum": "fleet.models.Motion.choices",
        "PresenceEnum": ["online", "offline"],
        "AlertStateEnum": "fleet.models.AlertState.choices",
        "HappeningEnum": "fleet.models.Happening.choices",
        "DeliveryStateEnum": "fleet.models.DeliveryState.choices",
        "CommandStateEnum": "devices.models.State.choices",
        "RoleEnum": "fleet.models.Role.choices",
        "TufRoleEnum": ["root", "targets", "snapshot", "timestamp"],
        "VehicleKindEnum": "fleet.models.Kind.choices",
        "RuleKindEnum": "fleet.models.RuleKind.choices",
        "ReachEnum": ["everything", "warning", "critical", "nothing"],
        "FenceKindEnum": "fleet.models.FenceKind.choices",
        "EdgeEnum": "fleet.models.Edge.choices",
        "ExportStateEnum": "fleet.models.ExportState.choices",
        "MailStateEnum": "fleet.models.MailState.choices",
    },
}

CORS_ALLOW_HEADERS = (
    *default_headers,
    "x-api-key",
    "content-encoding",
    "if-match",
    "if-none-match",
    "idempotency-key",
    "tus-resumable",
    "upload-checksum",
    "upload-length",
    "upload-metadata",
    "upload-offset",
    "x-http-method-override",
)
CORS_EXPOSE_HEADERS = (
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Tus-Resumable",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Offset",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
)
