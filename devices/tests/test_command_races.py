"""Commands under concurrency and in any order: delivered once, never late, each state only through its door."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import commands
from devices.commands import Order, RefusedError
from devices.models import Command, State
from fleet.audit import Actor
from fleet.models import Role, User, VehicleState
from tests.world import Car, make_car, make_person

DOORS: dict[str, set[tuple[str, str]]] = {
    "send": {("", "queued"), ("", "awaiting_approval")},
    "take": {("queued", "delivered"), ("queued", "failed")},
    "ack": {(s, e) for s in ("delivered", "unacknowledged") for e in ("succeeded", "failed")},
    "approve": {("awaiting_approval", "queued")},
    "cancel": {("queued", "cancelled"), ("awaiting_approval", "cancelled")},
    "sweep": {("queued", "expired"), ("awaiting_approval", "expired"), ("delivered", "unacknowledged")},
    "drive": set(),
    "wait": set(),
}
STEPS = st.lists(
    st.tuples(st.sampled_from([*DOORS, "take", "send", "ack"]), st.integers(0, 5), st.booleans()),
    min_size=3,
    max_size=25,
)


class Play:
    """Does the steps it is told and checks the rules after each."""

    def __init__(self, car: Car, people: list[User], clock: Any) -> None:
        self.car, self.people, self.clock = car, people, clock
        self.sent: list[Command] = []
        self.deliveries: Counter[int] = Counter()
        self.before: dict[int, str] = {}

    def step(self, name: str, number: int, flag: bool) -> None:
        with contextlib.suppress(RefusedError, Command.DoesNotExist):
            getattr(self, name)(number, flag)
        after = dict(Command.objects.values_list("pk", "state"))
        for key, state in after.items():
            change = (self.before.get(key, ""), state)
            assert change[0] == state or change in DOORS[name], (name, change)
        self.before = after
        assert max(self.deliveries.values(), default=0) <= 1

    def pick(self, number: int) -> Command:
        if not self.sent:
            raise Command.DoesNotExist
        return self.sent[number % len(self.sent)]

    def send(self, number: int, flag: bool) -> None:
        order = Order("unlock" if flag else "honk", ttl_s=10 * (number + 1))
        sender = self.people[number % 2]
        self.sent.append(commands.send(Actor(str(sender), sender), self.car.device, order))

    def take(self, number: int, flag: bool) -> None:
        moving = commands.speed_of(self.car.vehicle.pk) > 3
        for command in commands.take(self.car.device.pk, "poll" if flag else "car_data", number):
            self.deliveries[command.pk] += 1
            assert command.expires_at > timezone.now() and not (command.dangerous and moving)
            assert not command.dangerous or command.approver_id not in {None, command.sender_id}

    def ack(self, number: int, flag: bool) -> None:
        known = self.pick(number)
        ended = self.before[known.pk] in {"succeeded", "failed"}
        kept = commands.acknowledge(self.car.device.pk, known.public_id, flag)
        assert not ended or kept.state == self.before[known.pk]

    def approve(self, number: int, flag: bool) -> None:
        commands.approve(Actor("x", self.people[flag]), self.pick(number))

    def cancel(self, number: int, flag: bool) -> None:
        commands.cancel(Actor("x", self.people[flag]), self.pick(number))

    def sweep(self, number: int, flag: bool) -> None:
        commands.expire_overdue(timezone.now())

    def drive(self, number: int, flag: bool) -> None:
        now = timezone.now()
        values = {"time": now, "received_at": now, "speed_kmh": 50.0 * flag}
        VehicleState.objects.update_or_create(vehicle=self.car.vehicle, defaults=values)

    def wait(self, number: int, flag: bool) -> None:
        self.clock.shift(timedelta(seconds=400 if flag else 5 * number))


@pytest.mark.django_db
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_any_order(db: None, steps: list[tuple[str, int, bool]]) -> None:
    with transaction.atomic(), time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
        car = make_car("acme", "van")
        people = [make_person(f"{name}@example.com", "acme", Role.MANAGER) for name in "ab"]
        play = Play(car, people, clock)
        for step in steps:
            play.step(*step)
        transaction.set_rollback(True)


@pytest.fixture
def car(transactional_db: None) -> Car:
    return make_car("acme", "van")


def together(*works: Callable[[], Any]) -> list[Any]:
    """What each answered, done at the same moment in threads of their own."""
    start, found = threading.Barrier(len(works)), []

    def run(work: Callable[[], Any]) -> None:
        start.wait()
        try:
            found.append(work())
        except RefusedError as refused:
            found.append(refused)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(works)
    return found


def test_many_take_at_once(car: Car) -> None:
    sent = {commands.send(Actor("x"), car.device, Order("honk")).pk for _ in range(60)}

    def take_all() -> list[int]:
        mine: list[int] = []
        while taken := commands.take(car.device.pk, "poll", 3):
            mine += [command.pk for command in taken]
        return mine

    found = [key for keys in together(*[take_all] * 6) for key in keys]
    # Who finds everything locked gives up: what is left is there for the next to ask.
    found += take_all()
    assert len(found) == len(set(found)) == 60 and set(found) == sent
    assert Command.objects.filter(state=State.DELIVERED).count() == 60


def test_cancelled_or_delivered_but_never_both(car: Car) -> None:
    for _ in range(10):
        sent = commands.send(Actor("x"), car.device, Order("honk"))
        found = together(
            partial(commands.take, car.device.pk, "poll"), partial(commands.cancel, Actor("y"), sent)
        )
        taken = any(isinstance(each, list) and each for each in found)
        refused = any(isinstance(each, RefusedError) for each in found)
        state = Command.objects.get(pk=sent.pk).state
        assert (state, taken, refused) in {("delivered", True, True), ("cancelled", False, False)}


def test_of_many_answers_one_is_kept(car: Car) -> None:
    sent = commands.send(Actor("x"), car.device, Order("honk"))
    commands.take(car.device.pk, "poll")
    answer = partial(commands.acknowledge, car.device.pk, sent.public_id, True)
    answers = together(*(partial(answer, str(number)) for number in range(6)))
    kept = [command.message for command in answers]
    assert len(set(kept)) == 1


def test_approved_once(car: Car) -> None:
    people = [make_person(f"{name}@example.com", "acme", Role.MANAGER) for name in "abcd"]
    sent = commands.send(Actor("a", people[0]), car.device, Order("unlock"))
    found = together(*(partial(commands.approve, Actor(str(person), person), sent) for person in people))
    assert sum(isinstance(each, Command) for each in found) == 1


def test_a_delivery_that_is_rolled_back_is_delivered_again(car: Car) -> None:
    """As when the process is killed before the commit."""
    sent = commands.send(Actor("x"), car.device, Order("honk"))
    with pytest.raises(RuntimeError), transaction.atomic():
        assert commands.take(car.device.pk, "car_data") == [sent]
        raise RuntimeError
    assert Command.objects.get().state == State.QUEUED
    assert commands.take(car.device.pk, "poll") == [sent]
    assert commands.take(car.device.pk, "poll") == []
