"""A private drive, and every route of docs/permissions.md asked for it: its coordinates must not be in any answer.

The same drive without private time shows that the routes that tell positions are asked in a way that would tell them.
"""

import io
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from devices import commands
from edge.protocol.telemetry_pb2 import Telemetry
from fleet.audit import SYSTEM, Actor
from fleet.behaviour import assignments
from fleet.models import (
    Alert,
    AlertEvent,
    Driver,
    DrivingEvent,
    PersonWish,
    PrivateKind,
    PrivateRule,
    PrivateSpan,
    ReportExport,
    Scenario,
    Trip,
    TripSummary,
    VehicleState,
    Visit,
    Webhook,
    WebhookDelivery,
)
from fleet.notifying import webhooks
from fleet.privacy import rules, spans, wishes
from fleet.privacy.gate import Shade
from fleet.reports import exports, registry
from fleet.reports.wishes import Wish
from tests.deliveries import deliver, derive_all, drain_all
from tests.driving import judge
from tests.fences import make_fence
from tests.rules import make_rule
from tests.test_permissions import ROWS, World
from tests.world import make_car

LATITUDE, LONGITUDE = 41.287, 96.873
SECRET = re.compile(r"(?<!\d)(?<!\d:)(?:41\.2[89]|96\.8[78])")
"""Also rounded as summaries are, to two decimals. The drive does not leave that. Seconds of a clock are none."""
DRIVEN_S = 900
ASKED: dict[str, tuple[str, ...]] = {
    "/api/v1/sensor/<str:name>/history": (
        "?limit=1000", "?type=latitude,longitude,gps_lat&limit=1000", "?type=latitude&points=100",
    ),
    "/api/v1/sensor/<str:name>/summary": ("", "?type=latitude,longitude,gps_lat"),
    "/vehicles/<slug:fleet>/<slug:vehicle>/charts": ("?signals=latitude,longitude,heading,gps_lat&seconds=3600",),
    "/fleets/<slug:fleet>/reports/<slug:report>": ("?columns=start_latitude,start_longitude",),
}  # fmt: skip
TELLS = {
    "/live/positions", "/trips", "/stops", "/trips/<int:trip>", "/trips/<int:trip>/track",
    "/trips/<int:trip>/file/<slug:kind>", "/api/v1/detected-trips", "/api/v1/detected-trips/<int:trip>",
    "/api/v1/detected-trips/<int:trip>/track/<slug:kind>", "/api/v1/stops", "/api/v1/vehicles",
    "/api/v1/vehicles/<str:name>/status", "/api/v1/sensor/<str:name>",
    "/api/v1/sensor/<str:name>/history", "/api/v1/sensor/<str:name>/summary", "/api/v1/trips",
    "/api/v1/trips/<str:trip>", "/vehicles/<slug:fleet>/<slug:vehicle>/track",
    "/vehicles/<slug:fleet>/<slug:vehicle>/charts", "/vehicles/<slug:fleet>/<slug:vehicle>/", "/alerts/<int:alert>",
    "/api/v1/alerts/<int:alert>", "/api/v1/scenarios/<str:scenario>", "/api/v1/driving-events",
    "/driving-events/<int:event>",
}  # fmt: skip


