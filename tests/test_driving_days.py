"""From events to days to scores: who drove, what was dismissed, what could be seen; in whatever order it comes."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.aggregation import rollups
from fleet.aggregation.days import nights
from fleet.audit import Actor
from fleet.behaviour import drivingevents, drivingsettings
from fleet.journeys.trips import keep
from fleet.models import (
    AuditEntry,
    Dismissal,
    DriverDay,
    DrivingEvent,
    Fleet,
    FleetDay,
    TouchedDay,
    VehicleDay,
)
from fleet.tests.test_rollups import told
from telemetry.derivation import activity
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.driving import brief, due_now, events_of, judge
from tests.rules import at
from tests.world import Car, make_car

BRAKING = (60.0, 60.0, 57.0, 43.0, 29.0, 27.0, 27.0)
BEGAN = datetime.fromtimestamp(START, UTC)


@pytest.fixture
def car(db: None) -> Car:
    made = make_car("north")
    judge(made)
    return made


def driven(start: float, *speeds: float) -> list[Telemetry]:
    return [at(start + n, speed=value, heading=90.0) for n, value in enumerate(speeds)]


def send(car: Car, messages: list[Telemetry]) -> None:
    deliver(car, messages)
    drain_all()
    derive_all()


def up_to_date() -> None:
    due_now()
    while rollups.keep_up(timezone.now()):
        pass


def picture() -> dict[str, Any]:
    events = DrivingEvent.objects.order_by("started_at", "kind").values(
        "kind", "started_at", "ended_at", "driver_id"
    )
    found: dict[str, Any] = {"events": list(events)}
    for model in (VehicleDay, DriverDay, FleetDay):
        names = [
            f.attname
            for f in model._meta.concrete_fields
            if f.attname not in {"id", "fleet_id", "vehicle_id"}
        ]
        keys = ("day", "driver_id") if model is DriverDay else ("day",)
        found[model.__name__] = list(model.objects.order_by(*keys).values(*names))
    return found


def test_events_belong_to_who_drove_and_to_their_day(car: Car) -> None:
    send(car, driven(0, *BRAKING) + driven(100, *BRAKING) + driven(4000, *BRAKING))
    keep(
        car.vehicle,
        [
            told("a", BEGAN - timedelta(minutes=1), 2, 5, "ada"),
            told("b", BEGAN + timedelta(seconds=90), 9, 5, "ben"),
        ],
    )
    up_to_date()
    drivers = list(DrivingEvent.objects.order_by("started_at").values_list("driver_id", flat=True))
    assert drivers == ["ada", "ben", ""], "the last is in nobody's trip"
    assert VehicleDay.objects.get().harsh_brakings == 3 and FleetDay.objects.get().harsh_brakings == 3
    assert dict(DriverDay.objects.values_list("driver_id", "harsh_brakings")) == {"ada": 1, "ben": 1}
    keep(car.vehicle, [told("b", BEGAN + timedelta(seconds=90), 100, 9, "cleo")])
    up_to_date()
    assert dict(DriverDay.objects.values_list("driver_id", "harsh_brakings")) == {"ada": 1, "cleo": 2}


def test_any_order_ends_with_the_same_days(db: None) -> None:
    chance = random.Random(7)
    pictures = []
    for turn in range(4):
        Fleet.objects.all().delete()
        car = make_car("north", "van")
        judge(car)
        steps: list[Any] = [driven(start, *BRAKING, *[140.0] * 9, 60.0) for start in range(0, 4000, 400)]
        steps += [told("a", BEGAN, 20, 15, "ada"), told("b", BEGAN + timedelta(minutes=21), 30, 25, "ben")]
        steps += [told("b", BEGAN + timedelta(minutes=21), 10, 9, "cleo")]  # an earlier version
        if turn:
            chance.shuffle(steps)
            steps += steps[:4]
        for step in steps:
            if isinstance(step, list):
                send(car, step)
            else:
                keep(car.vehicle, [step])
            if turn and chance.random() < 0.3:
                up_to_date()
        up_to_date()
        pictures.append(picture())
        activity.noted.now, activity.noted.ever = set(), set()
    assert pictures[0] == pictures[1] == pictures[2] == pictures[3]
    day = pictures[0]["VehicleDay"][0]
    assert day["harsh_brakings"] == 10 and day["speeding_ms"] == 90_000 and day["seen_mm"] > 0


def test_what_records_show_of_the_distance(car: Car) -> None:
    dense = [at(n, speed=72.0, heading=10.0) for n in range(101)]
    sparse = [at(200 + 10 * n, speed=72.0) for n in range(11)]
    send(car, dense + sparse)
    keep(car.vehicle, [told("a", BEGAN, 4, 4, "ada"), told("b", BEGAN + timedelta(minutes=4), 4, 4, "ben")])
    up_to_date()
    day = VehicleDay.objects.get()
    assert (day.seen_mm, day.turning_mm, day.timed_ms) == (2_000_000, 2_000_000, 200_000)
    assert {row.driver_id: (row.seen_mm, row.timed_ms) for row in DriverDay.objects.all()} == {
        "ada": (1_000_000, 100_000), "ben": (1_000_000, 100_000)
    }  # fmt: skip


def test_dismissing_outlives_recomputation_and_can_be_taken_back(car: Car) -> None:
    send(car, driven(0, *BRAKING) + driven(100, *BRAKING))
    up_to_date()
    event = DrivingEvent.objects.order_by("started_at")[0]
    actor = Actor("somebody")
    drivingevents.dismiss(actor, event, "A child ran into the road.")
    drivingevents.dismiss(actor, event, "Again.")
    up_to_date()
    assert VehicleDay.objects.get().harsh_brakings == 1 and Dismissal.objects.get().reason.startswith(
        "A child"
    )
    # Late records move its begin; later it is gone for a while, and found again.
    send(car, [at(1.2, speed=59.8), at(2.0, speed=44.0)])
    assert brief(car)[0][0] == "harsh_braking"
    DrivingEvent.objects.all().delete()
    send(car, [at(3.5, speed=36.0)])
    again = DrivingEvent.objects.order_by("started_at")[0]
    assert again.dismissal is not None
    up_to_date()
    assert VehicleDay.objects.get().harsh_brakings == DrivingEvent.objects.filter(dismissal=None).count()
    drivingevents.restore(actor, again)
    up_to_date()
    assert VehicleDay.objects.get().harsh_brakings == DrivingEvent.objects.count()
    assert not Dismissal.objects.exists()
    acts = AuditEntry.objects.filter(action__startswith="driving_event").order_by("pk")
    assert [entry.action for entry in acts] == ["driving_event.dismissed", "driving_event.restored"]


def test_the_night_is_the_fleets(car: Car) -> None:
    Fleet.objects.update(time_zone="Europe/Berlin")
    keep(
        car.vehicle, [told("a", datetime(2024, 11, 17, 21, 30, tzinfo=UTC), 120, 60, "ada")]
    )  # 22:30 to 0:30
    up_to_date()
    days = list(VehicleDay.objects.order_by("day").values_list("day__day", "night_ms", "driving_ms"))
    assert days == [(17, 3_600_000, 5_400_000), (18, 1_800_000, 1_800_000)]
    drivingsettings.change(Actor("somebody"), car.vehicle.fleet, {"night_from": 0, "night_to": 5})
    up_to_date()
    assert [
        night
        for _, night, _ in VehicleDay.objects.order_by("day").values_list("day", "night_ms", "driving_ms")
    ] == [0, 1_800_000]


def test_nights_around_a_clock_change() -> None:
    (dusk, dawn), (begins, closes) = nights("Europe/Berlin", datetime(2024, 3, 31).date(), (23, 4))
    assert (dawn - dusk, closes - begins) == (timedelta(hours=3), timedelta(hours=1))
    assert nights("UTC", datetime(2024, 3, 31).date(), (4, 4)) == ()


def test_days_in_which_an_event_goes_on_are_summed_up_now_and_then(car: Car) -> None:
    send(car, [at(n, speed=140.0) for n in range(10)])
    up_to_date()
    send(car, [at(10 + n, speed=140.0) for n in range(5)])
    assert [row["going_on"] for row in events_of(car)] == [True]
    due = TouchedDay.objects.filter(part="driving").values_list("slot", flat=True)
    assert all(slot > timezone.now().timestamp() for slot in due)
