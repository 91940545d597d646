"""Everything a fleet drove is judged anew: after its limits changed, or the way events are found."""

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery

from fleet.behaviour.driving import FINDER_VERSION
from fleet.models import DrivingSettings, Fleet, Vehicle
from telemetry.derivation.touched import PACED
from telemetry.frames import to_us
from telemetry.models import TelemetryRecord


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
    mine = TelemetryRecord.objects.filter(vehicle=OuterRef("pk"))
    # Two questions, not one for both: each is the end of an index, which an aggregate would not use.
    first, last = (Subquery(mine.order_by(way).values("time")[:1]) for way in ("time", "-time"))
    vehicles = Vehicle.objects.filter(fleet=fleet_id).annotate(first=first, last=last).exclude(first=None)
    rows = vehicles.order_by("pk").values_list("pk", "first", "last")
    PACED.widen([(vehicle, to_us(begin), to_us(end)) for vehicle, begin, end in rows])
