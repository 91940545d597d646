"""Every list of the API: in pages, and as many queries for thirty rows as for one."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices import commands
from devices.models import DeviceStatus, DeviceToken
from fleet import audit
from fleet.alerting.alerts import Report, raise_alert
from fleet.audit import Actor
from fleet.models import (
    ChargingSession,
    Driver,
    DrivingEvent,
    Geofence,
    Scenario,
    Severity,
    TripSummary,
    Visit,
)
from profiles.models import ProfileCopy
from profiles.versions import Condition, Upload, store
from tests.journeys import make_trip
from tests.test_permissions import World
from tests.world import make_car


def add(world: World, count: int) -> None:
    """So many more of everything that lists show."""
    own, now = world.own, timezone.now()
    car = {"fleet": own.vehicle.fleet, "vehicle": own.vehicle}
    for n in range(count):
        further = make_car("own", f"further-{n}")
        raise_alert(further.vehicle, Report(f"kind-{n}", Severity.INFO, "m", now))
        Driver.objects.create(fleet=own.vehicle.fleet, slug=f"further-{n}")
        DeviceToken.objects.issue(own.device, f"further-{n}")
        DeviceStatus.objects.create(
            device=own.device, status="s", time=now - timedelta(seconds=n), received_at=now
        )
        commands.send(Actor("somebody"), own.device, commands.Order("honk"))
        store(world.driver, Upload(f"text-{n}", {}, None), Condition(any_version=True), further.principal)
        ProfileCopy.objects.update_or_create(
            profile_id=world.driver.pk, vehicle=further.vehicle, defaults={"version": 1, "at": now}
        )
        TripSummary.objects.create(trip_id=f"further-{n}", start_time=now, **car)
        Scenario.objects.create(scenario_id=f"further-{n}", time=now, **car)
        make_trip(own, now - timedelta(days=n + 1))
        ChargingSession.objects.create(
            started_at=now - timedelta(hours=n), ended_at=now, duration_s=n * 3600.0, told_by="signal", **car
        )
        fence = Geofence.objects.get(pk=world.fenced()["<int:geofence>"])
        for known in {fence, Geofence.objects.order_by("id")[0]}:
            Visit.objects.create(
                geofence=known, vehicle=own.vehicle, entered_at=now - timedelta(days=n + 1), entry="record",
                geofence_version=1,
            )  # fmt: skip
        DrivingEvent.objects.create(
            kind="harsh_braking", started_at=now - timedelta(seconds=n + 1), ended_at=now, **car
        )
        audit.record(Actor("somebody"), "device.changed", own.device, own.vehicle.fleet, ({}, {"n": n}))


def lists(world: World) -> list[str]:
    """Addresses of all operations whose answer is a page."""
    schema = json.loads(Client().get("/api/schema?format=json").content)
    places = {**world.places(), "name": world.own.vehicle.slug}
    components = schema["components"]["schemas"]
    found = []
    for path, item in schema["paths"].items():
        content = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if {"next", "results"} <= components.get(name, {}).get("properties", {}).keys():
            found.append(path.format(**places))
    return found


def count(ask: Callable[[], Any]) -> tuple[int, Any]:
    ask()  # who asks is remembered for some seconds, and on a busy machine they are over by now
    with CaptureQueriesContext(connection) as queries:
        answer = ask()
    assert answer.status_code == 200, answer.content
    return len(queries), answer.json()


@pytest.mark.parametrize("caller", ["owner", "own device"])
def test_thirty_rows_cost_the_queries_of_one(db: None, caller: str) -> None:
    world = World()
    client, headers = world.client(caller)
    paths = [path for path in lists(world) if client.get(path, **headers).status_code == 200]
    assert len(paths) >= 7
    few = {path: count(lambda path=path: client.get(path, **headers))[0] for path in paths}  # type: ignore[misc]
    add(world, 30)
    grown = 0
    for path in paths:
        queries, content = count(lambda path=path: client.get(path, **headers))  # type: ignore[misc]
        assert queries <= few[path], (path, few[path], queries)
        assert queries <= 8, (path, queries)
        grown += len(content["results"]) >= 30
    assert grown >= (12 if caller == "owner" else 5)


def test_pages_follow_each_other_without_gaps(db: None) -> None:
    world = World()
    client, headers = world.client("owner")
    add(world, 5)
    for path in lists(world):
        whole = client.get(path, **headers).json()["results"]
        address, seen = f"{path}?limit=2", []
        while address:
            page = client.get(address, **headers).json()
            assert len(page["results"]) <= 2
            seen += page["results"]
            address = page["next"]
        assert seen == whole, path


@pytest.mark.parametrize(
    "cursor", ["nonsense", "cD1hYmM=", "cD0AAA==", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=", "bz0tMQ=="]
)
def test_a_cursor_that_is_none_of_ours(db: None, cursor: str) -> None:
    world = World()
    client, headers = world.client("owner")
    for path in lists(world):
        answer = client.get(path, {"cursor": cursor}, **headers)
        assert answer.status_code in {200, 400}, (path, answer.content)
        if answer.status_code == 400:
            assert answer.json()["errors"][0]["field"] == "cursor"
