"""The life of a command: every transition, and every one that must not be."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from devices import commands
from devices.commands import Order, RefusedError, acknowledge, approve, cancel, send, take
from devices.kinds import NonsenseError
from devices.models import Command, State
from fleet.audit import Actor
from fleet.models import AuditEntry, Role, User, VehicleState
from tests.world import Car, make_car, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def car(db: None) -> Car:
    return make_car("acme", "van")


@pytest.fixture
def ann(car: Car) -> User:
    return make_person("ann@example.com", "acme", Role.MANAGER)


@pytest.fixture
def ben(car: Car) -> User:
    return make_person("ben@example.com", "acme", Role.OWNER)


def by(user: User) -> Actor:
    return Actor(str(user), user)


def honk(user: User, car: Car, **fields: Any) -> Command:
    return send(by(user), car.device, Order("honk", **fields))


def drives(car: Car, speed_kmh: float) -> None:
    now = timezone.now()
    VehicleState.objects.update_or_create(
        vehicle=car.vehicle, defaults={"time": now, "received_at": now, "speed_kmh": speed_kmh}
    )


def again(command: Command) -> Command:
    return Command.objects.get(pk=command.pk)


def state(command: Command) -> str:
    return again(command).shown_state


def test_from_the_wish_to_what_became_of_it(car: Car, ann: User) -> None:
    sent = send(by(ann), car.device, Order("start_heating", {"target_temp": 21, "zone": "rear"}, ttl_s=60))
    assert sent.state == State.QUEUED and sent.sender == ann and sent.vehicle == car.vehicle
    assert sent.expires_at - sent.created_at == timedelta(seconds=60)
    [taken] = take(car.device.pk, "car_data")
    assert commands.as_json(taken) == {
        "id": str(sent.public_id),
        "action": "start_heating",
        "parameters": {"target_temp": 21, "zone": "rear"},
        "expires_at": sent.expires_at.isoformat().replace("+00:00", "Z"),
    }
    assert (taken.state, taken.path) == (State.DELIVERED, "car_data")
    assert taken.delivered_at and taken.due_at == taken.delivered_at + commands.ANSWER_WITHIN
    assert take(car.device.pk, "poll") == []
    done = acknowledge(car.device.pk, sent.public_id, True, "warm", {"temp": 21.5})
    kept = again(sent)
    assert (done.state, kept.state, kept.message) == (State.SUCCEEDED, State.SUCCEEDED, "warm")
    assert kept.result == {"temp": 21.5} and kept.ended_at and kept.due_at is None
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["command.sent"]


def test_taken_in_the_order_they_were_sent_and_no_more_than_asked_for(car: Car, ann: User) -> None:
    sent = [honk(ann, car).public_id for _ in range(5)]
    assert [c.public_id for c in take(car.device.pk, "poll", 2)] == sent[:2]
    assert [c.public_id for c in take(car.device.pk, "socket")] == sent[2:]


def test_an_expired_command_is_never_delivered(car: Car, ann: User) -> None:
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
        late, good = honk(ann, car, ttl_s=10), honk(ann, car, ttl_s=11)
        clock.shift(10)
        assert state(late) == State.EXPIRED and again(late).state == State.QUEUED
        assert take(car.device.pk, "poll") == [good]
        assert commands.expire_overdue(timezone.now()) == 1
        assert again(late).state == State.EXPIRED and take(car.device.pk, "poll") == []
        assert commands.expire_overdue(timezone.now()) == 0


def test_a_delivered_command_without_an_answer_is_shown_as_such_and_a_late_answer_counts(
    car: Car, ann: User
) -> None:
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
        sent = honk(ann, car)
        take(car.device.pk, "poll")
        clock.shift(commands.ANSWER_WITHIN)
        assert state(sent) == State.UNACKNOWLEDGED and again(sent).state == State.DELIVERED
        assert commands.expire_overdue(timezone.now()) == 1
        assert again(sent).state == State.UNACKNOWLEDGED
        clock.shift(3600)
        assert acknowledge(car.device.pk, sent.public_id, False, "no horn").state == State.FAILED
        assert (state(sent), again(sent).message) == (State.FAILED, "no horn")


def test_the_first_answer_is_kept(car: Car, ann: User) -> None:
    sent = honk(ann, car)
    take(car.device.pk, "poll")
    acknowledge(car.device.pk, sent.public_id, False, "no horn")
    repeated = acknowledge(car.device.pk, sent.public_id, True, "found one", {"a": 1})
    assert (repeated.state, repeated.message, repeated.result) == (State.FAILED, "no horn", {})


def test_what_was_never_delivered_cannot_be_acknowledged(car: Car, ann: User) -> None:
    sent = honk(ann, car)
    with pytest.raises(RefusedError, match="not been delivered"):
        acknowledge(car.device.pk, sent.public_id, True)
    cancel(by(ann), sent)
    assert acknowledge(car.device.pk, sent.public_id, True).state == State.CANCELLED


def test_nor_by_another_device(car: Car, ann: User) -> None:
    sent, other = honk(ann, car), make_car("acme", "bus")
    assert take(other.device.pk, "poll") == []
    take(car.device.pk, "poll")
    for device, public_id in ((other.device.pk, sent.public_id), (car.device.pk, uuid4())):
        with pytest.raises(Command.DoesNotExist):
            acknowledge(device, public_id, True)
    assert state(sent) == State.DELIVERED


def test_cancelled_before_delivery_only(car: Car, ann: User) -> None:
    first, second = honk(ann, car), honk(ann, car)
    assert cancel(by(ann), first).state == cancel(by(ann), first).state == State.CANCELLED
    assert take(car.device.pk, "poll") == [second]
    with pytest.raises(RefusedError, match="Too late to cancel: the command is delivered"):
        cancel(by(ann), second)
    with (
        time_machine.travel(timezone.now() + timedelta(hours=1)),
        pytest.raises(RefusedError, match="unacknowledged"),
    ):
        cancel(by(ann), second)
    assert list(AuditEntry.objects.order_by("id").values_list("action", "after__state")) == [
        ("command.sent", "queued"),
        ("command.sent", "queued"),
        ("command.cancelled", "cancelled"),
    ]


class TestDangerous:
    def test_needs_a_second_person(self, car: Car, ann: User, ben: User) -> None:
        sent = send(by(ann), car.device, Order("immobilise"))
        assert sent.state == State.AWAITING_APPROVAL and take(car.device.pk, "poll") == []
        with pytest.raises(RefusedError, match="Somebody else"):
            approve(by(ann), sent)
        with pytest.raises(RefusedError, match="Only a person"):
            approve(Actor("device van"), sent)
        assert take(car.device.pk, "poll") == []
        approved = approve(by(ben), sent)
        assert (approved.state, approved.approver) == (State.QUEUED, ben)
        assert approve(by(ben), sent).state == State.QUEUED
        assert take(car.device.pk, "poll") == [sent]
        entry = AuditEntry.objects.latest("id")
        assert (entry.action, entry.user) == ("command.approved", ben)
        assert (entry.before, entry.after) == ({"state": "awaiting_approval"}, {"state": "queued"})

    def test_not_approved_while_the_vehicle_moves(self, car: Car, ann: User, ben: User) -> None:
        sent = send(by(ann), car.device, Order("unlock"))
        drives(car, 42)
        with pytest.raises(RefusedError, match=r"moves \(42 km/h\)"):
            approve(by(ben), sent)
        drives(car, 0)
        assert approve(by(ben), sent).state == State.QUEUED

    @pytest.mark.parametrize("said", ["stored", "in the same breath"])
    def test_refused_at_delivery_when_it_moves_by_then(
        self, car: Car, ann: User, ben: User, said: str
    ) -> None:
        sent = approve(by(ben), send(by(ann), car.device, Order("immobilise")))
        harmless = honk(ann, car)
        if said == "stored":
            drives(car, 30)
        taken = take(car.device.pk, "car_data", speed_kmh=None if said == "stored" else 30)
        assert taken == [harmless]
        refused = again(sent)
        assert refused.state == State.FAILED and "moving" in refused.message
        assert refused.delivered_at is None and refused.ended_at
        drives(car, 0)
        assert take(car.device.pk, "poll") == []

    def test_approval_does_not_lengthen_its_life(self, car: Car, ann: User, ben: User) -> None:
        with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
            sent = send(by(ann), car.device, Order("unlock", ttl_s=60))
            clock.shift(59)
            approve(by(ben), sent)
            clock.shift(1)
            assert take(car.device.pk, "poll") == [] and state(sent) == State.EXPIRED
            late = send(by(ann), car.device, Order("unlock", ttl_s=60))
            clock.shift(60)
            with pytest.raises(RefusedError, match="expired"):
                approve(by(ben), late)

    def test_only_what_awaits_it_can_be_approved(self, car: Car, ann: User, ben: User) -> None:
        with pytest.raises(RefusedError, match="nothing to approve: the command is queued"):
            approve(by(ben), honk(ann, car))
        sent = send(by(ann), car.device, Order("unlock"))
        cancel(by(ann), sent)
        with pytest.raises(RefusedError, match="cancelled"):
            approve(by(ben), sent)

    def test_the_database_itself_refuses_what_no_door_allows(self, car: Car, ann: User, ben: User) -> None:
        sent = send(by(ann), car.device, Order("unlock"))
        now = timezone.now()
        for wrong in (
            {"state": State.QUEUED},
            {"state": State.SUCCEEDED},
            {"state": "dancing"},
            {"approver": ann},
            {"state": State.CANCELLED, "delivered_at": now},
            {"approved_at": now, "state": State.DELIVERED, "delivered_at": sent.expires_at},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                Command.objects.filter(pk=sent.pk).update(**wrong)


def test_a_device_that_serves_another_vehicle_by_now_gets_nothing(car: Car, ann: User) -> None:
    honk(ann, car)
    car.device.vehicle = make_car("other", "bus").vehicle
    car.device.save()
    assert take(car.device.pk, "poll") == []


def test_goes_to_the_newest_active_device(car: Car) -> None:
    newer = car.vehicle.devices.create(slug="newer", name="Newer")
    assert commands.device_of(car.vehicle) == newer
    newer.active = False
    newer.save()
    assert commands.device_of(car.vehicle) == car.device


def test_an_inactive_device_is_sent_nothing(car: Car, ann: User) -> None:
    car.device.active = False
    with pytest.raises(RefusedError, match="inactive"):
        honk(ann, car)


def test_a_queue_has_an_end(car: Car, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "QUEUE_LIMIT", 2)
    honk(ann, car), honk(ann, car)
    with pytest.raises(RefusedError, match="wait for this device"):
        honk(ann, car)


@pytest.mark.parametrize("ttl", [9, 86_401, 0, -1, 10.5, "60", None, True, float("nan")])
def test_a_time_to_live_is_checked(car: Car, ann: User, ttl: Any) -> None:
    with pytest.raises(NonsenseError) as refused:
        honk(ann, car, ttl_s=ttl)
    assert refused.value.errors.keys() == {"ttl_s"}
