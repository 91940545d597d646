"""Keys of a device's configuration that Convoy knows: label, unit, range. Any other key is the device's own.

A key describes itself once, as a command's parameter does: checks, the editor's table and the schema come from it.
Its name is a JSON pointer (RFC 6901) into the document.
"""

from typing import Any

from devices.kinds import Number, Parameter, Text

KEYS: tuple[Parameter, ...] = (
    Number("/telemetry/sampling_interval_s", "Sampling interval", 0.05, 3600, "s", example=1),
    Number("/telemetry/send_interval_s", "Send interval", 1, 86_400, "s", example=10),
    Number("/telemetry/batch_size", "Records in a message", 1, 2000, whole=True, example=50),
    Number("/telemetry/keyframe_interval_s", "Complete record every", 1, 86_400, "s", example=60),
    Number("/trips/upload_interval_s", "Trip summary every", 10, 86_400, "s", example=300),
    Number("/models/check_interval_s", "Look for models every", 60, 604_800, "s", example=86_400),
    Number("/config/poll_interval_s", "Look for configuration every", 10, 604_800, "s", example=900),
    Text("/log_level", "Log level", choices=("debug", "info", "warning", "error"), example="info"),
)
_MISSING = object()


def flaws(document: dict[str, Any]) -> dict[str, str]:
    """Why known keys cannot be as they are, by pointer. null is fine: it removes what a wider layer says."""
    found: dict[str, str] = {}
    for key in KEYS:
        *parents, last = key.name.strip("/").split("/")
        here: Any = document
        for depth, name in enumerate(parents, 1):
            here = here.get(name, {})
            if here is None:
                here = {}
            if not isinstance(here, dict):
                found["/" + "/".join(parents[:depth])] = f"Must be an object: it holds {last}."
                here = {}
        value = here.get(last, _MISSING)
        if value is not _MISSING and value is not None and (reason := key.reason_against(value)):
            found[key.name] = reason
    return found


def schema() -> dict[str, Any]:
    """JSON Schema of a configuration. What it does not name is passed on to the device."""
    root: dict[str, Any] = {"type": "object", "properties": {}}
    for key in KEYS:
        *parents, last = key.name.strip("/").split("/")
        here = root
        for name in parents:
            here = here["properties"].setdefault(name, {"type": "object", "properties": {}})
        unit = key.unit if isinstance(key, Number) else ""
        here["properties"][last] = key.schema() | ({"x-unit": unit} if unit else {})
    return root
