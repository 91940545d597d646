"""Silence: a deadline stored with the data, found along an index, ended by whatever is received."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.alerting import silence
from fleet.models import Alert, AlertState, Episode, Vehicle, VehicleState
from telemetry.models import Frame
from tests.deliveries import deliver, derive_all, drain_all
from tests.rules import make_rule
from tests.world import Car, make_car

AFTER = timedelta(seconds=600)


def speak(car: Car, ago_s: float = 0.0, **values: Any) -> VehicleState:
    """Received now, measured so long ago."""
    deliver(car, [Telemetry(timestamp=timezone.now().timestamp() - ago_s, **(values or {"speed": 1.0}))])
    drain_all()
    derive_all()
    return VehicleState.objects.get(vehicle=car.vehicle)


def test_a_deadline_comes_with_the_data(car: Car) -> None:
    assert speak(car).silent_at is None
    make_rule(car, "silence")
    state = speak(car)
    assert state.silent_at == state.received_at + AFTER
    late = speak(car, ago_s=7200)
    assert late.silent_at and late.silent_at == late.received_at + AFTER > state.silent_at


def test_raised_once_and_ended_by_the_next_receipt(car: Car) -> None:
    rule = make_rule(car, "silence", auto_resolve=True)
    heard = speak(car)
    assert silence.check(heard.received_at + AFTER - timedelta(seconds=1)) == 0
    for _ in range(3):
        silence.check(heard.received_at + AFTER)
    alert = Alert.objects.get()
    assert (alert.state, alert.count, alert.first_at) == (AlertState.OPEN, 1, heard.received_at)
    assert alert.message == "Nothing received for 10 min"
    Episode.objects.update(started_at=heard.received_at - AFTER * 2)
    state = speak(car, ago_s=86_400)  # measured long before the silence: it proves that the device is alive
    alert.refresh_from_db()
    assert (alert.state, alert.resolved_by_rule) == (AlertState.RESOLVED, True)
    assert alert.resolved_at == state.received_at == Episode.objects.get(rule=rule).ended_at


def test_a_record_received_before_and_worked_late_ends_nothing_but_was_no_silence(car: Car) -> None:
    make_rule(car, "silence", auto_resolve=True)
    heard = speak(car)
    deliver(car, [Telemetry(timestamp=timezone.now().timestamp(), speed=2.0)])
    waiting = heard.received_at + timedelta(seconds=300)
    Frame.objects.update(received_at=waiting)  # in the inbox while no worker ran
    silence.check(heard.received_at + AFTER)
    assert Alert.objects.get().state == AlertState.OPEN
    drain_all()
    derive_all()
    assert not Episode.objects.exists()
    assert (Alert.objects.get().state, Alert.objects.get().count) == (AlertState.RESOLVED, 0)
    assert VehicleState.objects.get(vehicle=car.vehicle).silent_at == waiting + AFTER


def test_the_parked_may_be_left_in_peace(car: Car) -> None:
    make_rule(car, "silence", ignore_parked=True)
    state = speak(car, ignition=0.0)
    silence.check(state.received_at + AFTER)
    assert not Alert.objects.exists()
    state = speak(car, ignition=1.0)
    silence.check(state.received_at + AFTER)
    assert Alert.objects.get().state == AlertState.OPEN


def test_two_rules_have_a_deadline_each(car: Car) -> None:
    make_rule(car, "silence", name="first", silent_after_s=60)
    make_rule(car, "silence", name="second", silent_after_s=7200, severity=2)
    state = speak(car)
    silence.check(state.received_at + timedelta(seconds=61))
    state.refresh_from_db()
    assert state.silent_at == state.received_at + timedelta(seconds=7200)
    silence.check(state.silent_at)
    assert list(Alert.objects.order_by("id").values_list("type", "severity")) == [("first", 1), ("second", 2)]
    state.refresh_from_db()
    assert state.silent_at is None


def test_a_new_rule_reaches_vehicles_that_are_silent_already(car: Car) -> None:
    from fleet.alerting import rules
    from fleet.audit import Actor
    from fleet.models import AlertRule

    speak(car)
    VehicleState.objects.update(received_at=timezone.now() - timedelta(days=2))
    rule = AlertRule(name="quiet", kind="silence", silent_after_s=3600)
    rule.clean()
    rules.add(Actor("a test"), car.vehicle.fleet, rules.Wish(rule))
    derive_all()
    assert silence.check(timezone.now()) == 1
    assert Alert.objects.get().type == "quiet"


def test_a_pass_needs_no_more_statements_for_the_deadline(car: Car) -> None:
    from telemetry.tests.test_drain_faults import statements

    def cost() -> int:
        deliver(car, [Telemetry(timestamp=timezone.now().timestamp(), speed=1.0)])
        return statements(drain_all)

    cost()
    without = cost()
    make_rule(car, "silence")
    assert cost() <= without + 1  # what was touched


@pytest.mark.postgres
def test_overdue_vehicles_are_found_along_the_partial_index(car: Car) -> None:
    now = timezone.now()
    cars = [Vehicle(fleet=car.vehicle.fleet, slug=f"s{n}", name=f"s{n}") for n in range(3000)]
    Vehicle.objects.bulk_create(cars)
    due = {n: now + timedelta(seconds=n - 5) for n in range(300)}
    VehicleState.objects.bulk_create(
        VehicleState(vehicle=one, time=now, received_at=now, silent_at=due.get(n))
        for n, one in enumerate(cars)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE vehicle_state")
        cursor.execute(
            "EXPLAIN SELECT vehicle_id FROM vehicle_state WHERE silent_at <= %s ORDER BY silent_at LIMIT 1000",
            [now],
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "vehicle_state_silent" in plan and "Seq Scan" not in plan, plan
    assert len(silence.overdue(now)) == 6


def test_another_fleets_rule_says_nothing(car: Car, django_assert_num_queries: Any) -> None:
    make_rule(car, "silence")
    other = make_car("elsewhere")
    assert speak(other).silent_at is None
