"""Blanking what is told and stored. Of what becomes private after the fact, too: by a late summary of a private driver.

Irreversible here; what follows from history is derived again when time turns out not to be private."""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from django.db import transaction
from django.db.models import F, Model, Q
from django.db.models.functions import Coalesce

from fleet import push
from fleet.coarse import without_places
from fleet.models import (
    Alert,
    AlertEvent,
    AlertReport,
    Annotation,
    ChargingSession,
    DrivingEvent,
    Scenario,
    Stop,
    Trip,
    TripSummary,
    VehicleState,
    Visit,
    WebhookDelivery,
)
from fleet.privacy.erased import nameless
from fleet.privacy.gate import Shade, hidden, names_a_position

M = TypeVar("M")

_PRIVATE: Final = "Its time is private by now."
TRIP: Final = ("start_latitude_deg", "start_longitude_deg", "end_latitude_deg", "end_longitude_deg")
PLACE: Final = ("latitude_deg", "longitude_deg")


@dataclass(frozen=True, slots=True)
class Mask:
    """Columns of a table that hold a position of the time from `first` to `last`; `told`: JSON and text that may."""

    model: type[Model]
    first: str
    last: str = ""
    columns: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    vehicle: str = "vehicle"


MASKS: Final = (
    Mask(Trip, "started_at", "ended_at", TRIP),
    Mask(Stop, "started_at", "ended_at", PLACE),
    Mask(ChargingSession, "started_at", "ended_at", PLACE),
    Mask(DrivingEvent, "started_at", "ended_at", PLACE),
    Mask(VehicleState, "place_time", "", (*PLACE, "heading_deg")),
    Mask(TripSummary, "start_time", "until", TRIP, ("metadata",)),
    Mask(Alert, "first_at", "last_at", told=("message", "data")),
    Mask(AlertReport, "at", told=("message", "data"), vehicle="alert__vehicle"),
    Mask(Scenario, "time", told=("metadata",)),
    Mask(Annotation, "scenario__time", told=("label", "details"), vehicle="scenario__vehicle"),
)


def apply(vehicles: Collection[int]) -> None:
    """To these vehicles' rows, in the transaction that made their time private."""
    for mask in MASKS:
        rows = mask.model._default_manager.filter(**{f"{mask.vehicle}__in": vehicles})
        if mask.last == "until":
            rows = rows.annotate(until=Coalesce(F("end_time"), F("start_time")))
        rows = rows.filter(hidden(mask.vehicle, mask.first, mask.last))
        if mask.columns:
            rows.filter(**{f"{mask.columns[0]}__isnull": False}).update(**dict.fromkeys(mask.columns))
        if mask.told:
            _strip(rows, mask)
    _forget_states(vehicles)
    _take_off_maps(vehicles)
    # What lies wholly in private time nobody was told of; others are found anew from history.
    past = Visit.objects.filter(vehicle__in=vehicles, left_at__isnull=False)
    unseen = Q(first_at=None) | Q(hidden("vehicle", "first_at"), hidden("vehicle", "last_at"))
    past.filter(unseen, hidden("vehicle", "entered_at"), hidden("vehicle", "left_at")).delete()


def keep_off(summaries: Collection[TripSummary]) -> None:
    """Of summaries just stored, in place and in their rows. One query where none is private."""
    shade = Shade.over((one.vehicle_id, one.start_time, one.end_time or one.start_time) for one in summaries)
    for one in summaries:
        if shade.meets(one.vehicle_id, one.start_time, one.end_time):
            for name in TRIP:
                setattr(one, name, None)
            one.metadata = without_places(one.metadata)
            one.save(update_fields=[*TRIP, "metadata"])


def told(vehicle_id: int, at: datetime, content: M) -> M:
    """What a device says of a moment, without positions where that is private, and without erased drivers."""
    shade = Shade.over([(vehicle_id, at, at)])
    found: M = without_places(content) if shade.meets(vehicle_id, at) else content
    nobody: M = nameless(vehicle_id, found)
    return nobody


def _strip(rows: Any, mask: Mask) -> None:
    changed = []
    for row in rows.only("pk", *mask.told).iterator():
        before = {name: getattr(row, name) for name in mask.told}
        after = {name: without_places(value) for name, value in before.items()}
        if names_a_position(str((before.get("data") or {}).get("field", ""))):
            # A rule's, which watches where something is: its value is a coordinate.
            after = {"message": _PRIVATE, "data": {n: v for n, v in after["data"].items() if n != "value"}}
        if before != after:
            for name, value in after.items():
                setattr(row, name, value)
            changed.append(row)
    if changed:
        mask.model._default_manager.bulk_update(changed, mask.told, batch_size=500)
    if mask.model is Alert:
        _events_of(changed)


def _events_of(alerts: Collection[Any]) -> None:
    """What was, or is still to be, said of these alerts."""
    for alert in alerts:
        AlertEvent.objects.filter(alert=alert).update(message=alert.message)
        for delivery in WebhookDelivery.objects.filter(event__alert=alert):
            content = without_places(json.loads(delivery.body))
            for told in (content.get("data"), (content.get("data") or {}).get("alert")):
                if isinstance(told, dict) and "message" in told:
                    told |= {"message": alert.message, **({"data": alert.data} if "data" in told else {})}
            delivery.body = json.dumps(content)
            delivery.save(update_fields=["body"])


def _take_off_maps(vehicles: Collection[int]) -> None:
    """Of pages that are open."""
    states = VehicleState.objects.filter(hidden("vehicle", "place_time"), vehicle__in=vehicles)
    fleets: dict[int, list[int]] = defaultdict(list)
    for vehicle, fleet in states.values_list("vehicle", "vehicle__fleet"):
        fleets[fleet].append(vehicle)
    for fleet, hidden_ones in fleets.items():
        transaction.on_commit(partial(push.hide, fleet, hidden_ones), robust=True)


def _forget_states(vehicles: Collection[int]) -> None:
    """Signals last known stand in JSON; further ones have ages of their own, and those of places go whole."""
    changed = []
    for state in VehicleState.objects.filter(hidden("vehicle", "time"), vehicle__in=vehicles):
        state.values = {name: value for name, value in state.values.items() if not names_a_position(name)}
        state.further = {n: v for n, v in (state.further or {}).items() if not names_a_position(n)} or None
        state.reconstructed = [name for name in state.reconstructed if not names_a_position(name)]
        changed.append(state)
    VehicleState.objects.bulk_update(changed, ["values", "further", "reconstructed"])


def forget(fleet_id: int, before: datetime) -> None:
    """Positions of what ended before this moment: retention."""
    for mask in MASKS:
        if mask.model is VehicleState:
            continue
        rows = mask.model._default_manager.filter(**{f"{mask.vehicle}__fleet": fleet_id})
        if mask.last == "until":
            rows = rows.annotate(until=Coalesce(F("end_time"), F("start_time")))
        rows = rows.filter(**{f"{mask.last or mask.first}__lt": before})
        if mask.columns:
            rows.filter(**{f"{mask.columns[0]}__isnull": False}).update(**dict.fromkeys(mask.columns))
        if mask.told:
            _strip(rows, mask)
