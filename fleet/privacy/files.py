"""Files that people made before time became private: they may hold its positions, so they go. Whoever needs one asks
again."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from fleet.models import ExportState, PersonWish, PersonWishKind, PrivateRule, ReportExport, WishState
from fleet.recording import footage

_DAY = timedelta(days=1)
"""A report's days are those of some time zone."""


def withdraw(rule: PrivateRule, stretches: Iterable[tuple[datetime, datetime]]) -> None:
    """In the transaction that made these stretches of the rule's fleet private. What was made before the first of them
    began knows nothing of it; the driver's own file is for their eyes."""
    private = list(stretches)
    if not private:
        return
    begin = min(begins for begins, _ in private)
    days = begin.date() - _DAY, max(min(ends, timezone.now()) for _, ends in private).date() + _DAY
    reports = ReportExport.objects.filter(fleet=rule.fleet_id)
    made = reports.filter(ended_at__gt=begin).exclude(stored_as="")
    told = {pk: name for pk, name, wish in made.values_list("pk", "stored_as", "wish") if _meets(wish, *days)}
    reports.filter(pk__in=told).update(state=ExportState.EXPIRED, stored_as="")
    # One that is being written has read what was not private yet: without its claim it begins anew.
    reports.filter(state=ExportState.RUNNING).update(
        state=ExportState.WAITING, claim="", due_at=timezone.now()
    )
    wishes = PersonWish.objects.filter(fleet=rule.fleet_id, kind=PersonWishKind.EXPORT, ended_at__gt=begin)
    others = dict(
        wishes.exclude(stored_as="").exclude(own=True, driver=rule.driver_id).values_list("pk", "stored_as")
    )
    PersonWish.objects.filter(pk__in=others).update(state=WishState.EXPIRED, stored_as="")
    names = [*told.values(), *others.values()]
    transaction.on_commit(lambda: footage.delete(names), robust=True)


def _meets(wish: Mapping[str, Any], first: date, last: date) -> bool:
    if not wish.get("first") or not wish.get("last"):
        return True
    return date.fromisoformat(wish["first"]) <= last and date.fromisoformat(wish["last"]) >= first
