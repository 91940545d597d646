import itertools
from pathlib import Path

import pytest

from edge.drive import Choice, Drive
from edge.laps import CHARGE_KW, LONGEST_CHARGE_S, PARKED_S, Place, Step, course
from edge.protocol.checks import EARLIEST

BERLIN = Path(__file__).parents[1] / "drives/berlin"
ROWS = 20
FRESH = Place(start=EARLIEST)
HEADER = "t_s,latitude,longitude,speed,battery,power,voltage,current,odometer,battery_temperature,ignition"


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    """A closed loop of ROWS seconds that takes 4 % of the battery."""
    path = tmp_path / "loop.csv"
    lines = [
        f"{k},52.5,13.4,{30 if 0 < k < ROWS - 1 else 0},{80 - 4 * k / (ROWS - 1):.3f},"
        f"10,{380 - k / 10:.1f},26,{100 + k / 100:.2f},{20 + k / 10:.1f},1"
        for k in range(ROWS)
    ]
    path.write_text("\n".join([HEADER, *lines]))
    return Drive(path, Choice(start=EARLIEST))


def take(drive: Drive, count: int, place: Place = FRESH, offset_s: float = 0.0) -> list[Step]:
    return list(itertools.islice(course(drive, place, loop=True, offset_s=offset_s), count))


def test_without_laps_the_drive_is_given_as_it_is(drive: Drive) -> None:
    steps = list(course(drive, Place(), loop=False))
    assert [step.row for step in steps] == list(drive.rows())
    assert [step.gap_s for step in steps] == [0.0] + [1.0] * (ROWS - 1)


def test_lap_after_lap_nothing_jumps_and_the_odometer_only_grows(drive: Drive) -> None:
    steps = take(drive, 300)
    assert {step.place.lap for step in steps} >= {0, 1, 2}
    for before, after in itertools.pairwise(steps):
        old, new = before.row.readings, after.row.readings
        assert after.gap_s == 1.0
        assert new["odometer"] >= old["odometer"] - 1e-9
        assert abs(new["odometer"] - old["odometer"]) < 0.02
        assert abs(new["battery"] - old["battery"]) < 0.25
        assert abs(new["voltage"] - old["voltage"]) < 0.25
        assert abs(new["battery_temperature"] - old["battery_temperature"]) < 0.25
        assert (new["latitude"], new["longitude"]) == (52.5, 13.4)
    assert steps[-1].row.readings["odometer"] > 100.5


def test_between_laps_the_vehicle_is_parked_and_charges_for_less_than_a_minute(drive: Drive) -> None:
    stop = [step.row.readings for step in take(drive, 300) if step.place.lap == 0][ROWS:]
    assert 2 * PARKED_S < len(stop) <= LONGEST_CHARGE_S + 2 * PARKED_S < 60
    assert all(readings["speed"] == 0 and readings["ignition"] == 0 for readings in stop)
    charging = [readings for readings in stop if readings["charging"]]
    assert min(readings["power"] for readings in charging) == -CHARGE_KW
    for readings in charging:
        assert readings["power"] < 0
        assert readings["current"] * readings["voltage"] / 1000 == pytest.approx(readings["power"])
    assert [readings["charging"] for readings in stop[:PARKED_S] + stop[-PARKED_S:]] == [0.0] * 2 * PARKED_S
    assert stop[0]["battery"] == pytest.approx(76) and stop[-1]["battery"] == pytest.approx(80)


@pytest.mark.parametrize("at", [0, 7, ROWS - 1, ROWS + 3, ROWS + 20, 130])
def test_a_restart_goes_on_with_the_very_next_step(drive: Drive, at: int) -> None:
    steps = take(drive, 200)
    place = Place.restore(steps[at].place.dump())
    again = take(drive, 5, place)
    for one, other in zip(steps[at + 1 :], again, strict=False):
        assert one.row == other.row and one.place == other.place


def test_a_finished_drive_stays_finished(drive: Drive) -> None:
    assert not list(course(drive, Place(row=ROWS - 1, done=True), loop=False))


def test_vehicles_may_begin_further_on_but_only_once(drive: Drive) -> None:
    steps = take(drive, 100, offset_s=12)
    assert steps[0].row.number == 12
    assert next(step for step in steps if step.place.lap == 1).row.number == 0


def test_a_drive_that_needs_no_charge_just_parks(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("t_s,speed\n0,0\n1,10\n2,0\n")
    steps = take(Drive(path, Choice(start=EARLIEST)), 30)
    first_lap = [step.row.readings for step in steps if step.place.lap == 0]
    assert len(first_lap) == 3 + 3 * PARKED_S
    assert not any("charging" in readings for readings in first_lap)


def test_a_long_silence_is_shortened_and_a_clock_set_back_waits_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("t_s,speed\n0,0\n90000,1\n10,2\n11,3\n")
    steps = list(course(Drive(path, Choice(start=EARLIEST)), Place(), loop=False))
    assert [step.gap_s for step in steps] == [0.0, 3600.0, 0.0, 1.0]


def test_an_empty_drive_does_not_turn_in_circles(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("t_s,speed\n")
    assert not take(Drive(path), 5)


@pytest.mark.parametrize("path", sorted(BERLIN.glob("*.csv.gz")), ids=lambda path: path.name)
def test_the_sample_drives_go_round_without_a_jump(path: Path) -> None:
    """From well before the end of one lap to well into the next."""
    drive = Drive(path, Choice(start=EARLIEST))
    last = max(row.number for row in drive.rows())
    steps = take(drive, 160, Place(row=last - 50, start=EARLIEST))
    assert {step.place.lap for step in steps} == {0, 1}
    largest = {
        "battery": 0.3,
        "odometer": 0.03,
        "voltage": 25,
        "battery_temperature": 0.5,
        "outdoor_temperature": 0.2,
    }
    for before, after in itertools.pairwise(steps):
        old, new = before.row.readings, after.row.readings
        assert old.keys() == new.keys()
        assert new["odometer"] >= old["odometer"]
        for name, limit in largest.items():
            assert abs(new[name] - old[name]) <= limit, (name, after.place)
        assert abs(new["latitude"] - old["latitude"]) < 3e-4
        if new["charging"]:
            assert new["speed"] == new["ignition"] == 0 and new["power"] < 0
