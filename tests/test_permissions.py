"""docs/permissions.md, read as a table and tried: every route, every method, every kind of caller."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import time, timedelta
from io import BytesIO
from typing import Any

import pytest
from django.contrib import admin
from django.core import signing
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.utils import timezone
from pytest_django import DjangoDbBlocker
from rest_framework.views import APIView
from tuf.api.metadata import Metadata, Root

from devices import commands, groups
from devices.auth import tokens
from devices.configuration import Edit, Owner, write
from devices.models import DeviceGroup, ModelRelease, TufRepository
from devices.registration import issue_secret
from fleet.alerting import escalation
from fleet.alerting.alerts import Report, raise_alert
from fleet.audit import SYSTEM, Actor
from fleet.behaviour import assignments
from fleet.models import (
    AlertRule,
    Driver,
    DriverAssignment,
    DrivingEvent,
    EscalationStep,
    Fleet,
    Geofence,
    Notification,
    ReportSchedule,
    Role,
    Scenario,
    Severity,
    TripSummary,
    User,
    VehicleState,
    Visit,
    Webhook,
)
from fleet.notifying import webhooks
from fleet.people import invitations
from fleet.privacy import wishes
from fleet.recording import footage
from fleet.reports import exports, registry, schedules
from fleet.reports.wishes import Wish
from profiles.versions import Condition, Upload, store
from tests.environment import ROOT
from tests.journeys import make_trip
from tests.world import Car, make_car, make_person

CALLERS = ("nobody", "other device", "other person", "own device", "viewer", "manager", "owner", "staff")
PAGE = ROOT / "docs" / "permissions.md"
# A device names drivers within its own fleet; what another fleet has under the same name does not enter into it.
OWN_NAMES = {("put", "/api/v1/drivers/<str:driver>/profile")}
# Releases for everybody are in nobody's fleet.
FOR_ALL = {
    ("get", "/api/v1/models/tuf/metadata/<str:file>"),
    ("get", "/api/v1/models/tuf/targets/<path:shared_target>"),
}
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Row:
    method: str
    route: str
    answers: dict[str, str]


def rows() -> list[Row]:
    """The table's rows: method, route, one answer for each caller."""
    found = []
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0].lower() in METHODS:
            found.append(Row(cells[0].lower(), cells[1], dict(zip(CALLERS, cells[2:], strict=True))))
    return found


ROWS = rows()


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every route of the product but the admin's own."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        assert isinstance(entry.pattern, RoutePattern), f"{entry.pattern} is not made with path()"
        route = prefix + str(entry.pattern)
        if route == "admin/":
            continue
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            yield "/" + route, entry.callback


def methods_of(view: Any) -> set[str]:
    """Of a REST view; what a page answers only its row can tell."""
    cls = getattr(view, "cls", None)
    if cls is None or not issubclass(cls, APIView):
        return set()
    return {name for name in METHODS if hasattr(cls, name)}


