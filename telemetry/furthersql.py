"""A further value out of history's JSON, as a number the database can compare: null where it is none."""

from typing import Any

from django.db.models import Case, F, FloatField, Func, When

from edge.protocol.signals import BY_NAME
from fleet.privacy.gate import hidden, names_a_position


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


def column_of(name: str) -> Any:
    """Where history keeps a sensor type, for people to read: a signal's column, or its place in the JSON. Of a position
    an expression that is null in private time."""
    signal = BY_NAME.get(name)
    column = signal.column if signal else FurtherValue(name)
    if not names_a_position(name):
        return column
    known = F(column) if isinstance(column, str) else column
    return Case(When(hidden(), then=None), default=known, output_field=FloatField())
