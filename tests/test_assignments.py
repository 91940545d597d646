"""Who drove by assignment: trips, events and sums follow, whatever came first; reassigned at midnight, when clocks
change, during a trip, and between fleets."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.aggregation import rollups
from fleet.audit import Actor
from fleet.behaviour import assignments, drivingevents, scoring, tripscores
from fleet.behaviour.assignments import Wish
from fleet.journeys.trips import keep
from fleet.models import (
    AuditEntry,
    Driver,
    DriverAssignment,
    DriverDay,
    DrivingEvent,
    Fleet,
    RollupState,
    Trip,
    TripSummary,
    VehicleDay,
)
from fleet.tests.test_rollups import told
from telemetry.derivation import activity
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.driving import due_now, judge
from tests.journeys import make_trip
from tests.rules import at
from tests.world import Car, make_car

BEGAN = datetime.fromtimestamp(START, UTC)
WE = Actor("somebody")
BRAKING = (60.0, 60.0, 57.0, 43.0, 29.0, 27.0, 27.0)


@pytest.fixture
def car(db: None) -> Car:
    return ready()


def ready() -> Car:
    made = make_car("north", "van")
    judge(made)
    for slug in ("ada", "ben"):
        Driver.objects.create(fleet=made.vehicle.fleet, slug=slug)
    return made


def driver(slug: str) -> Driver:
    return Driver.objects.get(slug=slug, fleet__slug="north")


def assign(
    car: Car, slug: str, start: datetime, end: datetime | None = None, **more: Any
) -> DriverAssignment:
    return assignments.add(WE, Wish(car.vehicle, driver(slug), start, end), **more)


def up_to_date() -> None:
    due_now()
    while rollups.keep_up(timezone.now()):
        pass


def trip_of(start: float, minutes: int = 6, braking: int = 1) -> list[Telemetry]:
    """A drive at 60 km/h that brakes so often, and then stands long enough to be over."""
    speeds = [60.0] * 60 * minutes
    for n in range(braking):
        speeds[40 + 60 * n : 40 + 60 * n + len(BRAKING)] = BRAKING
    moving = [at(start + n, speed=speed, heading=90.0) for n, speed in enumerate(speeds)]
    stands = [at(start + len(speeds) + 30 * n, speed=0.0) for n in range(8)]
    return moving + stands


def send(car: Car, messages: list[Telemetry]) -> None:
    deliver(car, messages)
    drain_all()
    derive_all()


def picture() -> dict[str, Any]:
    found: dict[str, Any] = {
        "trips": list(
            Trip.objects.order_by("started_at").values(
                "started_at", "ended_at", "driver__slug", "driven_by", "score", "score_version", "score_sums",
                *tripscores.SEEN,
            )
        ),
        "told": list(
            TripSummary.objects.order_by("trip_id").values("trip_id", "driven_by", "score", "score_sums")
        ),
        "events": list(
            DrivingEvent.objects.order_by("started_at", "kind").values("kind", "started_at", "driver_id")
        ),
    }  # fmt: skip
    for model in (VehicleDay, DriverDay):
        names = [
            f.attname
            for f in model._meta.concrete_fields
            if f.attname not in {"id", "fleet_id", "vehicle_id"}
        ]
        found[model.__name__] = list(model.objects.order_by("day", *names[:1]).values(*names))
    return found


def steps() -> list[Any]:
    """Three drives; a device tells of the second. Ada has the car until the middle of the third, then Ben."""
    middle = BEGAN + timedelta(seconds=4_000 + 180)
    return [
        trip_of(0), trip_of(2_000), trip_of(4_000, braking=4),
        told("b", BEGAN + timedelta(seconds=2_000), 6, 6, "cleo"),
        ("ada", BEGAN - timedelta(days=1), middle),
        ("ben", middle, None),
    ]  # fmt: skip


def test_any_order_ends_with_the_same_rows(db: None) -> None:
    chance = random.Random(3)
    pictures = []
    for turn in range(4):
        Fleet.objects.all().delete()
        activity.noted.now, activity.noted.ever = set(), set()
        car, wanted = ready(), steps()
        if turn == 1:
            wanted = wanted[4:] + wanted[:4]
        elif turn > 1:
            chance.shuffle(wanted)
            late = wanted.index(next(one for one in wanted if isinstance(one, list)))
            records = wanted[late]
            chance.shuffle(records)
            wanted[late : late + 1] = [records[::2], records[1::2]]
        for step in wanted:
            if isinstance(step, list):
                send(car, step)
            elif isinstance(step, tuple):
                assign(car, *step)
            else:
                keep(car.vehicle, [step])
            if turn and chance.random() < 0.5:
                up_to_date()
        up_to_date()
        pictures.append(picture())
    first = pictures[0]
    assert [one["driven_by"] for one in first["trips"]] == ["ada", "cleo", "ada"], "who had it when it began"
    assert [one["driver__slug"] for one in first["trips"]] == ["ada", None, "ada"], "the fleet knows no cleo"
    assert [one["driver_id"] for one in first["events"]] == ["ada", "cleo", "ada", "ada", "ada", "ben"]
    for other in pictures[1:]:
        assert other == first


def test_ending_changing_and_deleting_reattribute(car: Car) -> None:
    send(car, trip_of(0) + trip_of(2_000))
    one = assign(car, "ada", BEGAN - timedelta(hours=1))
    up_to_date()
    assert set(Trip.objects.values_list("driver__slug", flat=True)) == {"ada"}
    before = picture()
    rollups.keep_up(timezone.now())
    assert picture() == before
    one = assignments.change(WE, one, ended_at=BEGAN + timedelta(seconds=1_000))
    up_to_date()
    assert list(Trip.objects.order_by("started_at").values_list("driven_by", flat=True)) == ["ada", ""]
    assert {d.driver_id: d.harsh_brakings for d in DriverDay.objects.all()} == {"ada": 1}
    assignments.change(WE, one, driver=driver("ben"), ended_at=None)
    up_to_date()
    assert {d.driver_id: d.trips for d in DriverDay.objects.all()} == {"ben": 2}
    assignments.delete(WE, one)
    assignments.delete(WE, one)
    up_to_date()
    assert not DriverDay.objects.exists() and not Trip.objects.exclude(driver=None, driven_by="").exists()
    acts = AuditEntry.objects.filter(action__startswith="assign").order_by("pk")
    assert [entry.action.removeprefix("assignment.") for entry in acts] == [
        "created", "changed", "changed", "deleted",
    ]  # fmt: skip


def test_two_drivers_of_one_vehicle_at_once_are_refused(car: Car) -> None:
    assign(car, "ada", BEGAN, BEGAN + timedelta(hours=2))
    assign(car, "ben", BEGAN + timedelta(hours=2))  # the end is not part of it
    for start, end in ((-1, 1), (1, 1.5), (-1, None), (3, 4)):
        with pytest.raises(ValidationError, match=r"is assigned to (ada|ben) from \d{4}-"):
            assign(
                car,
                "ben",
                BEGAN + timedelta(hours=start),
                None if end is None else BEGAN + timedelta(hours=end),
            )
    with pytest.raises(ValidationError, match="ends before it begins"):
        assign(car, "ada", BEGAN, BEGAN)
    other = make_car("north", "bus")
    assign(other, "ada", BEGAN)  # a driver may have several
    handed = assign(other, "ben", BEGAN + timedelta(hours=1), hand_over=True)
    assert other.vehicle.assignments.exclude(pk=handed.pk).get().ended_at == handed.started_at
    elsewhere = make_car("south")
    with pytest.raises(ValidationError, match="no driver of the fleet"):
        assignments.add(WE, Wish(elsewhere.vehicle, driver("ada"), BEGAN))


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-11-17", 24)])
def test_at_midnight_and_when_clocks_change(car: Car, day: str, hours: int) -> None:
    """Ada has the car on one day of Berlin, Ben on the next; a drive goes over midnight."""
    Fleet.objects.update(time_zone="Europe/Berlin")
    midnight = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    begins = midnight.astimezone(UTC)
    ends = begins + timedelta(hours=hours)
    assign(car, "ada", begins, ends)
    assign(car, "ben", ends)
    make_trip(car, begins - timedelta(seconds=1), 20)
    make_trip(car, ends + timedelta(minutes=10), 30)
    make_trip(car, ends + timedelta(hours=2), 30)
    make_trip(car, begins + timedelta(minutes=45), 30)
    RollupState.objects.update(time_zone="")
    up_to_date()
    who = list(Trip.objects.order_by("started_at").values_list("driven_by", flat=True))
    assert who == ["", "ada", "ada", "ben"]
    rows = {(row.driver_id, row.day.isoformat()): row for row in DriverDay.objects.all()}
    after = (midnight + timedelta(days=1)).date().isoformat()
    assert set(rows) == {("ada", day), ("ada", after), ("ben", after)}
    assert [rows["ada", at].trips for at in (day, after)] == [2, 0]
    assert rows["ada", after].distance_mm == 4_000_000, "ten of the thirty minutes lie after midnight"
    assert rows["ben", after].distance_mm == 12_000_000


def test_a_vehicle_that_moves_to_another_fleet(car: Car) -> None:
    assign(car, "ada", BEGAN - timedelta(days=9))
    make_trip(car, BEGAN)
    RollupState.objects.update(time_zone="")
    up_to_date()
    south = Fleet.objects.create(slug="south", name="South")
    zoe = Driver.objects.create(fleet=south, slug="zoe")
    car.vehicle.fleet = south
    car.vehicle.save()
    make_trip(car, BEGAN + timedelta(hours=3))
    assignments.add(
        WE, Wish(car.vehicle, zoe, BEGAN + timedelta(hours=1))
    )  # Ada's is the other fleet's business
    RollupState.objects.update(time_zone="")
    up_to_date()
    assert list(Trip.objects.order_by("started_at").values_list("driven_by", "fleet__slug")) == [
        ("ada", "north"), ("zoe", "south"),
    ]  # fmt: skip
    assert set(DriverDay.objects.values_list("driver_id", "fleet__slug")) == {
        ("ada", "north"),
        ("zoe", "south"),
    }


def test_a_driver_made_after_the_trips(car: Car) -> None:
    make_trip(car, BEGAN)
    keep(car.vehicle, [told("a", BEGAN - timedelta(minutes=30), 30, 12, "cleo")])
    up_to_date()
    assert Trip.objects.get().driver is None
    cleo = Driver.objects.known(car.vehicle.fleet_id, "cleo")
    assert Trip.objects.get().driver == cleo


class TestScore:
    def test_of_a_trip_by_hand(self, car: Car) -> None:
        """6 km at 60 km/h, two harsh brakings: 2 in 50 km at least, 4 per 100 km, 2.5 points each."""
        send(car, trip_of(0, braking=2))
        up_to_date()
        trip = Trip.objects.get()
        assert trip.score_sums["harsh_brakings"] == 2 and trip.score_version == scoring.VERSION
        assert trip.seen_mm and 5_000_000 < trip.seen_mm < 6_100_000
        assert trip.score == pytest.approx(90.0)
        event = DrivingEvent.objects.order_by("started_at")[0]
        drivingevents.dismiss(WE, event, "A child ran into the road.")
        up_to_date()
        assert Trip.objects.get().score == pytest.approx(95.0)
        keep(car.vehicle, [told("a", BEGAN, 6, 6, "ada", mean_risk=0.25, alerts={})])
        up_to_date()
        trip.refresh_from_db()
        assert trip.score == pytest.approx(85.0), "a quarter of 40 points"
        assert TripSummary.objects.get().score == pytest.approx(85.0)

    def test_late_records_are_counted(self, car: Car) -> None:
        messages = trip_of(0)
        send(car, messages[:100] + messages[200:])
        up_to_date()
        before = Trip.objects.get().seen_mm
        send(car, messages[100:200])
        up_to_date()
        after = Trip.objects.get().seen_mm
        assert before and after and after - before == pytest.approx(1_683_000, rel=0.02), "101 s at 60 km/h"

    def test_why_there_is_none(self, car: Car) -> None:
        short = make_trip(car, BEGAN, distance_m=1_900.0)
        unseen = make_trip(car, BEGAN + timedelta(hours=2))
        going = make_trip(car, BEGAN + timedelta(hours=4), settled_at=None)
        assert tripscores.state_of(unseen) == "being computed"
        RollupState.objects.update(time_zone="")
        up_to_date()
        states = []
        for trip in (short, unseen, going):
            trip.refresh_from_db()
            assert trip.score is None
            states.append(tripscores.state_of(trip))
        assert states == ["too short to score", "nothing seen", "under way"]

    def test_another_formula_scores_anew(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
        send(car, trip_of(0))
        up_to_date()
        assert Trip.objects.get().score == pytest.approx(95.0)
        monkeypatch.setattr(scoring, "BRAKING_POINTS", 5.0)
        monkeypatch.setattr(scoring, "VERSION", scoring.VERSION + 1)
        up_to_date()
        trip = Trip.objects.get()
        assert trip.score == pytest.approx(90.0) and trip.score_version == scoring.VERSION
