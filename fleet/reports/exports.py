"""Files of reports that workers make: asked for, claimed, written, kept for a while.

A claim is a lease that the progress renews. A worker that dies leaves a row whose lease ends: another takes it up from
the beginning. Only who still holds the claim when the file is written puts it into the row, so there is one file.
"""

import logging
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from fleet.access import person
from fleet.audit import Actor, record
from fleet.models import ExportState, Fleet, ReportExport
from fleet.notifying import mail
from fleet.recording import footage
from fleet.reports import deliveries, files
from fleet.reports.report import Report
from fleet.reports.wishes import Wish, WishError, limit_of, report_named, table_of

log = logging.getLogger(__name__)
FOLDER = "reports"
KEPT = timedelta(days=7)
"""A file; its row stays for ROWS_KEPT."""
ROWS_KEPT = timedelta(days=400)
LEASE = timedelta(minutes=3)
TRIES = 3
UNDER_WAY_MOST = 5
"""Of one person."""
_RETRY_AFTER = timedelta(minutes=1)
_TOLD_EVERY_S = 1.0


class TooManyError(Exception):
    """Of this person so many are waiting or running already."""


class _LostError(Exception):
    """Cancelled, or the lease went to somebody else."""


def ask_for(actor: Actor, fleet: Fleet, report: Report, kind: str, wish: Wish) -> ReportExport:
    """A row that workers take up. Raises WishError, TooManyError."""
    if kind not in report.formats:
        raise WishError("format", f"This report comes as {', '.join(report.formats)}.")
    table_of(report, fleet, wish)
    with transaction.atomic():
        mine = ReportExport.objects.filter(user=actor.user, schedule=None)
        if mine.filter(state__in=(ExportState.WAITING, ExportState.RUNNING)).count() >= UNDER_WAY_MOST:
            raise TooManyError(f"{UNDER_WAY_MOST} exports of yours are under way: wait for one of them.")
        now = timezone.now()
        export = ReportExport.objects.create(
            fleet=fleet, user=actor.user, report=report.name, format=kind, wish=wish.stored,
            due_at=now, created_at=now,
        )  # fmt: skip
        record(actor, "report.exported", export, fleet, ({}, {"report": report.name, "format": kind}))
        mail.queue("fleet.make_reports")
    return export


def cancel(actor: Actor, export: ReportExport) -> bool:
    """False: it was over already."""
    with transaction.atomic():
        stopped = (
            _under_way()
            .filter(pk=export.pk)
            .update(state=ExportState.CANCELLED, due_at=None, claim="", ended_at=timezone.now())
        )
        if stopped:
            record(actor, "report.cancelled", export, export.fleet, ({}, {}))
    return bool(stopped)


def _under_way() -> "QuerySet[ReportExport]":
    return ReportExport.objects.filter(state__in=(ExportState.WAITING, ExportState.RUNNING))


def anything_due(now: datetime) -> bool:
    return ReportExport.objects.filter(due_at__lte=now).exists()


def make_due() -> int:
    """Make files until none is due. How many."""
    made = 0
    while export := claim(timezone.now()):
        made += make(export)
    return made


def claim(now: datetime) -> ReportExport | None:
    """The one that waits longest, or whose worker fell silent. None: nothing is due, or all of it is taken."""
    while True:
        with transaction.atomic():
            due = ReportExport.objects.filter(due_at__lte=now).order_by("due_at")
            export = due.select_for_update(skip_locked=True, of=("self",)).first()
            if export is None:
                return None
            if export.attempts < TRIES:
                export.claim, export.due_at = uuid.uuid4().hex, now + LEASE
                export.state, export.attempts = ExportState.RUNNING, export.attempts + 1
                export.rows, export.rows_expected, export.started_at = 0, None, now
                export.save()
                return export
            export.state, export.due_at, export.claim, export.ended_at = ExportState.FAILED, None, "", now
            export.error = export.error or f"Its worker ended {TRIES} times before it was written."
            export.save()


def make(export: ReportExport) -> bool:
    """Write the file of a claimed row. False: it could not be, or it was lost on the way."""
    try:
        with tempfile.TemporaryFile() as out:
            rows = _write(export, cast(BinaryIO, out))
            size = out.tell()
            out.seek(0)
            return _finish(export, rows, size, out)
    except _LostError:
        return False
    except (WishError, files.TooManyRowsError) as error:
        _fail(export, str(error))
    except Exception as error:
        log.warning("export %s could not be made", export.uid, exc_info=True)
        _postpone(export, f"{type(error).__name__}: {error}")
    return False


