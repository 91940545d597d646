"""Geofences over stored records, through the real door: visits in event time, in whatever order data come."""

from collections.abc import Sequence
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.models import Visit
from telemetry import sql
from telemetry.derivation import derive, readback
from telemetry.derivation.fencing import stay_of
from telemetry.derivation.touched import QUICK
from telemetry.tests.test_drain_faults import statements
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.fences import circle, expected, going, make_fence, pictured, place, square, visits
from tests.rules import at, nothing_touched
from tests.world import Car, make_car

PROPERTY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def bring(car: Car, messages: Sequence[Telemetry]) -> None:
    deliver(car, messages)
    drain_all()
    derive_all()
    assert nothing_touched()


class TestVisits:
    def test_in_and_out_at_the_border(self, car: Car) -> None:
        fence = make_fence(car, dwell_s=15.0)
        bring(car, going(-200, -150, -50, 50, 150, 250))
        assert visits(fence) == [(15.0, 35.0)]
        visit = Visit.objects.get()
        assert (visit.entry, visit.exit) == ("between", "between")
        assert visit.first_at and visit.first_at.timestamp() == START + 20
        assert visit.dwelled_at and visit.dwelled_at.timestamp() == pytest.approx(START + 30, abs=0.1)

    def test_it_goes_on_over_many_passes(self, car: Car) -> None:
        fence = make_fence(car)
        for message in going(-200, -50, 50):
            bring(car, [message])
        assert visits(fence) == [(6.7, None)]
        for message in going(0, 0, 150, start=30):
            bring(car, [message])
        assert visits(fence) == [(6.7, 46.7)]

    def test_passing_between_two_records(self, car: Car) -> None:
        fence = make_fence(car)
        bring(car, going(-300, 300))
        assert visits(fence) == [(3.3, 6.7)]
        assert Visit.objects.get().first_at is None
        bring(car, going(-300, 300, every_s=130, start=1000))
        assert len(visits(fence)) == 1  # nobody knows which way it went

    def test_hysteresis_and_a_minimum_stay(self, car: Car) -> None:
        fence = make_fence(car, hysteresis_m=50.0, min_stay_s=25.0)
        bring(car, going(-200, 0, 120, 90, 130, 0, 140, 200))
        assert visits(fence) == [(5.0, 57.1)]
        bring(car, going(0, 200, start=80))
        assert len(visits(fence)) == 1 and Visit.objects.count() == 1
        bring(car, going(0, 10, start=100))
        assert Visit.objects.filter(confirmed=False).count() == 1 and len(visits(fence)) == 1
        bring(car, going(0, start=130))
        assert len(visits(fence)) == 2

    def test_a_night_of_silence_is_one_visit_and_a_hole_an_end(self, car: Car) -> None:
        fence = make_fence(car)
        bring(car, [*going(0), *going(10, start=40_000), *going(500, start=50_000)])
        assert visits(fence) == [(0, 40_000)]
        assert Visit.objects.get().exit == "gap"

    def test_polygon_and_corridor(self, car: Car) -> None:
        yard = make_fence(car, kind="polygon", geometry=square(100.0))
        road = {"type": "LineString", "coordinates": [place(200, -500), place(200, 500)]}
        make_fence(car, name="elsewhere", **circle(50.0, east_m=5000.0))
        way = make_fence(car, name="road", kind="corridor", geometry=road, width_m=20.0)
        bring(car, going(-50, 50, 150, 250))
        assert visits(yard) == [(5.0, 15.0)]
        assert visits(way) == [(24.0, 26.0)]

    def test_only_some_vehicles(self, car: Car) -> None:
        other = make_car()
        fence = make_fence(car, all_vehicles=False)
        fence.vehicles.set([other.vehicle])
        for one in (car, other):
            bring(one, going(-200, 0))
        assert [row.vehicle for row in Visit.objects.all()] == [other.vehicle]

    def test_hours_are_told_and_hide_nothing(self, car: Car) -> None:
        never = [{"days": [1], "from": "03:00", "to": "03:01"}]
        fence = make_fence(car, schedule=never)
        bring(car, going(-200, 0, 200))
        assert len(visits(fence)) == 1 and not Visit.objects.get().on_schedule


