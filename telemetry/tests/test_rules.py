"""Rules over stored records, through the real door: episodes and alerts in event time, in whatever order data come."""

from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.alerting.conditions import Sample, condition_of, stretches
from fleet.models import Alert, AlertRule, AlertState, Episode
from telemetry.derivation.touched import QUICK
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.rules import at, episodes, make_rule, nothing_touched, pictured, speeds
from tests.world import Car, make_car

PROPERTY = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def bring(car: Car, messages: Sequence[Telemetry]) -> None:
    deliver(car, messages)
    drain_all()
    derive_all()
    assert nothing_touched()


class TestEpisodes:
    def test_a_drive_over_the_limit(self, car: Car) -> None:
        rule = make_rule(car, limit=100.0)
        bring(car, speeds(90, 101, 120, 110, 99, 90))
        assert episodes(rule) == [(1, 4, 120)]
        alert = Alert.objects.get()
        assert (alert.type, alert.source, alert.count, alert.state) == ("Overspeed", "rule", 1, "open")
        assert alert.message == "Speed 120 km/h, above 100 km/h"
        assert alert.data["value"] == 120 and alert.data["rule"] == rule.pk

    def test_it_goes_on_over_many_passes(self, car: Car) -> None:
        rule = make_rule(car)
        for message in speeds(90, 101, 120, 110):
            bring(car, [message])
        assert episodes(rule) == [(1, None, 120)]
        assert Alert.objects.get().count == 1
        bring(car, speeds(130, 80, start=4))
        assert episodes(rule) == [(1, 5, 130)]
        assert Alert.objects.get().message.startswith("Speed 130 km/h")

    def test_hysteresis_and_duration(self, car: Car) -> None:
        rule = make_rule(car, clear=90.0, min_duration_s=3.0)
        bring(car, speeds(80, 101, 95, 99, 101, 95, 90, 101, 91, 89))
        assert episodes(rule) == [(1, 6, 101)]
        bring(car, speeds(101, 101, 101, start=20))
        assert episodes(rule) == [(1, 6, 101)]
        assert Episode.objects.filter(confirmed=False).count() == 1
        bring(car, speeds(95, start=23))
        assert episodes(rule) == [(1, 6, 101), (20, None, 101)]
        assert Alert.objects.get().count == 2

    def test_a_hole_in_the_data_is_no_driving(self, car: Car) -> None:
        rule = make_rule(car, min_duration_s=60.0)
        bring(car, [*speeds(120), *speeds(120, start=3600)])
        assert episodes(rule) == []
        slow = make_rule(car, "low_charge", name="Low", limit=20.0)
        bring(car, [at(4000, battery=15.0), at(90_000, battery=14.0), at(90_001, battery=30.0)])
        assert episodes(slow) == [(4000, 90_001, 14)]

    def test_below_a_further_value(self, car: Car) -> None:
        rule = make_rule(
            car,
            "threshold",
            field="fruiting.temp",
            direction="below",
            limit=5.0,
            clear=6.0,
            auto_resolve=True,
        )
        cold = [at(n, **{"fruiting.temp": value}) for n, value in enumerate([8, 4, 3.5, 5.5])]
        bring(car, [*cold, at(10, speed=3.0)])
        assert episodes(rule) == [(1, None, 3.5)]
        assert Alert.objects.get().state == AlertState.OPEN
        bring(car, [at(20, **{"fruiting.temp": 6.0})])
        alert = Alert.objects.get()
        assert (alert.state, alert.resolved_by_rule) == (AlertState.RESOLVED, True)
        assert [(note.who, note.act) for note in alert.notes.all()] == [("rule", "resolved")]
        bring(car, [at(30, **{"fruiting.temp": 1.0})])
        alert = Alert.objects.get()
        assert (alert.state, alert.count) == (AlertState.OPEN, 2)

    def test_faults(self, car: Car) -> None:
        rule = make_rule(car, "fault", field="dtc")
        engine = make_rule(car, "fault", name="engine", field="engineStatus", codes=["error"])
        bring(
            car,
            [
                at(0, dtc="none", engineStatus="running"), at(1, dtc="P0301"), at(2, dtc='["P0301", "P0420"]'),
                at(3, engineStatus="Error"), at(4, dtc="OK", engineStatus="off"),
            ],
        )  # fmt: skip
        assert episodes(rule) == [(1, 4, 2)]
        assert episodes(engine) == [(3, 4, 1)]
        assert Alert.objects.get(key=rule.cause).message == "Dtc: P0301, P0420"
        assert Alert.objects.get(key=engine.cause).data["codes"] == ["ERROR"]


