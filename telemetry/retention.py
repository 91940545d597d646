"""Records that are older than their fleet keeps them: refused before they are stored, and dropped by the month.

PostgreSQL keeps a month in one partition for all fleets. What stays of it is copied into a new table that takes the
partition's place, and the old one is dropped whole: no row is deleted, nothing is left to vacuum, and the drain's COPY
knows nothing of it (docs/adr/0004-retention-per-fleet.md). SQLite deletes rows, a little at a time.
"""

import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from fleet.models import Vehicle
from fleet.privacy.retention import first_kept, records_kept
from telemetry import partitions
from telemetry.frames import Pending, Record, to_us
from telemetry.partitions import TABLE
from telemetry.sql import among, on_postgresql

log = logging.getLogger(__name__)
_LOCK_TIMEOUT_S = 3
_ROWS_AT_ONCE = 5_000


class Cutoffs:
    """From when on the records of some vehicles are kept. No query unless one of them is more than a month old."""

    def __init__(self, frames: Sequence[Pending]) -> None:
        self._since_us: dict[int, int] = {}
        now = timezone.now()
        newest = first_kept(now, 1)  # no limit is shorter
        assert newest
        old = {frame.vehicle_id for frame in frames if frame.time_us < to_us(newest)}
        if old:
            fleets = dict(Vehicle.objects.filter(pk__in=old).values_list("pk", "fleet_id"))
            kept = records_kept(now, fleets.values())
            self._since_us = {v: to_us(kept[fleet]) for v, fleet in fleets.items() if fleet in kept}

    def keeps(self, one: Pending | Record) -> bool:
        return one.time_us >= self._since_us.get(one.vehicle_id, one.time_us)

    def kept(self, records: Sequence[Record]) -> list[Record]:
        return [one for one in records if self.keeps(one)]


def since_us(fleets: Collection[int]) -> dict[int, int]:
    """Before which moment a fleet's records may be gone; fleets that keep everything are left out."""
    return {fleet: to_us(first) for fleet, first in records_kept(timezone.now(), fleets).items()}


def keep(now: datetime) -> list[str]:
    """Drop what fleets do not keep; answers the partitions that went or were made anew (SQLite: none)."""
    limits = records_kept(now)
    if not on_postgresql():
        for fleet, first in limits.items():
            _delete(fleet, first)
        return []
    done = []
    for name in partitions.existing():
        ends = _end_of(name)
        past = [fleet for fleet, first in limits.items() if first >= ends]
        if past:
            try:
                if _without(name, past):
                    done.append(name)
            except OperationalError:
                # Somebody reads or writes that month just now: the next turn comes.
                log.warning("%s could not be made anew; trying again later", name, exc_info=True)
    return done


def _end_of(partition: str) -> datetime:
    year, month = int(partition[-7:-3]), int(partition[-2:])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def _without(name: str, fleets: Sequence[int]) -> bool:
    """The month without these fleets' records. False: there are none."""
    condition, ids = among("v.fleet_id", fleets)
    of_them = f"EXISTS (SELECT 1 FROM vehicles v WHERE v.id = d.vehicle_id AND {condition})"
    # Along the index by vehicle: a look for each vehicle, however many records the month holds.
    theirs = f"SELECT 1 FROM vehicles v WHERE {condition} AND EXISTS (SELECT 1 FROM {name} d WHERE d.vehicle_id = v.id)"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({theirs})", ids)
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s'")
        # Readers go on. Late records of this month wait until it stands again; they are rare, and of no other month.
        cursor.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(f"CREATE TABLE {name}_kept (LIKE {name} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute(f"INSERT INTO {name}_kept SELECT d.* FROM {name} d WHERE NOT {of_them}", ids)
        if not cursor.rowcount:
            cursor.execute(f"DROP TABLE {name}_kept")
            cursor.execute(f"DROP TABLE {name}")
            return True
        _index(cursor, name)
        _swap(cursor, name)
        cursor.execute(f"ANALYZE {name}")
    return True


def _index(cursor: Any, name: str) -> None:
    """After the copy, which is quicker; and before the swap, which then only takes them over. The check spares the swap
    a look at every row."""
    first, end = _bounds(name)
    for statement in (
        f"ALTER TABLE {name}_kept ADD PRIMARY KEY (id, time)",
        f"ALTER TABLE {name}_kept ADD UNIQUE (vehicle_id, time, stream_id, sequence)",
        f"CREATE INDEX ON {name}_kept USING brin (time)",
        f"ALTER TABLE {name}_kept ADD CONSTRAINT {name}_month CHECK (time >= '{first}' AND time < '{end}')",
    ):
        cursor.execute(statement)


def _swap(cursor: Any, name: str) -> None:
    first, end = _bounds(name)
    for statement in (
        f"ALTER TABLE {TABLE} DETACH PARTITION {name}",
        f"DROP TABLE {name}",
        f"ALTER TABLE {name}_kept RENAME TO {name}",
        f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{end}')",
        f"ALTER TABLE {name} DROP CONSTRAINT {name}_month",
    ):
        cursor.execute(statement)


def _bounds(name: str) -> tuple[str, str]:
    end = _end_of(name)
    return datetime(int(name[-7:-3]), int(name[-2:]), 1, tzinfo=UTC).isoformat(), end.isoformat()


def _delete(fleet: int, first: datetime) -> None:
    """Nobody waits long for SQLite's only writer."""
    before = connection.ops.adapt_datetimefield_value(first)
    deleted = _ROWS_AT_ONCE
    while deleted == _ROWS_AT_ONCE:
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {TABLE} WHERE id IN (SELECT d.id FROM vehicles v JOIN {TABLE} d ON d.vehicle_id = v.id "
                "WHERE v.fleet_id = %s AND d.time < %s LIMIT %s)",
                [fleet, before, _ROWS_AT_ONCE],
            )
            deleted = cursor.rowcount
