"""Which releases a device is offered, what it reports about them, and what that does to the rollout."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from devices.models import Device
from devices.models.releases import InstallState, ModelInstall, ModelRelease, Rollout
from fleet.access import Principal
from fleet.audit import SYSTEM, record

_PROGRESS = [InstallState.DOWNLOADED, InstallState.INSTALLED, InstallState.HEALTHY]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one stage: devices that began in it, and how many of those judged are healthy or failed."""

    begun: int
    healthy: int
    failed: int

    @property
    def judged(self) -> int:
        return self.healthy + self.failed


def offered(principal: Principal, name: str = "") -> list[ModelRelease]:
    """Releases meant for this device (a person: for any of their fleets), newest version first. Three queries."""
    rows = ModelRelease.objects.visible_to(principal).filter(active=True).select_related("rollout", "fleet")
    if name:
        rows = rows.filter(name=name)
    found = sorted(rows, key=lambda release: (release.order, release.fleet_id or 0), reverse=True)
    if principal.device_id is None:
        return found
    device = Device.objects.select_related("vehicle").get(pk=principal.device_id)
    mine = ModelInstall.objects.filter(device=device, state=InstallState.HEALTHY)
    healthy, now = set(mine.values_list("release_id", flat=True)), timezone.now()
    return [
        release
        for release in found
        if not unfit(release, device) and (release.pk in healthy or not held_back(release, device, now))
    ]


def newest(releases: list[ModelRelease]) -> list[ModelRelease]:
    """The first of each name."""
    found: dict[str, ModelRelease] = {}
    for release in releases:
        found.setdefault(release.name, release)
    return [found[name] for name in sorted(found)]


def place_of(release: ModelRelease, device_id: int) -> float:
    """0 to 100: where the device stands in this release's queue. Never moves, and differs from release to release."""
    text = f"{release.name}/{release.canonical}/{device_id}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48 * 100


@transaction.atomic
def report(device_id: int, release: ModelRelease, state: str, detail: str) -> None:
    """What a device says of a release. Repeated or late words change nothing; only `healthy` counts as success."""
    rollout = Rollout.objects.select_for_update().filter(release=release).first()
    now = timezone.now()
    known, made = ModelInstall.objects.select_for_update().get_or_create(
        release=release,
        device_id=device_id,
        defaults={"state": state, "detail": detail, "began_at": now, "state_at": now},
    )
    if not made and _is_news(known.state, state):
        known.state, known.detail, known.state_at = state, detail, now
        known.save()
    if rollout and rollout.paused_at is None and rollout.aborted_at is None:
        _judge(rollout, release, now)


def outcome_of(rollout: Rollout) -> Outcome:
    """Counted since the stage began; a failure counts whenever the device had begun."""
    began = Q(began_at__gte=rollout.stage_began_at)
    counts = ModelInstall.objects.filter(release_id=rollout.release_id).aggregate(
        begun=Count("id", filter=began),
        healthy=Count("id", filter=began & Q(state=InstallState.HEALTHY)),
        failed=Count("id", filter=Q(state=InstallState.FAILED, state_at__gte=rollout.stage_began_at)),
    )
    return Outcome(**counts)


def _is_news(known: str, state: str) -> bool:
    if InstallState.FAILED in {known, state}:
        return known != state and state in {InstallState.FAILED, InstallState.HEALTHY}
    return _PROGRESS.index(InstallState(state)) > _PROGRESS.index(InstallState(known))


def _judge(rollout: Rollout, release: ModelRelease, now: datetime) -> None:
    """Needs the rollout locked: two reports at once must not widen twice."""
    seen = outcome_of(rollout)
    if seen.judged < max(1, rollout.min_reports):
        return
    before: dict[str, Any] = {"percent": rollout.percent, "paused": False}
    if seen.failed / seen.judged > rollout.error_threshold:
        rollout.paused_at = now
        rollout.paused_because = f"{seen.failed} of {seen.judged} devices failed"
        rollout.save()
        after = {"percent": rollout.percent, "paused": True, "because": rollout.paused_because}
        record(SYSTEM, "rollout.paused", release, release.fleet, (before, after))
        return
    wider = [step for step in sorted(rollout.steps) if step > rollout.percent]
    if wider and seen.healthy / max(1, seen.begun) >= rollout.success_threshold:
        # Later than `now`: who reported just now began before the new stage.
        rollout.begin_stage(wider[0], timezone.now(), f"{seen.healthy} of {seen.begun} healthy")
        rollout.save()
        after = {"percent": rollout.percent, "paused": False, "healthy": seen.healthy}
        record(SYSTEM, "rollout.widened", release, release.fleet, (before, after))


def held_back(release: ModelRelease, device: Device, now: datetime) -> str:
    """Why the rollout does not reach the device yet, for people; empty when it does. Needs `rollout` selected."""
    rollout: Rollout | None = getattr(release, "rollout", None)
    if rollout is None:
        return ""
    if reason := stopped(rollout, now):
        return reason
    if rollout.labels and not set(rollout.labels) & labels_of(device):
        return f"has none of the labels {', '.join(rollout.labels)}"
    place = place_of(release, device.pk)
    return (
        "" if place < rollout.percent else f"stands at {place:.1f} %, the stage ends at {rollout.percent:g} %"
    )


def stopped(rollout: Rollout, now: datetime) -> str:
    """Why it reaches nobody new at all, for people; empty when it may."""
    if rollout.aborted_at:
        return "the rollout was aborted"
    if rollout.paused_at:
        return "the rollout is paused"
    return "the rollout has not started" if rollout.starts_at and rollout.starts_at > now else ""


def labels_of(device: Device) -> set[str]:
    """Its vehicle's, and those it told when it registered. Needs `vehicle` selected."""
    known = device.metadata.get("labels", []) if isinstance(device.metadata, dict) else []
    told = [*(known if isinstance(known, list) else []), *device.vehicle.labels]
    return {label for label in told if isinstance(label, str)}


def unfit(release: ModelRelease, device: Device) -> str:
    """Why the device cannot run it, for people; empty when it can.

    Every key of `compatibility` must allow the device; what it does not tell of itself, it does not have.
    """
    known = {**device.metadata, "vehicle_model": device.vehicle.model}
    for key, allowed in release.compatibility.items():
        wanted = allowed if isinstance(allowed, list) else [allowed]
        if known.get(key) not in wanted:
            words = ", ".join(map(str, wanted))
            return f"{key} is {known.get(key) or 'not known'}, needed: {words}"
    return ""
