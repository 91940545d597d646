"""Everything a fleet drove is judged anew: after its limits changed, or the way events are found."""

from django.db import transaction
from django.db.models import F, Q

from fleet.driving import FINDER_VERSION
from fleet.models import DrivingSettings, Fleet, Vehicle
from telemetry.frames import to_us
from telemetry.models import TelemetryRecord
from telemetry.touched import PACED


def take_up() -> int:
    """Fleets whose limits, or whose way of finding events, changed: everything they drove is judged anew. Answers how
    many fleets. What is derived meanwhile by the limits of before is touched again."""
    new = Fleet.objects.filter(driving=None).values_list("pk", flat=True)
    DrivingSettings.objects.bulk_create([DrivingSettings(fleet_id=pk) for pk in new], ignore_conflicts=True)
    waiting = ~Q(found_version=F("version")) | ~Q(finder_version=FINDER_VERSION)
    if not DrivingSettings.objects.filter(waiting).exists():
        return 0
    with transaction.atomic():
        rows = DrivingSettings.objects.select_for_update().filter(waiting).order_by("pk")
        versions = {row.pk: row.version for row in rows}
        for fleet in versions:
            _touch_all(fleet)
        for row in rows:
            row.found_version, row.finder_version = row.version, FINDER_VERSION
        DrivingSettings.objects.bulk_update(rows, ["found_version", "finder_version"])
    return len(versions)


def _touch_all(fleet_id: int) -> None:
    spans = []
    for vehicle in Vehicle.objects.filter(fleet=fleet_id).order_by("pk").values_list("pk", flat=True):
        mine = TelemetryRecord.objects.filter(vehicle=vehicle)
        # One after the other: each is the end of an index, which an aggregate of both would not use.
        first = mine.order_by("time").values_list("time", flat=True).first()
        last = mine.order_by("-time").values_list("time", flat=True).first()
        if first is not None and last is not None:
            spans.append((vehicle, to_us(first), to_us(last)))
    PACED.widen(spans)
