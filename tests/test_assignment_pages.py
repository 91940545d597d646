"""Pages and API that say who has which vehicle, and what follows from it on the pages of trips and scores."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from fleet.aggregation import rollups
from fleet.audit import Actor
from fleet.behaviour import assignments
from fleet.behaviour.assignments import Wish
from fleet.models import (
    AssignmentChange,
    AuditEntry,
    Driver,
    DriverAssignment,
    DriverDay,
    DrivingEvent,
    Fleet,
    FleetDay,
    Role,
    Trip,
    VehicleDay,
)
from tests.journeys import make_trip
from tests.world import Car, make_car, make_person

NOW = timezone.now().replace(hour=14, minute=0, second=0, microsecond=0) - timedelta(days=1)
"""Trips at night would cost points."""
API = "/api/v1/driver-assignments"


@pytest.fixture
def car(db: None) -> Car:
    made = make_car("north", "van")
    for slug, name in (("ada", "Ada Berg"), ("ben", "")):
        Driver.objects.create(fleet=made.vehicle.fleet, slug=slug, name=name)
    return made


@pytest.fixture
def manager(car: Car) -> Client:
    client = Client()
    client.force_login(make_person("manager@example.com", "north", Role.MANAGER))
    return client


def driver(slug: str) -> Driver:
    return Driver.objects.get(slug=slug, fleet__slug="north")


def assign(car: Car, slug: str, start: datetime, end: datetime | None = None) -> DriverAssignment:
    return assignments.add(Actor("somebody"), Wish(car.vehicle, driver(slug), start, end))


def sent(client: Client, method: str, address: str, **body: Any) -> Any:
    return getattr(client, method)(address, json.dumps(body), content_type="application/json")


def as_driver(slug: str) -> Client:
    user = make_person(f"{slug}@example.com", "north", Role.DRIVER)
    Driver.objects.filter(slug=slug).update(user=user)
    client = Client()
    client.force_login(user)
    return client


def up_to_date() -> None:
    while rollups.keep_up(timezone.now()):
        pass


class TestApi:
    def test_from_made_to_deleted(self, car: Car, manager: Client) -> None:
        made = sent(
            manager, "post", API, vehicle_id="van", driver_id="ada", started_at="2026-11-01T06:00:00+01:00"
        )
        assert made.status_code == 201, made.content
        told = made.json()
        assert (told["started_at"], told["ended_at"]) == ("2026-11-01T05:00:00Z", None)
        address = made.headers["Location"]
        again = sent(
            manager, "post", API, vehicle_id=car.vin, driver_id="ben", started_at="2026-11-02T00:00:00Z"
        )
        assert again.status_code == 400 and "is assigned to ada" in json.dumps(again.json())
        handed = sent(
            manager, "post", API, vehicle_id="van", driver_id="ben", started_at="2026-11-02T00:00:00Z",
            hand_over=True,
        )  # fmt: skip
        assert handed.status_code == 201
        assert manager.get(address).json()["ended_at"] == "2026-11-02T00:00:00Z"
        assert sent(manager, "patch", address, ended_at="2026-11-03T00:00:00Z").status_code == 400
        assert sent(manager, "patch", address, driver_id="ben").json()["driver_id"] == "ben"
        at = manager.get(f"{API}?at=2026-11-01T12:00:00Z").json()["results"]
        assert [one["id"] for one in at] == [told["id"]]
        assert len(manager.get(f"{API}?driver=ben&vehicle=van&fleet=north").json()["results"]) == 2
        assert manager.delete(address).status_code == 204 and manager.get(address).status_code == 404
        assert [e.action for e in AuditEntry.objects.filter(action__startswith="assignment").order_by("pk")] == [
            "assignment.created", "assignment.changed", "assignment.created", "assignment.changed",
            "assignment.deleted",
        ]  # fmt: skip

    def test_what_is_refused_says_which_field(self, car: Car, manager: Client) -> None:
        make_car("south", "bus")
        cases: list[tuple[dict[str, Any], str]] = [
            ({"driver_id": "nobody"}, "driver_id"),
            ({"vehicle_id": "bus"}, "vehicle_id"),
            ({"started_at": "noon"}, "started_at"),
            ({"started_at": "1999-01-01T00:00:00Z"}, "started_at"),
            ({"ended_at": "2026-10-01T00:00:00Z"}, "ended_at"),
        ]
        usual = {"vehicle_id": "van", "driver_id": "ada", "started_at": "2026-11-01T00:00:00Z"}
        for change, field in cases:
            answer = sent(manager, "post", API, **(usual | change))
            assert answer.status_code == 400 and field in json.dumps(answer.json()), change
        assert not DriverAssignment.objects.exists()

    def test_who_sees_which(self, car: Car) -> None:
        assign(car, "ada", NOW - timedelta(days=2), NOW - timedelta(days=1))
        ben = assign(car, "ben", NOW - timedelta(days=1))
        client = as_driver("ben")
        assert [one["id"] for one in client.get(API).json()["results"]] == [ben.pk]
        device = Client(headers={"Authorization": f"Bearer {car.token}"})
        assert len(device.get(API).json()["results"]) == 2
        outsider = Client()
        make_car("south")
        outsider.force_login(make_person("out@example.com", "south", Role.OWNER))
        assert outsider.get(API).json()["results"] == []
        assert outsider.get(f"{API}/{ben.pk}").status_code == 404
        assert outsider.get(f"/assignments/{ben.pk}").status_code == 404


class TestPages:
    def test_assigned_on_the_page_of_the_vehicle(self, car: Car, manager: Client) -> None:
        page = manager.get(car.vehicle.get_absolute_url()).content.decode()
        assert "Assigned to nobody" in page
        answer = manager.post(
            "/assignments",
            {
                "vehicle": car.vehicle.pk,
                "driver": driver("ada").pk,
                "started_at": "2026-11-01T06:00",
                "back": "vehicle",
            },
        )
        assert answer.headers["Location"] == car.vehicle.get_absolute_url()
        assert "Ada Berg" in manager.get(car.vehicle.get_absolute_url()).content.decode()
        assert "van" in manager.get(driver("ada").get_absolute_url()).content.decode()
        one = DriverAssignment.objects.get()
        refused = manager.post(
            "/assignments",
            {"vehicle": car.vehicle.pk, "driver": driver("ben").pk, "started_at": "2026-11-05T06:00"},
        )
        assert refused.status_code == 400 and "is assigned to ada" in refused.content.decode()
        ended = manager.post(
            f"/assignments/{one.pk}",
            {
                "driver": one.driver_id,
                "started_at": "2026-11-01T06:00",
                "ended_at": "2026-11-02T06:00",
                "do": "save",
            },
        )
        assert ended.status_code == 302
        one.refresh_from_db()
        assert one.ended_at == datetime(2026, 11, 2, 6, tzinfo=UTC)
        manager.post(f"/assignments/{one.pk}", {"do": "delete"})
        assert not DriverAssignment.objects.exists()

    def test_filtered_sorted_and_as_a_file_that_can_be_brought_in(self, car: Car, manager: Client) -> None:
        bus = make_car("north", "bus")
        assign(car, "ada", NOW - timedelta(days=9), NOW - timedelta(days=8))
        assign(car, "ben", NOW - timedelta(days=1))
        assign(bus, "ada", NOW + timedelta(days=1))

        def ids(query: str) -> list[tuple[str, str]]:
            text = manager.get(f"/assignments?{query}&export=csv").content.decode()
            return [(row["vehicle"], row["driver"]) for row in csv.DictReader(io.StringIO(text))]

        assert ids("state=now") == [("van", "ben")] and ids("state=over") == [("van", "ada")]
        assert ids("state=ahead") == [("bus", "ada")] and ids("driver=berg&sort=old") == [
            ("van", "ada"),
            ("bus", "ada"),
        ]
        assert ids("vehicle=van&sort=driver") == [("van", "ben"), ("van", "ada")], "without a name first"
        assert manager.get("/assignments?sort=vehicle").status_code == 200
        exported = manager.get("/assignments?export=csv").content.decode()
        DriverAssignment.objects.all().delete()
        address = "/fleets/north/assignments/import"
        preview = manager.post(address, {"text": exported, "do": "show"})
        assert preview.status_code == 200 and "3 rows to add" in preview.content.decode()
        assert not DriverAssignment.objects.exists()
        assert manager.post(address, {"text": exported, "do": "add"}).status_code == 302
        assert manager.get("/assignments?export=csv").content.decode().count("\n") == 4

    def test_a_file_with_mistakes_adds_nothing(self, car: Car, manager: Client) -> None:
        assign(car, "ada", NOW - timedelta(days=9), NOW - timedelta(days=8))
        day = f"{NOW - timedelta(days=9):%Y-%m-%dT%H:%M}"
        text = "\n".join(
            [
                "Vehicle;Driver;From;To",
                f"van;ben;{day};",
                "lorry;ben;2026-01-01T00:00;",
                "van;zoe;tomorrow;",
                "van;ben;2026-01-02T00:00;2026-01-01T00:00",
                "van;ben;2026-02-01T00:00;2026-02-03T00:00",
                "van;ada;2026-02-02T00:00;2026-02-04T00:00",
            ]
        )
        page = manager.post("/fleets/north/assignments/import", {"text": text, "do": "add"})
        shown = page.content.decode()
        assert page.status_code == 400 and "5 of 6 rows cannot be added" in shown
        for words in (
            "is assigned to ada",
            "lorry",
            "zoe",
            "tomorrow",
            "ends before it begins",
            "row 6 has the vehicle",
        ):
            assert words in shown, words
        assert DriverAssignment.objects.count() == 1
        for wrong in ("", "a,b\n1,2", "vehicle,driver,from,to"):
            assert manager.post("/fleets/north/assignments/import", {"text": wrong}).status_code == 400


class TestTrips:
    @pytest.fixture
    def braked(self, car: Car) -> Trip:
        """20 km of dense records in half an hour, by Ada; two brakings and a minute above the limit."""
        assign(car, "ada", NOW - timedelta(days=3))
        trip = make_trip(
            car, NOW - timedelta(hours=2), distance_m=20_000.0, seen_mm=20_000_000, turning_mm=0,
            timed_ms=1_800_000, records=1_800,
        )  # fmt: skip
        for minute, kind, lasts in ((5, "harsh_braking", 2), (9, "harsh_braking", 1), (12, "speeding", 60)):
            start = trip.started_at + timedelta(minutes=minute)
            DrivingEvent.objects.create(
                fleet=trip.fleet, vehicle=trip.vehicle, kind=kind, started_at=start, strength=2,
                ended_at=start + timedelta(seconds=lasts), latitude_deg=52.5, longitude_deg=13.4,
            )  # fmt: skip
        rollups.touch(
            rollups.driving(trip.fleet_id, trip.vehicle_id, {trip.started_at.date(), trip.ended_at.date()})
        )
        up_to_date()
        for model in (VehicleDay, DriverDay, FleetDay):  # as the records would say
            model.objects.update(seen_mm=F("distance_mm"), timed_ms=F("driving_ms"))
        return trip

    def test_each_event_with_its_points(self, braked: Trip, manager: Client) -> None:
        """2 in 50 km: 10 points; a minute of an hour at least: 1.67."""
        event = DrivingEvent.objects.filter(kind="harsh_braking").order_by("started_at")[0]
        page = manager.get(f"/trips/{braked.pk}?event={event.pk}").content.decode()
        assert page.count("−5.00") == 2 and "−1.67" in page and "88.3" in page
        assert f'data-event="{event.pk}"' in page and page.count('aria-current="true"') == 1
        assert "A record every 1.0 s" in page and "those that last 0.3 s" in page
        told = manager.get(f"/api/v1/detected-trips/{braked.pk}").json()
        assert (
            told["score"] == pytest.approx(88.3333)
            and told["driver_id"] == "ada"
            and told["score_state"] == ""
        )
        assert told["score_lost"]["harsh_braking"] == 10.0 and told["score_lost"]["risk"] is None

    def test_the_list(self, braked: Trip, car: Car, manager: Client) -> None:
        make_trip(car, NOW - timedelta(hours=4), distance_m=500.0)

        def scores(query: str) -> list[str]:
            text = manager.get(f"/trips?{query}&export=csv").content.decode()
            return [row["score"] or row["score_state"] for row in csv.DictReader(io.StringIO(text))]

        assert scores("sort=worst") == ["88.3333", "being computed"]
        assert scores("score=90") == ["88.3333"] and scores("score=80") == []
        assert scores("driver=ada") == ["88.3333"] and scores("driver=ben") == []
        assert scores("fleet=north&sort=best")[0] == "88.3333" and scores("lost=risk") == []
        assert "88.3" in manager.get("/trips").content.decode()

    def test_from_the_score_to_the_events(self, braked: Trip, manager: Client) -> None:
        page = manager.get(driver("ada").get_absolute_url()).content.decode()
        assert "What would improve it most" in page and "lost=driver" in page
        shown = manager.get(
            "/driving-events?fleet=north&driver=ada&lost=driver&kind=harsh_braking"
        ).content.decode()
        assert shown.count("−5.00") == 2 and f"/trips/{braked.pk}?event=" in shown
        by_vehicle = manager.get("/driving-events?fleet=north&vehicle=van&lost=vehicle").content.decode()
        assert "−1.67" in by_vehicle
        assert "−5.00" not in manager.get("/driving-events").content.decode()

    def test_a_driver_sees_their_own(self, braked: Trip) -> None:
        ada, ben = as_driver("ada"), as_driver("ben")
        assert ada.get(f"/trips/{braked.pk}").status_code == 200
        assert ben.get(f"/trips/{braked.pk}").status_code == 404
        assert ben.get("/api/v1/detected-trips").json()["results"] == []
        assert len(ada.get("/api/v1/detected-trips?driver=ada").json()["results"]) == 1

    def test_leaderboards(self, braked: Trip, manager: Client) -> None:
        for of, who in (("", "Ada Berg"), ("vehicles", "van")):
            page = manager.get(f"/leaderboard?of={of}&metric=distance").content.decode()
            assert who in page and "20" in page
            text = manager.get(f"/leaderboard?of={of}&metric=safety_score&export=csv").content.decode()
            (row,) = csv.DictReader(io.StringIO(text))
            assert row["eligible"] == "False" and row["rank"] == "" and float(row["distance (m)"]) == 20_000


def test_a_change_survives_a_worker_that_dies(car: Car) -> None:
    """It is taken up in the transaction that touches the days, or not at all."""
    make_trip(car, NOW)
    assign(car, "ada", NOW - timedelta(days=1))
    assert AssignmentChange.objects.count() == 1
    up_to_date()
    assert not AssignmentChange.objects.exists() and Trip.objects.get().driven_by == "ada"
    assert Fleet.objects.get(slug="north").rollups is not None
