"""`telemetry_data` by month on PostgreSQL: made ahead, made on demand for late data, dropped by retention.

On SQLite the table is an ordinary one: nothing is made, and retention deletes rows.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import connection, migrations, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from fleet.privacy.retention import first_kept
from telemetry.frames import from_us
from telemetry.sql import on_postgresql

TABLE = "telemetry_data"
_ROWS_AT_ONCE = 5_000
_LOCK_CLASS = 7_308
Month = tuple[int, int]


class CreatePartitionedModel(migrations.CreateModel):
    """CreateModel, but PARTITION BY RANGE (time) where the database can."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.name)
        columns = [_column(field, schema_editor) for field in model._meta.local_fields]
        schema_editor.execute(f"CREATE SEQUENCE {TABLE}_id_seq")
        schema_editor.execute(
            f"CREATE TABLE {TABLE} ({', '.join(columns)}, PRIMARY KEY (id, time), "
            "CONSTRAINT record_once UNIQUE (vehicle_id, time, stream_id, sequence)) "
            "PARTITION BY RANGE (time)"
        )
        schema_editor.execute(f"ALTER SEQUENCE {TABLE}_id_seq OWNED BY {TABLE}.id")
        schema_editor.execute(f"CREATE INDEX {TABLE}_time_brin ON {TABLE} USING brin (time)")


def _column(field: "models.Field[Any, Any]", schema_editor: BaseDatabaseSchemaEditor) -> str:
    if field.primary_key:
        return f"id bigint NOT NULL DEFAULT nextval('{TABLE}_id_seq')"
    null = "" if field.null else " NOT NULL"
    return f'"{field.column}" {field.db_type(schema_editor.connection)}{null}'


def month_of(time_us: int) -> Month:
    moment = from_us(time_us)
    return moment.year, moment.month


def ensure(months: Iterable[Month]) -> None:
    """Create the partitions that are missing. Takes its locks before anything reads the table."""
    if not on_postgresql():
        return
    missing = [month for month in sorted(months) if not _exists(month)]
    if not missing:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        # IF NOT EXISTS is no help against another transaction that is creating the same one.
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_LOCK_CLASS])
        there = set(existing())  # to_regclass may still remember what it saw before the lock
        for month in missing:
            if _name(month) not in there:
                cursor.execute(
                    f"CREATE TABLE {_name(month)} PARTITION OF {TABLE} "
                    f"FOR VALUES FROM ('{_first(month)}') TO ('{_first(_after(month))}')"
                )


def _exists(month: Month) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [_name(month)])
        return bool(cursor.fetchone()[0])


def ensure_ahead(now: datetime, months: int = 3) -> None:
    """This month and the next ones, so that no record waits for a CREATE TABLE."""
    month, wanted = (now.year, now.month), []
    for _ in range(months):
        wanted.append(month)
        month = _after(month)
    ensure(wanted)


def drop_before(now: datetime, keep_months: int) -> list[str]:
    """Drop whole months older than `keep_months` before this one; answers their names (SQLite: none)."""
    first = first_kept(now, keep_months)
    if first is None:
        return []
    if not on_postgresql():
        _delete_before(first)
        return []
    oldest = first.year, first.month
    dropped = [name for name in existing() if name < _name(oldest)]
    with connection.cursor() as cursor:
        for name in dropped:
            cursor.execute(f"DROP TABLE {name}")
    return dropped


def _delete_before(moment: datetime) -> None:
    """A little at a time, so that nobody waits long for SQLite's only writer."""
    before = connection.ops.adapt_datetimefield_value(moment)
    deleted = _ROWS_AT_ONCE
    while deleted == _ROWS_AT_ONCE:
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {TABLE} WHERE id IN (SELECT id FROM {TABLE} WHERE time < %s LIMIT %s)",
                [before, _ROWS_AT_ONCE],
            )
            deleted = cursor.rowcount


def existing() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass ORDER BY 1",
            [TABLE],
        )
        return [name for (name,) in cursor.fetchall()]


def _name(month: Month) -> str:
    return f"{TABLE}_{month[0]:04d}_{month[1]:02d}"


def _first(month: Month) -> str:
    return datetime(*month, 1, tzinfo=UTC).isoformat()


def _after(month: Month) -> Month:
    return (month[0] + 1, 1) if month[1] == 12 else (month[0], month[1] + 1)
