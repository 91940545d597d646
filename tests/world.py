"""Fleets, cars and people for tests, made by the product's own code; and what the database says about a car."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from devices.auth import tokens
from devices.models import Device, DeviceToken
from devices.provision import VehicleFacts, provision
from edge.protocol.signals import SIGNALS
from fleet.access import Principal
from fleet.models import Fleet, Membership, Role, User, Vehicle, VehicleState
from telemetry.models import CompressionStat, Frame, Gap, HeldFrame, Stream, TelemetryRecord

_numbers = count(1)


@dataclass(frozen=True)
class Car:
    vehicle: Vehicle
    device: Device
    token: str

    @property
    def vin(self) -> str:
        assert self.vehicle.vin
        return self.vehicle.vin

    @property
    def principal(self) -> Principal:
        found = tokens.resolve(self.token)
        assert found
        return found

    @property
    def token_row(self) -> DeviceToken:
        return DeviceToken.objects.get(device=self.device)


def make_car(fleet: str = "demo", name: str = "", vin: str | None = None) -> Car:
    number = next(_numbers)
    name = name or f"van-{number}"
    made = provision(fleet, name, VehicleFacts(vin=vin or f"TEST{number:013}"), "test")
    device = Device.objects.select_related("vehicle__fleet").get(slug=made.device)
    return Car(device.vehicle, device, made.token)


def make_person(email: str, fleet: str = "", role: str = Role.VIEWER, **fields: Any) -> User:
    """A person, and a member of `fleet` when it is named. The password is the e-mail address."""
    user = User.objects.create_user(email, email, **fields)
    if fleet:
        Membership.objects.create(fleet=Fleet.objects.get(slug=fleet), user=user, role=role)
    return user


def rows_of(car: Car) -> list[dict[str, Any]]:
    """The car's history in order, without what depends on the clock."""
    columns = [signal.column for signal in SIGNALS]
    rows = TelemetryRecord.objects.filter(vehicle=car.vehicle).order_by("time", "stream_id", "sequence")
    return list(rows.values("time", "stream_id", "sequence", "quality", "sent", "extra", "decoder", *columns))


def picture(car: Car) -> dict[str, Any]:
    """Everything the drain wrote about a car that must not depend on how its records came."""
    streams = Stream.objects.filter(device=car.device).order_by("stream_id")
    # After a gap the columns keep what was known last; that depends on when it was known.
    state = VehicleState.objects.filter(vehicle=car.vehicle)
    columns = ("latitude_deg", "longitude_deg", "heading_deg", "speed_kmh", "battery_percent")
    certain = () if state.filter(quality="incomplete") else columns
    days = CompressionStat.objects.filter(vehicle=car.vehicle).order_by("day")
    return {
        "rows": rows_of(car),
        "state": list(state.values("time", "values", "reconstructed", "quality", *certain)),
        "compression": list(
            days.values("day", "records", "transmitted_readings", "skipped_readings", "bytes_received")
        ),
        "streams": list(
            streams.values(
                "stream_id", "next_sequence", "decoder", "last_time", "wants_keyframe", "records", "incomplete"
            )
        ),
        "gaps": list(
            Gap.objects.filter(stream__in=streams).order_by("first").values("first", "last", "decoder")
        ),
        "held": list(
            HeldFrame.objects.filter(stream__in=streams).order_by("sequence").values_list("sequence", flat=True)
        ),
        "frames": Frame.objects.filter(device=car.device).count(),
    }  # fmt: skip