class Driven(World):
    """Its car drove somewhere secret just now, and told of it in every way it can."""

    def __init__(
        self,
        *,
        private: bool,
        before: bool = True,
        by: str = "switch",
        meanwhile: Callable[["Driven"], None] = lambda world: None,
    ) -> None:
        """`by`: a switch; or a private driver, whom a summary or an assignment names after the drive, or whose the
        vehicle is all the time. `meanwhile`: what happens when the drive was found and nobody was named yet."""
        super().__init__()
        self.by = by
        self.begun = time.time() - DRIVEN_S - 300
        car = self.own
        VehicleState.objects.all().delete()
        Trip.objects.all().delete()
        self.make_rules()
        make_fence(car, geometry={"type": "Point", "coordinates": [96.91, 41.31]}, radius_m=6_000.0)
        make_rule(car, "threshold", name="North", field="latitude", limit=1.0, direction="above")
        judge(car, speed_limit_kmh=50.0)
        if private and by != "switch":
            self.wish()
        elif private and before:
            self.make_private()
        deliver(car, list(self.records()))
        drain_all()
        derive_all()
        self.tell()
        meanwhile(self)
        self.sum_up()
        if private and not before:
            self.make_private()
        derive_all()
        self.alert = Alert.objects.get(type="pothole")
        self.trip = Trip.objects.get()
        self.event = DrivingEvent.objects.filter(kind="speeding").get()
        self.summary, self.scenario = TripSummary.objects.get(), Scenario.objects.get()

    def make_rules(self) -> None:
        """What else there is before the drive."""

    def make_private(self) -> None:
        with transaction.atomic():
            vehicle = self.own.vehicle
            rule = PrivateRule.objects.create(
                fleet=vehicle.fleet, vehicle=vehicle, kind=PrivateKind.SWITCH,
                since=timezone.now() - timedelta(days=2),
            )  # fmt: skip
            spans.renew([rule])

    def wish(self) -> None:
        rules.wish(SYSTEM, self.driver, private=True)
        PrivateRule.objects.update(since=timezone.now() - timedelta(days=2))
        if self.by == "default":
            self.assign(None)

    def assign(self, until: datetime | None) -> None:
        begun = datetime.fromtimestamp(self.begun - 60, UTC)
        assignments.add(SYSTEM, assignments.Wish(self.own.vehicle, self.driver, begun, until))

    def records(self) -> Iterator[Telemetry]:
        for second in range(0, DRIVEN_S + 240, 3):
            driving = second < DRIVEN_S
            step = min(second, DRIVEN_S) * 4e-6
            message = Telemetry(
                timestamp=self.begun + second, speed=72.0 if driving else 0.0, battery=80.0, heading=41.28,
                ignition=float(driving), latitude=LATITUDE + step, longitude=LONGITUDE + step,
            )  # fmt: skip
            message.extra["gps_lat"] = LATITUDE + step
            yield message

    def tell(self) -> None:
        """Over the API, as devices do."""
        here = {"lat": LATITUDE, "lng": LONGITUDE}
        at = self.begun + 100
        device: dict[str, Any] = {
            "HTTP_AUTHORIZATION": f"Bearer {self.own.token}",
            "content_type": "application/json",
        }
        for address, body in (
            ("/api/v1/alerts/trigger", {
                "type": "pothole", "severity": "WARNING", "timestamp": at,
                "message": f"at {LATITUDE}, {LONGITUDE}", "data": {"location": here, "depth_mm": 40},
            }),
            ("/api/v1/scenarios", {
                "vehicle_id": "van", "scenario_id": "s1", "timestamp": at, "consent": True, "trigger": "hard",
                "metadata": {"location": here},
            }),
            ("/api/v1/devices/own-device/status", {"status": "ok", "timestamp": at, "gps": here}),
        ):  # fmt: skip
            response = Client().post(address.replace("own-device", self.own.device.slug), body, **device)
            assert response.status_code in {200, 201, 202, 404}, (address, response.content)

    def sum_up(self) -> None:
        here = {"lat": LATITUDE, "lng": LONGITUDE}
        named = self.by in {"switch", "summary"}
        body = {
            "vehicle_id": "van", "trip_id": "t1", "driver_id": self.driver.slug if named else "",
            "start_time": self.begun, "end_time": self.begun + DRIVEN_S + 240, "distance": 9_000,
            "start_location": here, "end_location": here, "metadata": {"position": here},
        }  # fmt: skip
        response = Client().post(
            "/api/v1/trips", body, headers={"authorization": f"Bearer {self.own.token}"},
            content_type="application/json",
        )  # fmt: skip
        assert response.status_code == 201, response.content
        if self.by == "assignment":
            self.assign(datetime.fromtimestamp(self.begun + DRIVEN_S + 300, UTC))

    def values(self, route: str = "") -> dict[str, str]:
        kept = {"<str:trip>": "t1"}
        if hasattr(self, "scenario"):
            kept["<str:scenario>"] = str(self.scenario.uid)
        return super().values(route) | kept


