"""Several cars write at once: exactly one wins each version, and what was accepted is never lost."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.models import AuditEntry, Driver
from profiles import versions
from profiles.models import DriverProfile, EncryptedProfile
from profiles.tests.conftest import device
from profiles.versions import Condition, ConflictError, Upload
from tests.world import Car, make_car

CARS = 6


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Each in a thread of its own, all started together; what each answered, or raised."""
    start = threading.Barrier(len(acts))
    answers: list[Any] = [None] * len(acts)

    def run(place: int) -> None:
        start.wait()
        try:
            answers[place] = acts[place]()
        except Exception as error:  # every failure is an answer here
            answers[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture
def fleet(transactional_db: None) -> list[Car]:
    return [make_car("north", f"van-{number}") for number in range(CARS)]


def putting(car: Car, text: str, version: int, **headers: str) -> Callable[[], Any]:
    return lambda: device(car).put(text, version, **headers)


@pytest.mark.parametrize("headers", [{}, {"If_Match": '"1"'}])
def test_exactly_one_of_many_wins(fleet: list[Car], headers: dict[str, str]) -> None:
    device(fleet[0]).put("start", 1)
    replies = at_once([putting(car, f"by {car.vehicle.slug}", 2, **headers) for car in fleet])
    assert sorted(reply.status_code for reply in replies) == [200] + [412] * (CARS - 1)
    winner = next(car for car, reply in zip(fleet, replies, strict=True) if reply.status_code == 200)
    row = EncryptedProfile.objects.get(version=2)
    assert (row.vehicle_id, row.ciphertext) == (winner.vehicle.pk, f"by {winner.vehicle.slug}")
    assert {reply.json()["version"] for reply in replies} == {2}
    assert DriverProfile.objects.get().version == 2


def test_exactly_one_is_the_first_of_a_new_driver(fleet: list[Car]) -> None:
    replies = at_once([putting(car, f"by {car.vehicle.slug}", 1) for car in fleet])
    assert sorted(reply.status_code for reply in replies) == [201] + [412] * (CARS - 1)
    assert EncryptedProfile.objects.count() == 1 and Driver.objects.count() == 1


def test_a_repeat_beside_its_original_is_one_version(fleet: list[Car]) -> None:
    device(fleet[0]).put("start", 1)
    replies = at_once([putting(fleet[1], "next", 2)] * CARS)
    assert [reply.status_code for reply in replies] == [200] * CARS
    assert sorted(reply.json()["status"] for reply in replies) == ["stored"] + ["unchanged"] * (CARS - 1)
    assert EncryptedProfile.objects.count() == 2


def test_merging_until_accepted_loses_nothing(fleet: list[Car]) -> None:
    """Every car adds its word to the profile: fetch, add, PUT, again on 412."""
    device(fleet[0]).put("start", 1)

    def add(car: Car) -> None:
        speaker = device(car)
        for _ in range(50):
            base = speaker.get()
            text = f"{base.json()['encrypted_profile']} {car.vehicle.slug}"
            if speaker.put(text, If_Match=base.headers["ETag"]).status_code == 200:
                return
        raise AssertionError("never accepted")

    assert at_once([lambda car=car: add(car) for car in fleet]) == [None] * CARS  # type: ignore[misc]
    words = EncryptedProfile.objects.latest("version").ciphertext.split()
    assert sorted(words) == sorted(["start", *(car.vehicle.slug for car in fleet)])
    assert EncryptedProfile.objects.count() == CARS + 1


def test_an_erasure_beside_writers_leaves_nothing(fleet: list[Car]) -> None:
    from fleet.audit import SYSTEM

    device(fleet[0]).put("start", 1)
    driver = Driver.objects.select_related("fleet").get()
    acts = [putting(car, f"by {car.vehicle.slug}", 2) for car in fleet[:4]]
    replies = at_once([*acts, lambda: versions.erase(SYSTEM, driver)])
    assert {reply.status_code for reply in replies[:4]} <= {200, 410, 412}
    assert replies[4] in {1, 2} and not EncryptedProfile.objects.exists()
    assert AuditEntry.objects.get().before == {"versions": replies[4]}


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), st.integers(0, 2), st.none()),
        st.tuples(st.just("put by tag"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("put by number"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("put blindly"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("repeat"), st.integers(0, 2), st.none()),
    ),
    max_size=25,
)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_any_order_of_reads_and_writes(db: None, operations: list[tuple[str, int, int | None]]) -> None:
    """Three cars with bases of their own; the accepted texts, in order, are what the database holds."""
    Driver.objects.all().delete()
    cars = [make_car("north").principal for _ in range(3)]
    driver = Driver.objects.known(cars[0].fleet_id or 0, "driver_123")
    bases: list[int | None] = [None] * 3
    last: list[tuple[Upload, Condition] | None] = [None] * 3
    accepted: list[tuple[int, str]] = []
    for act, who, what in operations:
        stands = accepted[-1] if accepted else None
        if act == "get":
            row = versions.current(driver)
            assert (row and (row.version, row.ciphertext)) == stands
            bases[who] = row.version if row else None
            continue
        sent = last[who] if act == "repeat" else _written(act, bases[who], f"text {what}")
        if sent is None:
            continue
        last[who] = sent
        upload, condition = sent
        try:
            stored = versions.store(driver, upload, condition, cars[who])
        except ConflictError as conflict:
            assert stands is not None or condition.matches is not None
            assert conflict.version == (stands[0] if stands else None)
            continue
        if stored.changed:
            assert stands is None or stored.version == stands[0] + 1
            _was_allowed(stands, upload, condition)
            accepted.append((stored.version, upload.ciphertext))
        else:
            assert stands == (stored.version, upload.ciphertext)
        bases[who] = stored.version
    kept = EncryptedProfile.objects.filter(profile_id=driver.pk).order_by("version")
    assert list(kept.values_list("version", "ciphertext")) == accepted[-20:]


def _written(act: str, base: int | None, text: str) -> tuple[Upload, Condition]:
    if act == "put by tag":
        return Upload(text, {}), Condition(matches=None if base is None else frozenset({base}))
    if act == "put by number":
        return Upload(text, {}, (base or 0) + 1), Condition()
    return Upload(text, {}), Condition()


def _was_allowed(stands: tuple[int, str] | None, upload: Upload, condition: Condition) -> None:
    """Nothing is accepted over a version its writer had not seen."""
    if stands is None:
        assert not condition.matches
    else:
        assert condition.matches == frozenset({stands[0]}) or upload.version == stands[0] + 1
