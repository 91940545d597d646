"""Every recording of the shared data, replayed whole: what the server reconstructs is what the car read.

The meaning of each column is written down here a second time, by hand, so that a wrong map cannot agree
with itself. A short choice of the largest set runs by default; CONVOY_DATA_ALL=1 replays all of it.
"""

import csv
import gzip
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.door import Door
from edge.drive import Choice, Drive
from edge.logger import Logger, Plan
from edge.protocol.catalogue import DEFAULT, load
from edge.protocol.signals import BY_NAME, BY_NUMBER, HEADING
from edge.sender import Pack
from edge.spool import Spool
from edge.tests.receiver import TOKEN, Receiver

Cells = dict[str, str]
Meaning = Callable[[Cells], float]


def cell(name: str, factor: float = 1.0) -> Meaning:
    return lambda cells: float(cells[name]) * factor


SETS: dict[str, dict[str, Meaning]] = {
    "bmw_i3": {
        "speed": cell("speed_kmh"),
        "altitude": cell("elevation_m"),
        "throttle": cell("throttle_pct"),
        "torque": cell("motor_torque_nm"),
        "acceleration": cell("accel_ms2"),
        "voltage": cell("hv_voltage_v"),
        "current": lambda cells: -float(cells["hv_current_a"]),
        "battery_temperature": cell("battery_temp_c"),
        "battery": cell("soc_pct"),
        "hvac_power": lambda cells: float(cells["heating_power_kw"]) + float(cells["aircon_power_kw"]),
        "outdoor_temperature": cell("ambient_temp_c"),
        "coolant_temperature": cell("coolant_temp_c"),
        "cabin_temperature": cell("cabin_temp_c"),
    },
    "rsk_twizy": {
        "latitude": cell("lat"),
        "longitude": cell("lon"),
        "altitude": cell("alt_m"),
        "speed": cell("speed_kmh"),
        "battery": cell("soc_pct"),
        "outdoor_temperature": cell("ambient_temp_c"),
    },
    "ndsbr": {
        "latitude": cell("lat"),
        "longitude": cell("lon"),
        "speed": cell("speed_kmh"),
        "heading": cell("heading_deg"),
        "acceleration": cell("accel_ms2"),
        "altitude": cell("altitude_raw", 0.3048 / 1000),
    },
    "envirocar": {
        "latitude": cell("lat"),
        "longitude": cell("lon"),
        "altitude": cell("alt_m"),
        "speed": cell("speed_kmh"),
        "heading": cell("heading_deg"),
        "rpm": cell("rpm"),
        "engine_load": cell("engine_load_pct"),
        "throttle": cell("throttle_pct"),
        "intake_temperature": cell("intake_temp_c"),
        "air_flow": cell("calc_maf_gs"),
    },
    "carobd": {
        "rpm": cell("engine_rpm"),
        "speed": cell("vehicle_speed"),
        "throttle": cell("throttle"),
        "engine_load": cell("engine_load"),
        "coolant_temperature": cell("coolant_temperature"),
        "fuel_level": cell("fuel_tank"),
        "intake_temperature": cell("intake_air_temp"),
        "aux_voltage": cell("control_module_voltage"),
    },
    "capmetro": {"latitude": cell("lat"), "longitude": cell("lon"), "speed": cell("speed_ms", 3600 / 1000)},
    "ved": {
        "latitude": cell("lat"),
        "longitude": cell("lon"),
        "speed": cell("speed_kmh"),
        "rpm": cell("rpm"),
        "air_flow": cell("maf_gs"),
        "engine_load": cell("abs_load_pct"),
        "outdoor_temperature": cell("ambient_temp_c"),
    },
    "leaf": {
        "altitude": cell("elevation_raw", 0.3048),
        "speed": cell("speed_raw", 1.609344),
        "battery": cell("soc_1e-4pct", 1e-4),
        "voltage": cell("hv_voltage_v"),
        "current": cell("hv_current_a"),
        "battery_temperature": cell("pack_temp1_c"),
        "outdoor_temperature": lambda cells: (float(cells["ambient_f"]) - 32) * 5 / 9,
        "odometer": cell("odo_km"),
        "power": cell("motor_power_w", 1e-3),
        "rpm": cell("rpm"),
        "charging": lambda cells: float(float(cells["charge_mode"]) > 0),
        "aux_voltage": cell("bat12v_v"),
    },
}
DEFAULT_FILES = {"bmw_i3": 3}


