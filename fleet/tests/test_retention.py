"""How long a fleet keeps positions, visits and sums by day, and who may change it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.aggregation import rebuild
from fleet.aggregation.buckets import recompute
from fleet.audit import SYSTEM
from fleet.models import AuditEntry, DriverDay, DriverMonth, Part, Role, Trip, VehicleDay, VehicleMonth
from fleet.privacy.retention import Limits, change, forget
from tests.journeys import make_trip
from tests.world import Car, make_car, make_person

NOW = datetime(2031, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def car(db: None) -> Car:
    return make_car("acme", "van")


@pytest.fixture
def manager(car: Car) -> Client:
    client = Client()
    client.force_login(
        make_person("manager@example.com", "acme", Role.MANAGER),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


BODY: dict[str, Any] = {
    "records_months": 3, "places_months": 2, "day_sums_months": 24, "footage_days": 30,
    "private_hours": [{"days": [6, 7], "from": "00:00", "to": "24:00"}],
}  # fmt: skip
ADDRESS = "/api/v1/fleet/acme/privacy"


def put(client: Client, body: dict[str, Any], **headers: str) -> Any:
    return client.put(ADDRESS, body, content_type="application/json", headers=headers)


def test_positions_go_and_distance_stays(car: Car) -> None:
    here = {"start_latitude_deg": 1.0, "start_longitude_deg": 2.0}
    old, new = (make_trip(car, NOW - timedelta(days=days), **here) for days in (100, 1))
    change(SYSTEM, car.vehicle.fleet, Limits(places_months=1))
    forget(NOW)
    rows = {trip.pk: trip for trip in Trip.objects.all()}
    assert rows[old.pk].start_latitude_deg is None and rows[old.pk].distance_m == 12_000
    assert rows[new.pk].start_latitude_deg == 1.0


def test_sums_by_day_go_and_those_by_month_outlive_late_data_and_rebuilding(car: Car) -> None:
    fleet, vehicle = car.vehicle.fleet, car.vehicle
    old = (timezone.now() - timedelta(days=100)).date()
    whose = {"fleet": fleet, "distance_mm": 5_000}
    for day in (old, old + timedelta(days=1), timezone.now().date()):
        VehicleDay.objects.create(vehicle=vehicle, day=day, **whose)
        DriverDay.objects.create(vehicle=vehicle, driver_id="d", day=day, **whose)
    VehicleMonth.objects.create(vehicle=vehicle, month=old.replace(day=1), **whose)
    DriverMonth.objects.create(driver_id="d", month=old.replace(day=1), **whose)
    change(SYSTEM, fleet, Limits(day_sums_months=1))
    forget(timezone.now())
    assert [row.day for row in VehicleDay.objects.all()] == [timezone.now().date()]
    recompute(fleet.pk, "UTC", {Part.DRIVING: {(vehicle.pk, old)}})
    rebuild.touch_everything(fleet.pk)
    assert VehicleMonth.objects.get().distance_mm == 5_000 == DriverMonth.objects.get().distance_mm


class TestApi:
    def test_put_and_get(self, manager: Client) -> None:
        assert put(manager, BODY).json() == BODY == manager.get(ADDRESS).json()
        assert AuditEntry.objects.filter(action="retention.changed").count() == 1
        assert AuditEntry.objects.filter(action="privacy.hours_changed").count() == 1
        put(manager, BODY)
        assert AuditEntry.objects.filter(action="retention.changed").count() == 1

    def test_somebody_was_quicker(self, manager: Client) -> None:
        tag = manager.get(ADDRESS)["ETag"]
        assert put(manager, BODY, if_match=tag).status_code == 200
        assert put(manager, BODY | {"places_months": None}, if_match=tag).status_code == 412
        assert manager.get(ADDRESS).json() == BODY

    def test_what_is_wrong_is_said_by_field(self, manager: Client, settings: Any) -> None:
        settings.TELEMETRY_RETENTION_MONTHS = 2
        told = put(manager, BODY).json()
        assert "2 months at most" in str(told) and "records_months" in str(told)
        wrong = BODY | {"private_hours": [{"days": [1], "from": "10:00", "to": "10:00"}], "records_months": 1}
        assert "private_hours" in str(put(manager, wrong).json())
        assert put(manager, BODY | {"records_months": 0}).status_code == 400
        assert manager.get(ADDRESS).json()["places_months"] is None  # all of it or nothing


class TestPage:
    def test_saving(self, manager: Client) -> None:
        page = "/fleets/acme/privacy"
        answer = manager.post(
            page, {"records_months": "3", "private_hours": "Sat 00:00-24:00", "version": "0"}
        )
        assert answer.status_code == 302
        content = manager.get(page).content.decode()
        assert 'value="3"' in content and "Sat 00:00-24:00" in content
        stale = manager.post(page, {"records_months": "9", "version": "0"})
        assert stale.status_code == 400 and "Somebody changed it since" in stale.content.decode()

    def test_what_is_wrong(self, manager: Client) -> None:
        answer = manager.post("/fleets/acme/privacy", {"private_hours": "never", "version": "0"})
        assert answer.status_code == 400 and "write days and hours" in answer.content.decode()
