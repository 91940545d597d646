"""Times as clients send them: ISO 8601, or Unix seconds (milliseconds, microseconds: told apart by size)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from fleet.jsontext import written

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE_LIMIT = timedelta(minutes=10)
_MILLISECONDS, _MICROSECONDS = 1e11, 1e14
"""As seconds they would be after the year 5000; as what they are called, in the seventies."""


def moment_of(value: Any) -> datetime:
    """UTC where the text names no zone. Raises ValueError with the reason."""
    if isinstance(value, str):
        text = value.strip()
        try:
            number = float(text)
        except ValueError:
            return _from_iso(text)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    else:
        raise ValueError("send ISO 8601 or Unix seconds")
    try:
        if abs(number) >= _MILLISECONDS:
            number /= 1e6 if abs(number) >= _MICROSECONDS else 1e3
        return datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{str(value)[:40]} is not a time in Unix seconds") from None


def _from_iso(text: str) -> datetime:
    before, space, zone = text.rpartition(" ")
    # The + of a zone in an address, not written as %2B.
    meant = f"{before}+{zone}" if space and ":" in before else text
    try:
        parsed = datetime.fromisoformat(meant)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is neither ISO 8601 nor Unix seconds") from None


@extend_schema_field(
    {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "number", "description": "Unix seconds."}]}
)
class MomentField(serializers.Field[datetime, Any, str, Any]):
    """`past=True`: something measured, which cannot lie more than ten minutes ahead or before 2000."""

    def __init__(self, *, past: bool = False, **options: Any) -> None:
        self.past = past
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> datetime:
        try:
            moment = moment_of(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        if self.past and not EARLIEST <= moment <= timezone.now() + FUTURE_LIMIT:
            raise serializers.ValidationError(
                f"{moment.isoformat()} is before the year 2000 or more than ten minutes ahead of the server"
            )
        return moment

    def to_representation(self, value: datetime) -> str:
        return written(value)