@dataclass
class Result:
    records: int = 0
    values: int = 0
    signals: int = 0
    omitted: int = 0
    bytes: int = 0
    worst: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def data_folder() -> Path:
    named = os.environ.get("CONVOY_DATA")
    checkout = Path(__file__).parents[2]
    places = [Path(named)] if named else [checkout / "shared/data", checkout.parent / "shared/data"]
    for place in places:
        if (place / "manifest.csv").exists():
            return place
    if os.environ.get("CI") == "true":
        pytest.fail("the shared recordings are not here: set CONVOY_DATA")
    pytest.skip("the shared recordings are not here: set CONVOY_DATA")


@pytest.mark.parametrize("name", SETS)
def test_what_the_server_reconstructs_is_what_the_car_read(
    name: str, receiver: Receiver, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    files = sorted((data_folder() / name).glob("*.csv.gz"))
    if not os.environ.get("CONVOY_DATA_ALL"):
        files = files[: DEFAULT_FILES.get(name)]
    assert files
    result = Result()
    for file in files:
        for vehicle in vehicles_of(name, file):
            receiver.streams.clear()
            logger = replay(file, vehicle, receiver, tmp_path / f"{file.name}-{vehicle}.sqlite3")
            assert logger.drive.layout.name == name
            compare(name, list(raw_rows(file, vehicle)), receiver, result)
            result.signals += logger.read.signals
            result.omitted += logger.read.omitted
            result.bytes += logger.sender.tally.bytes
    worst = max(result.worst.values())
    assert worst <= 1 + 1e-9, result.worst
    record_property("measured", measured(name, result, worst))
    print(measured(name, result, worst))


def vehicles_of(name: str, file: Path) -> list[str | None]:
    if name != "capmetro":
        return [None]
    everybody = sorted({cells["vehicle_id"] for cells in raw_rows(file, None)})
    return list(everybody if os.environ.get("CONVOY_DATA_ALL") else everybody[::30])


def measured(name: str, result: Result, worst: float) -> str:
    return (
        f"{name}: {result.records:,} records, {result.values:,} values compared, "
        f"{100 * result.omitted / result.signals:.1f} % omitted, "
        f"{result.bytes / result.records:.1f} bytes/record, worst error/tolerance {worst:.4f}"
    )


def replay(file: Path, vehicle: str | None, receiver: Receiver, spool_path: Path) -> Logger:
    spool = Spool(spool_path, synchronous="NORMAL")
    plan = Plan(vin="WBY1Z21040V000001", speed=0, pack=Pack(batch=50))
    logger = Logger(Drive(file, Choice(vehicle=vehicle)), spool, Door(receiver.url, TOKEN), plan)
    logger.start()
    assert logger.join(100)
    assert spool.waiting == 0 and not spool.dead_letters() and not logger.failure
    logger.close()
    return logger


def raw_rows(file: Path, vehicle: str | None) -> Iterator[Cells]:
    """The rows whose clock can be read, as text."""
    with gzip.open(file, "rt", newline="") as lines:
        for cells in csv.DictReader(lines):
            if vehicle in (None, cells.get("vehicle_id")) and cells.get("t_s", "0"):
                yield cells


def compare(name: str, rows: list[Cells], receiver: Receiver, result: Result) -> None:
    """Every value of every row, against its reconstruction."""
    (stream,) = receiver.streams.values()
    assert not stream.faults
    assert [record.sequence for record in stream.records] == list(range(1, len(rows) + 1))
    rules = load(DEFAULT).rules
    for cells, record in zip(rows, stream.records, strict=True):
        assert record.signals is not None
        expected = readings(SETS[name], cells)
        assert record.signals.keys() == expected.keys(), record.sequence
        for number, value in expected.items():
            off = abs(record.signals[number] - value)
            if number == HEADING:
                off = min(off, 360 - off)
            share = off / rules[number].tolerance if rules[number].tolerance else float(off > 0) * 2
            signal = BY_NUMBER[number].name
            result.worst[signal] = max(result.worst[signal], share)
        result.values += len(expected)
        result.records += 1


def readings(meanings: dict[str, Meaning], cells: Cells) -> dict[int, float]:
    """What the row says, in the protocol's units; empty cells and values out of range say nothing."""
    found = {}
    for name, meaning in meanings.items():
        try:
            value = meaning(cells)
        except (ValueError, KeyError, TypeError):
            continue
        if BY_NAME[name].low <= value <= BY_NAME[name].high:
            found[BY_NAME[name].number] = value
    return found
