"""A token: shown once, kept as a hash, believed for seconds, and no longer than it may be."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from devices import auth
from devices.auth import TokenCache, token_in
from devices.models import DeviceToken, digest_of
from fleet.access import Principal
from tests.world import Car, make_car


@pytest.fixture
def car(db: None) -> Car:
    return make_car("demo", "van-1", vin="WDB123")


@pytest.fixture
def cache() -> TokenCache:
    return TokenCache()


@pytest.fixture(autouse=True)
def short(settings: Settings) -> Iterator[None]:
    settings.TOKEN_CACHE_S = 0.2
    yield


class TestToken:
    def test_is_shown_once_and_kept_as_a_hash(self, car: Car) -> None:
        row = car.token_row
        assert row.digest == digest_of(car.token) and len(row.digest) == 64
        assert car.token.startswith(f"cvy_{row.prefix}_") and row.prefix in str(row)
        stored = " ".join(str(value) for value in DeviceToken.objects.filter(pk=row.pk).values_list()[0])
        assert car.token not in stored and car.token.split("_", 2)[2] not in stored

    def test_no_two_are_alike(self, car: Car) -> None:
        texts = {DeviceToken.objects.issue(car.device, "t")[1] for _ in range(50)}
        assert len(texts) == 50

    @pytest.mark.parametrize(
        ("change", "usable"),
        [
            ({}, True),
            ({"expires_at": timedelta(hours=1)}, True),
            ({"expires_at": timedelta(hours=-1)}, False),
            ({"revoked_at": timedelta(hours=-1)}, False),
        ],
    )
    def test_usable_means_the_same_for_a_row_and_for_the_query(
        self, car: Car, cache: TokenCache, change: dict[str, timedelta], usable: bool
    ) -> None:
        moments = {name: timezone.now() + delta for name, delta in change.items()}
        DeviceToken.objects.filter(pk=car.token_row.pk).update(**moments)
        assert car.token_row.usable is usable
        assert DeviceToken.objects.usable(timezone.now()).exists() is usable
        assert (cache.resolve(car.token) is not None) is usable

    def test_of_an_inactive_device_is_refused_and_works_again_later(
        self, car: Car, cache: TokenCache
    ) -> None:
        for active in (False, True):
            type(car.device).objects.update(active=active)
            cache.clear()
            assert (cache.resolve(car.token) is not None) is active

    def test_last_use_is_noted_seldom(self, car: Car, cache: TokenCache) -> None:
        assert car.token_row.last_used_at is None
        cache.resolve(car.token)
        first = car.token_row.last_used_at
        assert first is not None
        cache.clear()
        cache.resolve(car.token)
        assert car.token_row.last_used_at == first


class TestPrincipal:
    def test_names_the_device_its_vehicle_and_fleet(self, car: Car, cache: TokenCache) -> None:
        assert cache.resolve(car.token) == Principal(
            car.device.slug, device_id=car.device.pk, vehicle_id=car.vehicle.pk,
            fleet_id=car.vehicle.fleet_id, vin="WDB123",
        )  # fmt: skip

    @pytest.mark.parametrize("text", ["", "x", "cvy_1234_", "\0", "ü", "x" * 100_000])
    def test_nobody_for_another_text(self, car: Car, cache: TokenCache, text: str) -> None:
        assert cache.resolve(text) is None

    def test_overlong_texts_take_no_memory(self, car: Car, cache: TokenCache) -> None:
        cache.resolve_all([f"{n}" * 300 for n in range(9)])
        assert cache._entries == {}


class TestCache:
    def test_asks_once_per_period(self, car: Car, cache: TokenCache) -> None:
        cache.resolve(car.token)
        with CaptureQueriesContext(connection) as queries:
            for _ in range(20):
                cache.resolve(car.token)
        assert len(queries) == 0
        time.sleep(0.25)
        with CaptureQueriesContext(connection) as queries:
            cache.resolve(car.token)
        assert len(queries) == 1

    def test_one_query_renews_everybody(self, car: Car, cache: TokenCache) -> None:
        texts = [make_car().token for _ in range(40)]
        assert None not in cache.resolve_all(texts).values()
        time.sleep(0.25)
        with CaptureQueriesContext(connection) as queries:
            assert all(cache.resolve(text) for text in texts)
        assert len(queries) == 1

    def test_revocation_within_the_period_also_for_renewed_neighbours(
        self, car: Car, cache: TokenCache
    ) -> None:
        other = make_car()
        cache.resolve_all([car.token, other.token])
        car.token_row.revoke()
        time.sleep(0.25)
        assert cache.resolve(other.token) is not None
        assert cache.resolve(car.token) is None

    def test_wrong_texts_are_remembered_too_but_a_new_token_works_at_once(
        self, car: Car, cache: TokenCache
    ) -> None:
        with CaptureQueriesContext(connection) as queries:
            for _ in range(10):
                assert cache.resolve("cvy_wrong") is None
        assert len(queries) == 1
        assert cache.resolve(DeviceToken.objects.issue(car.device, "second")[1]) is not None

    def test_full_cache_forgets_and_still_answers(
        self, car: Car, cache: TokenCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(auth, "_LIMIT", 3)
        cache.resolve(car.token)
        found = cache.resolve_all([car.token, *(f"guess-{n}" for n in range(9))])
        assert found.pop(car.token) is not None
        assert set(found.values()) == {None} and len(found) == 9
        assert cache.resolve_all([car.token, "guess-99"])[car.token] is not None

    def test_from_many_threads(self, transactional_db: None, cache: TokenCache) -> None:
        cars = [make_car() for _ in range(8)]
        barrier = threading.Barrier(8)

        def ask(number: int) -> bool:
            try:
                barrier.wait()
                return all(cache.resolve(c.token) for c in cars[number:] + cars[:number] for _ in range(20))
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(8)))


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"x-api-key": " abc "}, "abc"),
        ({"authorization": "Basic eDp5", "x-api-key": "abc"}, "abc"),
        ({"authorization": "Bearer abc", "x-api-key": "def"}, "abc"),
        ({"authorization": "Bearer"}, ""),
        ({}, ""),
    ],
)
def test_where_a_token_may_stand(headers: dict[str, str], token: str) -> None:
    assert token_in(headers) == token
