"""After the storm: every acknowledged record is there exactly once, in order, and right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge.protocol.signals import SIGNALS
from tests.drives import within_tolerance
from tests.faults.sender import Sender

Query = Callable[[str], list[tuple[Any, ...]]]


@dataclass
class Count:
    acknowledged: int
    stored: int
    duplicates: int
    frames: int


def count(query: Query, loads: Sequence[Sender]) -> Count:
    acknowledged = sum(load.acknowledged for load in loads)
    stored, distinct = query(
        "SELECT COALESCE(SUM(n), 0), COUNT(*) FROM "
        "(SELECT COUNT(*) AS n FROM telemetry_data GROUP BY device_id, stream_id, sequence) AS t"
    )[0]
    frames = query("SELECT COUNT(*) FROM telemetry_frame")[0][0]
    return Count(acknowledged, int(stored), int(stored) - int(distinct), int(frames))


def assert_nothing_lost(query: Query, load: Sender) -> int:
    """Answers how many values were compared with what was measured."""
    columns = ", ".join(signal.column for signal in SIGNALS)
    rows = query(
        f"SELECT d.id, d.sequence, d.quality, d.time, {columns} FROM telemetry_data d "
        f"JOIN vehicles v ON v.id = d.vehicle_id WHERE v.vin = '{load.vin}' ORDER BY d.time"
    )
    assert [row[1] for row in rows] == list(range(1, load.acknowledged + 1)), load.vin
    assert [row[0] for row in rows] == sorted(row[0] for row in rows), f"{load.vin}: stored out of order"
    assert {row[2] for row in rows} == {0}, f"{load.vin}: not all verified"
    compared = 0
    for row, (timestamp, measured) in zip(rows, load.readings, strict=False):
        time = datetime.fromisoformat(row[3]).replace(tzinfo=UTC) if isinstance(row[3], str) else row[3]
        assert abs(time.timestamp() - timestamp) < 1e-5
        stored = {s.name: value for s, value in zip(SIGNALS, row[4:], strict=True) if value is not None}
        assert stored.keys() == measured.keys(), (load.vin, row[1])
        for name, value in stored.items():
            assert within_tolerance(name, value, measured[name]), (
                load.vin,
                row[1],
                name,
                value,
                measured[name],
            )
            compared += 1
    return compared
