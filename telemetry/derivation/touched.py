"""Which span of whose history changed: noted by the drain with its records, taken by `telemetry.derivation.derive`."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

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


Stretch = tuple[int, int, int]
"""Vehicle, first and last event time in microseconds."""


def stretches(records: Iterable[Record]) -> list[Stretch]:
    """One for each vehicle."""
    spans: dict[int, list[int]] = {}
    for record in records:
        span = spans.setdefault(record.vehicle_id, [record.time_us, record.time_us])
        if record.time_us < span[0]:
            span[0] = record.time_us
        elif record.time_us > span[1]:
            span[1] = record.time_us
    return [(vehicle, first, last) for vehicle, (first, last) in spans.items()]


@dataclass(frozen=True)
class Lane:
    """What is derived together, in its own time. `table` holds what is touched, `reached` how far it was derived."""

    table: str
    reached: str
    after_s: float = 0.0
    """So long after the first touch; what comes meanwhile is one span."""

    def widen(self, spans: Sequence[Stretch], *, at_once: bool = False) -> None:
        """Call in the transaction that stores the records. One statement; in order of vehicles, so that nobody waits
        crosswise."""
        least, greatest = ("least", "greatest") if on_postgresql() else ("min", "max")
        table, due_us = self.table, 0 if at_once or not self.after_s else _now_us() + int(self.after_s * 1e6)
        write_rows(
            f"INSERT INTO {table} (vehicle_id, first_us, last_us, due_us, version) "
            "SELECT v.*, 1 FROM ({values}) v WHERE true "
            f"ON CONFLICT (vehicle_id) DO UPDATE SET first_us = {least}({table}.first_us, excluded.first_us), "
            f"last_us = {greatest}({table}.last_us, excluded.last_us), "
            f"due_us = {least}({table}.due_us, excluded.due_us), version = {table}.version + 1",
            ("bigint", "bigint", "bigint", "bigint"),
            sorted((*span, due_us) for span in spans),
        )

    def waiting(self, shard: int, after: int, limit: int) -> list[Span]:
        """Touched vehicles of the shard whose time has come, in order, beyond `after`: each has its turn. Nothing is
        locked or removed."""
        rows = read_all(
            f"{self._spans} t.vehicle_id > %s AND t.vehicle_id %% %s = %s AND t.due_us <= %s "
            "ORDER BY t.vehicle_id LIMIT %s",
            [after, settings.DRAIN_SHARDS, shard, _now_us(), limit],
        )
        return [Span(*row) for row in rows]

    def of(self, vehicles: Sequence[int]) -> list[Span]:
        condition, ids = among("t.vehicle_id", vehicles)
        return [Span(*row) for row in read_all(f"{self._spans} {condition} ORDER BY t.vehicle_id", ids)]

    @property
    def _spans(self) -> str:
        return (
            f"SELECT t.vehicle_id, t.first_us, t.last_us, t.version, d.last_us FROM {self.table} t "
            f"LEFT JOIN {self.reached} d ON d.vehicle_id = t.vehicle_id WHERE "
        )

    def done(self, spans: Sequence[Span], rest: Sequence[Span] = ()) -> None:
        """Call last in the transaction of the results. A row that was touched again meanwhile stays, whole.

        `rest`: what is left of spans that were worked in part. Results may reach beyond that part, so that until its
        end nothing counts as added at the end.
        """
        going_on = {span.vehicle_id: span for span in rest}
        ends = {span.vehicle_id: going_on.get(span.vehicle_id, span).last_us for span in spans}
        write_rows(
            f"INSERT INTO {self.reached} (vehicle_id, last_us) "
            "SELECT v.* FROM ({values}) v WHERE true "
            "ON CONFLICT (vehicle_id) DO UPDATE SET last_us = excluded.last_us "
            f"WHERE excluded.last_us > {self.reached}.last_us",
            ("bigint", "bigint"),
            sorted(ends.items()),
        )
        self._remove([span for span in spans if span.vehicle_id not in going_on])
        with connection.cursor() as cursor:
            for span in rest:
                cursor.execute(
                    f"UPDATE {self.table} SET first_us = %s WHERE vehicle_id = %s AND version = %s",
                    [span.first_us, span.vehicle_id, span.version],
                )

    def _remove(self, spans: Sequence[Span]) -> None:
        if not spans:
            return
        pairs = ", ".join(["(%s, %s)"] * len(spans))
        params = [value for span in spans for value in (span.vehicle_id, span.version)]
        same = f"SELECT vehicle_id FROM {self.table} WHERE (vehicle_id, version) IN (VALUES {pairs})"
        # A drain that holds a row has given it another version: it is left alone, and nobody waits.
        skipping = " FOR UPDATE SKIP LOCKED" if on_postgresql() else ""
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {self.table} WHERE vehicle_id IN ({same}{skipping})", params)

    def shards(self) -> list[int]:
        """Those with something whose time has come."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT DISTINCT vehicle_id %% %s FROM {self.table} WHERE due_us <= %s",
                [settings.DRAIN_SHARDS, _now_us()],
            )
            return sorted(shard for (shard,) in cursor.fetchall())


def _now_us() -> int:
    return time.time_ns() // 1000


QUICK: Final = Lane("telemetry_touched", "telemetry_derived")
"""Vehicles with alert rules: somebody waits for the alert."""
PACED: Final = Lane("telemetry_paced", "telemetry_paced_derived", 10.0)
"""Every vehicle, every ten seconds at most: what a span costs does not grow with its records."""
