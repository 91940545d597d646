"""Alert rules about geofences: episodes and alerts follow the visits, in event time."""

from collections.abc import Sequence
from typing import Any

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.alerting import rules
from fleet.audit import Actor
from fleet.geofencing import geofences
from fleet.models import Alert, AlertRule, AlertState, Episode, Geofence, Visit
from tests.deliveries import deliver, derive_all, drain_all
from tests.fences import circle, going, make_fence, visits
from tests.rules import LONG_AGO, episodes, make_rule, nothing_touched
from tests.world import Car, make_car


def bring(car: Car, messages: Sequence[Telemetry]) -> None:
    deliver(car, messages)
    drain_all()
    derive_all()
    assert nothing_touched()


def rule_on(car: Car, fence: Geofence, crossing: str, **fields: Any) -> AlertRule:
    """For records of any age; named after what it waits for."""
    known = Geofence.objects.get(pk=fence.pk)
    rule = AlertRule(
        **{"fleet": car.vehicle.fleet, "name": crossing, **fields},
        kind="geofence",
        geofence=known,
        crossing=crossing,
    )
    rule.clean()
    rules.add(Actor("a test"), car.vehicle.fleet, rules.Wish(rule))
    AlertRule.objects.filter(pk=rule.pk).update(since=LONG_AGO, replay_from=None)
    rule.refresh_from_db()
    return rule


def spans(rule: AlertRule) -> list[tuple[float, float | None]]:
    return [(round(begin, 1), end and round(end, 1)) for begin, end, _ in episodes(rule)]


class TestCrossings:
    def test_enter_leave_and_outside(self, car: Car) -> None:
        fence = make_fence(car, name="Depot")
        entering, leaving, outside = (
            rule_on(car, fence, crossing, auto_resolve=True) for crossing in ("enter", "leave", "outside")
        )
        bring(car, going(-200, -150, 0))
        assert (spans(entering), spans(leaving), spans(outside)) == ([(13.3, None)], [], [(0, 13.3)])
        alert = Alert.objects.get(key=entering.cause)
        assert (alert.message, alert.state, alert.data["geofence"]) == ("Entered Depot", "open", fence.pk)
        bring(car, going(200, 300, start=30))
        assert (spans(entering), spans(leaving)) == ([(13.3, 25.0)], [(25.0, None)])
        assert spans(outside) == [(0, 13.3), (25.0, None)]
        alert.refresh_from_db()
        assert alert.state == AlertState.RESOLVED and alert.resolved_by_rule
        assert Alert.objects.get(key=leaving.cause).message == "Left Depot"
        assert Alert.objects.get(key=outside.cause).count == 2

    def test_a_late_record_takes_an_alert_back(self, car: Car) -> None:
        fence = make_fence(car)
        rule = rule_on(car, fence, "enter")
        bring(car, going(-300, 300, every_s=100))
        assert len(spans(rule)) == 1
        bring(car, going(-300, start=50, north_m=900.0))
        assert visits(fence) == [] and spans(rule) == []
        alert = Alert.objects.get()
        assert (alert.count, alert.state) == (0, AlertState.RESOLVED)

    def test_staying_takes_its_time(self, car: Car) -> None:
        fence = make_fence(car, dwell_s=60.0)
        usual, longer = (
            rule_on(car, fence, "dwell"),
            rule_on(car, fence, "dwell", name="x", min_duration_s=90),
        )
        assert usual.name == "dwell"
        bring(car, going(0, 0, 0, 0, 0, 0))
        assert not Alert.objects.exists()
        bring(car, going(0, 0, start=60))
        assert (spans(usual), spans(longer)) == ([(0, None)], [])
        assert Alert.objects.get().message.endswith("for 1 min")
        bring(car, going(0, 0, 0, 500, start=80))
        assert spans(longer)[0][0] == 0 and spans(usual)[0][1] is not None

    def test_outside_for_long_enough(self, car: Car) -> None:
        rule = rule_on(car, make_fence(car), "outside", min_duration_s=30)
        for message in going(500, 500, 500):
            bring(car, [message])
        assert spans(rule) == []
        bring(car, going(500, start=30))
        assert spans(rule) == [(0, None)]
        bring(car, going(500, 500, start=40))
        assert spans(rule) == [(0, None)] and Alert.objects.get().count == 1

    def test_only_in_its_hours(self, car: Car) -> None:
        """START is Monday, 21 September 2026, 14:13:20 UTC."""
        hours = [{"days": [1], "from": "14:15", "to": "14:16"}]
        fence = make_fence(car, schedule=hours)
        staying, entering = rule_on(car, fence, "dwell"), rule_on(car, fence, "enter")
        bring(car, going(0, 0, 0, every_s=60))
        assert spans(staying) == [(100, None)] and spans(entering) == []
        bring(car, going(0, start=200))
        assert spans(staying) == [(100, 160)]

    def test_a_rule_of_other_vehicles(self, car: Car) -> None:
        other = make_car()
        rule = rule_on(car, make_fence(car), "enter")
        rule.all_vehicles = False
        rule.save()
        rule.vehicles.set([other.vehicle])
        bring(car, going(-200, 0))
        bring(other, going(-200, 0))
        assert [row.vehicle for row in Episode.objects.all()] == [other.vehicle]

    def test_the_same_in_any_order(self, db: None) -> None:
        cars = [make_car(fleet) for fleet in ("one", "two")]
        drive = going(-300, 0, 0, 50, 300, 110, 90, -50, 500, -500, every_s=50)
        told = []
        for car, order in zip(cars, ([*range(10)], [9, 3, 4, 0, 8, 1, 7, 7, 2, 6, 5]), strict=True):
            fence = make_fence(car, hysteresis_m=30.0)
            made = [rule_on(car, fence, crossing) for crossing in ("enter", "leave", "dwell", "outside")]
            for place in order:
                bring(car, [drive[place]])
            told.append([(spans(rule), Alert.objects.get(key=rule.cause).count) for rule in made])
        assert told[0] == told[1] and all(found for found, _ in told[0])


