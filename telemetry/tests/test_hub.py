"""Fan-out without sockets: what a watcher that does not read keeps, and that it costs the others nothing."""

import asyncio
import json
from typing import Any

import pytest

from telemetry.hub import QUEUE_LIMIT, Burst, Hub, View, Watcher


class Reader:
    """A client that reads when its gate is open."""

    def __init__(self, **options: Any) -> None:
        self.gate = asyncio.Event()
        self.got: list[Any] = []
        self.watcher = Watcher(send=self._send, fleets=frozenset({1}), **options)
        self.task = asyncio.create_task(self.watcher.write_for_ever())

    async def _send(self, text: str) -> None:
        await self.gate.wait()
        self.got.append(json.loads(text))


def burst(value: int, vehicles: int = 3) -> Burst:
    return Burst({str(v): forms(v, value) for v in range(vehicles)})


def forms(vehicle: int, speed: int) -> tuple[str, str]:
    return json.dumps({"vehicle_id": vehicle, "speed": speed}), json.dumps([vehicle, speed])


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_reader_that_keeps_up_gets_everything_in_order() -> None:
    reader = Reader(view=View.BATCHES)
    reader.gate.set()
    for value in range(5):
        reader.watcher.offer(burst(value))
        await settled()
    assert [message["data"][0]["speed"] for message in reader.got] == [0, 1, 2, 3, 4]
    reader.task.cancel()


async def test_stuck_reader_keeps_one_value_per_vehicle_and_gets_the_newest() -> None:
    reader = Reader(view=View.BATCHES)
    for value in range(10_000):
        reader.watcher.offer(burst(value))
    assert len(reader.watcher.queue) <= QUEUE_LIMIT and len(reader.watcher.behind or {}) == 3
    reader.gate.set()
    await settled()
    assert len(reader.got) <= QUEUE_LIMIT + 1
    assert {record["speed"] for record in reader.got[-1]["data"]} == {9_999}
    reader.task.cancel()


async def test_a_map_gets_rows_and_names_their_fields() -> None:
    reader = Reader(view=View.MAP)
    reader.gate.set()
    reader.watcher.offer(burst(5))
    await settled()
    [message] = reader.got
    assert message["type"] == "positions" and message["fields"][0] == "vehicle_id"
    assert message["data"] == [[0, 5], [1, 5], [2, 5]]
    reader.task.cancel()


async def test_log_lines_of_a_stuck_reader_are_bounded_and_push_out_no_vehicle() -> None:
    reader = Reader()
    await settled()
    reader.watcher.offer(burst(1))
    for number in range(1_000):
        reader.watcher.tell(json.dumps({"type": "log", "n": number}))
    assert len(reader.watcher.queue) <= 2 * QUEUE_LIMIT
    reader.gate.set()
    await settled()
    assert [m["data"]["speed"] for m in reader.got if m["type"] == "telemetry"] == [1, 1, 1]
    assert reader.got[-1]["n"] == 999
    reader.task.cancel()


async def test_only_the_chosen_vehicle_is_passed_on() -> None:
    reader = Reader(only=frozenset({"2"}))
    reader.gate.set()
    reader.watcher.offer(burst(7))
    reader.watcher.offer(Burst({"0": forms(0, 7)}))
    await settled()
    assert [message["data"]["vehicle_id"] for message in reader.got] == [2]
    reader.task.cancel()


@pytest.fixture
async def hub() -> Any:
    hub = Hub()
    yield hub
    for task in (hub.task, hub.ticking):
        if task:
            task.cancel()


def telemetry(value: int, fleet: int = 1, vehicle: int = 1) -> dict[str, Any]:
    return {"type": "live.telemetry", "fleet": fleet, "vehicles": {str(vehicle): forms(vehicle, value)}}


async def test_a_vehicle_is_passed_on_four_times_a_second_and_the_last_value_always(hub: Hub) -> None:
    reader = Reader()
    reader.gate.set()
    await hub.join(reader.watcher)
    for value in range(60):
        hub.take(telemetry(value))
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.4)
    speeds = [message["data"]["speed"] for message in reader.got]
    assert speeds[0] == 0 and speeds[-1] == 59 and 3 <= len(speeds) <= 5
    assert hub.pending == {}
    reader.task.cancel()


async def test_subscribes_once_per_fleet_and_leaves_with_the_last(hub: Hub) -> None:
    one, two = Reader(), Reader()
    await hub.join(one.watcher)
    await hub.join(two.watcher)
    assert hub.sockets == 2
    await hub.leave(one.watcher)
    assert hub.sockets == 1 and 1 in hub.watchers
    await hub.leave(two.watcher)
    assert hub.sockets == 0 and hub.watchers == {}
    hub.take(telemetry(1))
    assert hub.pending == {}
    for reader in (one, two):
        reader.task.cancel()


async def test_our_own_pages_hear_once_that_alerts_changed_and_the_documents_clients_never(hub: Hub) -> None:
    readers = {view: Reader(view=view) for view in View}
    for reader in readers.values():
        await hub.join(reader.watcher)
    for _ in range(5):
        hub.take({"type": "live.alerts", "fleet": 1})
    hub.take({"type": "live.alerts", "fleet": 2})
    for reader in readers.values():
        reader.gate.set()
    await settled()
    told = {view: [message["type"] for message in reader.got] for view, reader in readers.items()}
    changed = ["alerts_changed"]
    assert told == {View.RECORDS: [], View.BATCHES: changed, View.MAP: changed, View.HINTS: changed}
    for reader in readers.values():
        reader.task.cancel()


async def test_who_wants_hints_gets_no_telemetry_and_no_log(hub: Hub) -> None:
    reader = Reader(view=View.HINTS)
    reader.gate.set()
    await hub.join(reader.watcher)
    hub.take(telemetry(1))
    hub.take({"type": "live.log", "fleet": 1, "text": "{}"})
    await asyncio.sleep(0.1)
    assert reader.got == []
    reader.task.cancel()


async def test_who_wants_hints_only_gets_no_telemetry() -> None:
    reader = Reader(view=View.HINTS)
    reader.gate.set()
    reader.watcher.offer(burst(1))
    reader.watcher.tell_of_commands([1, 2])
    await settled()
    assert reader.got == [{"type": "commands_changed", "data": {"vehicle_ids": [1, 2]}}]
    reader.task.cancel()