class TestLate:
    def test_one_that_shows_a_visit(self, car: Car) -> None:
        fence = make_fence(car)
        bring(car, [*going(-500), *going(500, start=600)])
        assert visits(fence) == []
        bring(car, going(0, start=300))
        assert visits(fence) == [(300, 300)]

    def test_one_that_parts_a_visit(self, car: Car) -> None:
        fence = make_fence(car)
        bring(car, going(0, 0, 0, 0, 200))
        bring(car, going(300, start=15))
        assert visits(fence) == [(0, 11.7), (18.3, 35.0)]

    def test_one_in_the_middle_reads_no_further(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a late record costs does not grow with the visit."""
        make_fence(car)
        bring(car, going(-200, *[0.0] * 300, 200))
        before = pictured(car)
        read: list[int] = []
        genuine = sql.read_all

        def counted(*args: object) -> list[tuple[object, ...]]:
            rows = genuine(*args)  # type: ignore[arg-type]
            read.append(len(rows))
            return rows

        monkeypatch.setattr(readback, "read_all", counted)
        QUICK.widen([(car.vehicle.pk, round((START + 1500) * 1e6), round((START + 1501) * 1e6))])
        derive_all()
        assert pictured(car) == before and nothing_touched() and max(read) <= 50


class TestCost:
    def test_the_same_statements_for_two_vehicles_or_twenty_among_many_fences(self, db: None) -> None:
        first = make_car()
        for number in range(30):
            make_fence(first, name=f"fence {number}", **circle(40.0, east_m=number * 60.0))

        def derived(count: int) -> int:
            cars = [make_car() for _ in range(count)]
            for start in (0.0, 100.0):
                for car in cars:
                    deliver(car, going(0, 120, 240, start=start))
                drain_all()
                if not start:
                    derive_all()
            return statements(lambda: [derive.derive(shard) for shard in range(2)])

        few, many = derived(2), derived(20)
        assert many <= few + 2 and many <= 45, (few, many)


PLACES_M = st.sampled_from([-300, -130, -90, 0, 60, 110, 140, 160, 400])
STEPS = st.sampled_from([1, 10, 10, 30, 200, 700_000])
Drawn = tuple[list[tuple[float, float]], list[list[int]]]
numbers = count()


@st.composite
def shuffled(draw: st.DrawFn) -> Drawn:
    """Times and places, and requests of their indices in any order, some twice."""
    time, samples = 0, []
    for metres in draw(st.lists(PLACES_M, min_size=2, max_size=14)):
        time += draw(STEPS)
        samples.append((float(time), float(metres)))
    order = draw(st.permutations(range(len(samples))))
    order += draw(st.lists(st.sampled_from(order), max_size=3))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), min_size=1, max_size=6)))
    return samples, [order[a:b] for a, b in pairwise([0, *cuts, len(order)])]


@PROPERTY
@given(drawn=shuffled())
@example(
    drawn=([(0.0, 0.0), (10.0, 0.0), (20.0, 140.0), (30.0, 140.0), (40.0, 400.0)], [[0, 1, 4], [3], [2]])
)
@example(drawn=([(0.0, 0.0), (10.0, 140.0), (20.0, 140.0), (30.0, 0.0)], [[0, 2, 3], [1]]))
@example(drawn=([(0.0, -300.0), (10.0, 140.0), (20.0, 0.0), (700_030.0, 0.0)], [[3], [0, 2], [1]]))
def test_any_order_gives_the_same_visits(drawn: Drawn, db: None) -> None:
    car = make_car(f"shuffled-{next(numbers)}")
    fences = [
        make_fence(car, name="plain"),
        make_fence(car, name="wide", hysteresis_m=50.0, min_stay_s=15.0, dwell_s=60.0),
        make_fence(car, name="yard", kind="polygon", geometry=square(120.0), hysteresis_m=30.0),
    ]
    messages = [
        at(time, latitude=place(metres, 1.0)[1], longitude=place(metres)[0]) for time, metres in drawn[0]
    ]
    for request in drawn[1]:
        if request:
            bring(car, [messages[number] for number in request])
    for fence in fences:
        rows = Visit.objects.filter(geofence=fence).order_by("entered_at")
        assert [stay_of(row) for row in rows] == expected(fence, car)
    before = pictured(car)
    QUICK.widen([(car.vehicle.pk, round(START * 1e6), round((START + 1e7) * 1e6))])
    derive_all()
    assert pictured(car) == before
