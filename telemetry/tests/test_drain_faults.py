"""What a drain survives: other drains, bad rows, things deleted under it. And how many statements it costs."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings as DjangoSettings

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.models import VehicleState
from telemetry import housekeeping, partitions, store
from telemetry.drain import drain
from telemetry.ingest import accept
from telemetry.models import Frame, HeldFrame, Stream, TelemetryRecord
from telemetry.transports.body import read
from tests.drives import PROTOBUF, START, drive, encode
from tests.world import Car, make_car

from telemetry.tests.test_drain import assert_right, qualities  # isort: skip
from tests.deliveries import deliver, drain_all


class TestDeletedUnderIt:
    @pytest.mark.parametrize("what", ["device", "vehicle"])
    def test_records_of_a_deleted_device_do_not_stop_the_shard(
        self, transactional_db: None, what: str
    ) -> None:
        """A token is believed for seconds: records may come after the device is gone."""
        gone, stays = make_car(), make_car()
        delivered = encode(gone.vin, drive(3))
        deliver(gone, delivered[:1])
        drain_all()
        getattr(gone, what).delete()
        deliver(gone, delivered[1:])
        assert Frame.objects.count() == 2
        deliver(stays, encode(stays.vin, drive(3)))
        drain_all()
        assert Frame.objects.count() == 0
        assert qualities(stays) == "vvv"

    def test_a_device_that_changes_its_vehicle_loses_no_record(self, transactional_db: None) -> None:
        before, after = make_car(), make_car()
        deliver(before, encode(before.vin, drive(3)))
        before.device.vehicle = after.vehicle
        before.device.save()
        drain_all()
        assert qualities(before) == "vvv"

    def test_repeats_of_a_stream_that_was_pruned(self, car: Car, settings: DjangoSettings) -> None:
        """A logger that was off for longer than streams are kept sends its spool again."""
        settings.TELEMETRY_GAP_WAIT_S = 0
        messages = encode(car.vin, drive(9), keyframe_every=4)
        deliver(car, messages[:7])
        drain_all()
        Stream.objects.update(updated_at=timezone.now() - timedelta(days=31))
        housekeeping.prune(timezone.now(), 30)
        assert not Stream.objects.exists()
        other = make_car()
        deliver(other, encode(other.vin, drive(2)))
        deliver(car, messages[2:])
        drain_all()
        assert Frame.objects.count() == 0 and qualities(other) == "vv"
        assert (
            qualities(car).startswith("v" * 7)
            and TelemetryRecord.objects.filter(vehicle=car.vehicle).count() == 9
        )

    def test_repeats_of_held_records_that_were_pruned(self, car: Car, settings: DjangoSettings) -> None:
        settings.TELEMETRY_GAP_WAIT_S = 0
        messages = encode(car.vin, drive(6))
        deliver(car, [messages[0], *messages[2:]])
        drain_all()
        HeldFrame.objects.update(received_at=timezone.now() - timedelta(days=31))
        housekeeping.prune(timezone.now(), 30)
        deliver(car, messages)
        drain_all()
        assert Frame.objects.count() == 0 and TelemetryRecord.objects.count() == 6
        assert_right(car, drive(6))


class TestPoison:
    def test_one_device_that_cannot_be_drained_holds_up_nobody_else(self, transactional_db: None) -> None:
        bad, good = make_car(), make_car()
        for one in (bad, good):
            deliver(one, encode(one.vin, drive(3)))
        Frame.objects.filter(device=bad.device, sequence=2).update(payload=b"\xff broken on disk")
        drain_all()
        assert qualities(good) == "vvv"
        assert Frame.objects.filter(device=bad.device).count() == 3  # nothing acknowledged is dropped
        assert drain_all() == 0  # and it does not spin
        Frame.objects.filter(device=bad.device, sequence=2).delete()
        Frame.objects.update(due_at=timezone.now())
        drain_all()
        assert qualities(bad)[0] == "v"

    def test_database_fault_is_not_taken_for_a_bad_record(
        self, car: Car, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cut(*_: Any) -> None:
            raise OperationalError("the connection was lost")

        deliver(car, encode(car.vin, drive(3)))
        monkeypatch.setattr(store, "write", cut)
        with pytest.raises(OperationalError):
            drain_all()
        monkeypatch.undo()
        assert drain_all() == 3


def in_threads(*works: Callable[[], Any]) -> None:
    """All at once; what one of them raises is raised here."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class TestConcurrent:
    def test_many_drains_of_one_shard_while_records_come(self, transactional_db: None) -> None:
        cars = [make_car() for _ in range(3)]
        readings = drive(240)
        ready = threading.Event()

        def send(car: Car) -> Callable[[], None]:
            messages = encode(car.vin, readings, keyframe_every=50)

            def run() -> None:
                for at in range(0, len(messages), 8):
                    deliver(car, messages[at : at + 8])
                    deliver(car, messages[max(0, at - 4) : at + 2])

            return run

        def work() -> None:
            while not ready.is_set():
                drain_all()

        senders = [send(car) for car in cars]
        workers = [threading.Thread(target=in_threads, args=(work, work, work))]
        for worker in workers:
            worker.start()
        try:
            in_threads(*senders)
        finally:
            ready.set()
            for worker in workers:
                worker.join()
        drain_all()
        assert Frame.objects.count() == 0
        for car in cars:
            assert qualities(car) == "v" * 240
            assert_right(car, readings)
            assert VehicleState.objects.get(vehicle=car.vehicle).time.timestamp() == readings[-1][0]
            stream = Stream.objects.get(device=car.device)
            assert (stream.records, stream.incomplete) == (240, 0)

    @pytest.mark.postgres
    def test_a_drain_that_finds_the_shard_taken_leaves_it(self, transactional_db: None) -> None:
        car = make_car()
        shard = car.vehicle.pk % 2
        deliver(car, encode(car.vin, drive(3)))
        drained: list[int] = []
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7307, %s)", [shard])
            in_threads(lambda: drained.append(drain(shard)))
        assert drained == [0]
        assert drain(shard) == 3

    @pytest.mark.postgres
    def test_two_drains_need_the_same_new_month(self, transactional_db: None) -> None:
        cars = [make_car() for _ in range(2)]
        while (cars[0].vehicle.pk + cars[1].vehicle.pk) % 2 == 0:
            cars[1] = make_car()
        for year in range(2003, 2015):
            start = datetime(year, 5, 5, tzinfo=UTC).timestamp()
            for car in cars:
                deliver(car, encode(car.vin, drive(2, start=start), stream_id=year))
            in_threads(*(lambda shard=shard: drain(shard) for shard in range(2)))
        assert Frame.objects.count() == 0
        assert TelemetryRecord.objects.count() == 2 * 2 * 12

    @pytest.mark.postgres
    def test_the_same_records_accepted_by_many_threads(self, transactional_db: None) -> None:
        car = make_car()
        messages = encode(car.vin, drive(200))
        receipts: list[Any] = []
        in_threads(*(lambda: receipts.append(deliver(car, messages)) for _ in range(6)))
        assert sum(receipt.accepted for receipt in receipts) == 200
        assert sum(receipt.repeated for receipt in receipts) == 5 * 200
        assert Frame.objects.count() == 200