class TestChanges:
    def test_a_changed_shape_looks_at_history_from_a_chosen_day(self, car: Car) -> None:
        from datetime import timedelta

        from django.utils import timezone

        now = timezone.now()
        start = now.timestamp() - 3_600 - 1_790_000_000.0
        fence = make_fence(car)
        bring(car, going(-200, 0, 200, start=start))
        assert len(visits(fence)) == 1
        known = Geofence.objects.get(pk=fence.pk)
        for name, value in circle(50.0, east_m=200.0).items():
            setattr(known, name, value)
        known.clean()
        geofences.change(Actor("a test"), geofences.Wish(known, history_from=now - timedelta(days=1)))
        derive_all()
        row = Visit.objects.get()
        assert (
            row.geofence_version == 2
            and row.left_at is None
            and row.entered_at.timestamp() > 1_790_000_000 + start + 15
        )

    def test_without_a_day_what_was_stays(self, car: Car) -> None:
        fence = make_fence(car)
        bring(car, going(-200, 0, 200))
        bring(car, going(0, start=60))
        known = Geofence.objects.get(pk=fence.pk)
        known.radius_m = 10.0
        geofences.change(Actor("a test"), geofences.Wish(known))
        derive_all()
        assert len(visits(fence)) == 2
        last = Visit.objects.order_by("entered_at").last()
        assert last and (last.left_at, last.exit) == (known.since, "changed")

    def test_only_a_name_changes_nothing(self, car: Car) -> None:
        fence = make_fence(car)
        bring(car, going(-200, 0))
        known = Geofence.objects.get(pk=fence.pk)
        known.name = "Yard"
        geofences.change(Actor("a test"), geofences.Wish(known))
        assert visits(fence) == [(5.0, None)] and Geofence.objects.get().replay_from is None

    def test_one_it_is_not_for_any_more(self, car: Car) -> None:
        other = make_car()
        fence = make_fence(car)
        rule = rule_on(car, fence, "enter", auto_resolve=True)
        for one in (car, other):
            bring(one, going(-200, 0))
        known = Geofence.objects.get(pk=fence.pk)
        known.all_vehicles = False
        geofences.change(Actor("a test"), geofences.Wish(known, [other.vehicle], history_from=LONG_AGO))
        Geofence.objects.update(since=LONG_AGO, replay_from=LONG_AGO)
        derive_all()
        assert [row.vehicle for row in Visit.objects.all()] == [other.vehicle]
        assert [row.vehicle for row in Episode.objects.filter(rule=rule)] == [other.vehicle]

    def test_an_overspeed_rule_beside_it(self, car: Car) -> None:
        """Kinds that are judged by records leave visits alone, and the other way round."""
        make_fence(car)
        rule = make_rule(car)
        drive = going(-200, 0)
        drive[1].speed = 130.0
        bring(car, drive)
        assert len(episodes(rule)) == 1 and Visit.objects.count() == 1