def body(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as found:
            content = b"".join(found.read(name) for name in found.namelist())
    return str(content.decode("utf-8", "replace"))


def told(world: World, method: str, route: str) -> bool:
    """Does an answer to a manager hold the place?"""
    client, headers = world.client("manager")
    queries = ASKED.get(route, ("",))
    found = False
    for query in [*queries, *(["?export=csv"] if method == "get" and not queries[0] else [])]:
        with transaction.atomic():  # what it does is undone: the next one meets the same world
            address = world.address(route) + query
            response = getattr(client, method)(address, content_type="application/json", **headers)
            found |= bool(SECRET.search(body(response)))
            transaction.set_rollback(method != "get")
    return found


@pytest.fixture
def exported() -> Any:
    """Files of every report with every column."""

    def make(world: World) -> Iterator[str]:
        user, day = world.people["manager"], timezone.now().date()
        for report in registry.known():
            columns = tuple(column.name for column in report.columns)
            for kind in report.formats:
                if kind != "pdf":
                    wish = Wish(first=day - timedelta(days=1), last=day, columns=columns)
                    exports.ask_for(Actor("manager", user), world.own.vehicle.fleet, report, kind, wish)
                    exports.make_due()
        client, _ = world.client("manager")
        for export in ReportExport.objects.exclude(stored_as="").filter(user=user):
            yield body(client.get(f"/exports/{export.uid}/file"))

    return make


def test_the_same_drive_without_private_time_is_told(db: None, exported: Any) -> None:
    world = Driven(private=False)
    gets = [row.route for row in ROWS if row.method == "get"]
    assert {route for route in gets if route in TELLS and told(world, "get", route)} >= TELLS
    assert any(SECRET.search(text) for text in exported(world))
    assert Visit.objects.exists() and Alert.objects.filter(source="rule").exists()


@pytest.mark.parametrize(
    ("methods", "before"),
    [(("get",), True), (("get",), False), (("post",), True), (("put", "patch", "delete"), True)],
    ids=["get", "get, made private afterwards", "post", "put, patch, delete"],
)
def test_no_route_tells_a_manager_where_a_private_drive_went(
    db: None, exported: Any, methods: tuple[str, ...], before: bool
) -> None:
    world = Driven(private=True, before=before)
    asked = [row for row in ROWS if row.method in methods]
    assert not [f"{row.method} {row.route}" for row in asked if told(world, row.method, row.route)]
    if "get" in methods:
        assert not [text for text in exported(world) if SECRET.search(text)]


def test_distance_time_and_what_drivers_did_stay(db: None) -> None:
    world = Driven(private=True)
    trip = Trip.objects.get()
    assert trip.distance_m > 10_000 and trip.start_latitude_deg is None
    assert world.event.top_speed_m_s == 20.0 and world.event.latitude_deg is None
    assert not Visit.objects.exists()
    assert not Alert.objects.filter(source="rule", count__gt=0).exists()


def test_a_manager_who_switches_it_off_sees_nothing_of_before(db: None) -> None:
    world = Driven(private=True)
    rules.switch(Actor("somebody"), world.own.vehicle, False)
    derive_all()
    assert PrivateSpan.objects.get().ends_at <= timezone.now()
    assert not any(told(world, "get", route) for route in TELLS)


def test_what_commands_answer_in_private_time(db: None) -> None:
    world = Driven(private=True)
    order = commands.send(Actor("somebody"), world.own.device, commands.Order("locate"))
    commands.take(world.own.device.pk, "poll", 10)
    done = commands.acknowledge(
        world.own.device.pk, order.public_id, True, "", {"latitude": LATITUDE, "fix": 3}
    )
    assert done.result == {"fix": 3}


def test_a_private_drivers_vehicle_is_private_while_it_is_theirs(db: None) -> None:
    car = make_car("north", "van")
    driver = Driver.objects.create(fleet=car.vehicle.fleet, slug="ada")
    rules.wish(SYSTEM, driver, private=True)
    PrivateRule.objects.update(since=timezone.now() - timedelta(days=9))
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    stretch = assignments.Wish(car.vehicle, driver, hour, hour + timedelta(hours=2))

    def hidden(minutes: float) -> bool:
        at = hour + timedelta(minutes=minutes)
        return Shade.over([(car.vehicle.pk, at, at)]).meets(car.vehicle.pk, at)

    assert not hidden(30)
    made = assignments.add(SYSTEM, stretch)
    assert [hidden(minute) for minute in (-1, 0, 119, 120)] == [False, True, True, False]
    assignments.change(SYSTEM, made, ended_at=hour + timedelta(hours=3))
    assert hidden(150) and not hidden(181)
    going_on = assignments.add(SYSTEM, assignments.Wish(car.vehicle, driver, hour + timedelta(hours=4)))
    assert hidden(10_000)
    assignments.delete(SYSTEM, going_on)
    assignments.delete(SYSTEM, made)
    assert hidden(150) and hidden(300) and not hidden(10_000), "what was private stays so"
    rules.wish(SYSTEM, driver, private=False)
    assert hidden(150)


@pytest.mark.parametrize("by", ["summary", "assignment"])
def test_a_private_driver_who_is_named_afterwards(db: None, exported: Any, by: str) -> None:
    """What was told meanwhile is nowhere to be had: not on a page, not in a file, not in what is still to be sent."""
    made: list[str] = []

    def meanwhile(world: Driven) -> None:
        made.extend(exported(world))
        wishes.export(Actor("manager", world.people["manager"]), world.driver, "a letter")
        wishes.grant_due()
        world.alert = Alert.objects.get(type="pothole")
        assert told(world, "get", "/live/positions") and told(world, "get", "/alerts/<int:alert>")

    hook = Webhook(name="theirs", url="https://receiver.example/")

    class Hooked(Driven):
        def make_rules(self) -> None:
            webhooks.create(Actor("somebody"), self.own.vehicle.fleet, hook)

    world = Hooked(private=True, by=by, meanwhile=meanwhile)
    assert not Visit.objects.exists()
    assert not Alert.objects.filter(source="rule", count__gt=0).exists()
    assert any(SECRET.search(text) for text in made), "files told it"
    assert set(ReportExport.objects.values_list("state", "stored_as")) == {("expired", "")}
    assert set(PersonWish.objects.values_list("state", "stored_as")) == {("expired", "")}
    manager, _ = world.client("manager")
    uid = ReportExport.objects.values_list("uid", flat=True)[0]
    assert manager.get(f"/exports/{uid}/file").status_code == 404
    bodies = list(WebhookDelivery.objects.values_list("body", flat=True))
    assert bodies and not [body for body in bodies if SECRET.search(body)]
    assert not [text for text in AlertEvent.objects.values_list("message", flat=True) if SECRET.search(text)]
    gets = [row.route for row in ROWS if row.method == "get"]
    assert not [route for route in gets if told(world, "get", route)]
    assert not [text for text in exported(world) if SECRET.search(text)]


def test_nobody_is_named_yet_and_the_vehicle_is_a_private_drivers(db: None) -> None:
    def meanwhile(world: Driven) -> None:
        world.alert = Alert.objects.get(type="pothole")
        world.trip, world.event = Trip.objects.get(), DrivingEvent.objects.filter(kind="speeding").get()
        made_anew = ("trip>", "scenario>")
        asked = [route for route in TELLS if not any(f":{name}" in route for name in made_anew)]
        assert len(asked) > 12 and not [route for route in asked if told(world, "get", route)]

    world = Driven(private=True, by="default", meanwhile=meanwhile)
    assert not [route for route in TELLS if told(world, "get", route)]


def test_files_of_other_days_stay(db: None, exported: Any) -> None:
    def meanwhile(world: Driven) -> None:
        user, day = world.people["manager"], timezone.now().date()
        report = registry.named("trips")
        assert report
        for ago in (0, 9):
            wish = Wish(first=day - timedelta(days=ago), last=day - timedelta(days=ago))
            exports.ask_for(Actor("manager", user), world.own.vehicle.fleet, report, "csv", wish)
        exports.make_due()

    Driven(private=True, by="summary", meanwhile=meanwhile)
    states = ReportExport.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["expired", "done"]