class TestLate:
    def test_one_that_shows_it_was_not_so(self, car: Car) -> None:
        rule = make_rule(car, min_duration_s=8.0)
        bring(car, speeds(120, 120, 120, every_s=5))
        assert Alert.objects.get().state == AlertState.OPEN
        bring(car, [at(6, speed=50.0)])
        assert episodes(rule) == []
        alert = Alert.objects.get()
        assert (alert.count, alert.state, alert.reports.count()) == (0, AlertState.RESOLVED, 0)
        assert "withdrawn" in alert.notes.get().text

    def test_one_that_joins_two(self, car: Car) -> None:
        rule = make_rule(car)
        bring(car, [*speeds(120), *speeds(50, start=200), *speeds(130, 50, start=500)])
        assert episodes(rule) == [(0, 200, 120), (500, 501, 130)]
        bring(car, speeds(140, start=300))
        assert episodes(rule) == [(0, 200, 120), (300, 501, 140)]
        assert Alert.objects.get().count == 2

    def test_nobody_is_woken_for_what_is_older_than_a_resolution(self, car: Car) -> None:
        rule = make_rule(car)
        bring(car, speeds(120, 50, start=100))
        alert = Alert.objects.get()
        Alert.objects.update(state=AlertState.RESOLVED, resolved_at=alert.last_at.replace(year=2030))
        bring(car, speeds(130, 50))
        alert.refresh_from_db()
        assert (alert.count, alert.state) == (2, AlertState.RESOLVED)
        assert episodes(rule) == [(0, 1, 130), (100, 101, 120)]
        assert Alert.objects.count() == 1

    def test_after_a_person_resolved_it_a_new_one_opens(self, car: Car) -> None:
        make_rule(car)
        bring(car, speeds(120, 50))
        first = Alert.objects.get()
        Alert.objects.update(state=AlertState.RESOLVED, resolved_at=first.last_at)
        bring(car, speeds(140, 50, start=10))
        assert list(Alert.objects.order_by("id").values_list("state", "count")) == [
            ("resolved", 1),
            ("open", 1),
        ]


LEVELS = st.sampled_from([50, 91, 95, 101, 120, 140])
STEPS = st.sampled_from([1, 1, 2, 3, 400])
Drawn = tuple[list[tuple[float, float]], list[list[int]]]
numbers = count()


@st.composite
def shuffled(draw: st.DrawFn) -> Drawn:
    """Times and speeds, and requests of their indices in any order, some twice."""
    time, samples = 0, []
    for value in draw(st.lists(LEVELS, min_size=2, max_size=12)):
        time += draw(STEPS)
        samples.append((float(time), float(value)))
    order = draw(st.permutations(range(len(samples))))
    order += draw(st.lists(st.sampled_from(order), max_size=3))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), min_size=1, max_size=6)))
    return samples, [order[a:b] for a, b in pairwise([0, *cuts, len(order)])]


RULES: list[dict[str, Any]] = [
    {"kind": "overspeed", "clear": 92.0, "min_duration_s": 3.0},
    {"kind": "overspeed", "name": "at once", "auto_resolve": True},
    {"kind": "threshold", "field": "cell.temp", "direction": "below", "limit": 46.0, "clear": 50.0,
     "auto_resolve": True},
]  # fmt: skip


def expected(rule: AlertRule, drawn: Drawn) -> list[tuple[float, float | None, float]]:
    """By the pure function, of all records in order."""
    share = 0.5 if rule.field == "cell.temp" else 1.0
    samples = [Sample(round(time * 1e6), value * share) for time, value in drawn[0]]
    return [
        (one.started_us / 1e6, one.ended_us / 1e6 if one.ended_us else None, one.peak)
        for one in stretches(condition_of(rule), samples)
        if one.confirmed(condition_of(rule))
    ]


@PROPERTY
@given(drawn=shuffled())
@example(drawn=([(1.0, 120.0), (4.0, 120.0), (5.0, 50.0)], [[0, 2], [1]]))
@example(drawn=([(1.0, 140.0), (2.0, 140.0), (3.0, 101.0), (403.0, 50.0)], [[1, 2, 3], [0]]))
def test_any_order_gives_the_same_episodes_and_alerts(drawn: Drawn, db: None) -> None:
    car = make_car(f"shuffled-{next(numbers)}")
    rules = [make_rule(car, **fields) for fields in RULES]
    messages = [at(time, speed=value, **{"cell.temp": value / 2}) for time, value in drawn[0]]
    for request in drawn[1]:
        if request:
            bring(car, [messages[place] for place in request])
    for rule in rules:
        wanted = expected(rule, drawn)
        assert episodes(rule) == wanted
        alert = Alert.objects.filter(key=rule.cause, count__gt=0).first()
        assert bool(alert) == bool(wanted)
        if alert:
            over = rule.auto_resolve and wanted[-1][1] is not None
            assert (alert.count, alert.state == AlertState.RESOLVED) == (len(wanted), over)
            assert [round(moment.timestamp() - START) for moment in (alert.first_at, alert.last_at)] == [
                wanted[0][0], wanted[-1][0],
            ]  # fmt: skip
            assert alert.reports.count() == len(wanted)
            assert not over or (alert.resolved_at and alert.resolved_at.timestamp() - START == wanted[-1][1])
    before = [pictured(rule) for rule in rules]
    QUICK.widen([(car.vehicle.pk, round(START * 1e6), round((START + 9000) * 1e6))])
    derive_all()
    assert [pictured(rule) for rule in rules] == before
