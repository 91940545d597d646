"""Harsh events as pure functions: what is one, what only looks like one, and how far a record reaches."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.behaviour.driving import REACH_US, SENT_SPEED, Found, Limits, Sample, condition_of, held, strength
from fleet.behaviour.manoeuvres import harsh_events

LIMITS = Limits()
START_US = 1_790_000_000_000_000


def drive(*speeds_kmh: float | None, every_s: float = 1.0, device: int = 1) -> list[Sample]:
    return [
        Sample(START_US + round(n * every_s * 1e6), device, None if v is None else v / 3.6)
        for n, v in enumerate(speeds_kmh)
    ]


def kinds(samples: list[Sample]) -> list[str]:
    return [event.kind for event in harsh_events(samples, LIMITS)]


def seconds(event: Found) -> tuple[float, float]:
    return (event.started_us - START_US) / 1e6, (event.ended_us - START_US) / 1e6


def test_braking_at_one_hertz() -> None:
    (event,) = harsh_events(drive(60, 60, 57, 43, 29, 27, 27), LIMITS)
    assert (event.kind, seconds(event), event.source, event.rate_hz) == (
        "harsh_braking",
        (3, 4),
        "speed",
        1.0,
    )
    assert event.peak == pytest.approx(14 / 3.6, abs=1e-3)
    assert event.speed_before_mps == pytest.approx(57 / 3.6, abs=1e-3)


@pytest.mark.parametrize(
    ("step_kmh", "harsh"),
    [(12.3, False), (12.4, True)],  # 0.35 g is 12.36 km/h a second
)
def test_the_limit(step_kmh: float, harsh: bool) -> None:
    speeds = [80 - step_kmh * n for n in range(5)]
    assert kinds(drive(80, *speeds)) == (["harsh_braking"] if harsh else [])
    assert kinds(drive(20, *[20 + step_kmh * n for n in range(5)])) == (
        ["harsh_acceleration"] if harsh else []
    )


@pytest.mark.parametrize(
    "speeds",
    [
        (60, 60, 30, 60, 60),  # away and back: never driven
        (60, 60, 0, 0, 60, 60),  # no tyre holds that
        (60, 60, 60, 40, 40, 40),  # one leap of a sensor that repeats itself
        (8, 8, 8, 5, 0, 0),  # below the gate
        (60, None, None, None, 0),  # not known for four seconds
    ],
)
def test_what_only_looks_like_braking(speeds: tuple[float | None, ...]) -> None:
    assert kinds(drive(*speeds)) == []


def test_sparse_records_show_nothing() -> None:
    assert kinds(drive(100, 80, 40, 0, every_s=5)) == []
    assert kinds(drive(100, 80, 40, 0, every_s=2.4)) == ["harsh_braking"]


def test_ten_hertz_needs_three_tenths_of_a_second() -> None:
    def along(*values: float) -> list[Sample]:
        return [Sample(START_US + n * 100_000, 1, 15.0, acceleration=value) for n, value in enumerate(values)]

    assert kinds(along(0, 0, -5, -5, 0, 0)) == []
    assert kinds(along(0, 0, -5, -5, -5, 0)) == ["harsh_braking"]
    standing = [one._replace(speed_mps=0.0) for one in along(0, 0, -5, -5, -5, 0)]
    assert kinds(standing) == [], "a slammed door"
    unknown = [one._replace(speed_mps=None) for one in along(0, 0, -5, -5, -5, 0)]
    assert kinds(unknown) == [], "what is not known passes no gate"


def test_cornering_by_the_best_source() -> None:
    corner = [Sample(START_US + n * 1_000_000, 1, 12.0, heading_deg=(350 + 22 * n) % 360) for n in range(4)]
    (event,) = harsh_events(corner, LIMITS)
    assert (event.kind, event.source) == ("harsh_cornering", "heading")
    yawed = [one._replace(yaw_degps=25.0) for one in corner]
    assert harsh_events(yawed, LIMITS)[0].source == "yaw_rate"
    measured = [one._replace(lateral=-4.5) for one in yawed]
    (event,) = harsh_events(measured, LIMITS)
    assert (event.source, event.peak) == ("lateral_acceleration", 4.5)
    assert kinds([one._replace(speed_mps=7.0, lateral=-4.5) for one in corner]) == [], "below 30 km/h"
    late = [one._replace(heading_deg=(0, 0, 60, 60)[n]) for n, one in enumerate(corner)]
    assert kinds(late) == [], "a receiver that tells its heading late"


def test_events_closer_than_three_seconds_are_one() -> None:
    close = drive(90, 90, 86, 72, 58, 57, 43, 29, 28)
    (event,) = harsh_events(close, LIMITS)
    assert seconds(event) == (3, 7)
    apart = drive(90, 90, 86, 72, 58, 57, 57, 57, 55, 41, 27, 27)
    assert len(harsh_events(apart, LIMITS)) == 2


def test_a_reconstructed_value_carries_nothing_by_itself() -> None:
    samples = drive(60, 60, 57, 43, 29, 27)
    assert kinds([one._replace(sent=0) for one in samples]) == []
    # 12.9 km/h in a second from a value that may be one off: 11.9 for certain.
    near = drive(60, 60, 59, 46.1, 40, 40)
    assert kinds(near) == ["harsh_braking"]
    near[2] = near[2]._replace(sent=31 & ~SENT_SPEED)
    assert kinds(near) == []


def test_two_devices_are_never_subtracted() -> None:
    one, other = drive(*[60.0] * 8), drive(*[30.0] * 8, device=2)
    mixed = sorted(
        [*one, *(s._replace(time_us=s.time_us + 500_000) for s in other)], key=lambda sample: sample.time_us
    )
    assert kinds(mixed) == []


def test_a_jump_of_position_is_no_place() -> None:
    samples = [
        one._replace(latitude_deg=52.0 + (1.0 if n == 3 else 0.0001 * n), longitude_deg=13.0)
        for n, one in enumerate(drive(60, 60, 57, 43, 29, 27, 27))
    ]
    (event,) = harsh_events(samples, LIMITS)
    assert event.latitude_deg == pytest.approx(52.0002)
    assert harsh_events(drive(60, 60, 57, 43, 29, 27, 27), LIMITS)[0].latitude_deg is None


@pytest.mark.parametrize(
    ("kind", "peak", "expected"),
    [("harsh_braking", 3.5, 1), ("harsh_braking", 4.6, 2), ("harsh_braking", 6.0, 3),
     ("speeding", 135 / 3.6, 1), ("speeding", 145 / 3.6, 2), ("speeding", 155 / 3.6, 3), ("idling", None, 1)],
)  # fmt: skip
def test_strength(kind: str, peak: float | None, expected: int) -> None:
    assert strength(Found(kind, 0, 1, peak), LIMITS) == expected


def test_idling_is_standing_with_the_engine_on() -> None:
    stood = Sample(START_US, speed_mps=0.2)
    said = [held("idling", stood._replace(**known)) for known in (
        {"ignition": True}, {"ignition": False}, {"rpm": 800.0}, {"rpm": 0.0}, {"ignition": True, "charging": True},
        {"ignition": True, "speed_mps": 5.0}, {"speed_mps": None, "ignition": True}, {},
    )]  # fmt: skip
    assert [None if one is None else one.value for one in said] == [1, 0, 1, None, 0, 0, None, None]
    assert condition_of("speeding", Limits(speed_mps=None)) is None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), rate=st.sampled_from([1.0, 2.0, 10.0]))
def test_a_record_reaches_no_further_than_it_may(seed: int, rate: float) -> None:
    """Whatever lies further than REACH from a window's ends is the same for who sees only the window."""
    chance = random.Random(seed)
    speed, samples = 15.0, []
    for n in range(int(150 * rate)):
        speed = min(40.0, max(0.0, speed + chance.gauss(0, 2.5 / rate)))
        if chance.random() < 0.02:
            speed = chance.uniform(0, 30)
        samples.append(
            Sample(START_US + round(n / rate * 1e6), 1, speed, heading_deg=chance.uniform(0, 60), latitude_deg=52.0,
                   longitude_deg=13.0 + n * 1e-5, sent=chance.choice([31, 31, 0]))
        )  # fmt: skip
    low, high = START_US + 30_000_000, START_US + 120_000_000
    window = [one for one in samples if low <= one.time_us <= high]

    def inner(events: list[Found]) -> list[Found]:
        return [one for one in events if one.started_us >= low + REACH_US and one.ended_us <= high - REACH_US]

    assert inner(harsh_events(window, LIMITS)) == inner(harsh_events(samples, LIMITS))
