import gzip
from pathlib import Path

import pytest

from edge.columns import DriveError, parse_option
from edge.drive import Choice, Drive, Row
from edge.protocol.checks import EARLIEST


def read(path: Path, content: str, choice: Choice | None = None) -> tuple[Drive, list[Row]]:
    path.write_text(content, "utf-8")
    drive = Drive(path, choice)
    return drive, list(drive.rows())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drive.csv"


def test_a_demo_drive_is_read_by_the_names_of_its_columns(path: Path) -> None:
    drive, rows = read(path, "t_s,speed,battery\n0,10,80\n1.5,11,79.9\n", Choice(start=EARLIEST + 100))
    assert drive.layout.name == "drive" and not drive.dated
    assert rows == [
        Row(0, EARLIEST + 100, {"speed": 10.0, "battery": 80.0}),
        Row(1, EARLIEST + 101.5, {"speed": 11.0, "battery": 79.9}),
    ]


def test_gzip_is_recognised_by_content_and_byte_order_marks_are_ignored(path: Path) -> None:
    path.write_bytes(gzip.compress("\ufefft_s,speed\n0,10\n".encode()))
    assert [row.readings for row in Drive(path).rows()] == [{"speed": 10.0}]


def test_dirt_is_left_out_and_counted(path: Path) -> None:
    drive, rows = read(
        path,
        "t_s,speed,battery,latitude\n"
        "0,10,,52\n"  # an empty cell is no reading, and nothing to complain about
        "x,10,80,52\n"  # no time
        ",10,80,52\n"
        "3,fast,80,52\n"  # no number
        "4,10,nan,inf\n"
        "5,10,80,1555.6\n"  # out of range
        "6,10\n"  # truncated
        "\n"
        "7,10,80,52,too,many\n",
    )
    assert [row.readings for row in rows] == [
        {"speed": 10.0, "latitude": 52.0},
        {"battery": 80.0, "latitude": 52.0},
        {"speed": 10.0},
        {"speed": 10.0, "battery": 80.0},
        {"speed": 10.0},
        {"speed": 10.0, "battery": 80.0, "latitude": 52.0},
    ]
    assert [row.number for row in rows] == [0, 3, 4, 5, 6, 8]
    assert drive.dirt.describe() == "2 rows without a usable time, 3 unreadable cells, 1 values out of range"


def test_a_file_that_ends_in_the_middle_gives_what_it_holds(path: Path) -> None:
    lines = "".join(f"{k},{k % 90}.{k:06d}\n" for k in range(20_000))
    packed = gzip.compress(f"t_s,speed\n{lines}".encode())
    path.write_bytes(packed[: len(packed) // 2])
    drive = Drive(path)
    assert len(list(drive.rows())) > 1000
    assert drive.dirt.ends_early and "ends in the middle" in drive.dirt.describe()


def test_a_clock_in_the_future_is_no_clock(path: Path) -> None:
    drive, rows = read(
        path, "timestamp,speed\n2099-01-01T00:00:00Z,1\n2024-01-01T00:00:00Z,2\n1970-01-02,3\n"
    )
    assert [row.time for row in rows] == [1_704_067_200.0]
    assert drive.dirt.rows_in_future == 1 and drive.dirt.rows_without_time == 1


def test_local_time_is_that_of_the_place_summer_or_ramadan(path: Path) -> None:
    header = "date,time,gps_speed_kmh,soc_pct,drive_mode\n"
    _, rows = read(
        path, header + "03/29/2021,11:00:00,1,50,D\n04/22/2021,11:00:00,1,50,D\n90/02/2032,12:08:07,1,50,D\n"
    )
    assert [row.time for row in rows] == [1_617_012_000.0, 1_619_089_200.0]  # 10:00 and 11:00 UTC


def test_two_columns_of_one_signal_are_added_and_need_each_other(path: Path) -> None:
    choice = Choice(options=(parse_option("a=hvac_power"), parse_option("b=hvac_power")))
    _, rows = read(path, "t_s,a,b\n0,1.5,0.25\n1,2,\n", choice)
    assert [row.readings for row in rows] == [{"hvac_power": 1.75}, {}]


def test_unknown_numbers_are_kept_on_request(path: Path) -> None:
    content = "t_s,speed,wheel,word\n0,1,2.5,left\n"
    assert read(path, content)[1][0].extra == {}
    assert read(path, content, Choice(keep_extra=True))[1][0].extra == {"wheel": 2.5}


def test_one_vehicle_of_a_fleet_is_chosen(path: Path) -> None:
    content = "vehicle_id,timestamp,lat,lon,speed_ms\n"
    content += "1,2016-12-16T00:00:00-06:00,30,-97,10\n2,2016-12-16,31,-98,0\n"
    with pytest.raises(DriveError, match="holds 2 vehicles; choose with --vehicle: 1, 2"):
        read(path, content)
    _, rows = read(path, content, Choice(vehicle="1"))
    assert rows == [Row(0, 1_481_868_000.0, {"latitude": 30.0, "longitude": -97.0, "speed": 36.0})]
    with pytest.raises(DriveError, match="holds one vehicle only"):
        read(path, "t_s,speed\n0,1\n", Choice(vehicle="1"))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnot really", b"a,b\n1,2\n"])
def test_a_file_that_is_no_drive_is_explained(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DriveError, match=r"is empty|cannot be read|no column is a known signal"):
        Drive(path)


def test_a_missing_file_is_explained(path: Path) -> None:
    with pytest.raises(DriveError, match="cannot be read: No such file"):
        Drive(path)
