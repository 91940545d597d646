"""Pages, files and the API of trips, stops and charging sessions: what they show, filter, sort and refuse."""

import csv
import io
import json
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.utils import timezone

from fleet.journeys.trips import keep
from fleet.models import AuditEntry, ChargingSession, Role, Stop, Trip, TripRules
from fleet.tests.test_rollups import told
from tests.deliveries import deliver, derive_all, drain_all
from tests.journeys import make_trip
from tests.rules import at
from tests.world import Car, make_car, make_person

NOW = timezone.now().replace(microsecond=0)
RULES = {
    "moving_mps": 1, "stop_s": 300, "off_s": 30, "gap_s": 600, "longest_gap_s": 3600, "drove_on_mps": 3,
    "least_m": 200, "least_s": 60,
}  # fmt: skip


@pytest.fixture
def car(db: None) -> Car:
    return make_car("north", "van")


@pytest.fixture
def reader(car: Car, client: Client) -> Client:
    client.force_login(make_person("reader@example.com", "north", Role.VIEWER))
    return client


def rows(client: Client, address: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(address).content.decode())))


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


class TestList:
    def test_a_trip_beside_its_summary(self, car: Car, reader: Client) -> None:
        trip = make_trip(car, NOW, energy_wh=2_400.0)
        keep(car.vehicle, [told("ours", trip.started_at, 30, km=12.6, driver="ada")])
        page = text(reader, "/trips")
        for words in ("12.0 km", "12.6 km", "+5.0 %", "ada", "2.40 kWh", "30 min"):
            assert words in page, words
        (row,) = rows(reader, "/trips?export=csv")
        assert (row["driver"], row["device_trips"], row["device_distance_m"]) == ("ada", "ours", "12600.0")
        assert row["kwh_per_100_km"] == "20.0"

    def test_filters_sorts_and_pages(self, car: Car, reader: Client, django_assert_num_queries: Any) -> None:
        other = make_car("north", "bus")
        trips = [
            make_trip(one, NOW - timedelta(days=n), distance_m=1_000.0 * (n + 1))
            for n, one in enumerate([car, other] * 30)
        ]
        keep(car.vehicle, [told("ours", trips[0].started_at, 30, driver="ada")])
        keep(car.vehicle, [told("lost", NOW - timedelta(days=200), 30, km=77, driver="bo")])

        def asked(query: str) -> list[int]:
            return [int(row["trip"]) for row in rows(reader, f"/trips?{query}&export=csv")]

        assert asked("") == [trip.pk for trip in trips]
        assert asked(f"vehicle={other.vehicle.pk}") == [trip.pk for trip in trips[1::2]]
        assert asked("driver=ada") == asked("show=with") == [trips[0].pk]
        assert len(asked("show=without")) == 59
        assert asked("least=59.5&sort=far") == [trips[59].pk]
        assert asked("most=2&sort=old") == [trips[1].pk, trips[0].pk]
        assert asked(f"from={trips[1].started_at:%Y-%m-%d}&least=2")[-1] == trips[1].pk
        only = text(reader, "/trips?show=told")
        assert "lost" in only and "77.0 km" in only and ">ours<" not in only
        with django_assert_num_queries(8):
            first = text(reader, "/trips")
        assert "1–50 of 60" in first and "51–60 of 60" in text(reader, "/trips?page=2")

    @pytest.mark.parametrize(
        "query", ["vehicle=x&from=never&least=-3&most=1e99&sort=no&show=no&page=x", "driver=%00"]
    )
    def test_nonsense_counts_as_not_asked(self, car: Car, reader: Client, query: str) -> None:
        make_trip(car, NOW)
        assert "1–1 of 1" in text(reader, f"/trips?{query}")

    def test_empty(self, reader: Client) -> None:
        assert "No trips yet" in text(reader, "/trips") and "No stops yet" in text(reader, "/stops")
        assert "No trip matches" in text(reader, "/trips?least=3") and "No charging" in text(
            reader, "/charging"
        )


