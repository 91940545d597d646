"""Units that senders write beside a reading."""

from typing import Any

import pytest

from fleet.models import SensorType
from telemetry.models import TelemetryRecord
from telemetry.units import convert
from tests.deliveries import drain_all
from tests.world import Car

CLOCK = 1769594400


@pytest.mark.parametrize(
    ("value", "sent", "kept", "found"),
    [
        (40, "m/s", "km/h", 144), (55, "mph", "km/h", 88.51392), (10, "knots", "m/s", 5.14444444444),
        (21.5, "Celsius", "degC", 21.5), (70, "°F", "degC", 21.1111111111), (300, "K", "°C", 26.85),
        (0.5, "ratio", "%", 50), (55, "percentage", "%", 55), (400, "mW", "W", 0.4), (400, "MW", "kW", 400_000),
        (100, "hp", "kW", 74.5699871582), (100, "PS", "kW", 73.549875), (32, "psi", "bar", 2.20632233381),
        (1, "mi", "m", 1609.344), (60, "Hz", "rpm", 3600), (1, "rad/s", "deg/s", 57.2957795131), (7, "ppb", "PPB", 7),
    ],
)  # fmt: skip
def test_the_same_quantity(value: float, sent: str, kept: str, found: float) -> None:
    assert convert(value, sent, kept) == pytest.approx(found, rel=1e-11)
    if sent != "ppb":
        assert convert(found, kept, sent) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("sent", "kept"), [("psi", "km/h"), ("furlong", "km"), ("km", "furlong"), ("s", "V")]
)
def test_another_quantity(sent: str, kept: str) -> None:
    with pytest.raises(ValueError, match="cannot be turned"):
        convert(1, sent, kept)


@pytest.fixture
def send(client: Any, car: Car) -> Any:
    def post(*readings: dict[str, Any]) -> Any:
        body = [{"timestamp": CLOCK + at, **reading} for at, reading in enumerate(readings)]
        return client.post(
            "/api/v1/sensors/data", body, content_type="application/json", headers={"X-API-Key": car.token}
        )

    return post


def reading(client: Any, car: Car, name: str) -> tuple[float, str | None]:
    reply = client.get(f"/api/v1/sensor/{car.vehicle.slug}/{name}", headers={"X-API-Key": car.token}).json()
    return reply["value"], reply["unit"]


@pytest.mark.django_db
def test_a_signal_in_another_unit_is_converted(client: Any, car: Car, send: Any) -> None:
    assert send({"sensor_type": "speed", "value": 40, "unit": "m/s"}).json()["accepted"] == 1
    drain_all()
    assert reading(client, car, "speed") == (144.0, "km/h")
    assert "unit" not in (TelemetryRecord.objects.get().extra or {})


@pytest.mark.django_db
def test_what_cannot_be_converted_is_refused(send: Any) -> None:
    reply = send({"sensor_type": "speed", "value": 40, "unit": "psi"})
    assert reply.status_code == 400 and reply.json()["errors"][0]["field"] == "[0].unit"
    assert not SensorType.objects.exists()


@pytest.mark.django_db
def test_a_sensor_without_a_unit_takes_the_one_it_comes_with(client: Any, car: Car, send: Any) -> None:
    first = {"sensor_type": "tire_pressure_fl", "value": 2.4, "unit": "bar"}
    again = {"sensor_type": "tire_pressure_fl", "value": 240, "unit": "kPa"}
    assert send(first, again).json()["accepted"] == 2
    drain_all()
    assert reading(client, car, "tire_pressure_fl") == (2.4, "bar")
    assert send({**again, "unit": "volts"}).status_code == 400
    row = SensorType.objects.get()
    assert (row.type, row.unit, row.label) == ("tire_pressure_fl", "bar", "")


@pytest.mark.django_db
def test_what_managers_wrote_stays(client: Any, car: Car, send: Any) -> None:
    SensorType.objects.create(fleet=car.vehicle.fleet, type="fuel_pressure", label="Rail")
    assert send({"sensor_type": "fuel_pressure", "value": 3, "unit": "bar"}).status_code == 200
    drain_all()
    assert reading(client, car, "fuel_pressure") == (3.0, None), "somebody left it open"
