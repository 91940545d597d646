"""A trip's urgent alerts: one alert per trip, as the newest summary says, in whatever order they come."""

import json
import random
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.alerting.alerts import act
from fleet.audit import Actor
from fleet.models import Alert, AlertState, Severity, TripSummary
from tests.world import Car, make_car

START = 1731839445.0


@pytest.fixture
def car(db: None) -> Car:
    return make_car("north", "van")


def post(car: Car, minutes: int, end: bool = False, trip: str = "t1", **counts: Any) -> None:
    body: dict[str, Any] = {
        "trip_id": trip, "vehicle_id": "van", "start_time": START, "duration": minutes * 60, "alert_counts": counts,
    }  # fmt: skip
    if end:
        body["end_time"] = START + minutes * 60
    client = Client(headers={"Authorization": f"Bearer {car.token}"})
    response = client.post("/api/v1/trips", json.dumps(body), content_type="application/json")
    assert response.status_code < 300, response.content


def alerts() -> list[tuple[Any, ...]]:
    return list(Alert.objects.values_list("key", "severity", "count", "state", "message"))


def test_one_per_trip_and_later_summaries_update_it(car: Car) -> None:
    post(car, 5, info=9)
    assert alerts() == []
    post(car, 10, warning=1)
    assert alerts() == [("trip:t1", Severity.WARNING, 1, "open", "1 warning alert on trip t1")]
    post(car, 15, end=True, warning=2, critical=1)
    told = "1 critical and 2 warning alerts on trip t1"
    assert alerts() == [("trip:t1", Severity.CRITICAL, 3, "open", told)]
    assert Alert.objects.get().source == "trip"
    post(car, 5, trip="t2", critical=1)
    assert Alert.objects.count() == 2


def test_any_order_gives_the_same(car: Car) -> None:
    versions: list[dict[str, Any]] = [{"warning": n // 2, "critical": n // 4} for n in (1, 2, 4)]
    for seed in range(2):
        Alert.objects.all().delete()
        TripSummary.objects.all().delete()
        order = [*enumerate(versions), *enumerate(versions)]
        random.Random(seed).shuffle(order)
        for minutes, counts in order:
            post(car, minutes, **counts)
        assert alerts() == [
            ("trip:t1", Severity.CRITICAL, 3, "open", "1 critical and 2 warning alerts on trip t1")
        ]


def test_what_somebody_resolved_stays_so_unless_it_gets_worse_later(car: Car) -> None:
    post(car, 10, warning=1)
    alert = Alert.objects.get()
    act(alert, Actor("somebody"), "resolve", timezone.now())
    post(car, 12, warning=3)
    alert.refresh_from_db()
    assert (alert.state, alert.count) == (AlertState.RESOLVED, 3)
    Alert.objects.update(resolved_at=alert.first_at)
    post(car, 20, end=True, warning=3, critical=1)
    alert.refresh_from_db()
    assert (alert.state, alert.count, alert.severity) == (AlertState.OPEN, 4, Severity.CRITICAL)


def test_a_summary_that_takes_it_back(car: Car) -> None:
    post(car, 10, warning=1)
    post(car, 15, end=True, info=1)
    assert (Alert.objects.get().state, Alert.objects.get().count) == (AlertState.RESOLVED, 0)


def test_a_device_cannot_meddle_with_it(car: Car) -> None:
    """An alert that a device raises under the same key is another one."""
    client = Client(headers={"Authorization": f"Bearer {car.token}"})
    client.post("/api/v1/alerts/trigger", json.dumps({"type": "trip:t1"}), content_type="application/json")
    post(car, 10, warning=1)
    assert sorted(Alert.objects.values_list("source", "count")) == [("device", 1), ("trip", 1)]


def test_a_name_too_long_for_a_key(car: Car) -> None:
    for end in ("a", "b"):
        post(car, 10, trip="x" * 190 + end, warning=1)
    assert Alert.objects.values("key").distinct().count() == 2
