"""Reports of what is found in telemetry: figures worked out by hand, each drive once, whoever drove it."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import openpyxl
import pytest
import time_machine
from django.test import Client

from fleet.aggregation import rollups
from fleet.audit import Actor
from fleet.journeys import triprules
from fleet.journeys.tripfinder import TripSettings
from fleet.journeys.trips import keep
from fleet.models import (
    ChargingSession,
    Dismissal,
    Driver,
    DrivingEvent,
    DrivingSettings,
    Fleet,
    Geofence,
    Membership,
    ReportExport,
    Role,
    Stop,
    Trip,
    VehicleDay,
    Visit,
)
from fleet.reports import exports, files, registry, wishes
from fleet.reports.report import Order
from fleet.reports.wishes import Wish
from fleet.tests.test_rollups import told
from tests.world import Car, make_car, make_person

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BACKEND = "django.contrib.auth.backends.ModelBackend"
DAY = Wish(first=date(2026, 11, 10), last=date(2026, 11, 10), zone="UTC")
NEW = ("trips", "stops", "idling", "overspeed", "driving-events", "energy", "charging", "visits")
PAGE = "/fleets/north/reports"


def at(clock: str, day: int = 10) -> datetime:
    """UTC; in Berlin an hour later."""
    hours, minutes = clock.split(":")
    return datetime(2026, 11, day, int(hours), int(minutes), tzinfo=UTC)


def whose(car: Car) -> dict[str, Any]:
    return {"fleet": car.vehicle.fleet, "vehicle": car.vehicle}


def trip(car: Car, begin: datetime, end: datetime, km: float, **values: Any) -> Trip:
    seconds = (end - begin).total_seconds()
    usual = {"duration_s": seconds, "moving_s": seconds - 300, "idle_s": 300.0, "settled_at": end}
    return Trip.objects.create(
        started_at=begin, ended_at=end, middle_at=begin + (end - begin) / 2, distance_m=km * 1000,
        distance_source="speed", **whose(car), **(usual | values),
    )  # fmt: skip


def event(car: Car, kind: str, begin: datetime, seconds: float = 2.0, **values: Any) -> DrivingEvent:
    return DrivingEvent.objects.create(
        kind=kind, started_at=begin, ended_at=begin + timedelta(seconds=seconds), **whose(car), **values
    )


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def cars(db: None) -> list[Car]:
    a, b = (make_car("north", f"van-{letter}") for letter in "ab")
    Fleet.objects.filter(slug="north").update(time_zone="Europe/Berlin", name="North")
    for name in ("ada", "ben", "cleo"):
        Driver.objects.create(fleet=a.vehicle.fleet, slug=name, name=name.title())
    drives(a, b)
    happenings(a, b)
    rollups.keep_up(NOW)
    return [a, b]


def drives(a: Car, b: Car) -> None:
    """a: one told by both, one only detected. b: one only told, and one detected that two drivers share."""
    trip(a, at("8:00"), at("9:00"), 40, energy_wh=8000.0, battery_from_percent=80.0, battery_to_percent=70.0,
         max_speed_mps=30.0, values=1000, reconstructed=250, start_latitude_deg=52.5123)  # fmt: skip
    keep(a.vehicle, [told("s1", at("8:05"), 50, 39, "ada", mean_speed_m_s=13.0, max_speed_m_s=28.0)])
    trip(a, at("10:00"), at("10:30"), 10)
    keep(b.vehicle, [told("s3", at("12:00"), 40, 20, "ben")])
    trip(b, at("14:00"), at("16:00"), 100, energy_wh=20_000.0)
    keep(b.vehicle, [told("s4", at("14:00"), 70, 60, "ben"), told("s5", at("15:20"), 30, 35, "cleo")])


def happenings(a: Car, b: Car) -> None:
    event(a, "harsh_braking", at("8:30"), peak_m_s2=4.905, limit=3.43, strength=2, latitude_deg=52.5)
    dismissed = event(a, "harsh_braking", at("8:31"), peak_m_s2=6.0, limit=3.43)
    no = Dismissal.objects.create(
        kind="harsh_braking", started_at=at("8:31"), ended_at=at("8:32"), reason="A pothole", by_name="Mo", **whose(a)
    )  # fmt: skip
    DrivingEvent.objects.filter(pk=dismissed.pk).update(dismissal=no)
    event(a, "speeding", at("8:40"), 30, top_speed_m_s=40.0, limit=36.0, strength=2)
    event(b, "speeding", at("15:25"), 12, top_speed_m_s=39.0, limit=36.0, going_on=True)
    event(a, "idling", at("8:45"), 600)
    event(b, "idling", at("15:40"), 360)
    rest = {"latitude_deg": 52.5, "longitude_deg": 13.4}
    Stop.objects.create(started_at=at("9:00"), ended_at=at("10:00"), settled_at=at("10:00"), duration_s=3600.0,
                        idle_s=120.0, **rest, **whose(a))  # fmt: skip
    Stop.objects.create(started_at=at("16:00"), ended_at=at("18:00"), duration_s=7200.0, **whose(b))
    ChargingSession.objects.create(
        started_at=at("17:00"), ended_at=at("18:00"), settled_at=at("18:01"), duration_s=3600.0, energy_wh=10_000.0,
        max_power_w=11_000.0, battery_from_percent=40.0, battery_to_percent=60.0, told_by="signal", **rest, **whose(a),
    )  # fmt: skip
    # Begun at 23:30 in UTC, which is the next day in Berlin.
    for car, begin in ((b, at("22:00")), (b, at("23:30"))):
        ChargingSession.objects.create(started_at=begin, ended_at=begin + timedelta(minutes=20), duration_s=1200.0,
                                       told_by="level", **whose(car))  # fmt: skip
    yard = Geofence.objects.create(
        fleet=a.vehicle.fleet, name="Yard", kind="circle", geometry={}, since=at("0:00", 1)
    )
    for car, begin, end, entry in (
        (a, at("8:20"), at("8:40"), "between"),
        (b, at("14:30"), at("14:50"), "record"),
        (b, at("15:30"), None, "gap"),
    ):
        Visit.objects.create(geofence=yard, vehicle=car.vehicle, entered_at=begin, left_at=end, entry=entry,
                             geofence_version=1)  # fmt: skip
    Visit.objects.create(geofence=yard, vehicle=a.vehicle, entered_at=at("9:00"), entry="record", confirmed=False,
                         geofence_version=1)  # fmt: skip


def made(report: str, kind: str = "json", **wish: Any) -> bytes:
    found, out = registry.named(report), io.BytesIO()
    assert found
    table = wishes.table_of(found, Fleet.objects.get(slug="north"), day_with(**wish))
    files.write(kind, table, out)
    return out.getvalue()


def day_with(**wish: Any) -> Wish:
    return Wish(**{**{name: getattr(DAY, name) for name in Wish.__dataclass_fields__}, **wish})


def read(report: str, *columns: str, **wish: Any) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """Rows from the first to the last in time, and all totals."""
    found = registry.named(report)
    assert found
    everything = tuple(column.name for column in found.columns)
    usual = {"columns": everything, "sort": found.order.column}
    content = json.loads(made(report, **(usual | wish)))
    return [tuple(row[name] for name in columns) for row in content["rows"]], content["totals"]


class TestTrips:
    def test_each_drive_once_with_who_tells_of_it(self, cars: list[Car]) -> None:
        rows, totals = read(
            "trips", "start", "source", "driver", "driver_name", "distance", "duration", "trip"
        )
        assert [(row[0][11:16], *row[1:6]) for row in rows] == [
            ("08:05", "both", "ada", "Ada", 39_000.0, 3000.0),
            ("10:00", "detected", "", None, 10_000.0, 1800.0),
            ("12:00", "device", "ben", "Ben", 20_000.0, 2400.0),
            ("14:00", "both", "ben", "Ben", 60_000.0, 4200.0),
            ("15:20", "both", "cleo", "Cleo", 35_000.0, 1800.0),
        ]
        assert rows[0][6] == "s1" and rows[1][6].startswith("detected-")
        assert totals["distance"] == pytest.approx(164_000) and totals["duration"] == pytest.approx(13_200)
        assert totals["mean_speed"] == pytest.approx(164_000 / 13_200)

    def test_statistics_count_the_same(self, cars: list[Car]) -> None:
        _, totals = read("trips")
        days = VehicleDay.objects.filter(day=date(2026, 11, 10))
        assert sum(day.distance_mm for day in days) == pytest.approx(totals["distance"] * 1000)
        assert sum(day.driving_ms for day in days) == pytest.approx(totals["duration"] * 1000)
        assert sum(day.trips for day in days) == 5

    def test_what_only_telemetry_knows_counts_once(self, cars: list[Car]) -> None:
        names = (
            "energy",
            "kwh_per_100_km",
            "soc_from",
            "soc_to",
            "moving",
            "idle",
            "reconstructed",
            "events",
        )
        rows, totals = read("trips", *names)
        assert rows == [
            (8000.0, 20.0, 0.8, 0.7, 3300.0, 300.0, 0.25, 2),
            (None, None, None, None, 1500.0, 300.0, None, 0),
            (None, None, None, None, None, None, None, 0),
            (20_000.0, 20.0, None, None, 6900.0, 300.0, None, 0),
            (None, None, None, None, None, None, None, 1),
        ]
        assert (totals["energy"], totals["events"], totals["kwh_per_100_km"]) == (28_000.0, 3, 20.0)
        assert totals["energy_distance"] == 140_000.0

    def test_how_far_device_and_telemetry_are_apart(self, cars: list[Car]) -> None:
        names = (
            "detected_distance",
            "distance_apart",
            "duration_apart",
            "detected_max_speed",
            "start_latitude",
        )
        rows, _ = read("trips", *names)
        assert rows[0] == (40_000.0, -1000.0, -600.0, 30.0, 52.5123)
        assert rows[2] == (None, None, None, None, None)
        found = registry.named("trips")
        assert found and not any(one.usual for one in found.columns if one.name in names[:4])

    def test_a_device_that_says_little_is_filled_in(self, cars: list[Car]) -> None:
        trip(cars[0], at("18:00"), at("19:00"), 30, settled_at=None, max_speed_mps=20.0)
        keep(cars[0].vehicle, [told("s9", at("18:01"), None, 0, "ada", distance_m=None, duration_s=None)])
        rows, _ = read("trips", "source", "distance", "duration", "max_speed", "end")
        assert rows[-1] == ("both", 30_000.0, 3600.0, 20.0, None), "it goes on"

    def test_on_the_day_it_began_though_the_detected_began_before(self, cars: list[Car]) -> None:
        """Midnight in Berlin is 23:00 in UTC."""
        trip(cars[0], at("22:50", 9), at("23:30", 9), 30)
        keep(cars[0].vehicle, [told("s9", at("23:05", 9), 20, 25, "ada")])
        rows, _ = read("trips", "trip", "source")
        assert rows[0] == ("s9", "both")
        yesterday, _ = read("trips", "trip", first=date(2026, 11, 9), last=date(2026, 11, 9))
        assert yesterday == []

    def test_narrowed(self, cars: list[Car]) -> None:
        assert [row[0] for row in read("trips", "trip", drivers=("ben",))[0]] == ["s3", "s4"]
        assert len(read("trips", "trip", vehicles=("van-a",))[0]) == 2
        assert read("trips", "trip", label="nobody")[0] == []


def test_stops(cars: list[Car]) -> None:
    rows, totals = read("stops", "start", "end", "vehicle", "duration", "idle", "latitude")
    assert [(row[0][11:16], row[1] and row[1][11:16], *row[2:]) for row in rows] == [
        ("09:00", "10:00", "van-a", 3600.0, 120.0, 52.5),
        ("16:00", None, "van-b", 7200.0, None, None),
    ]
    assert (totals["duration"], totals["idle"]) == (10_800.0, 120.0)


def test_driving_events_say_whose_and_whether_dismissed(cars: list[Car]) -> None:
    rows, totals = read(
        "driving-events", "kind", "strength", "driver", "peak", "dismissed", "reason", "lasted"
    )
    assert rows == [
        ("Harsh braking", "strong", "ada", 4.905, False, None, 2.0),
        ("Harsh braking", "moderate", "ada", 6.0, True, "A pothole", 2.0),
    ]
    assert totals == {"peak": 6.0}
    head, first, *_ = made("driving-events", "csv", columns=("peak", "speed")).decode().splitlines()
    assert head == "Peak (g),Speed before (km/h)" and first == "0.61,"


def test_overspeed_of_two_drivers_of_a_vehicle(cars: list[Car]) -> None:
    rows, totals = read("overspeed", "driver_name", "duration", "peak", "limit", "over", "end")
    assert [row[:5] for row in rows] == [("Ada", 30.0, 40.0, 36.0, 4.0), ("Cleo", 12.0, 39.0, 36.0, 3.0)]
    assert rows[1][5] is None, "it goes on"
    assert (totals["duration"], totals["peak"], totals["over"]) == (42.0, 40.0, 4.0)


def test_idling(cars: list[Car]) -> None:
    rows, totals = read("idling", "vehicle", "driver", "duration", "counted")
    assert rows == [("van-a", "ada", 600.0, 600.0), ("van-b", "cleo", 360.0, 360.0)]
    assert totals["duration"] == 960.0


def test_charging(cars: list[Car]) -> None:
    rows, totals = read(
        "charging", "under_way", "energy", "soc_from", "soc_to", "mean_power", "max_power", "told_by"
    )
    assert rows == [
        (False, 10_000.0, 0.4, 0.6, 10_000.0, 11_000.0, "the vehicle"),
        (True, None, None, None, None, None, "a rising charge"),
    ]
    assert (totals["energy"], totals["mean_power"], totals["duration"]) == (10_000.0, 10_000.0, 4800.0)


def test_energy_by_vehicle_and_day_of_the_fleet(cars: list[Car]) -> None:
    names = (
        "day",
        "vehicle",
        "trips",
        "distance",
        "energy",
        "kwh_per_100_km",
        "sessions",
        "charged",
        "charging",
    )
    rows, totals = read("energy", *names, last=date(2026, 11, 11))
    assert sorted(rows) == [
        ("2026-11-10", "van-a", 2, 50_000.0, 8000.0, 20.0, 1, 10_000.0, 3600.0),
        ("2026-11-10", "van-b", 1, 100_000.0, 20_000.0, 20.0, 1, None, 1200.0),
        ("2026-11-11", "van-b", 0, None, None, None, 1, None, 1200.0),
    ]
    assert (totals["energy"], totals["kwh_per_100_km"], totals["charged"]) == (28_000.0, 20.0, 10_000.0)
    head, *rest = made("energy", "csv", columns=("kwh_per_100_km",), units="imperial").decode().splitlines()
    assert head == "Consumption (kWh/100 mi)" and set(rest) == {"32.2"}


def test_visits_with_who_drove_there(cars: list[Car]) -> None:
    rows, totals = read("visits", "geofence", "vehicle", "driver_name", "duration", "there", "entry")
    assert rows == [
        ("Yard", "van-a", "Ada", 1200.0, False, "interpolated"),
        ("Yard", "van-b", "Ben", 1200.0, False, "record"),
        ("Yard", "van-b", "Cleo", None, True, "gap"),
    ]
    assert totals["duration"] == 2400.0
    assert len(read("visits", "vehicle", drivers=("cleo",))[0]) == 1


def test_sorted_by_every_column_both_ways_and_paged(cars: list[Car]) -> None:
    for report in NEW:
        found = registry.named(report)
        assert found
        wish = day_with(last=date(2026, 11, 11), columns=tuple(column.name for column in found.columns))
        table = wishes.table_of(found, Fleet.objects.get(slug="north"), wish)
        everything = sorted(map(str, table.page(1, 100)))
        assert table.count() == len(everything) >= 2
        for place, column in enumerate(found.columns):
            for down in (False, True):
                table.order = Order(column.name, down)
                rows = [row for number in range(1, 4) for row in table.page(number, 2)]
                assert sorted(map(str, rows)) == everything, "a row is on two pages, or on none"
                values = [row[place] for row in rows if row[place] is not None]
                assert [row[place] for row in rows[: len(values)]] == sorted(values, reverse=down), (
                    column.name
                )


class TestSettings:
    def test_are_the_fleets_in_the_readers_units(self, cars: list[Car]) -> None:
        fleet = Fleet.objects.get(slug="north")
        triprules.change(Actor("a test"), fleet, TripSettings(moving_mps=2.0, stop_s=240.0))
        DrivingSettings.objects.update_or_create(fleet=fleet, defaults={"speed_limit_kmh": 100})
        content = json.loads(made("trips"))
        values = {one["name"]: (one["value"], one["unit"]) for one in content["settings"]}
        assert values["stop_s"] == (240.0, "s") and values["moving_mps"] == (2.0, "m/s")
        sheet = openpyxl.load_workbook(io.BytesIO(made("overspeed", "xlsx", units="imperial")))["About"]
        facts = {row[0].value: row[1].value for row in sheet.iter_rows()}
        assert facts["Settings"] == "speeding above 62.1 mph; speeding lasts at least 5 s"
        assert facts["Units"] == "miles, mph"
        assert b"peeding above" not in made("overspeed", "csv"), "CSV is data"
        DrivingSettings.objects.filter(fleet=fleet).update(speed_limit_kmh=None)
        assert json.loads(made("overspeed"))["settings"][0]["value"] == "never"

    def test_stand_on_the_page(self, cars: list[Car]) -> None:
        client = Client()
        client.force_login(make_person("v@example.com", "north"), backend=BACKEND)
        page = client.get(f"{PAGE}/stops?from=2026-11-10&to=2026-11-10").content.decode()
        assert "Settings of the fleet: moves above 3.6 km/h; standing ends a trip after 180 s" in page


class TestWhoReadsWhat:
    @pytest.fixture
    def cleo(self, cars: list[Car]) -> Client:
        user = make_person("cleo@example.com", "north", Role.DRIVER)
        Driver.objects.filter(slug="cleo").update(user=user)
        client = Client()
        client.force_login(user, backend=BACKEND)
        return client

    def test_drivers_read_their_own_rows(self, cleo: Client) -> None:
        days = "from=2026-11-10&to=2026-11-10"
        for report, count in (
            ("trips", 1),
            ("overspeed", 1),
            ("idling", 1),
            ("driving-events", 0),
            ("visits", 1),
        ):
            for asked in (days, f"{days}&drivers=ben"):
                assert len(cleo.get(f"{PAGE}/{report}?{asked}&format=json").json()["rows"]) == count, report
            answer = cleo.get(f"/api/v1/fleet/north/reports/{report}?{days}").json()
            assert answer["count"] == len(answer["rows"]) == count
        assert cleo.get(f"/api/v1/fleet/north/reports/trips?{days}&drivers=ben").status_code == 400
        assert "Stops" not in cleo.get(PAGE).content.decode()
        assert cleo.get(f"{PAGE}/stops").status_code == 403
        assert cleo.get("/api/v1/fleet/north/reports/stops").status_code == 403
        assert cleo.get("/fleets/north/report-schedules").status_code == 403

    def test_a_file_of_a_driver_has_their_rows_whoever_they_were_before(self, cleo: Client) -> None:
        Membership.objects.filter(user__email="cleo@example.com").update(role=Role.VIEWER)
        body = {"report": "trips", "format": "json", "since": "2026-11-10", "until": "2026-11-10"}
        address = "/api/v1/fleet/north/exports"
        whole = cleo.post(address, body, content_type="application/json")
        exports.make_due()
        Membership.objects.filter(user__email="cleo@example.com").update(role=Role.DRIVER)
        own = cleo.post(address, body, content_type="application/json")
        assert exports.make_due() == 1
        rows = json.loads(b"".join(cleo.get(cleo.get(own["Location"]).json()["file"])))["rows"]
        assert [row["driver"] for row in rows] == ["cleo"]
        assert cleo.get(whole["Location"]).status_code == 404
        assert cleo.get(f"/exports/{whole.json()['id']}").status_code == 404
        assert [one["id"] for one in cleo.get(address).json()["results"]] == [own.json()["id"]]
        Driver.objects.filter(slug="cleo").update(user=None)
        assert cleo.get(own["Location"]).status_code == 403 and cleo.get(PAGE).status_code == 403

    def test_who_lost_the_right_while_waiting_gets_no_file(self, cleo: Client) -> None:
        Membership.objects.filter(user__email="cleo@example.com").update(role=Role.VIEWER)
        cleo.post("/api/v1/fleet/north/exports", {"report": "trips", "format": "csv", "days": 30},
                  content_type="application/json")  # fmt: skip
        Membership.objects.filter(user__email="cleo@example.com").update(role=Role.DRIVER)
        assert exports.make_due() == 0
        assert ReportExport.objects.get().state == "failed"

    def test_outsiders_find_nothing_and_an_empty_period_says_so(self, cars: list[Car]) -> None:
        make_car("south", "bus")
        other, viewer = Client(), Client()
        other.force_login(make_person("o@example.com", "south", Role.OWNER), backend=BACKEND)
        viewer.force_login(make_person("v@example.com", "north"), backend=BACKEND)
        for report in NEW:
            assert other.get(f"{PAGE}/{report}").status_code == 404
            assert other.get(f"/api/v1/fleet/north/reports/{report}").status_code == 404
            empty = viewer.get(f"{PAGE}/{report}?from=2020-01-01&to=2020-01-02").content.decode()
            assert "Nothing to report" in empty
            south = json.loads(other.get(f"/fleets/south/reports/{report}?days=30&format=json").content)
            assert south["rows"] == [], "nothing of another fleet"


def test_through_a_worker(cars: list[Car]) -> None:
    user = make_person("m@example.com", "north", Role.MANAGER)
    found = registry.named("trips")
    assert found
    exports.ask_for(Actor(str(user), user), Fleet.objects.get(slug="north"), found, "csv", DAY)
    assert exports.make_due() == 1
    client = Client()
    client.force_login(user, backend=BACKEND)
    export = ReportExport.objects.get()
    content = b"".join(client.get(f"/exports/{export.uid}/file"))
    assert export.rows == 5 and content == made("trips", "csv")