def _write(export: ReportExport, out: BinaryIO) -> int:
    if not _may_have(export):
        raise WishError("user", "Who asked for it may not read this fleet’s reports any more.")
    table = table_of(report_named(export.report), export.fleet, Wish.of(export.wish))
    expected = table.count()
    files.check(export.format, expected)
    _tell(export, rows=0, rows_expected=expected, filename=f"{table.filename}.{export.format}")
    rows = files.write(export.format, table, out, _teller(export))
    out.seek(0, 2)
    return rows


def _may_have(export: ReportExport) -> bool:
    """Still: who became a driver since then reads their own rows only."""
    if export.user is None or export.schedule_id:
        return True
    limit, only = limit_of(person(export.user), export.fleet), Wish.of(export.wish).only
    return limit is None or (bool(only) and set(only) <= set(limit))


def _teller(export: ReportExport) -> Callable[[int], None]:
    told = time.monotonic()

    def progress(rows: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _TOLD_EVERY_S:
            _tell(export, rows=rows)
            told = time.monotonic()

    return progress


def _mine(export: ReportExport) -> "QuerySet[ReportExport]":
    return ReportExport.objects.filter(pk=export.pk, claim=export.claim, state=ExportState.RUNNING)


def _tell(export: ReportExport, **facts: Any) -> None:
    """The progress, and the lease for longer. Raises _LostError."""
    if not _mine(export).update(due_at=timezone.now() + LEASE, **facts):
        raise _LostError


def _finish(export: ReportExport, rows: int, size: int, out: Any) -> bool:
    """The file first, then the row; a file that no row came to know is deleted here, or by the sweep."""
    name = footage.save(footage.new_name(FOLDER, suffix=f".{export.format}"), out)
    now = timezone.now()
    with transaction.atomic():
        state = deliveries.outcome(export, rows)
        kept = state == ExportState.DONE
        done = _mine(export).update(
            state=state, rows=rows, size_bytes=size, stored_as=name if kept else "", claim="", due_at=None,
            ended_at=now, expires_at=now + KEPT if kept else None, error="",
        )  # fmt: skip
        if done and kept:
            deliveries.plan(export, now)
    if not (done and kept):
        footage.delete([name])
    return bool(done)


def _fail(export: ReportExport, reason: str) -> None:
    _mine(export).update(
        state=ExportState.FAILED, error=reason[:300], claim="", due_at=None, ended_at=timezone.now()
    )


def _postpone(export: ReportExport, reason: str) -> None:
    if export.attempts >= TRIES:
        _fail(export, reason)
    else:
        _mine(export).update(
            state=ExportState.WAITING, error=reason[:300], claim="", due_at=timezone.now() + _RETRY_AFTER
        )


def expire(now: datetime) -> int:
    """Delete files that are too old, and files that no row knows. Rows go before files. How many."""
    gone = 0
    for pk, name in ReportExport.objects.filter(~Q(stored_as=""), expires_at__lte=now).values_list(
        "pk", "stored_as"
    ):
        gone += ReportExport.objects.filter(pk=pk).update(state=ExportState.EXPIRED, stored_as="")
        footage.delete([name])
    ReportExport.objects.filter(stored_as="", created_at__lt=now - ROWS_KEPT).delete()
    footage.sweep_folder(FOLDER, _known, now)
    return gone


def _known(names: set[str]) -> set[str]:
    return set(ReportExport.objects.filter(stored_as__in=names).values_list("stored_as", flat=True))


def shown_to(user: Any, fleet_ids: list[int] | None, limited: Iterable[int] = ()) -> "QuerySet[ReportExport]":
    """What somebody asked for, and what was mailed to them; of fleets they still read. `limited`: fleets of which they
    read their own rows, so only what was made under that limit."""
    mine = ReportExport.objects.filter(Q(user=user, schedule=None) | Q(deliveries__user=user)).distinct()
    if fleet_ids is None:
        return mine
    return mine.filter(Q(fleet__in=fleet_ids) | Q(fleet__in=list(limited), wish__has_key="only"))
