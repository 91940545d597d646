"""The committed sample drives and the street map are what their README says."""

import csv
import gzip
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge.drives.signals import COLUMNS, PARKED_FIRST_S, PARKED_LAST_S
from edge.drives.vehicles import FLEET, check_digit

ROOT = Path(__file__).resolve().parents[2]
DRIVES = ROOT / "edge" / "drives" / "berlin"
STREETS = ROOT / "static" / "map" / "berlin-streets.json"
MANIFEST: list[dict[str, Any]] = json.loads((DRIVES / "manifest.json").read_text(encoding="utf-8"))
BERLIN = (13.08, 13.77, 52.33, 52.68)

Row = dict[str, float]


def read(entry: dict[str, Any]) -> list[Row]:
    with gzip.open(DRIVES / entry["file"], "rt", encoding="ascii") as lines:
        reader = csv.DictReader(lines)
        assert reader.fieldnames == list(COLUMNS)
        return [{name: float(value) for name, value in row.items()} for row in reader]


@pytest.fixture(scope="module", params=MANIFEST, ids=lambda entry: str(entry["vehicle"]))
def drive(request: pytest.FixtureRequest) -> tuple[dict[str, Any], list[Row]]:
    return request.param, read(request.param)


Drive = tuple[dict[str, Any], list[Row]]


def metres(a: Row, b: Row) -> float:
    north = math.radians(b["latitude"] - a["latitude"])
    east = math.radians(b["longitude"] - a["longitude"]) * math.cos(math.radians(a["latitude"]))
    return 6_371_000 * math.hypot(north, east)


def test_manifest_matches_the_fleet_and_the_files() -> None:
    assert [(e["vehicle"], e["vin"], e["plate"]) for e in MANIFEST] == [
        (v.slug, v.vin, v.plate) for v in FLEET
    ]
    assert {entry["file"] for entry in MANIFEST} == {path.name for path in DRIVES.glob("*.csv.gz")}
    assert len({entry["vin"] for entry in MANIFEST}) == 12


def test_drives_are_small() -> None:
    assert sum(path.stat().st_size for path in DRIVES.glob("*.csv.gz")) <= 700_000


def test_check_digit_of_a_published_example() -> None:
    assert check_digit("11111111111111111") == "1"
    assert check_digit("1M8GDM9A0KP042788") == "X"


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: str(entry["vehicle"]))
def test_vin(entry: dict[str, Any]) -> None:
    vin = entry["vin"]
    assert len(vin) == 17
    assert not set(vin) - set("ABCDEFGHJKLMNPRSTUVWXYZ0123456789")
    assert vin[8] == check_digit(vin)
    assert vin[9] == "NPRST"[entry["model_year"] - 2022]


def test_one_row_a_second(drive: Drive) -> None:
    entry, rows = drive
    assert [row["t_s"] for row in rows] == list(range(entry["rows"]))
    assert entry["duration_s"] == rows[-1]["t_s"]
    assert 1200 <= entry["duration_s"] <= 1500


def test_closed_loop_parked_at_both_ends(drive: Drive) -> None:
    _, rows = drive
    assert metres(rows[0], rows[-1]) <= 15
    for row in rows[:PARKED_FIRST_S] + rows[-PARKED_LAST_S:]:
        assert (row["speed"], row["ignition"]) == (0, 0)
    assert all(row["ignition"] == 1 for row in rows[PARKED_FIRST_S:-PARKED_LAST_S])


def test_positions_lie_in_berlin_and_never_jump(drive: Drive) -> None:
    _, rows = drive
    west, east, south, north = BERLIN
    assert all(west < row["longitude"] < east and south < row["latitude"] < north for row in rows)
    assert max(metres(a, b) for a, b in pairwise(rows)) < 20


def test_speed_position_and_odometer_agree(drive: Drive) -> None:
    entry, rows = drive
    driven = sum((a["speed"] + b["speed"]) / 7.2 for a, b in pairwise(rows))
    moved = sum(metres(a, b) for a, b in pairwise(rows))
    counted = (rows[-1]["odometer"] - rows[0]["odometer"]) * 1000
    assert moved == pytest.approx(driven, rel=0.03)
    assert counted == pytest.approx(driven, abs=2)
    assert entry["distance_km"] * 1000 == pytest.approx(driven, abs=10)
    assert all(a["odometer"] <= b["odometer"] for a, b in pairwise(rows))
    assert all(0 <= row["speed"] <= 70 for row in rows)


