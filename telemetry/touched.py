"""Which span of whose history changed: noted by the drain with its records, taken by `telemetry.derive`."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from telemetry.frames import Record
from telemetry.sql import among, on_postgresql, read_all, write_rows


class Span(NamedTuple):
    """Records of a vehicle between two event times, both included, are new or changed."""

    vehicle_id: int
    first_us: int
    last_us: int
    version: int
    known_us: int | None
    """The newest event time that was derived from before; None: nothing was. A span behind it only adds at the end."""

    @property
    def appends(self) -> bool:
        return self.known_us is not None and self.first_us > self.known_us


def note(records: Iterable[Record]) -> None:
    """Call in the transaction that stores the records. One statement, and none without records."""
    spans: dict[int, list[int]] = {}
    for record in records:
        span = spans.setdefault(record.vehicle_id, [record.time_us, record.time_us])
        if record.time_us < span[0]:
            span[0] = record.time_us
        elif record.time_us > span[1]:
            span[1] = record.time_us
    widen([(vehicle, first, last) for vehicle, (first, last) in spans.items()])


def widen(spans: Sequence[tuple[int, int, int]]) -> None:
    """Vehicle, first, last. In order of vehicles, so that nobody waits crosswise."""
    least, greatest = ("least", "greatest") if on_postgresql() else ("min", "max")
    write_rows(
        "INSERT INTO telemetry_touched (vehicle_id, first_us, last_us, version) "
        "SELECT v.*, 1 FROM ({values}) v WHERE true "
        f"ON CONFLICT (vehicle_id) DO UPDATE SET first_us = {least}(telemetry_touched.first_us, excluded.first_us), "
        f"last_us = {greatest}(telemetry_touched.last_us, excluded.last_us), version = telemetry_touched.version + 1",
        ("bigint", "bigint", "bigint"),
        sorted(spans),
    )


_SPANS = (
    "SELECT t.vehicle_id, t.first_us, t.last_us, t.version, d.last_us FROM telemetry_touched t "
    "LEFT JOIN telemetry_derived d ON d.vehicle_id = t.vehicle_id WHERE "
)


def waiting(shard: int, after: int, limit: int) -> list[Span]:
    """Touched vehicles of the shard in order, beyond `after`: each has its turn. Nothing is locked or removed."""
    rows = read_all(
        f"{_SPANS} t.vehicle_id > %s AND t.vehicle_id %% %s = %s ORDER BY t.vehicle_id LIMIT %s",
        [after, settings.DRAIN_SHARDS, shard, limit],
    )
    return [Span(*row) for row in rows]


def of(vehicles: Sequence[int]) -> list[Span]:
    condition, ids = among("t.vehicle_id", vehicles)
    return [Span(*row) for row in read_all(f"{_SPANS} {condition} ORDER BY t.vehicle_id", ids)]


def done(spans: Sequence[Span], rest: Sequence[Span] = ()) -> None:
    """Call last in the transaction of the results. A row that was touched again meanwhile stays, whole.

    `rest`: what is left of spans that were worked in part. Results may reach beyond that part, so that until its end
    nothing counts as added at the end.
    """
    going_on = {span.vehicle_id: span for span in rest}
    reached = {span.vehicle_id: going_on.get(span.vehicle_id, span).last_us for span in spans}
    write_rows(
        "INSERT INTO telemetry_derived (vehicle_id, last_us) SELECT v.* FROM ({values}) v WHERE true "
        "ON CONFLICT (vehicle_id) DO UPDATE SET last_us = excluded.last_us "
        "WHERE excluded.last_us > telemetry_derived.last_us",
        ("bigint", "bigint"),
        sorted(reached.items()),
    )
    _remove([span for span in spans if span.vehicle_id not in going_on])
    with connection.cursor() as cursor:
        for span in rest:
            cursor.execute(
                "UPDATE telemetry_touched SET first_us = %s WHERE vehicle_id = %s AND version = %s",
                [span.first_us, span.vehicle_id, span.version],
            )


def _remove(spans: Sequence[Span]) -> None:
    if not spans:
        return
    pairs = ", ".join(["(%s, %s)"] * len(spans))
    params = [value for span in spans for value in (span.vehicle_id, span.version)]
    same = f"SELECT vehicle_id FROM telemetry_touched WHERE (vehicle_id, version) IN (VALUES {pairs})"
    # A drain that holds a row has given it another version: it is left alone, and nobody waits.
    skipping = " FOR UPDATE SKIP LOCKED" if on_postgresql() else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM telemetry_touched WHERE vehicle_id IN ({same}{skipping})", params)


def shards() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT vehicle_id %% %s FROM telemetry_touched", [settings.DRAIN_SHARDS])
        return sorted(shard for (shard,) in cursor.fetchall())