class World:
    """A fleet with a device and its people, and another one."""

    def __init__(self) -> None:
        self.own: Car = make_car("own", "van")
        self.other: Car = make_car("other", "bus")
        self.token = self.own.token_row.prefix
        now = timezone.now()
        VehicleState.objects.create(
            vehicle=self.own.vehicle, time=now, received_at=now, values={"speed": 1.0}
        )
        people = {"viewer": Role.VIEWER, "manager": Role.MANAGER, "owner": Role.OWNER}
        self.people = {name: make_person(f"{name}@example.com", "own", role) for name, role in people.items()}
        self.alert = raise_alert(
            self.own.vehicle, Report("test", Severity.INFO, "a test", timezone.now())
        ).alert
        self.notification = Notification.objects.get(user=self.people["viewer"])
        self.people["other person"] = make_person("other@example.com", "other", Role.OWNER)
        self.people["staff"] = make_person("staff@example.com", is_staff=True, is_superuser=True)
        self.command = commands.send(Actor("somebody"), self.own.device, commands.Order("honk"))

        self.driver = Driver.objects.known(self.own.vehicle.fleet_id, "driver_123")
        for text in ("first", "second"):  # version 1 can be restored
            store(
                self.driver,
                Upload(text, {}, None),
                Condition(any_version=text != "first"),
                self.own.principal,
            )

        fleet = self.own.vehicle.fleet
        self.trip = make_trip(self.own, now)
        self.release = self.released("detector", fleet)
        self.released("lanes", None)
        for each in (fleet, None):
            self.trusted(each)

        self.event = DrivingEvent.objects.create(
            fleet=fleet, vehicle=self.own.vehicle, kind="harsh_braking", started_at=now, ended_at=now
        )
        self.group = groups.make(SYSTEM, fleet, "Night shift")
        for owner in (Owner(fleet), Owner(fleet, group=self.group), Owner(fleet, device=self.own.device)):
            write(SYSTEM, owner, Edit({"log_level": "info"}))

    @staticmethod
    def trusted(fleet: Fleet | None) -> None:
        """A TUF repository with its first root."""
        root = Metadata(Root(expires=timezone.now().replace(microsecond=0) + timedelta(days=365)))
        TufRepository.objects.create(fleet=fleet).metadata.create(
            role="root", version=1, body=root.to_bytes().decode(), expires_at=root.signed.expires
        )

    def address(self, route: str) -> str:
        """The route with what belongs to the own fleet in its places."""
        for place, value in self.values(route).items():
            route = route.replace(place, value)
        assert "<" not in route, f"say in World.values what stands for the places of {route}"
        return route

    def places(self) -> dict[str, str]:
        """The same by the places' names."""
        return {place.strip("<>").partition(":")[2]: value for place, value in self.values().items()}

    def values(self, route: str = "") -> dict[str, str]:
        """With a route, only what stands in it is made anew."""
        fresh: dict[str, str] = {}
        for names, make in self.makers().items():
            if not route or any(f":{name}>" in route for name in names.split()):
                fresh |= make()
        return fresh | {
            "<slug:fleet>": "own",
            "<slug:vehicle>": self.own.vehicle.slug,
            "<str:name>": self.own.vehicle.slug,
            "<str:device>": self.own.device.slug,
            "<slug:device>": self.own.device.slug,
            "<int:release>": str(self.release.pk),
            "<str:act>": "acknowledge",
            "<slug:kind>": "gpx",
            "<int:trip>": str(self.trip.pk),
            "<int:alert>": str(self.alert.pk),
            "<str:token>": self.token,
            "<str:command>": str(self.command.public_id),
            "<path:type>": "speed",
            "<str:driver>": self.driver.slug,
            "<str:model>": self.release.name,
            "<str:link>": signing.dumps(
                {"release": self.release.pk, "for": self.own.principal.pk}, salt="model-file"
            ),
            "<int:version>": "1",
            "<int:notification>": str(self.notification.pk),
            "<str:file>": "1.root.json",
            "<path:target>": f"detector/{self.release.sha256}.1",
            "<path:shared_target>": f"lanes/{self.release.sha256}.1",
            "<slug:group>": self.still_there().slug,
            "<int:event>": str(self.event.pk),
            "<slug:report>": "trips",
        }

    def makers(self) -> dict[str, Callable[[], dict[str, str]]]:
        return {
            "webhook delivery step secret": self.hooked,
            "rule trip scenario video upload": self.recorded,
            "geofence": self.fenced,
            "member invitation": self.joined,
            "export schedule": self.reported,
            "assignment": self.assigned,
            "wish": self.wished,
        }

    def assigned(self) -> dict[str, str]:
        """Who may delete it does."""
        DriverAssignment.objects.all().delete()
        wish = assignments.Wish(self.own.vehicle, self.driver, timezone.now())
        return {"<int:assignment>": str(assignments.add(SYSTEM, wish).pk)}

    def hooked(self) -> dict[str, str]:
        """A webhook and a message to it, a step of escalation, a registration secret; new ones each time, for who may
        delete them does."""
        fleet, actor = self.own.vehicle.fleet, Actor("somebody")
        step = escalation.add(actor, fleet, EscalationStep(after_minutes=5, role=Role.OWNER), [])
        secret, _ = issue_secret(actor, fleet, "a batch")
        wish = Webhook(name="ours", url="https://receiver.example/")
        hook, _ = webhooks.create(actor, fleet, wish)
        delivery = webhooks.test(actor, hook)
        return {
            "<int:webhook>": str(hook.pk),
            "<uuid:delivery>": str(delivery.public_id),
            "<int:step>": str(step.pk),
            "<str:secret>": secret.prefix,
        }

    def reported(self) -> dict[str, str]:
        """A file that the viewer asked for, and a schedule; new ones each time, for who may delete them does."""
        viewer, fleet, day = self.people["viewer"], self.own.vehicle.fleet, timezone.now().date()
        wish, report = Wish(first=day, last=day), registry.named("trips")
        assert report
        export = exports.ask_for(Actor("viewer", viewer), fleet, report, "csv", wish)
        exports.make_due()
        fields = {"name": "Daily", "report": "trips", "format": "csv", "rhythm": "daily", "at": time(6)}
        plan = schedules.Plan(fields | {"time_zone": "UTC"}, Wish(), [viewer.email])
        schedule = schedules.keep(SYSTEM, ReportSchedule(fleet=fleet), plan)
        return {"<uuid:export>": str(export.uid), "<int:schedule>": str(schedule.pk)}

    def wished(self) -> dict[str, str]:
        """A file about the driver that the manager asked for."""
        actor = Actor("manager", self.people["manager"])
        wish = wishes.export(actor, Driver.objects.select_related("fleet").get(pk=self.driver.pk), "a letter")
        wishes.grant_due()
        return {"<uuid:wish>": str(wish.uid)}

    def released(self, name: str, fleet: Fleet | None) -> ModelRelease:
        return ModelRelease.objects.create(
            fleet=fleet,
            name=name,
            version="1",
            canonical="1",
            stored_as=default_storage.save(f"models/{name}", ContentFile(b"weights")),
            size_bytes=7,
            sha256="5" * 64,
        )

    def still_there(self) -> DeviceGroup:
        """Who may delete it does."""
        known = DeviceGroup.objects.filter(slug=self.group.slug).first()
        return known or groups.make(SYSTEM, self.own.vehicle.fleet, "Night shift")

    def recorded(self) -> dict[str, str]:
        """A rule, a trip and a scenario with footage; new ones each time, for who may delete them does."""
        trip = f"trip-{TripSummary.objects.count()}"
        car = {"fleet": self.own.vehicle.fleet, "vehicle": self.own.vehicle}
        TripSummary.objects.create(trip_id=trip, start_time=timezone.now(), **car)
        scenario = Scenario.objects.create(scenario_id=trip, time=timezone.now(), **car)
        stored_as = footage.save(footage.new_name(footage.VIDEOS, scenario.uid), BytesIO(b"some"))
        video = scenario.videos.create(
            camera="front", stored_as=stored_as, content_type="video/mp4", size_bytes=4, sha256="0" * 64
        )
        upload = scenario.uploads.create(
            camera="front", length=9, expires_at=timezone.now() + timedelta(days=1)
        )
        rule = AlertRule.objects.create(
            fleet=self.own.vehicle.fleet,
            name=trip,
            kind="overspeed",
            field="speed",
            limit=90,
            since=timezone.now(),
        )
        return {
            "<int:rule>": str(rule.pk),
            "<str:trip>": trip,
            "<str:scenario>": str(scenario.uid),
            "<uuid:video>": str(video.uid),
            "<uuid:upload>": str(upload.uid),
        }

    def fenced(self) -> dict[str, str]:
        """A new geofence each time, for who may delete it does."""
        number = Geofence.objects.count()
        fence = Geofence.objects.create(
            fleet=self.own.vehicle.fleet, name=f"Yard {number}", kind="circle", radius_m=100, since=timezone.now(),
            geometry={"type": "Point", "coordinates": [13.5, 52.4]},
        )  # fmt: skip
        Visit.objects.create(
            geofence=fence,
            vehicle=self.own.vehicle,
            entered_at=timezone.now(),
            entry="record",
            geofence_version=1,
        )
        return {"<int:geofence>": str(fence.pk)}

    def joined(self) -> dict[str, str]:
        """A member and an invitation; new ones each time, for who may remove them does."""
        number = User.objects.order_by("-pk").values_list("pk", flat=True)[0]
        user = make_person(f"member-{number}@example.com", "own", Role.DRIVER)
        actor = Actor("owner", self.people["owner"])
        sent = invitations.invite(actor, self.own.vehicle.fleet, f"new-{number}@example.com", Role.VIEWER)
        return {"<int:member>": str(user.memberships.get().pk), "<int:invitation>": str(sent.pk)}

    def client(self, caller: str) -> tuple[Client, dict[str, Any]]:
        client = Client(raise_request_exception=True)
        bearers = {"own device": self.own.token, "other device": self.other.token}
        if caller in bearers:
            return client, {"HTTP_AUTHORIZATION": f"Bearer {bearers[caller]}"}
        if caller != "nobody":
            client.force_login(self.people[caller], backend="django.contrib.auth.backends.ModelBackend")
        return client, {}


