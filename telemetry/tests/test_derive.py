"""Touched spans survive other drains, other derivations, kills and bad vehicles; and what a pass costs."""

import signal
import subprocess
import textwrap
import threading
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from fleet.alerting import rules
from fleet.audit import Actor
from fleet.models import Alert, AlertRule, Episode
from telemetry import partitions
from telemetry.derivation import derive, readback, touched, watch
from telemetry.derivation.touched import PACED
from telemetry.models import Derived, Paced, Touched
from telemetry.tests.test_drain_faults import in_threads, statements
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.environment import PYTHON, ROOT, clean_environment
from tests.rules import at, episodes, make_rule, speeds
from tests.world import Car, make_car


def stored(car: Car, *values: float, start: float = 0.0) -> None:
    deliver(car, speeds(*values, start=start))
    drain_all()


def us(seconds: float) -> int:
    return round((START + seconds) * 1e6)


class TestTouched:
    def test_vehicles_that_somebody_watches_are_noted_twice(self, car: Car) -> None:
        stored(car, 10, 20)
        assert not Touched.objects.exists()
        waits = Paced.objects.get()
        assert (waits.first_us, waits.last_us) == (us(0), us(1)) and not PACED.shards()
        make_rule(car)
        stored(car, 10, 20, start=10)
        stored(car, 10, start=5)
        row = Touched.objects.get()
        assert (row.first_us, row.last_us, row.version) == (us(5), us(11), 2)

    def test_a_row_that_was_touched_meanwhile_stays(
        self, transactional_db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        car = make_car()
        rule = make_rule(car)
        stored(car, 120, 120)
        genuine = watch.consume

        def meanwhile(spans: Any) -> None:
            genuine(spans)
            touched.QUICK.widen([(car.vehicle.pk, us(1), us(5))])

        with monkeypatch.context() as patched:
            patched.setattr(derive, "WATCHERS", (meanwhile,))
            assert derive._pass(car.vehicle.pk % 2, [car.vehicle.pk]) == 1
        row = Touched.objects.get()
        assert (row.first_us, row.last_us, row.version) == (us(0), us(5), 2)
        derive_all()
        assert not Touched.objects.exists() and episodes(rule) == [(0, None, 120)]

    def test_a_long_span_is_worked_in_parts(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
        rule = make_rule(car)
        monkeypatch.setattr(derive, "LONG_US", 0)
        monkeypatch.setattr(derive, "RECORDS", 3)
        stored(car, *[50, 120, 130, 120, 120, 50, 50, 120, 50, 120, 125])
        assert derive._pass(car.vehicle.pk % 2, [car.vehicle.pk]) == 1
        assert Touched.objects.get().first_us == us(3) + 1
        derive_all()
        assert episodes(rule) == [(1, 5, 130), (7, 8, 120), (9, None, 125)]

    def test_one_that_cannot_be_derived_from_holds_up_nobody(
        self, transactional_db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cars = [make_car() for _ in range(4)]
        make_rule(cars[0])
        for car in cars:
            stored(car, 50, 120)
        bad, genuine = cars[1].vehicle.pk, watch.consume

        def consume(spans: Any) -> None:
            if any(span.vehicle_id == bad for span in spans):
                raise ValueError("nonsense")
            genuine(spans)

        with monkeypatch.context() as patched:
            patched.setattr(derive, "WATCHERS", (consume,))
            derive_all()
        assert [row.vehicle_id for row in Touched.objects.all()] == [bad]
        assert Episode.objects.count() == 3
        derive_all()
        assert Episode.objects.count() == 4

    def test_an_outage_is_no_bad_vehicle(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(_: Any) -> None:
            raise OperationalError("the connection was lost")

        make_rule(car)
        stored(car, 120)
        with monkeypatch.context() as patched:
            patched.setattr(derive, "WATCHERS", (away,))
            with pytest.raises(OperationalError):
                derive_all()
        assert Touched.objects.exists() and not Derived.objects.exists()


class TestRulesThatChange:
    def test_a_rule_judges_from_its_making_on(self, car: Car) -> None:
        now = timezone.now().timestamp() - START
        stored(car, 120, 120, start=now - 3600)
        rule = AlertRule(name="fast", kind="overspeed", limit=100)
        rule.clean()
        rules.add(Actor("a test"), car.vehicle.fleet, rules.Wish(rule))
        derive_all()
        stored(car, 120, start=now - 3000)
        derive_all()
        assert episodes(rule) == []
        rules.change(Actor("a test"), rules.Wish(rule, replay_days=1))
        derive_all()
        assert Alert.objects.get().count == len(episodes(rule)) == 2

    def test_a_change_ends_what_held_and_keeps_what_was(self, car: Car) -> None:
        rule = make_rule(car, auto_resolve=True)
        stored(car, 120, 50, 130)
        derive_all()
        assert episodes(rule) == [(0, 1, 120), (2, None, 130)]
        rule.limit = 200
        rules.change(Actor("a test"), rules.Wish(rule))
        derive_all()
        first, second = Episode.objects.order_by("started_at")
        assert second.ended_at == rule.since and (first.rule_version, second.rule_version) == (1, 1)
        assert Alert.objects.get().resolved_by_rule and rule.version == 2
        stored(car, 150, start=60)  # measured before the change: nobody judges it
        derive_all()
        assert Episode.objects.count() == 2

    def test_one_limited_to_some_vehicles(self, car: Car) -> None:
        other = make_car()
        rule = make_rule(car)
        rule.all_vehicles = False
        rules.change(Actor("a test"), rules.Wish(rule, [other.vehicle], replay_days=1))
        now = timezone.now().timestamp() - START
        for one in (car, other):
            stored(one, 120, start=now)
        derive_all()
        assert [row.vehicle for row in Episode.objects.all()] == [other.vehicle]

    def test_records_stored_while_the_rule_is_made_are_not_missed(self, car: Car) -> None:
        """The drain saw no rule; taking it up looks at what came since."""
        rule = AlertRule(name="fast", kind="overspeed", limit=100)
        rule.clean()
        rules.add(Actor("a test"), car.vehicle.fleet, rules.Wish(rule))
        AlertRule.objects.update(enabled=False)  # as the drain's transaction still sees it
        stored(car, 120, start=timezone.now().timestamp() - START)
        AlertRule.objects.update(enabled=True)
        assert not Touched.objects.exists()
        derive_all()
        assert len(episodes(rule)) == 1


class TestCost:
    def test_the_same_statements_for_two_vehicles_or_forty(self, db: None) -> None:
        partitions.ensure({partitions.month_of(us(0))})
        first = make_car()
        make_rule(first)

        def derived(count: int) -> int:
            for car in [make_car() for _ in range(count)]:
                for start in (0, 10):
                    stored(car, 50, 60, start=start)
                    if not start:
                        derive_all()
            return statements(derive_all)

        few, many = derived(2), derived(20)
        assert many <= few + 2, (few, many)
        assert many <= 45

    def test_a_drain_costs_one_statement_more_with_rules_and_none_without(self, car: Car) -> None:
        def drained(start: float) -> int:
            deliver(car, speeds(50, 60, start=start))
            return statements(drain_all)

        drained(0)
        without = drained(10)
        make_rule(car)
        assert without <= drained(20) <= without + 1  # PostgreSQL's bulk statements are not counted
        assert Touched.objects.count() == 1


@pytest.mark.postgres
class TestAtOnce:
    def test_many_derivations_while_records_come(self, transactional_db: None) -> None:
        cars = [make_car() for _ in range(3)]
        rule = make_rule(cars[0], min_duration_s=2.0)
        values = [50, 120, 120, 121, 122, 50, 50, 120, 120, 120, 130, 50] * 4
        sent = threading.Event()

        def send() -> None:
            for place in range(0, len(values), 6):
                for car in cars:
                    deliver(car, speeds(*values[place : place + 6], start=place))
                    drain_all()

        def work() -> None:
            while not sent.is_set():
                derive_all()

        worker = threading.Thread(target=in_threads, args=(work, work))
        worker.start()
        try:
            in_threads(send)
        finally:
            sent.set()
            worker.join()
        derive_all()
        one = [
            (12.0 * turn + a, 12.0 * turn + b, peak)
            for turn in range(4)
            for a, b, peak in ((1, 5, 122), (7, 11, 130))
        ]
        assert episodes(rule) == one * 3
        assert sorted(Alert.objects.values_list("count", flat=True)) == [8, 8, 8]

    def test_a_shard_that_is_taken_is_left(self, transactional_db: None) -> None:
        car = make_car()
        make_rule(car)
        stored(car, 120)
        shard = car.vehicle.pk % 2
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7309, %s)", [shard])
            in_threads(lambda: derive.derive(shard))
        assert Touched.objects.exists()
        derive.derive(shard)
        assert not Touched.objects.exists() and Alert.objects.count() == 1

    def test_killed_in_the_middle(self, transactional_db: None) -> None:
        """kill -9 after the results are written: none of it happened, and the next one does it once."""
        car = make_car()
        rule = make_rule(car)
        stored(car, 50, 120, 50, 130)
        code = f"""
            import os, signal
            from telemetry.derivation import derive, touched
            genuine = touched.Lane.done
            touched.Lane.done = lambda *args: (genuine(*args), os.kill(os.getpid(), signal.SIGKILL))
            derive.derive({car.vehicle.pk % 2})
        """
        database = django_settings.DATABASES["default"]
        url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/".format(**database) + str(
            connection.settings_dict["NAME"]
        )
        done = subprocess.run(
            [PYTHON, "manage.py", "shell", "-c", textwrap.dedent(code)], cwd=ROOT, check=False, capture_output=True,
            env=clean_environment(DATABASE_URL=url, SECRET_KEY="x" * 50),
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
        assert Touched.objects.exists() and not Episode.objects.exists() and not Alert.objects.exists()
        derive_all()
        assert episodes(rule) == [(1, 2, 120), (3, None, 130)]
        assert Alert.objects.get().count == 2


def test_a_week_of_low_charge_is_not_read_again(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record at the end costs the same however long the condition has held."""
    make_rule(car, "low_charge", limit=20.0)
    deliver(car, [at(n, battery=10.0) for n in range(300)])
    drain_all()
    derive_all()
    read: list[dict[int, list[readback.Row]]] = []
    genuine = readback.between

    def watched(*args: Any) -> dict[int, list[readback.Row]]:
        read.append(genuine(*args))
        return read[-1]

    monkeypatch.setattr(readback, "between", watched)
    deliver(car, [at(300, battery=9.0)])
    drain_all()
    few = statements(derive_all)
    assert [len(rows) for rows in read[0].values()] == [1] and few < 60
    assert Episode.objects.get().peak == 9.0
