"""How a release fares: stage by stage, and device by device with the reason why it is (not) offered it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from devices.models import Device, InstallState, ModelInstall, ModelRelease, Rollout
from devices.rollouts import held_back, stopped, unfit

LOOKED_AT = 20_000
"""Devices looked at to say how many are offered a release."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a rollout: devices that began in it, by the newest they reported."""

    percent: float
    began_at: datetime
    why: str
    counts: dict[str, int]

    @property
    def begun(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Standing:
    """One device and one release. `reason` is empty where it is offered."""

    device: Device
    runs: ModelRelease | None
    install: ModelInstall | None
    reason: str


def devices_of(release: ModelRelease, fleets: list[int] | None) -> "QuerySet[Device]":
    """Those a release could be for, in service; `fleets`: only of these."""
    found = Device.objects.working().select_related("vehicle__fleet")
    if release.fleet_id is not None:
        found = found.filter(vehicle__fleet=release.fleet_id)
    return found if fleets is None else found.filter(vehicle__fleet__in=fleets)


def stages(release: ModelRelease, fleets: list[int] | None) -> list[Stage]:
    """Newest first. One query. Without a rollout: one stage of everybody."""
    begun = _begun(release)
    bounds = [began for _, began, _ in begun[1:]]
    counts: dict[str, Any] = {}
    for number, (_, began, _) in enumerate(begun):
        within = Q(began_at__gte=began) if number else Q()
        if number < len(bounds):
            within &= Q(began_at__lt=bounds[number])
        for state in InstallState.values:
            counts[f"{state}_{number}"] = Count("id", filter=within & Q(state=state))
    installs = ModelInstall.objects.filter(release=release)
    if fleets is not None:
        installs = installs.filter(device__vehicle__fleet__in=fleets)
    found = installs.aggregate(**counts)
    rows = [
        Stage(percent, began, why, {state: found[f"{state}_{number}"] for state in InstallState.values})
        for number, (percent, began, why) in enumerate(begun)
    ]
    return rows[::-1]


def offered_now(release: ModelRelease, devices: "QuerySet[Device]", now: datetime) -> tuple[int, int]:
    """How many of the first LOOKED_AT devices the release is offered to now, and how many were looked at."""
    rollout: Rollout | None = getattr(release, "rollout", None)
    if not release.active or (rollout and stopped(rollout, now)):
        return 0, min(devices.count(), LOOKED_AT)
    # Only what decides: a page that refreshes itself must not read ten thousand whole rows each time.
    rows = devices.select_related(None).select_related("vehicle")
    rows = rows.only("metadata", "vehicle__model", "vehicle__labels").order_by("pk")[:LOOKED_AT]
    reached = [not (unfit(release, row) or held_back(release, row, now)) for row in rows.iterator(2_000)]
    return sum(reached), len(reached)


def standings(release: ModelRelease, devices: Sequence[Device], now: datetime) -> list[Standing]:
    """Of these devices, `vehicle` selected. Two queries."""
    rivals = [
        other
        for other in ModelRelease.objects.filter(name=release.name, active=True).select_related("rollout")
        if other.order > release.order
    ]
    installs: dict[int, list[ModelInstall]] = defaultdict(list)
    rows = ModelInstall.objects.filter(device__in=devices, release__name=release.name)
    for install in rows.select_related("release").order_by("state_at", "id"):
        installs[install.device_id].append(install)
    return [_standing(release, device, installs[device.pk], rivals, now) for device in devices]


def _standing(
    release: ModelRelease,
    device: Device,
    installs: list[ModelInstall],
    rivals: list[ModelRelease],
    now: datetime,
) -> Standing:
    healthy = [each.release for each in installs if each.state == InstallState.HEALTHY]
    runs = healthy[-1] if healthy else None
    own = next((each for each in installs if each.release_id == release.pk), None)
    known = {each.pk for each in healthy}
    if not release.active:
        reason = "withdrawn"
    elif reason := unfit(release, device):
        pass
    elif newer := next((other for other in rivals if _meant(other, device, known, now)), None):
        reason = f"{newer.version} is offered instead"
    elif release.pk not in known:
        reason = held_back(release, device, now)
    return Standing(device, runs, own, reason)


def _meant(release: ModelRelease, device: Device, healthy: set[int], now: datetime) -> bool:
    if release.fleet_id not in {None, device.vehicle.fleet_id} or unfit(release, device):
        return False
    return release.pk in healthy or not held_back(release, device, now)


def _begun(release: ModelRelease) -> list[tuple[float, datetime, str]]:
    """Percent, beginning, reason; oldest first."""
    rollout: Rollout | None = getattr(release, "rollout", None)
    if rollout is None:
        return [(100.0, release.created_at, "for everybody at once")]
    told = [
        (float(s["percent"]), datetime.fromisoformat(s["began_at"]), str(s["why"])) for s in rollout.stages
    ]
    return told or [(rollout.percent, rollout.stage_began_at, "begun")]
