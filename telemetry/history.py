"""Reading history back: the newest records, and what happened since a moment. Read-only."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from edge.protocol.signals import SIGNALS, names_in
from fleet.models import Vehicle, VehicleState
from fleet.models.vehicles import motion_of
from fleet.privacy.gate import hidden, names_a_position
from telemetry.models import Quality, TelemetryRecord

PAGE = 1_000
FEW_VEHICLES = 20


def newest(vehicles: Sequence[Vehicle], count: int = 100) -> list[dict[str, Any]]:
    """The newest records of a few vehicles, or the newest state of each of many; oldest first."""
    if len(vehicles) > FEW_VEHICLES:
        states = VehicleState.objects.filter(vehicle__in=vehicles).order_by("-time")[:count]
        by_id = {vehicle.pk: vehicle for vehicle in vehicles}
        return [_state(state, by_id[state.pk]) for state in reversed(states)]
    records: list[dict[str, Any]] = []
    for vehicle in vehicles:
        rows = TelemetryRecord.objects.filter(vehicle=vehicle).order_by("-time", "-sequence")[:count]
        records += described(rows, {vehicle.pk: vehicle})
    records.sort(key=lambda record: record["timestamp"])
    return records[-count:]


def since(
    vehicles: Iterable[Vehicle], moment: datetime, until: datetime | None = None, limit: int = PAGE
) -> list[dict[str, Any]]:
    """Every record of these vehicles after `moment`, oldest first, at most `limit`."""
    by_id = {vehicle.pk: vehicle for vehicle in vehicles}
    rows = TelemetryRecord.objects.filter(vehicle__in=by_id, time__gt=moment)
    if until is not None:
        rows = rows.filter(time__lte=until)
    return described(rows.order_by("time", "sequence")[:limit], by_id)


def described(rows: "QuerySet[TelemetryRecord]", vehicles: dict[int, Vehicle]) -> list[dict[str, Any]]:
    """Each record as the `data` of a telemetry message."""
    return [
        describe(row, vehicles[row.vehicle_id], private=row.private)
        for row in rows.annotate(private=hidden())
    ]


def describe(row: TelemetryRecord, vehicle: Vehicle, *, private: bool) -> dict[str, Any]:
    values = {signal.name: getattr(row, signal.column) for signal in SIGNALS}
    present = {name: value for name, value in values.items() if value is not None}
    extra = row.extra or {}
    if private:
        present, extra = (
            {name: value for name, value in some.items() if not names_a_position(name)}
            for some in (present, extra)
        )
    return {
        "vehicle_vin": vehicle.vin or "",
        "vehicle": vehicle.slug,
        "vehicle_id": vehicle.pk,
        "timestamp": row.time.timestamp(),
        **present,
        "reconstructed": [name for name in names_in(~row.sent) if name in present],
        "quality": Quality(row.quality).label,
        **({"extra": extra} if extra else {}),
    }


def _state(state: VehicleState, vehicle: Vehicle) -> dict[str, Any]:
    return {
        "vehicle_vin": vehicle.vin or "",
        "vehicle": vehicle.slug,
        "vehicle_id": vehicle.pk,
        "timestamp": state.time.timestamp(),
        **state.values,
        "reconstructed": state.reconstructed,
        "quality": state.quality,
        "motion": motion_of(state.values, state.received_at, timezone.now()).value,
    }
