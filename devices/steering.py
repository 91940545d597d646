"""Steering a release's rollout by hand: the same acts for the API and the pages, each in the audit trail."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.forms.models import model_to_dict
from django.utils import timezone

from devices.models import ModelRelease, Rollout
from fleet.audit import Actor, record

TERMS = ("percent", "steps", "labels", "success_threshold", "error_threshold", "min_reports", "starts_at")


class SteeringError(Exception):
    """This cannot be done to the rollout as it is now. The text says why."""


@dataclass(slots=True)
class Act:
    """What is being done to a rollout that nobody else changes meanwhile."""

    rollout: Rollout
    now: datetime
    new: bool
    done: bool = True


def change(actor: Actor, release: ModelRelease, wanted: dict[str, Any]) -> Rollout:
    """`wanted`: some of TERMS, and `paused`; what is left out stays. Another percentage begins a stage."""
    with _steered(actor, release, "rollout.changed") as act:
        rollout, percent = act.rollout, act.rollout.percent
        for name in TERMS:
            if name in wanted:
                setattr(rollout, name, wanted[name])
        if act.new or rollout.percent != percent:
            rollout.begin_stage(rollout.percent, act.now, "begun" if act.new else "by hand")
        if "paused" in wanted and wanted["paused"] != (rollout.paused_at is not None):
            _pause(act) if wanted["paused"] else _resume(act)
    return rollout


def pause(actor: Actor, release: ModelRelease) -> Rollout:
    """Offered to nobody but who runs it already. Again: nothing more."""
    with _steered(actor, release, "rollout.paused") as act:
        act.done = act.rollout.paused_at is None
        if act.done:
            _pause(act)
    return act.rollout


def resume(actor: Actor, release: ModelRelease) -> Rollout:
    """What failed before a person said to go on does not pause it again: a new stage of the same size begins."""
    with _steered(actor, release, "rollout.resumed") as act:
        act.done = act.rollout.paused_at is not None
        if act.done:
            _resume(act)
    return act.rollout


def widen(actor: Actor, release: ModelRelease, seen_percent: float) -> Rollout:
    """To the next step, or to everybody. `seen_percent`: what the person saw, so that two do not widen twice."""
    with _steered(actor, release, "rollout.widened") as act:
        rollout = act.rollout
        if rollout.percent != seen_percent:
            raise SteeringError(f"It is at {rollout.percent:g} % meanwhile: look again before you widen it.")
        if (wider := next_step(rollout)) is None:
            raise SteeringError("It reaches everybody already.")
        rollout.begin_stage(wider, act.now, "by hand")
    return rollout


def abort(actor: Actor, release: ModelRelease) -> Rollout:
    """Nobody new gets it, for good. Who runs it keeps it; a better version replaces it. Again: nothing more."""
    with _steered(actor, release, "rollout.aborted", final=True) as act:
        act.done = act.rollout.aborted_at is None
        if act.done:
            act.rollout.aborted_at = act.now
    return act.rollout


def next_step(rollout: Rollout) -> float | None:
    """The percentage that follows: the smallest larger step, else 100. None at the end."""
    steps = [float(step) for step in rollout.steps if step > rollout.percent]
    return min(steps, default=100.0 if rollout.percent < 100 else None)


@contextmanager
def _steered(actor: Actor, release: ModelRelease, action: str, *, final: bool = False) -> Iterator[Act]:
    """The release's rollout, made where there is none, locked until the block ends; then saved and told."""
    with transaction.atomic():
        if not ModelRelease.objects.filter(pk=release.pk, withdrawn_at=None).exists():
            raise SteeringError("This release was withdrawn.")
        now = timezone.now()
        _, new = Rollout.objects.get_or_create(release=release, defaults={"stage_began_at": now})
        rollout = Rollout.objects.select_for_update().get(release=release)
        rollout.release = release
        if rollout.aborted_at is not None and not final:
            raise SteeringError("This rollout was aborted for good: add a better version and roll that out.")
        before, act = _plain(rollout), Act(rollout, now, new)
        yield act
        if act.done:
            rollout.save()
            record(actor, action, release, release.fleet, (before, _plain(rollout)))


def _pause(act: Act) -> None:
    act.rollout.paused_at, act.rollout.paused_because = act.now, "by hand"


def _resume(act: Act) -> None:
    act.rollout.paused_at, act.rollout.paused_because = None, ""
    act.rollout.begin_stage(act.rollout.percent, act.now, "resumed")


def _plain(rollout: Rollout) -> dict[str, Any]:
    starts = rollout.starts_at.isoformat() if rollout.starts_at else None
    known = model_to_dict(rollout, fields=TERMS)
    return known | {
        "starts_at": starts,
        "paused": rollout.paused_at is not None,
        "aborted": rollout.aborted_at is not None,
    }
