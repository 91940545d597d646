"""Trips found in samples: what ends one, what does not, and that each depends on its own surroundings only."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.journeys.found import FoundTrip
from fleet.journeys.movement import Sample, along_positions_m, by_odometer_m, distance
from fleet.journeys.tripfinder import TripSettings, find_trips

_S = 1_000_000
SETTINGS = TripSettings()
Leg = tuple[int, float]
"""Seconds, and metres a second."""


def drive(*legs: Leg, start_s: int = 1_000, every_s: int = 1) -> list[Sample]:
    """Speeds at equal steps; silence where the speed is negative."""
    samples, now = [], start_s
    for seconds, speed in legs:
        for second in range(0, seconds, every_s):
            if speed >= 0:
                samples.append(Sample((now + second) * _S, speed))
        now += seconds
    return samples


def found(samples: list[Sample]) -> list[tuple[float, float]]:
    return [(trip.start_us / _S, trip.end_us / _S) for trip in find_trips(samples, SETTINGS)]


def test_a_light_is_no_end_and_a_stop_is() -> None:
    assert found(drive((60, 0), (300, 10), (90, 0), (300, 10), (60, 0))) == [(1059, 1750)]
    assert found(drive((60, 0), (300, 10), (200, 0), (300, 10), (60, 0))) == [(1059, 1360), (1559, 1860)]


def test_ignition_off_ends_at_once_and_charging_too() -> None:
    samples = drive((300, 10), (60, 0), (300, 10))
    for change in ({"ignition": False}, {"charging": True}):
        marked = [s._replace(**change) if s.speed_mps == 0 else s for s in samples]
        assert len(find_trips(marked, SETTINGS)) == 2
    assert len(find_trips(samples, SETTINGS)) == 1


def test_a_silence_ends_it_unless_it_drove_on() -> None:
    samples = drive((300, 10), (900, -1), (300, 10))
    assert len(find_trips(samples, SETTINGS)) == 2
    odometer = [s._replace(odometer_m=s.time_us / _S * 10) for s in samples]
    (trip,) = find_trips(odometer, SETTINGS)
    assert trip.unheard_s == 901
    far = drive((300, 10), (4000, -1), (300, 10))
    assert len(find_trips([s._replace(odometer_m=s.time_us / _S * 10) for s in far], SETTINGS)) == 2


def test_sparse_records_that_all_move_are_one_trip() -> None:
    (trip,) = find_trips(drive((7_200, 25), every_s=300), SETTINGS)
    assert trip.distance.metres == pytest.approx(25 * 6_900)


def test_an_odometer_that_counts_on_between_far_records_is_believed_before_a_speed_of_0() -> None:
    samples = [Sample(n * 300 * _S, 0.0, odometer_m=min(n, 9) * 4_000.0) for n in range(12)]
    (trip,) = find_trips(samples, SETTINGS)
    assert (trip.end_us, trip.distance) == (3_000 * _S, (36_000.0, "odometer"))
    near = [Sample(n * _S, 0.0, odometer_m=n // 30 * 1_000.0) for n in range(600)]
    assert find_trips(near, SETTINGS) == []


def test_nothing_short_is_a_trip() -> None:
    assert found(drive((600, 0), (20, 5), (600, 0))) == []
    assert found([]) == []


def test_without_speed_places_decide() -> None:
    moving = [Sample((100 + n) * 30 * _S, latitude_deg=50 + n * 0.002, longitude_deg=10.0) for n in range(20)]
    standing = [Sample(s.time_us + 600 * _S, latitude_deg=50.038, longitude_deg=10.0) for s in moving]
    (trip,) = find_trips([*moving, *standing], SETTINGS)
    assert trip.distance.source == "positions"
    assert trip.distance.metres == pytest.approx(19 * 222.4, rel=0.01)


def test_a_jump_is_refused_and_a_new_place_believed() -> None:
    line = [Sample(n * _S, latitude_deg=50 + n * 0.0002, longitude_deg=10.0) for n in range(100)]
    straight = along_positions_m(line)
    line[50] = line[50]._replace(latitude_deg=0.0, longitude_deg=0.0)
    assert along_positions_m(line) == pytest.approx(straight, rel=1e-6)
    line[0] = line[0]._replace(latitude_deg=-33.0)
    assert along_positions_m(line) == pytest.approx(straight, rel=0.05)


def test_the_odometer_counts_where_it_is_exact_and_nothing_contradicts_it() -> None:
    samples = drive((1_800, 20))
    right = [s._replace(odometer_m=float(int(n * 20 / 1000) * 1000)) for n, s in enumerate(samples)]
    assert distance(right, 600 * _S).source == "odometer"
    wrong = [s._replace(odometer_m=n * 2000.0) for n, s in enumerate(samples)]
    assert distance(wrong, 600 * _S).source == "speed"
    back = right[0]._replace(odometer_m=-1.0)
    assert by_odometer_m([*right[:5], back, *right[5:]]) == by_odometer_m(right)
    assert by_odometer_m([*right[:5], back, back]) is None


LEGS = st.lists(
    st.tuples(st.integers(1, 400), st.sampled_from([-1.0, 0.0, 0.0, 5.0, 15.0])), min_size=1, max_size=14
)


def facts(trip: FoundTrip) -> tuple[object, ...]:
    return trip.start_us, trip.end_us, trip.distance, trip.moving_s, trip.max_speed_mps


@settings(max_examples=60, deadline=None)
@given(LEGS)
def test_trips_are_apart_and_cover_all_long_motion(legs: list[Leg]) -> None:
    samples = drive(*legs, every_s=7)
    trips = find_trips(samples, SETTINGS)
    assert all(a.end_us <= b.start_us for a, b in pairwise(trips))
    assert all(0 <= trip.moving_s <= trip.seconds + 1e-6 for trip in trips)


@settings(max_examples=60, deadline=None)
@given(LEGS, LEGS)
def test_a_trip_depends_on_nothing_beyond_the_stops_around_it(before: list[Leg], after: list[Leg]) -> None:
    stop = [(400, 0.0)]
    whole = drive(*before, *stop, (300, 10.0), *stop, *after, every_s=7)
    begin_us = (1_000 + sum(seconds for seconds, _ in before)) * _S
    end_us = begin_us + 1_100 * _S
    part = [s for s in whole if begin_us <= s.time_us < end_us]
    inside = [
        trip for trip in find_trips(whole, SETTINGS) if begin_us <= trip.start_us and trip.end_us <= end_us
    ]
    assert [*map(facts, find_trips(part, SETTINGS))] == [*map(facts, inside)]
