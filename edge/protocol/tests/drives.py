"""Drives for the tests: real ones where the data is at hand, and generated ones everywhere.

The real data is not part of the repository. CONVOY_DATA names its folder; without it, a folder
shared/data beside the checkout is taken.
"""

import csv
import gzip
import math
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

Readings = dict[str, float | None]
START = 1_700_000_000.0


@dataclass
class Drive:
    name: str
    source: str
    times: list[float] = field(default_factory=list)
    readings: list[Readings] = field(default_factory=list)


Column = str | tuple[str, float] | Callable[[dict[str, str]], float | None]


def number(row: dict[str, str], column: str) -> float | None:
    """A cell as a number; None when it is empty or broken."""
    try:
        value = float(row.get(column) or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _product(first: str, second: str, factor: float) -> Callable[[dict[str, str]], float | None]:
    def multiply(row: dict[str, str]) -> float | None:
        a, b = number(row, first), number(row, second)
        return None if a is None or b is None else a * b * factor

    return multiply


def _valid_gps(column: str) -> Callable[[dict[str, str]], float | None]:
    return lambda row: number(row, column) if row.get("gps_valid") == "Yes" else None


CLOCKS = {"carobd": ("engine_run_time_s", 1.0), "ved": ("t_ms", 1e-3), "leaf": ("epoch_s", 1.0)}
COLUMNS: dict[str, dict[str, Column]] = {
    "bmw_i3": {
        "speed": "speed_kmh",
        "altitude": "elevation_m",
        "throttle": "throttle_pct",
        "torque": "motor_torque_nm",
        "acceleration": "accel_ms2",
        "voltage": "hv_voltage_v",
        "current": ("hv_current_a", -1),
        "power": _product("hv_voltage_v", "hv_current_a", -1e-3),
        "battery": "soc_pct",
        "battery_temperature": "battery_temp_c",
        "cabin_temperature": "cabin_temp_c",
        "coolant_temperature": "coolant_temp_c",
        "outdoor_temperature": "ambient_temp_c",
        "hvac_power": "heating_power_kw",
    },
    "rsk_twizy": {
        "latitude": "lat",
        "longitude": "lon",
        "altitude": "alt_m",
        "speed": "speed_kmh",
        "battery": "soc_pct",
        "outdoor_temperature": "ambient_temp_c",
    },
    "ndsbr": {
        "latitude": _valid_gps("lat"),
        "longitude": _valid_gps("lon"),
        "speed": "speed_kmh",
        "heading": "heading_deg",
        "acceleration": "accel_ms2",
    },
    "envirocar": {
        "latitude": "lat",
        "longitude": "lon",
        "speed": "speed_kmh",
        "heading": "heading_deg",
        "altitude": "alt_m",
        "rpm": "rpm",
        "engine_load": "engine_load_pct",
        "throttle": "throttle_pct",
        "intake_temperature": "intake_temp_c",
        "air_flow": "maf_gs",
    },
    "carobd": {
        "speed": "vehicle_speed",
        "rpm": "engine_rpm",
        "throttle": "throttle",
        "engine_load": "engine_load",
        "coolant_temperature": "coolant_temperature",
        "intake_temperature": "intake_air_temp",
        "fuel_level": "fuel_tank",
        "aux_voltage": "control_module_voltage",
    },
    "capmetro": {"latitude": "lat", "longitude": "lon", "speed": ("speed_ms", 3.6)},
    "ved": {
        "latitude": "lat",
        "longitude": "lon",
        "speed": "speed_kmh",
        "rpm": "rpm",
        "air_flow": "maf_gs",
        "outdoor_temperature": "ambient_temp_c",
    },
    "leaf": {
        "battery": ("soc_1e-4pct", 1e-4),
        "voltage": "hv_voltage_v",
        "current": "hv_current_a",
        "power": ("motor_power_w", 1e-3),
        "battery_temperature": "pack_temp1_c",
        "odometer": "odo_km",
        "rpm": "rpm",
        "aux_voltage": "bat12v_v",
    },
}


def data_folder() -> Path | None:
    named = os.environ.get("CONVOY_DATA")
    if named:
        return Path(named)
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    return beside if beside.is_dir() else None


def real_drives(every_s: float = 1.0) -> Iterator[Drive]:
    """Every recorded drive, at most one record per `every_s`. Skips the test where there is no data."""
    folder = data_folder()
    if folder is None:
        missing = "no recorded drives here: set CONVOY_DATA to their folder"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    paths = [path for path in sorted(folder.glob("*/*.csv.gz")) if path.parent.name in COLUMNS]
    if not paths:
        pytest.fail("CONVOY_DATA names a folder without recorded drives")
    for path in paths:
        yield from _drives_in(path, every_s)


def _drives_in(path: Path, every_s: float) -> Iterator[Drive]:
    source = path.parent.name
    drives: dict[str, Drive] = defaultdict(lambda: Drive(path.name, source))
    clock, factor = CLOCKS.get(source, ("t_s", 1.0))
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for place, row in enumerate(csv.DictReader(lines)):
            drive = drives[row.get("vehicle_id", "")]
            seconds = float(place) if source == "capmetro" else number(row, clock)
            if seconds is None:
                continue
            seconds = seconds * factor % 1e9
            if drive.times and math.floor(seconds / every_s) == math.floor(
                (drive.times[-1] - START) / every_s
            ):
                continue
            drive.times.append(START + seconds)
            drive.readings.append({name: _read(row, column) for name, column in COLUMNS[source].items()})
    yield from drives.values()


def _read(row: dict[str, str], column: Column) -> float | None:
    if callable(column):
        return column(row)
    if isinstance(column, str):
        return number(row, column)
    value = number(row, column[0])
    return None if value is None else value * column[1]


def generated_drive(seed: int, records: int = 400) -> Drive:
    """A car that drives, stops, turns through north, and whose sensors come and go."""
    chance = random.Random(seed)
    drive = Drive(f"generated-{seed}", "generated")
    speed, heading, battery, latitude, longitude = 0.0, 350.0, 90.0, 52.5, 13.4
    for second in range(records):
        speed = min(130.0, max(0.0, speed + chance.gauss(0, 4)))
        heading = (heading + chance.gauss(0, 6)) % 360
        battery -= speed / 100_000
        latitude += speed / 400_000 * math.cos(math.radians(heading))
        longitude += speed / 240_000 * math.sin(math.radians(heading))
        readings: Readings = {
            "speed": speed,
            "heading": heading,
            "battery": battery,
            "latitude": latitude if second % 97 < 80 else None,
            "longitude": longitude if second % 97 < 80 else None,
            "power": speed * 0.2 + chance.gauss(0, 3),
            "current": speed * 0.5 + chance.gauss(0, 8) if second % 31 else math.nan,
            "voltage": 390 - speed * 0.05,
            "odometer": 12_000 + second * speed / 3_600,
            "ignition": float(second > 3),
        }
        if second > records // 2:
            readings["battery_temperature"] = 25 + second / 200
        drive.times.append(START + second + chance.random() / 10)
        drive.readings.append(readings)
    return drive
