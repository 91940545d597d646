"""How the admin looks: our colours and icon, and a sidebar with what people change above what only we write."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _entries(app: str, *models: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{app}_{model}_changelist")}
        for model, title, icon in models
    ]


_SIDEBAR: dict[str, Any] = {
    "show_search": True,
    "show_all_applications": False,
    "navigation": [
        {
            "items": [
                {"title": "Live map", "icon": "map", "link": reverse_lazy("live-map"), "active": False},
                {"title": "API documentation", "icon": "api", "link": reverse_lazy("docs"), "active": False},
            ]
        },
        {
            "title": "Fleets",
            "items": _entries(
                "fleet",
                ("fleet", "Fleets", "garage_home"),
                ("vehicle", "Vehicles", "directions_car"),
                ("vehiclestate", "Vehicle states", "speed"),
                ("driver", "Drivers", "person_pin"),
            ),
        },
        {
            "title": "Alerts",
            "items": _entries(
                "fleet",
                ("alert", "Alerts", "warning"),
                ("notification", "Notifications", "notifications"),
                ("notificationchoice", "Choices", "tune"),
                ("escalationstep", "Escalation", "escalator_warning"),
                ("webhook", "Webhooks", "webhook"),
                ("webhookdelivery", "Deliveries", "outbox"),
            ),
        },
        {
            "title": "Profiles",
            "items": _entries(
                "profiles",
                ("driverprofile", "Profiles", "lock"),
                ("encryptedprofile", "Versions", "history"),
                ("profilecopy", "Copies", "content_copy"),
            ),
        },
        {
            "title": "People",
            "items": _entries("fleet", ("user", "Users", "person"), ("membership", "Memberships", "badge"))
            + _entries("fleet", ("invitation", "Invitations", "mail"), ("session", "Log-ins", "login"))
            + _entries("otp_totp", ("totpdevice", "Second factors", "key"))
            + _entries("auth", ("group", "Groups", "group")),
        },
        {
            "title": "Devices",
            "items": _entries(
                "devices",
                ("device", "Devices", "router"),
                ("modelrelease", "Model releases", "deployed_code"),
                ("modelinstall", "Installations", "download_done"),
                ("devicetoken", "Tokens", "key"),
            ),
        },
        {
            "title": "Telemetry",
            "items": _entries(
                "telemetry",
                ("telemetryrecord", "Records", "timeline"),
                ("compressionstat", "Compression", "compress"),
                ("stream", "Streams", "stream"),
                ("gap", "Gaps", "broken_image"),
                ("frame", "Inbox", "inbox"),
                ("heldframe", "Held frames", "pause"),
            ),
        },
    ],
}
_TEAL = (
    (50, "97.5% .015"), (100, "94% .035"), (200, "88% .06"), (300, "80% .09"), (400, "72% .11"), (500, "62% .105"),
    (600, "48.5% .085"), (700, "42% .075"), (800, "36% .06"), (900, "30% .05"), (950, "22% .035"),
)  # fmt: skip


def _icon(request: Any) -> str:
    return static("img/favicon.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Convoy",
    "SITE_HEADER": "Convoy",
    "SITE_SUBHEADER": "Administration",
    "SITE_ICON": _icon,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
    "SITE_URL": "/",
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": {str(step): f"oklch({colour} 180)" for step, colour in _TEAL}},
    "SIDEBAR": _SIDEBAR,
}
