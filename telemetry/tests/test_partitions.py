"""telemetry_data by month on PostgreSQL; on SQLite one ordinary table, and nothing here does anything."""

import threading
from datetime import UTC, datetime

import psycopg
import pytest
from django.db import connection, connections

from telemetry import partitions, store
from telemetry.frames import Record, to_us
from telemetry.models import TelemetryRecord
from tests.world import make_car

NOW = datetime(2031, 11, 20, 12, tzinfo=UTC)


@pytest.mark.sqlite
def test_sqlite_makes_nothing_and_deletes_what_is_past_retention(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_ROWS_AT_ONCE", 2)
    partitions.ensure_ahead(NOW)
    old = [datetime(2031, 9, 30, 23, second, tzinfo=UTC) for second in range(5)]
    kept = datetime(2031, 10, 1, tzinfo=UTC)
    store.write([record(moment) for moment in (*old, kept, NOW)])
    assert partitions.drop_before(NOW, 0) == []
    assert TelemetryRecord.objects.count() == 7
    assert partitions.drop_before(NOW, 1) == []
    assert sorted(row.time for row in TelemetryRecord.objects.all()) == [kept, NOW]


def record(moment: datetime) -> Record:
    car = make_car()
    us = to_us(moment)
    return Record(car.vehicle.pk, car.device.pk, us, us, 1, 1, 0, 0, {})


@pytest.mark.postgres
class TestPostgres:
    def test_made_ahead_across_the_year(self, db: None) -> None:
        partitions.ensure_ahead(NOW)
        made = [name for name in partitions.existing() if name >= "telemetry_data_2031"]
        assert made == ["telemetry_data_2031_11", "telemetry_data_2031_12", "telemetry_data_2032_01"]
        partitions.ensure_ahead(NOW)

    def test_made_on_demand_and_used(self, db: None) -> None:
        with pytest.raises(Exception, match="no partition"):
            store.write([record(datetime(2001, 2, 3, tzinfo=UTC))])

    @pytest.mark.parametrize(
        "moment", [datetime(2001, 2, 1, tzinfo=UTC), datetime(2001, 2, 28, 23, 59, 59, 999_999, UTC)]
    )
    def test_month_holds_its_first_and_last_moment(self, db: None, moment: datetime) -> None:
        partitions.ensure([partitions.month_of(to_us(moment))])
        store.write([record(moment)])
        with connection.cursor() as cursor:
            cursor.execute("SELECT tableoid::regclass::text FROM telemetry_data")
            assert cursor.fetchall() == [("telemetry_data_2001_02",)]

    def test_dropped_by_retention_whole_months_only(self, db: None) -> None:
        partitions.ensure([(2031, 8), (2031, 9), (2031, 10), (2031, 11), (2030, 12)])
        old, kept = datetime(2031, 8, 31, 23, tzinfo=UTC), datetime(2031, 9, 1, tzinfo=UTC)
        store.write([record(old), record(kept)])
        dropped = partitions.drop_before(NOW, 2)
        assert {"telemetry_data_2030_12", "telemetry_data_2031_08"} <= set(dropped)
        assert "telemetry_data_2031_09" in partitions.existing()
        assert [row.time for row in TelemetryRecord.objects.all()] == [kept]

    def test_nothing_is_dropped_without_a_retention(self, db: None) -> None:
        partitions.ensure([(2001, 1)])
        assert partitions.drop_before(NOW, 0) == []

    def test_vehicle_and_time_and_the_brin_index_are_used(self, db: None) -> None:
        partitions.ensure_ahead(NOW)
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'telemetry_data_2031_11'")
            definitions = " ".join(definition for (definition,) in cursor.fetchall())
        assert "USING brin" in definitions
        assert "(vehicle_id, " in definitions and "UNIQUE" in definitions

    def test_waits_for_another_process_that_makes_the_same_month(self, transactional_db: None) -> None:
        month = (2002, 3)
        failures: list[BaseException] = []

        def ensure() -> None:
            try:
                partitions.ensure([month])
            except BaseException as error:
                failures.append(error)
            finally:
                connections.close_all()

        parameters = {
            key: connection.get_connection_params()[key] for key in ("host", "port", "user", "dbname")
        }
        with psycopg.connect(**parameters) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s, 0)", [partitions._LOCK_CLASS])
            other.execute(
                "CREATE TABLE telemetry_data_2002_03 PARTITION OF telemetry_data "
                "FOR VALUES FROM ('2002-03-01T00:00:00+00:00') TO ('2002-04-01T00:00:00+00:00')"
            )
            waiting = threading.Thread(target=ensure)
            waiting.start()
            waiting.join(0.3)
            assert waiting.is_alive()
        waiting.join()
        assert failures == []
        assert partitions.drop_before(datetime(2002, 5, 1, tzinfo=UTC), 1) != []