def test_acceleration_is_the_change_of_speed(drive: Drive) -> None:
    _, rows = drive
    assert all(
        b["acceleration"] == pytest.approx((b["speed"] - a["speed"]) / 3.6, abs=0.01)
        for a, b in pairwise(rows)
    )
    assert all(-9 < row["acceleration"] < 4.5 for row in rows)


def test_heading_points_where_the_car_goes_and_holds_at_rest(drive: Drive) -> None:
    _, rows = drive
    assert all(0 <= row["heading"] < 360 for row in rows)
    assert all(b["heading"] == a["heading"] for a, b in pairwise(rows) if b["speed"] == 0)
    offs = []
    for a, b in pairwise(rows):
        if metres(a, b) > 8 and a["heading"] == b["heading"]:
            east = (b["longitude"] - a["longitude"]) * math.cos(math.radians(a["latitude"]))
            bearing = math.degrees(math.atan2(east, b["latitude"] - a["latitude"]))
            offs.append(abs((bearing - b["heading"] + 180) % 360 - 180))
    assert sum(offs) / len(offs) < 1.0


def test_it_waits_on_the_way(drive: Drive) -> None:
    _, rows = drive
    waits, standing = 0, 0
    for row in rows[PARKED_FIRST_S:-PARKED_LAST_S]:
        standing = 0 if row["speed"] else standing + 1
        waits += standing == 20
    assert waits >= 4


def test_electric_signals_agree(drive: Drive) -> None:
    _, rows = drive
    assert rows[0]["battery"] - rows[-1]["battery"] > 0.5
    assert all(330 <= row["voltage"] <= 400 for row in rows)
    assert all(
        row["current"] == pytest.approx(row["power"] * 1000 / row["voltage"], abs=0.06) for row in rows
    )
    assert min(row["power"] for row in rows) < -10
    assert max(row["power"] for row in rows) < 120
    energy = sum(row["power"] for row in rows[1:]) / 3600
    capacity = energy / (rows[0]["battery"] - rows[-1]["battery"]) * 100
    assert min(abs(capacity - vehicle.model.battery_kwh) for vehicle in FLEET) < 0.5


def test_temperatures_change_slowly(drive: Drive) -> None:
    _, rows = drive
    for name in ("battery_temperature", "outdoor_temperature"):
        assert all(abs(a[name] - b[name]) < 0.11 for a, b in pairwise(rows))
        assert all(5 < row[name] < 40 for row in rows)
    assert rows[0]["outdoor_temperature"] == rows[-1]["outdoor_temperature"]


def test_sporty_drivers_brake_harder() -> None:
    harsh: dict[str, list[int]] = {}
    for entry in MANIFEST:
        count = sum(row["acceleration"] < -3.5 for row in read(entry))
        harsh.setdefault(entry["style"], []).append(count)
    assert set(harsh) == {"calm", "normal", "sporty"}
    assert min(harsh["sporty"]) > 2 * max(harsh["calm"] + harsh["normal"])


def test_street_map() -> None:
    assert STREETS.stat().st_size <= 450_000
    streets = json.loads(STREETS.read_text(encoding="utf-8"))
    assert streets["type"] == "FeatureCollection"
    assert "OpenStreetMap" in streets["attribution"]
    assert "ODbL" in streets["licence"]
    classes = [feature["properties"]["class"] for feature in streets["features"]]
    assert {"primary", "secondary", "tertiary", "residential", "service"} <= set(classes)
    assert len(classes) == len(set(classes))
    west, east, south, north = BERLIN
    for feature in streets["features"]:
        assert feature["geometry"]["type"] == "MultiLineString"
        for line in feature["geometry"]["coordinates"]:
            assert len(line) >= 2
            assert all(west < lon < east and south < lat < north for lon, lat in line)