def outcome(response: Any) -> str:
    status = response.status_code
    assert status < 500 or status == 503, response.content
    if status in {301, 302} and response.headers["Location"].startswith("/login"):
        return "login"
    return str(status) if status in {401, 403, 404} else "yes"


def test_every_route_and_method_has_a_row() -> None:
    told = {(row.route, row.method) for row in ROWS}
    missing = []
    for route, view in routes():
        methods = methods_of(view)
        if methods:
            missing += [f"{method.upper()} {route}" for method in methods if (route, method) not in told]
        elif not any(route == other for other, _ in told):
            missing.append(route)
    assert not missing, f"add a row to docs/permissions.md: {', '.join(sorted(missing))}"


def test_every_row_has_a_route() -> None:
    there = {route for route, _ in routes()}
    assert not {row.route for row in ROWS} - there


def test_no_route_is_told_twice() -> None:
    assert len({(row.method, row.route) for row in ROWS}) == len(ROWS)


@pytest.fixture(scope="module")
def shared(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """One world for all rows, in a transaction around theirs: its making costs as much as a row's requests."""
    with django_db_blocker.unblock():
        around = transaction.atomic()
        around.__enter__()
        world = World()
    yield world
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)


@pytest.fixture
def world(shared: World, db: None) -> World:
    """As it was made: what the rows before did to it is rolled back, and what they left in memory is forgotten."""
    cache.clear()
    tokens.clear()
    return shared


@pytest.mark.sqlite  # who may do what is decided before a database's own ways could matter
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.route}")
def test_row(row: Row, world: World) -> None:
    got = {}
    for caller in CALLERS:
        address = world.address(row.route)
        client, headers = world.client(caller)
        response = getattr(client, row.method)(address, content_type="application/json", **headers)
        got[caller] = outcome(response)
    assert got == row.answers


def test_outsiders_are_never_told_that_something_exists() -> None:
    """A place in a route means an object: who has nothing to do with it gets 404, not 403."""
    wrong = [
        f"{row.method} {row.route}"
        for row in ROWS
        if "<" in row.route
        and (row.method, row.route) not in OWN_NAMES | FOR_ALL
        and {row.answers["other device"], row.answers["other person"]} - {"404", "401", "login"}
    ]
    assert not wrong


def test_the_admin_is_for_staff(world: World) -> None:
    pages = ["/admin/"] + [f"/admin/{m._meta.app_label}/{m._meta.model_name}/" for m in admin.site._registry]
    for caller in CALLERS:
        client, headers = world.client(caller)
        for page in pages:
            response = client.get(page, **headers)
            assert (response.status_code == 200) == (caller == "staff"), (caller, page, response.status_code)
