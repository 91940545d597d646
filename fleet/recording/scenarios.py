"""The life of a scenario: received with consent, annotated, withdrawn or grown old."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from fleet import audit
from fleet.models import Annotation, Fleet, Piece, Scenario, Upload, Vehicle
from fleet.privacy import masks
from fleet.recording import footage


class WithdrawnError(Exception):
    """Consent for this scenario was withdrawn: it is not taken again."""


def receive(vehicle: Vehicle, scenario_id: str, values: dict[str, Any]) -> tuple[Scenario, bool]:
    """The scenario, and whether it is new; what was told first stays."""
    kept = {**values, "metadata": masks.told(vehicle.pk, values["time"], values.get("metadata") or {})}
    scenario, created = Scenario.objects.get_or_create(
        vehicle=vehicle, scenario_id=scenario_id, defaults={"fleet_id": vehicle.fleet_id, **kept}
    )
    if scenario.withdrawn_at is not None:
        raise WithdrawnError
    return scenario, created


def annotate(scenario: Scenario, told: Iterable[dict[str, Any]]) -> None:
    """Each has offset_s, label, details. What is there already is not added again."""
    rows = []
    for one in told:
        content = orjson.dumps(one, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(content).hexdigest()
        kept = masks.told(scenario.vehicle_id, scenario.time, one)
        rows.append(Annotation(scenario=scenario, digest=digest, **kept))
    with transaction.atomic():
        # Against a withdrawal at the same time: one of the two comes first.
        if not locked(scenario):
            raise WithdrawnError
        Annotation.objects.bulk_create(rows, ignore_conflicts=True)


def locked(scenario: Scenario) -> Scenario | None:
    """The row, held until the transaction ends; None when consent is gone."""
    return Scenario.objects.select_for_update().filter(pk=scenario.pk, withdrawn_at=None).first()


def withdraw(actor: audit.Actor, scenario: Scenario, now: datetime) -> None:
    """Footage, annotations and metadata go at once; the name stays, so that it does not come back."""
    with transaction.atomic():
        found = locked(scenario)
        if found is None:
            return
        before = {"videos": _drop_footage(found), "trigger": found.trigger, "withdrawn_at": None}
        found.annotations.all().delete()
        found.metadata, found.trigger, found.withdrawn_at = {}, "", now
        found.save(update_fields=["metadata", "trigger", "withdrawn_at"])
        after = {"videos": [], "trigger": "", "withdrawn_at": now.isoformat()}
        audit.record(actor, "scenario.withdrawn", found, found.fleet, (before, after))


def expire(now: datetime) -> int:
    """Delete footage older than its fleet keeps it, and uploads nobody resumed. Answers how many scenarios."""
    found = 0
    for scenario in _too_old(now)[:1000]:
        with transaction.atomic():
            row = locked(scenario)
            if row is None:
                continue
            before = {"videos": _drop_footage(row)}
            row.expired_at = now
            row.save(update_fields=["expired_at"])
            audit.record(audit.SYSTEM, "footage.expired", row, row.fleet, (before, {"videos": []}))
        found += 1
    for upload in Upload.objects.filter(expires_at__lte=now)[:1000]:
        drop_upload(upload)
    return found


def _too_old(now: datetime) -> "QuerySet[Scenario]":
    days = Fleet.objects.exclude(footage_days=None).values_list("footage_days", flat=True).distinct()
    old = Q()
    for kept in {*filter(None, days), *filter(None, [settings.FOOTAGE.days])}:
        fleets = Q(fleet__footage_days=kept)
        if kept == settings.FOOTAGE.days:
            fleets |= Q(fleet__footage_days=None)
        old |= fleets & Q(received_at__lte=now - timedelta(days=kept))
    return (
        Scenario.objects.filter(old, expired_at=None, withdrawn_at=None) if old else Scenario.objects.none()
    )


def drop_upload(upload: Upload) -> None:
    with transaction.atomic():
        names = list(Piece.objects.filter(upload=upload).values_list("stored_as", flat=True))
        Upload.objects.filter(pk=upload.pk).delete()
        transaction.on_commit(partial(footage.delete, names), robust=True)


def _drop_footage(scenario: Scenario) -> list[str]:
    """Rows now, files after the commit (a crash in between leaves files to the sweep). What was dropped, in words."""
    videos = list(scenario.videos.all())
    pieces = Piece.objects.filter(upload__scenario=scenario).values_list("stored_as", flat=True)
    names = [*(video.stored_as for video in videos), *pieces]
    scenario.uploads.all().delete()
    scenario.videos.all().delete()
    transaction.on_commit(partial(footage.delete, names), robust=True)
    return [f"{video.camera}: {video.size_bytes} bytes, SHA-256 {video.sha256}" for video in videos]
