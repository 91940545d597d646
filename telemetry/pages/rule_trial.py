"""What a rule would have done in the last days, before it is saved: over stored records, nothing is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Final

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from fleet.alerting.conditions import condition_of, stretches
from fleet.geofencing.crossings import crossings
from fleet.models import AlertRule, Fleet, RuleKind, Vehicle, Visit
from fleet.pages.rules import RuleForm, managed, render_form
from fleet.pages.session import page
from telemetry.derivation import readback
from telemetry.derivation.around import Watch, samples_of
from telemetry.derivation.fencerules import presence_of, wanted_by
from telemetry.derivation.positions import PLACES, positions_of
from telemetry.derivation.readback import Columns
from telemetry.frames import to_us
from telemetry.models import TelemetryRecord

DAYS: Final = 7
ROWS: Final = 150_000
"""Looked at in one request; a larger fleet is judged by its first vehicles, and the page says so."""
LISTED: Final = 8
_Look = Callable[[AlertRule, Vehicle, datetime, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Trial:
    days: int
    episodes: int
    per_vehicle: list[tuple[Vehicle, int]]
    """The vehicles that would have had an alert, most episodes first."""
    looked_at: int
    members: int
    cut: bool
    """More records than are looked at."""

    @property
    def listed(self) -> list[tuple[Vehicle, int]]:
        return self.per_vehicle[:LISTED]


@page
def rule_trial(request: HttpRequest, fleet: str) -> HttpResponse:
    """The form again with what the trial found; for htmx only that."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    found = managed(request, fleet)
    number = request.POST.get("rule", "")
    known = get_object_or_404(AlertRule, pk=int(number), fleet=found) if number.isdigit() else None
    form = RuleForm(found, request.POST, instance=known)
    trial = None
    if form.is_valid():
        trial = judge(form.instance, members_of(found, form), timezone.now())
    if request.headers.get("HX-Request"):
        return render(request, "telemetry/_rule_trial.html", {"trial": trial, "form": form})
    return render_form(request, found, form, trial=trial)


def members_of(fleet: Fleet, form: RuleForm) -> list[Vehicle]:
    if not form.cleaned_data["all_vehicles"]:
        return list(form.cleaned_data["vehicles"])
    return list(fleet.vehicles.filter(state__isnull=False).order_by("-state__received_at"))


def judge(rule: AlertRule, vehicles: list[Vehicle], now: datetime) -> Trial:
    left, looked_at = ROWS, 0
    found: list[tuple[Vehicle, int]] = []
    since = now - timedelta(days=DAYS)
    for vehicle in vehicles:
        if left <= 0:
            break
        count, rows = _LOOKS.get(rule.kind, _episodes)(rule, vehicle, since, left)
        left -= rows
        looked_at += 1
        if count:
            found.append((vehicle, count))
    found.sort(key=lambda one: -one[1])
    total = sum(count for _, count in found)
    return Trial(DAYS, total, found, looked_at, len(vehicles), cut=left <= 0)


def _episodes(rule: AlertRule, vehicle: Vehicle, since: datetime, limit: int) -> tuple[int, int]:
    """How many, and how many records were read for it."""
    condition = condition_of(rule)
    watch = Watch(rule, condition, to_us(since), None)
    rows = readback.after(Columns.of([condition.field]), vehicle.pk, to_us(since))
    read = 0

    def counted() -> Iterator[readback.Row]:
        nonlocal read
        for row in islice(rows, limit):
            read += 1
            yield row

    found = stretches(condition, samples_of(watch, counted()))
    return sum(one.confirmed(condition) for one in found), read


def _crossings(rule: AlertRule, vehicle: Vehicle, since: datetime, limit: int) -> tuple[int, int]:
    """By the visits that are stored; a geofence made just now has none yet."""
    rows = Visit.objects.filter(geofence=rule.geofence, vehicle=vehicle, confirmed=True)
    rows = rows.filter(Q(left_at=None) | Q(left_at__gte=since)).order_by("entered_at")[:limit]
    visits = [presence_of(row) for row in rows]
    last = positions_of(readback.before(PLACES, vehicle.pk, to_us(timezone.now()), to_us(since)))
    first = positions_of(readback.after(PLACES, vehicle.pk, to_us(since) - 1))
    ends = next(first, None), next(last, None)
    seen_us = (ends[0].time_us, ends[1].time_us) if ends[0] and ends[1] else None
    rule.since = since
    return len(crossings(wanted_by(rule), visits, seen_us)), len(visits)


def _silences(rule: AlertRule, vehicle: Vehicle, since: datetime, limit: int) -> tuple[int, int]:
    records = TelemetryRecord.objects.filter(vehicle=vehicle, time__gte=since).order_by("-time")
    heard = sorted(records.values_list("received_at", "ignition")[:limit], key=lambda row: row[0])
    limit_s = rule.silent_after_s or 0
    gaps = (
        before
        for before, after in pairwise([*heard, (timezone.now(), None)])
        if (after[0] - before[0]).total_seconds() > limit_s
    )
    return sum(not (rule.ignore_parked and before[1] == 0) for before in gaps), len(heard)


_LOOKS: Final[dict[str, _Look]] = {RuleKind.SILENCE: _silences, RuleKind.GEOFENCE: _crossings}
