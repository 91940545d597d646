"""One file of a report: how far it is, and the file itself. Right without scripts; only for whom it was made."""

from typing import Any

from django.contrib import messages
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from fleet.access import principal_of, visible_fleets
from fleet.api.files import Stored, file_answer
from fleet.audit import Actor
from fleet.models import ExportState, ReportExport, ReportFormat
from fleet.pages.session import page
from fleet.reports import exports, registry, wishes
from fleet.reports.exports import TooManyError
from fleet.reports.files import MEDIA_TYPES
from fleet.reports.wishes import Wish, WishError


def export_of(user: object, uid: object) -> ReportExport:
    """404 to everybody whose it is not, and to who reads the fleet no more."""
    principal = principal_of(user)
    limits = {fleet.pk: wishes.limit_of(principal, fleet) for fleet in visible_fleets(user)}
    whole = [pk for pk, limit in limits.items() if limit is None]
    mine = exports.shown_to(principal.user_id, whole, [pk for pk, limit in limits.items() if limit])
    found: ReportExport = get_object_or_404(mine.select_related("fleet", "schedule", "user"), uid=uid)
    return found


@page
def export(request: HttpRequest, export: str) -> HttpResponse:
    """The page, its state when htmx asks; its forms cancel it, or ask for the same again."""
    found = export_of(request.user, export)
    if request.method == "POST":
        return _act(request, found)
    report = registry.named(found.report)
    content = {"export": found, "fleet": found.fleet, "report": report, "wish": Wish.of(found.wish)}
    whole = not request.headers.get("HX-Request")
    return render(request, "fleet/export.html" if whole else "fleet/_export.html", content)


def _act(request: HttpRequest, export: ReportExport) -> HttpResponse:
    mine = export.user == request.user and export.schedule_id is None
    report = registry.named(export.report)
    if not mine or report is None:
        raise Http404
    actor = Actor.of(request)
    if request.POST.get("act") == "cancel":
        if not exports.cancel(actor, export):
            messages.info(request, "It was over already.")
    elif request.POST.get("act") == "again":
        try:
            made = exports.ask_for(actor, export.fleet, report, export.format, Wish.of(export.wish))
            return redirect("export", made.uid)
        except (WishError, TooManyError) as error:
            messages.error(request, str(error))
    return redirect("export", export.uid)


@page
def export_file(request: HttpRequest, export: str) -> HttpResponse:
    return stored_answer(request, export_of(request.user, export))  # type: ignore[return-value]


def stored_answer(request: Any, export: ReportExport) -> HttpResponseBase:
    """In blocks and ranges; 404 before it is there and after it has expired."""
    if (
        export.state != ExportState.DONE
        or not export.stored_as
        or not default_storage.exists(export.stored_as)
    ):
        raise Http404
    if export.expires_at and export.expires_at <= timezone.now():
        raise Http404
    kind = MEDIA_TYPES[ReportFormat(export.format)]
    stored = Stored(export.stored_as, export.size_bytes or 0, f'"{export.uid.hex}"', export.filename, kind)
    return file_answer(request, stored)