def statements(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        act()
    return sum(not query["sql"].startswith(("SAVEPOINT", "RELEASE")) for query in captured.captured_queries)


class TestCost:
    """Executemany and COPY count as one: what must not grow is the number of round trips we decide on."""

    def test_accept_needs_the_same_statements_for_one_request_or_fifty(self, car: Car) -> None:
        cars = [make_car() for _ in range(50)]

        def deliveries(start: float) -> list[Any]:
            bodies = [(c, encode(c.vin, drive(1, start=start), stream_id=int(start))[0]) for c in cars]
            return [read(m.SerializeToString(), PROTOBUF, c.principal, START + 9) for c, m in bodies]

        few, many = deliveries(START), deliveries(START + 1)
        accept(few[:1])
        one, fifty = statements(lambda: accept(few[1:2])), statements(lambda: accept(many))
        # SQLite counts the new rows of each request; its statements cost no round trip.
        assert fifty <= one + 1 + (0 if connection.vendor == "postgresql" else len(many))

    def test_drain_needs_the_same_statements_for_two_vehicles_or_forty(self, db: None) -> None:
        partitions.ensure({partitions.month_of(int(START * 1e6))})

        def drained(count: int) -> int:
            for _ in range(count):
                one = make_car()
                deliver(one, encode(one.vin, drive(5)))
            return statements(drain_all)

        few, many = drained(2), drained(40)
        assert many <= few + 2, (few, many)
        assert many <= 40


def test_unverified_and_streamed_records_of_one_device_do_not_disturb_each_other(car: Car) -> None:
    deliver(car, [Telemetry(timestamp=START + n, speed=n) for n in range(5)])
    deliver(car, encode(car.vin, drive(5, start=START + 0.5)))
    drain_all()
    assert qualities(car) == "uvuvuvuvuv"
