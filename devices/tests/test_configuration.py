"""Configurations: layers merged, versions that mean a content, drift by what devices report, announcements."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import commands, configdocument, configuration, drift, groups
from devices.configdocument import FlawedError, changes, digest_of, merged, parsed, patched, sources, tidied
from devices.configuration import ConflictError, Edit, Owner, write
from devices.models import Command, ConfigState, ConfigVersion, Device, DeviceConfig, DeviceConfigVersion
from fleet.audit import SYSTEM, Actor
from fleet.models import AuditEntry, Fleet
from tests.world import Car, make_car, make_person

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1, width=16) | st.text("ab/~", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def say(owner: Owner, document: Any, **more: Any) -> configuration.Written:
    return write(SYSTEM, owner, Edit(document, **more))


def wanted(car: Car) -> DeviceConfig:
    return DeviceConfig.objects.select_related("content").get(device=car.device)


@pytest.fixture
def car(db: None) -> Car:
    return make_car("north", "van-1")


@pytest.fixture
def fleet(car: Car) -> Owner:
    return Owner(car.vehicle.fleet)


class TestDocuments:
    @pytest.mark.parametrize(
        ("target", "patch", "result"),
        [  # the examples of RFC 7396
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ({"a": "foo"}, {"b": {"c": {"d": None}}}, {"a": "foo", "b": {"c": {}}}),
        ],
    )
    def test_patching(self, target: Any, patch: Any, result: Any) -> None:
        assert patched(target, patch) == result

    @given(DOCUMENTS, DOCUMENTS)
    @settings(max_examples=60, deadline=None)
    def test_equal_content_has_one_digest(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        one, other = tidied(one), tidied(other)
        shuffled = dict(random.Random(1).sample(list(one.items()), len(one)))
        assert digest_of(one) == digest_of(shuffled) == digest_of(parsed(configdocument.readable(one)))
        assert (digest_of(one) == digest_of(other)) == (not changes(one, other))

    @given(st.lists(DOCUMENTS, min_size=3, max_size=3))
    @settings(max_examples=60, deadline=None)
    def test_every_value_comes_from_a_layer_that_says_it(self, layers: list[dict[str, Any]]) -> None:
        named = list(zip(("fleet", "group", "device"), map(tidied, layers), strict=True))
        found = sources(named)
        by_name = dict(named)
        assert {each.pointer for each in found} == set(configdocument.leaves(merged([d for _, d in named])))
        for each in found:
            assert each.layer, each
            if not isinstance(each.value, dict):
                assert configdocument.leaves(by_name[each.layer])[each.pointer] == each.value

    def test_numbers_are_one_where_they_are_equal(self) -> None:
        assert digest_of(tidied({"a": 1.0, "b": -0.0})) == digest_of(tidied({"a": 1, "b": 0}))
        assert digest_of(tidied({"a": 1})) != digest_of(tidied({"a": True}))

    @pytest.mark.parametrize(
        ("document", "pointer"),
        [
            ([], ""),
            ({"telemetry": {"send_interval_s": 0}}, "/telemetry/send_interval_s"),
            ({"telemetry": {"batch_size": 1.5}}, "/telemetry/batch_size"),
            ({"telemetry": 5}, "/telemetry"),
            ({"log_level": "loud"}, "/log_level"),
            ({"a/b": {"~": "\0"}}, "/a~1b/~0"),
            ({"a": ["ok", "\ud800"]}, "/a/1"),
            ({"a": 2**60}, "/a"),
            ({"a": float("inf")}, "/a"),
            ({"a": {"x\0": 1}}, "/a"),
            ({"a": "x" * 70_000}, ""),
        ],
    )
    def test_what_cannot_be_kept_says_where(self, document: Any, pointer: str) -> None:
        with pytest.raises(FlawedError) as refused:
            tidied(document)
        assert pointer in refused.value.errors

    def test_depth(self) -> None:
        deep: Any = 1
        for _ in range(20):
            deep = {"a": deep}
        with pytest.raises(FlawedError, match="Nested"):
            tidied(deep)
        with pytest.raises(FlawedError):
            parsed('{"a":' * 100_000)


class TestLayers:
    def test_a_device_gets_fleet_group_and_its_own(self, car: Car, fleet: Owner) -> None:
        group = groups.make(SYSTEM, fleet.fleet, "Night shift")
        other = make_car("north", "van-2")
        groups.place(SYSTEM, group, [car.device.pk], [])
        say(fleet, {"telemetry": {"send_interval_s": 10, "batch_size": 5}, "a": 1})
        say(Owner(fleet.fleet, group=group), {"telemetry": {"send_interval_s": 60}, "a": None})
        say(Owner(fleet.fleet, device=car.device), {"telemetry": {"batch_size": 7}})
        assert wanted(car).content.document == {"telemetry": {"send_interval_s": 60, "batch_size": 7}}
        assert wanted(other).content.document == {
            "telemetry": {"send_interval_s": 10, "batch_size": 5},
            "a": 1,
        }
        assert (wanted(car).version, wanted(other).version) == (3, 1)
        assert groups.delete(SYSTEM, group) == 1
        assert wanted(car).content.document == {"telemetry": {"send_interval_s": 10, "batch_size": 7}, "a": 1}
        entry = AuditEntry.objects.get(action="group.deleted")
        assert entry.before["config"] == {"telemetry": {"send_interval_s": 60}, "a": None}

    def test_what_does_not_change_the_content_changes_no_version(self, car: Car, fleet: Owner) -> None:
        own = Owner(fleet.fleet, device=car.device)
        assert say(own, {"a": {"b": 1}}) == configuration.Written(1, True, 1)
        assert say(own, {"a": {"b": 1.0}}) == configuration.Written(1, False, 0)
        assert say(fleet, {"a": {"b": 2}}) == configuration.Written(1, True, 0)  # the device says otherwise
        assert (wanted(car).version, ConfigVersion.objects.count()) == (1, 2)

    def test_a_stale_edit_overwrites_nothing(self, car: Car, fleet: Owner) -> None:
        say(fleet, {"a": 1}, basis=frozenset({0}))
        with pytest.raises(ConflictError) as conflict:
            say(fleet, {"a": 2}, basis=frozenset({0}))
        assert conflict.value.version == 1 and fleet.layer().document == {"a": 1}
        say(fleet, {"b": 2}, basis=frozenset({1}), patch=True)
        assert fleet.layer().document == {"a": 1, "b": 2}

    def test_restoring_says_it_again(self, car: Car, fleet: Owner) -> None:
        for number in (1, 2):
            say(fleet, {"a": number})
        done = configuration.restore(SYSTEM, fleet, 1, Edit({}))
        assert (done.version, done.affected, fleet.layer().document) == (3, 1, {"a": 1})
        assert ConfigVersion.objects.get(number=3).restored_from == 1
        assert [row.version for row in DeviceConfigVersion.objects.order_by("version")] == [1, 2, 3]
        entry = AuditEntry.objects.get(action="config.restored")
        assert entry.before == {"version": 2, "/a": 2} and entry.after["/a"] == 1
        with pytest.raises(ConfigVersion.DoesNotExist):
            configuration.restore(SYSTEM, fleet, 9, Edit({}))

    def test_how_many_it_would_affect(self, car: Car, fleet: Owner) -> None:
        cars = [car, make_car("north"), make_car("north")]
        say(Owner(fleet.fleet, device=car.device), {"a": 1})
        assert configuration.would_affect(fleet, {"a": 1}) == 2
        assert configuration.would_affect(fleet, {"b": 1}) == 3
        assert configuration.would_affect(fleet, {}) == 0
        group = groups.make(SYSTEM, fleet.fleet, "Two")
        groups.place(SYSTEM, group, [each.device.pk for each in cars[:2]], [])
        assert configuration.would_affect(Owner(fleet.fleet, group=group), {"a": 1}) == 1

    def test_devices_that_come_and_go(self, car: Car, fleet: Owner) -> None:
        say(fleet, {"a": 1})
        late, south = make_car("north"), make_car("south")
        say(Owner(south.vehicle.fleet), {"b": 2})
        group = groups.make(SYSTEM, fleet.fleet, "Ours")
        groups.place(SYSTEM, group, [late.device.pk, south.device.pk], [])  # one of them is not ours
        assert list(group.members.values_list("device", flat=True)) == [late.device.pk]
        late.device.vehicle = south.vehicle
        late.device.save()
        assert configuration.settle_strays() == 1
        assert wanted(late).content.document == {"b": 2} and configuration.settle_strays() == 0
        say(Owner(fleet.fleet, group=group), {"c": 3})  # a group of a fleet it has left
        assert wanted(late).content.document == {"b": 2}

    def test_thousands_cost_a_few_queries(self, car: Car, fleet: Owner) -> None:
        vehicles = [car.vehicle] * 1500
        Device.objects.bulk_create(
            Device(vehicle=vehicle, slug=f"d-{number}", name="d") for number, vehicle in enumerate(vehicles)
        )
        with CountedQueries() as counted:
            assert say(fleet, {"a": 1}).affected == 1501
        assert counted.number < (40 if connection.vendor == "postgresql" else 100), counted.number
        assert DeviceConfig.objects.values("content").distinct().count() == 1


class CountedQueries:
    number = 0

    def __enter__(self) -> "CountedQueries":
        self._wrapper = connection.execute_wrapper(self._count)
        self._wrapper.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._wrapper.__exit__(*problem)

    def _count(self, execute: Any, *rest: Any) -> Any:
        self.number += 1
        return execute(*rest)


class TestAnnouncing:
    def told(self, car: Car, state: str = "queued") -> list[Any]:
        rows = Command.objects.filter(device=car.device, action="update_config", state=state)
        return [row.parameters["version"] for row in rows.order_by("pk")]

    def test_the_newest_replaces_what_nobody_has_fetched(self, car: Car, fleet: Owner) -> None:
        for number in (1, 2, 3):
            say(fleet, {"a": number})
        assert self.told(car) == [3] and self.told(car, "cancelled") == [1, 2]
        taken = commands.take(car.device.pk, "poll")
        assert [command.parameters for command in taken] == [{"version": 3}]
        say(fleet, {"a": 4})
        assert self.told(car) == [4] and self.told(car, "delivered") == [3]

    def test_only_whom_it_concerns(self, car: Car, fleet: Owner) -> None:
        silent, other, south = make_car("north"), make_car("north"), make_car("south")
        Device.objects.filter(pk=silent.device.pk).update(active=False)
        say(Owner(fleet.fleet, device=other.device), {"a": 2})
        say(fleet, {"a": 2})
        assert self.told(car) == [1] and self.told(other) == [1]
        assert not self.told(silent) and not self.told(south)

    def test_a_persons_own_command_is_left_alone(self, car: Car, fleet: Owner) -> None:
        person = make_person("a@example.com", "north")
        order = commands.Order("update_config", {"version": 7})
        commands.send(Actor("a", person), car.device, order)
        say(fleet, {"a": 1})
        assert self.told(car) == [7, 1]


class TestDrift:
    def report(self, car: Car, version: int, error: str = "", after_s: float = 0) -> DeviceConfig:
        time = timezone.now() + timedelta(seconds=after_s)
        return drift.heard(car.device, drift.ConfigReport(version, time, error))

    def test_from_wanted_to_running(self, car: Car, fleet: Owner) -> None:
        assert self.report(car, 0).state == ConfigState.CURRENT
        say(fleet, {"a": 1})
        row = wanted(car)
        assert row.state == ConfigState.BEHIND and row.drifted_since == row.wanted_at
        say(fleet, {"a": 2})
        assert wanted(car).drifted_since == row.drifted_since  # since it first differed
        assert self.report(car, 1, after_s=1).state == ConfigState.BEHIND
        assert self.report(car, 2, after_s=2).state == ConfigState.CURRENT
        assert wanted(car).drifted_since is None

    def test_refused_with_a_reason(self, car: Car, fleet: Owner) -> None:
        say(fleet, {"a": 1})
        self.report(car, 1)
        say(fleet, {"a": 2})
        row = self.report(car, 2, "no such sensor", after_s=1)
        assert (row.state, row.running_version, row.told()["reason"]) == ("refused", 1, "no such sensor")
        say(fleet, {"a": 3})
        row = wanted(car)
        assert (row.state, row.told()["reason"]) == ("behind", "")  # it has not refused this one
        say(fleet, {"a": 2})
        assert wanted(car).state == "refused"  # the same content as what it refused
        assert self.report(car, 4, after_s=2).state == ConfigState.CURRENT

    def test_the_same_content_under_an_older_version_is_no_drift(self, car: Car, fleet: Owner) -> None:
        say(fleet, {"a": 1})
        self.report(car, 1)
        say(fleet, {"a": 2})
        say(fleet, {"a": 1})
        row = wanted(car)
        assert (row.version, row.running_version, row.state) == (3, 1, "current")

    def test_a_version_we_never_made(self, car: Car, fleet: Owner) -> None:
        say(fleet, {"a": 1})
        row = self.report(car, 9)
        assert (row.running_version, row.state) == (9, "behind")
        for number in range(2, 10):
            say(fleet, {"a": number})
        assert wanted(car).state == "behind"  # version 9 was not this content when the device said so

    def test_the_newest_word_counts_whatever_the_order(self, car: Car, fleet: Owner) -> None:
        for number in (1, 2, 3):
            say(fleet, {"a": number})
        began = datetime(2026, 1, 1, tzinfo=UTC)
        reports = [
            drift.ConfigReport(version, began + timedelta(seconds=second), error)
            for second, version, error in (
                (1, 1, ""), (2, 2, ""), (2, 3, ""), (3, 3, "full"), (3, 3, "hot"), (1, 2, "x"), (4, 3, ""), (0, 3, ""),
            )
        ]  # fmt: skip
        ends = set()
        for seed in range(6):
            DeviceConfig.objects.update(running_at=None, refused_at=None)
            for report in random.Random(seed).sample(reports * 2, 2 * len(reports)):
                row = drift.heard(car.device, report)
            ends.add(
                (row.state, row.running_version, row.running_at, row.refused_version, row.refused_reason)
            )
        assert ends == {("current", 3, began + timedelta(seconds=4), 3, "hot")}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fleet", "group", "device", "join", "leave", "report", "refuse", "restore"]),
        st.integers(0, 3),
        st.integers(0, 1),
    ),
    min_size=4,
    max_size=12,
)


class Play:
    """Edits and reports in any order; after each step the same rules hold."""

    def __init__(self, fleet: Fleet, cars: list[Car]) -> None:
        self.fleet, self.cars = fleet, cars
        self.group = groups.make(SYSTEM, fleet, "One")
        self.inside: set[int] = set()
        self.clock = timezone.now()

    def step(self, act: str, number: int, which: int) -> None:
        car, document = self.cars[which], {"k": number} if number else {}
        self.clock += timedelta(seconds=1)
        if act in {"fleet", "group", "device"}:
            say(self.owner(act, car), document)
        elif act == "restore":
            layer = self.owner("fleet", car).layer()
            if layer.version:
                configuration.restore(SYSTEM, self.owner("fleet", car), 1 + number % layer.version, Edit({}))
        elif act in {"report", "refuse"}:
            error = "no" if act == "refuse" else ""
            drift.heard(car.device, drift.ConfigReport(number, self.clock, error))
        else:
            joins = act == "join"
            groups.place(SYSTEM, self.group, [car.device.pk] * joins, [car.device.pk] * (not joins))
            (self.inside.add if joins else self.inside.discard)(which)

    def owner(self, kind: str, car: Car) -> Owner:
        more = (
            {"group": self.group} if kind == "group" else {"device": car.device} if kind == "device" else {}
        )
        return Owner(self.fleet, **more)

    def check(self) -> None:
        for which, car in enumerate(self.cars):
            row = DeviceConfig.objects.filter(device=car.device).select_related("content").first()
            kinds = ["fleet", *(["group"] if which in self.inside else []), "device"]
            expected = merged([self.owner(kind, car).layer().document for kind in kinds])
            versions = list(DeviceConfigVersion.objects.filter(device=car.device).order_by("version"))
            assert [each.version for each in versions] == list(range(1, len(versions) + 1))
            for one, following in pairwise(versions):
                assert one.content_id != following.content_id, "a version without a change"
            if row is None:
                assert not expected
                continue
            assert (row.content.document, row.content_id) == (expected, digest_of(expected))
            assert row.version == len(versions)
            assert not versions or versions[-1].content_id == row.content_id
            assert (row.state == "current") == (row.drifted_since is None)
            if row.state == "current" and row.running_version:
                assert versions[row.running_version - 1].content_id == row.content_id
            announced = Command.objects.filter(device=car.device, action="update_config", state="queued")
            assert announced.count() <= 1
            assert not announced or announced.get().parameters["version"] == row.version


@given(steps=STEPS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_edits_and_reports(steps: list[tuple[str, int, int]], db: None) -> None:
    with transaction.atomic():
        cars = [make_car("play", "one"), make_car("play", "two")]
        play = Play(cars[0].vehicle.fleet, cars)
        for step in steps:
            play.step(*step)
            play.check()
        transaction.set_rollback(True)
