"""Sockets in private time: history, records, batches and the map's rows say everything but where."""

import json
import time
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.audit import SYSTEM
from fleet.journeys.trips import TripTold, keep
from fleet.models import Driver, PrivateRule, VehicleState
from fleet.privacy import rules, spans
from telemetry.tests.test_live import Opener, car, member_cookie, opened, send_in
from tests.deliveries import deliver, drain_all
from tests.world import Car

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["car", "member_cookie", "opened"]  # fixtures
SECRET = ("41.28", "96.87")


def record(seconds_ago: float) -> Telemetry:
    message = Telemetry(
        timestamp=time.time() - seconds_ago, speed=36.0, latitude=41.28, longitude=96.87, altitude=12.0
    )
    message.extra["gps_lat"] = 41.28
    return message


@database_sync_to_async
def make_private(car: Car) -> None:
    rules.switch(SYSTEM, car.vehicle, True)
    PrivateRule.objects.update(since="2020-01-01T00:00:00Z")
    spans.renew(PrivateRule.objects.select_related("fleet"))


@pytest.mark.parametrize("query", ["", "batch=1", "view=map"])
async def test_no_view_tells_where_it_is(opened: Opener, car: Car, member_cookie: str, query: str) -> None:
    await make_private(car)
    await send_in(car, [record(9)])
    socket = await opened(query, cookie=member_cookie)
    await send_in(car, [record(1)])
    kind = {"": "telemetry", "batch=1": "telemetry_batch", "view=map": "positions"}[query]
    told = json.dumps([socket.history, await socket.next(kind)])
    assert not [secret for secret in SECRET if secret in told]
    assert "36.0" in told


async def test_what_was_shown_before_is_blanked(opened: Opener, car: Car, member_cookie: str) -> None:
    await send_in(car, [record(9)])
    socket = await opened(cookie=member_cookie)
    assert SECRET[0] in json.dumps(socket.history)
    await make_private(car)
    again = await opened(cookie=member_cookie)
    assert SECRET[0] not in json.dumps(again.history)


@database_sync_to_async
def name_driver(car: Car) -> None:
    """Their trip began a while ago; the server hears of it now."""
    driver = Driver.objects.create(fleet=car.vehicle.fleet, slug="ada")
    rules.wish(SYSTEM, driver, private=True)
    PrivateRule.objects.update(since="2020-01-01T00:00:00Z")
    begun = timezone.now() - timedelta(minutes=5)
    keep(car.vehicle, [TripTold("one", begun, None, {"driver_id": "ada"})])


@pytest.mark.parametrize("query", ["batch=1", "view=map"])
async def test_open_maps_forget_where_it_was_when_the_driver_is_named(
    opened: Opener, car: Car, member_cookie: str, query: str
) -> None:
    socket = await opened(query, cookie=member_cookie)
    await send_in(car, [record(9)])
    await name_driver(car)
    assert (await socket.next("private"))["data"] == {"vehicle_ids": [car.vehicle.pk]}
    await send_in(car, [record(1)])
    assert (await socket.next("private"))["data"] == {"vehicle_ids": [car.vehicle.pk]}


def test_the_state_follows_event_time_whatever_came_when(car: Car) -> None:
    """The newest place is a private one: no older one is shown in its stead, in either order."""
    for ages in ([600, 5], [5, 600]):
        VehicleState.objects.all().delete()
        rules.switch(SYSTEM, car.vehicle, True)
        PrivateRule.objects.update(since="2020-01-01T00:00:00Z")
        spans.renew(PrivateRule.objects.select_related("fleet"))
        for age in ages:
            deliver(car, [record(age)])
            drain_all()
        state = VehicleState.objects.get()
        assert state.latitude_deg is None and state.place_time is not None
        assert "latitude" not in state.values and state.speed_kmh == 36.0
