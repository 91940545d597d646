"""What telemetry reports of devices and of compression: the rows that history itself would give."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine

from devices.models import Device, DeviceConfig, DeviceStatus
from fleet.models import Fleet, VehicleState
from fleet.reports import registry, wishes
from fleet.reports.wishes import Wish
from telemetry.models import CompressionStat, Gap, Stream
from tests.world import Car, make_car

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WISH = Wish(first=date(2026, 11, 19), last=date(2026, 11, 20))


@pytest.fixture
def cars(db: None) -> list[Car]:
    with time_machine.travel(NOW, tick=False):
        return [make_car("north", "van-a"), make_car("north", "van-b")]


def rows(report: str, wish: Wish = WISH) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    found = registry.named(report)
    assert found
    every = Wish(wish.first, wish.last, wish.vehicles, columns=tuple(column.name for column in found.columns))
    table = wishes.table_of(found, Fleet.objects.get(slug="north"), every)
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.page(1, 100)], table.totals()


def test_device_health(cars: list[Car], django_assert_max_num_queries: Any) -> None:
    a, b = (car.device for car in cars)
    VehicleState.objects.create(vehicle=cars[1].vehicle, time=NOW, received_at=NOW)
    for hours, status in ((1, "online"), (2, "error"), (72, "old")):
        at = NOW - timedelta(hours=hours)
        DeviceStatus.objects.create(device=b, time=at, status=status, received_at=at)
    for device, gap in ((b, 5), (b, 20), (a, 1)):
        stream, _ = Stream.objects.get_or_create(
            device=device, vehicle=device.vehicle, stream_id=1, defaults={"records": 30, "incomplete": 3}
        )
        Gap.objects.create(stream=stream, first=gap, last=gap + 9)
    Device.objects.filter(pk=a.pk).update(active=False, metadata={"firmware": "2.1"})
    with django_assert_max_num_queries(9):
        found, totals = rows("devices")
    second, first = found  # never heard of: at the end
    assert (second["device"], second["status"], second["status_at"]) == (
        b.name,
        "online",
        NOW - timedelta(hours=1),
    )
    assert (second["statuses"], second["gaps"], second["missing"], second["incomplete"]) == (2, 2, 20, 3)
    assert (first["device"], first["working"], first["version"], first["seen"]) == (
        a.name,
        False,
        "2.1",
        None,
    )
    assert (first["statuses"], first["gaps"], first["missing"]) == (0, 1, 10)
    assert totals["missing"] == 30 and totals["records"] == 60
    assert {row["config"] for row in found} <= {None, *DeviceConfig.objects.values_list("state", flat=True)}


def test_compression_adds_up_to_the_share_of_all(cars: list[Car]) -> None:
    for place, day, sent, skipped in ((0, 19, 100, 300), (1, 20, 300, 100), (1, 18, 1, 9), (0, 20, 0, 0)):
        CompressionStat.objects.create(
            vehicle=cars[place].vehicle, day=date(2026, 11, day), records=10, transmitted_readings=sent,
            skipped_readings=skipped, bytes_received=500,
        )  # fmt: skip
    found, totals = rows("compression")
    assert [(row["day"].day, row["vehicle"], row["saved"]) for row in found] == [
        (20, "van-b", 0.25), (20, "van-a", None), (19, "van-a", 0.75),
    ]  # fmt: skip
    assert totals["saved"] == 0.5 and totals["bytes_a_record"] == 50
    only, _ = rows("compression", Wish(WISH.first, WISH.last, vehicles=("van-a",)))
    assert {row["vehicle"] for row in only} == {"van-a"}
