"""A further value out of history's JSON, as a number the database can compare: null where it is none."""

from typing import Any

from django.db.models import FloatField, Func

from edge.protocol.signals import BY_NAME


class FurtherValue(Func):
    """`extra[name]` of telemetry_data. The name is the device's own text, dots and all, and always a parameter."""

    output_field = FloatField()

    def __init__(self, name: str) -> None:
        super().__init__("extra")
        self.name = name

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        column, params = compiler.compile(self.source_expressions[0])
        if connection.vendor == "postgresql":
            number = f"jsonb_typeof({column} -> %s::text) = 'number'"
            return f"(CASE WHEN {number} THEN ({column} ->> %s::text)::float8 END)", [
                *params,
                self.name,
                *params,
                self.name,
            ]
        # Not JSON_EXTRACT: its paths cannot name every key.
        values = f"SELECT value FROM json_each({column}) WHERE key = %s AND type IN ('integer', 'real')"
        return f"({values})", [*params, self.name]


def column_of(name: str) -> str | FurtherValue:
    """Where history keeps a sensor type: a signal's column, or its place in the JSON."""
    signal = BY_NAME.get(name)
    return signal.column if signal else FurtherValue(name)