def test_stops_and_charging_sessions(car: Car, reader: Client) -> None:
    make_trip(car, NOW)
    ChargingSession.objects.create(
        fleet=car.vehicle.fleet, vehicle=car.vehicle, started_at=NOW, ended_at=NOW, duration_s=5400.0,
        told_by="signal", battery_from_percent=20.0, battery_to_percent=81.0, energy_wh=30_500.0, max_power_w=49_000.0,
    )  # fmt: skip
    page = text(reader, "/charging?sort=energy")
    for words in ("20 → 81 %", "30.50 kWh", "49.0 kW", "1 h 30 min", "charging"):
        assert words in page, words
    assert "1 h" in text(reader, "/stops") and "No stop matches" in text(reader, "/stops?least=61")
    assert rows(reader, "/charging?export=csv")[0]["energy_wh"] == "30500.0"
    assert rows(reader, "/stops?export=csv")[0]["duration_s"] == "3600.0"


class TestTrip:
    @pytest.fixture
    def trip(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> Trip:
        """A drive of ten minutes with a halt of one, through the door."""
        speeds = [36.0] * 30 + [0.0] * 6 + [54.0] * 30 + [0.0] * 30
        way, records = 0.0, []
        for n, speed in enumerate(speeds):
            way += speed / 3.6 * 10
            place = (
                {"latitude": 50 + way / 111_195, "longitude": 8.0}
                if n != 12
                else {"latitude": 0.1, "longitude": 0.1}
            )
            records.append(at(n * 10, speed=speed, battery=80 - n / 10, power=speed / 3, **place))
        deliver(car, records)
        drain_all()
        derive_all()
        return Trip.objects.get()

    def test_its_page(self, trip: Trip, reader: Client, car: Car) -> None:
        keep(car.vehicle, [told("ours", trip.started_at, 11, km=7, driver="ada", max_speed_m_s=16.0)])
        page = text(reader, f"/trips/{trip.pk}")
        for words in ("Driver ada", "7.5 km", "-0.45", "+3.6", "kWh/100 km", "Stops"):
            assert words in page, words

    def test_its_track(self, trip: Trip, reader: Client) -> None:
        told_now = json.loads(reader.get(f"/trips/{trip.pk}/track").content)
        assert told_now["records"] == len(told_now["points"]) == trip.records
        assert [lasted for _, lasted in told_now["halts"]] == [50.0]
        assert told_now["points"][12][1:3] == [None, None]  # nothing drives there and back
        assert told_now["points"][5][3:] == [36.0, 79.5, 12.0]

    def test_its_files(self, trip: Trip, reader: Client) -> None:
        def file(kind: str) -> bytes:
            for address in (
                f"/trips/{trip.pk}/file/{kind}",
                f"/api/v1/detected-trips/{trip.pk}/track/{kind}",
            ):
                answer = reader.get(address)
                assert answer.status_code == 200, address
            return bytes(answer.content)

        points = ElementTree.fromstring(file("gpx")).findall(".//{http://www.topografix.com/GPX/1/1}trkpt")
        assert len(points) == trip.records - 1 and points[0].attrib["lon"] == "8.0000000"
        kml = ElementTree.fromstring(file("kml"))
        assert len(kml.findall(".//{http://www.opengis.net/kml/2.2}when")) == len(points)
        feature = json.loads(file("geojson"))
        assert feature["geometry"]["type"] == "LineString" and feature["geometry"]["coordinates"][0][0] == 8.0
        assert len(feature["properties"]["times"]) == len(feature["geometry"]["coordinates"]) == len(points)
        assert reader.get(f"/trips/{trip.pk}/file/exe").status_code == 404

    def test_without_records(self, car: Car, reader: Client) -> None:
        trip = make_trip(car, NOW)
        assert json.loads(reader.get(f"/trips/{trip.pk}/track").content)["points"] == []
        for kind in ("gpx", "kml", "geojson"):
            assert reader.get(f"/trips/{trip.pk}/file/{kind}").status_code == 200

    def test_outsiders(self, trip: Trip, client: Client) -> None:
        make_car("south")
        client.force_login(make_person("other@example.com", "south", Role.OWNER))
        for end in ("", "/track", "/file/gpx"):
            assert client.get(f"/trips/{trip.pk}{end}").status_code == 404
        assert "No trips yet" in text(client, "/trips")
        assert client.get("/api/v1/stops").json()["results"] == [] and Stop.objects.exists()


class TestApi:
    def test_detected_trips(self, car: Car, reader: Client) -> None:
        trips = [make_trip(car, NOW - timedelta(days=n), distance_m=1_000.0 * (n + 1)) for n in range(3)]
        keep(car.vehicle, [told("ours", trips[1].started_at, 30, driver="ada")])

        def ids(query: str = "") -> list[int]:
            return [row["id"] for row in reader.get(f"/api/v1/detected-trips{query}").json()["results"]]

        assert ids() == [trip.pk for trip in trips]
        assert ids("?driver=ada") == ids("?min_distance=1500&max_distance=2500") == [trips[1].pk]
        assert ids("?vehicle=van&limit=1") == [trips[0].pk]
        one = reader.get(f"/api/v1/detected-trips/{trips[1].pk}").json()
        assert (one["driver_id"], one["summaries"], one["distance"]) == ("ada", ["ours"], 2000.0)
        assert one["start_location"] is None and one["mean_speed"] == pytest.approx(2000 / 1800)
        refused = reader.get("/api/v1/detected-trips?min_distance=far")
        assert refused.status_code == 400 and refused.json()["errors"][0]["field"] == "min_distance"

    def test_the_trip_that_goes_on(self, car: Car, reader: Client) -> None:
        make_trip(car, NOW, settled_at=None, start_latitude_deg=50.12345, start_longitude_deg=8.5)
        now = reader.get("/api/v1/vehicles/van/status").json()["current_trip"]
        assert now["trip_id"].startswith("detected-") and now["end_time"] is None
        assert now["start_location"] == {"lat": 50.12, "lng": 8.5}
        Trip.objects.update(ended_at=NOW - timedelta(hours=2), started_at=NOW - timedelta(hours=3))
        assert reader.get("/api/v1/vehicles/van/status").json()["current_trip"] is None


class TestRules:
    def test_managers_change_them_and_viewers_read(self, car: Car, reader: Client, client: Client) -> None:
        assert "180" in text(reader, "/fleets/north/trip-rules")
        assert reader.post("/fleets/north/trip-rules", RULES).status_code == 403
        client.force_login(make_person("manager@example.com", "north", Role.MANAGER))
        assert client.post("/fleets/north/trip-rules", RULES).status_code == 302
        assert TripRules.objects.get().stop_s == 300 and TripRules.objects.get().version == 1
        entry = AuditEntry.objects.get(action="trip_rules.changed")
        assert (entry.before, entry.after) == ({"stop_s": 180.0}, {"stop_s": 300.0})
        wrong = client.post("/fleets/north/trip-rules", RULES | {"longest_gap_s": 300, "stop_s": 1})
        assert wrong.status_code == 400 and b"greater than or equal to 30" in wrong.content
        late = client.post("/fleets/north/trip-rules", RULES | {"longest_gap_s": 300})
        assert late.status_code == 400 and b"Not shorter" in late.content
        assert TripRules.objects.get().version == 1

    def test_over_the_api(self, car: Car, client: Client) -> None:
        client.force_login(make_person("manager@example.com", "north", Role.MANAGER))
        address = "/api/v1/fleet/north/trip-rules"
        assert client.get(address).json()["version"] == 0
        put = client.put(address, RULES, content_type="application/json")
        assert put.status_code == 200 and (put.json()["stop_s"], put.json()["version"]) == (300.0, 1)
        wrong = client.put(address, RULES | {"gap_s": 7000}, content_type="application/json")
        assert wrong.status_code == 400 and wrong.json()["errors"][0]["field"] == "longest_gap_s"
