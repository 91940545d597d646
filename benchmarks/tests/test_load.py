"""What the load programs count must be right, or every figure is wrong."""

import asyncio
import time
from itertools import islice

from benchmarks import load, pace
from benchmarks.cases import CASES, PEER, PRODUCT, Run
from benchmarks.report import markdown
from benchmarks.sockets import Counts, _frame
from edge.protocol.telemetry_pb2 import Telemetry, TelemetryBatch

VEHICLES = [load.Vehicle(f"BENCH{number:012}", f"token-{number}") for number in range(3)]


def test_every_record_of_a_file_is_new_and_in_turn() -> None:
    made = [Telemetry.FromString(one.body) for one in load.old(load.Product(VEHICLES), 9, 1, 1)]
    assert [record.vin for record in made] == [vehicle.vin for vehicle in VEHICLES] * 3
    assert [record.sequence for record in made] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    times = [record.timestamp for record in made]
    assert [round(moment - times[0]) for moment in times] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_batches_continue_where_the_last_one_ended() -> None:
    first, *_, second = islice(load.old(load.Product(VEHICLES), 1000, 50, 1), 4)
    numbers = [[r.sequence for r in TelemetryBatch.FromString(one.body).records] for one in (first, second)]
    assert numbers == [list(range(1, 51)), list(range(51, 101))]


def test_due_records_carry_the_moment_they_are_due() -> None:
    made = load.due(load.Product(VEHICLES), 4, 2.0, 1_000.0)
    assert [Telemetry.FromString(one.body).timestamp for one in made] == [1000.0, 1000.5, 1001.0, 1001.5]


def test_frames_are_found_when_they_are_complete() -> None:
    short, long = b"\x81\x02hi", b"\x81\x7e\x01\x00" + b"x" * 256
    buffer = bytearray(short + long)
    assert _frame(buffer, 0) == (0x81, 2, 4)
    assert _frame(buffer, 4) == (0x81, 8, 264)
    assert _frame(buffer[:-1], 4) is None


def test_records_are_counted_in_all_message_forms() -> None:
    counts = Counts()
    now = time.time()
    counts.see(
        b'{"type":"telemetry_batch","data":[{"timestamp":%f},{"timestamp":%f}]}' % (now - 1, now - 2),
        False,
        True,
        now,
    )
    counts.see(b'{"type":"telemetry","data":{"timestamp":%f}}' % now, False, False, now)
    rows = b'{"type":"positions","fields":["vehicle_id","timestamp"],"data":[[7,%f,null],[8,%f,"moving"]]}'
    counts.see(rows % (now - 3, now - 4), False, True, now)
    counts.see(b'{"type":"history","data":[{"timestamp":1}]}', False, True, now)
    assert (counts.messages, counts.records, counts.others) == (3, 5, 1)
    assert [round(age, 3) for age in counts.ages_s] == [1.0, 2.0, 3.0, 4.0]


class OneAtATime(asyncio.Protocol):
    """Answers 50 ms after the answer before."""

    free_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        OneAtATime.free_at = max(OneAtATime.free_at, loop.time()) + 0.05
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        loop.call_at(OneAtATime.free_at, self.transport.write, answer)


async def test_latency_counts_from_the_due_time() -> None:
    server = await asyncio.get_running_loop().create_server(OneAtATime, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        requests = [pace.post(f"127.0.0.1:{port}", "", b"x")] * 10
        result = await pace.Pacer("127.0.0.1", port).run(requests, 1000.0, time.time() + 0.2)
        await asyncio.sleep(0.05)  # the connections end
    assert (result.sent, result.answered, result.failed) == (10, 10, 0)
    assert max(result.latencies_s) > 0.4


def test_what_was_not_measured_says_so() -> None:
    figures = {"records_s": 6000.0, "server_us": 90.0, "database_us": 20.0}
    table = markdown([Run("single", PRODUCT, 0, figures)], CASES)
    assert "6,000" in table and "not measured" in table
    both = [Run("single", PRODUCT, 0, figures), Run("single", PEER, 0, {**figures, "records_s": 2000.0})]
    assert "| 3.0 |" in markdown(both, CASES)
