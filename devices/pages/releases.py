"""Releases of models and their rollouts, for managers: who gets what, how it goes, and the levers. `/releases`."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.storage import default_storage
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from devices import progress, steering
from devices.models import InstallState, ModelRelease
from devices.pages.releaseforms import ReleaseForm, RolloutForm, owned_fleets
from devices.releases import ExistsError, add_release
from devices.signatures import signer_of
from fleet.access import Principal, managed_fleets, principal_of
from fleet.audit import Actor
from fleet.models import AuditEntry, Role
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.session import page

PAGE_SIZE, DEVICES, AUDIT = 50, 50, 20
STATES = (("", "In force"), ("withdrawn", "Withdrawn"), ("all", "All"))


def managed_release(request: HttpRequest, number: int) -> ModelRelease:
    """Of a fleet one manages, or for everybody. What one may not know of does not exist."""
    principal = principal_of(request.user)
    seen = ModelRelease.objects.visible_to(principal).select_related("fleet", "rollout").filter(pk=number)
    found = seen.first()
    if found is None:
        raise Http404
    fleets = managed_ids(principal)
    if fleets is not None and (not fleets or found.fleet_id not in {None, *fleets}):
        raise PermissionDenied("Releases are for managers and owners of a fleet.")
    return found


def managed_ids(principal: Principal) -> list[int] | None:
    """Fleets whose devices may be looked at here; None: all."""
    if principal.sees_everything:
        return None
    return [fleet for fleet in principal.roles if principal.can(Role.MANAGER, fleet)]


def may_steer(principal: Principal, release: ModelRelease) -> bool:
    """A fleet's rollout is its managers'; one for everybody belongs to the installation's staff."""
    if release.fleet_id is None:
        return principal.sees_everything
    return principal.can(Role.MANAGER, release.fleet_id)


def may_withdraw(principal: Principal, release: ModelRelease) -> bool:
    if release.fleet_id is None:
        return principal.sees_everything
    return principal.can(Role.OWNER, release.fleet_id)


@page
def release_list(request: HttpRequest) -> HttpResponse:
    principal = principal_of(request.user)
    fleets = managed_ids(principal)
    if fleets is not None and not fleets:
        raise PermissionDenied("Releases are for managers and owners of a fleet.")
    asked = {
        name: request.GET.get(name, "").replace("\0", "").strip()[:80]
        for name in ("q", "fleet", "state", "sort")
    }
    rows = _narrowed(_seen(fleets), asked)
    if request.GET.get("export") == "csv":
        return _exported(rows)
    content = {
        "asked": asked,
        "query": urlencode({name: value for name, value in asked.items() if value}),
        "states": STATES,
        "releases": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1")),
        "fleets": managed_fleets(principal),
        "may_add": principal.sees_everything or bool(owned_fleets(principal)),
    }
    is_part = request.headers.get("HX-Request")
    return render(request, "devices/_release_list.html" if is_part else "devices/releases.html", content)


def _seen(fleets: list[int] | None) -> Any:
    found = ModelRelease.objects.select_related("fleet", "rollout")
    mine = Q() if fleets is None else Q(installs__device__vehicle__fleet__in=fleets)
    if fleets is not None:
        found = found.filter(Q(fleet=None) | Q(fleet__in=fleets))
    return found.annotate(
        healthy=Count("installs", filter=mine & Q(installs__state=InstallState.HEALTHY), distinct=True),
        failed=Count("installs", filter=mine & Q(installs__state=InstallState.FAILED), distinct=True),
    )


def _narrowed(found: Any, asked: dict[str, str]) -> Any:
    for word in asked["q"].split():
        found = found.filter(Q(name__icontains=word) | Q(version__icontains=word) | Q(notes__icontains=word))
    if asked["fleet"]:
        found = found.filter(fleet__slug=asked["fleet"])
    if asked["state"] == "withdrawn":
        found = found.filter(active=False)
    elif asked["state"] != "all":
        found = found.filter(active=True)
    return found.order_by(*(("name", "-id") if asked["sort"] == "name" else ("-id",)))


def _exported(rows: Any) -> HttpResponse:
    head = (
        "model",
        "version",
        "fleet",
        "added_utc",
        "bytes",
        "sha256",
        "key",
        "percent",
        "healthy",
        "failed",
        "withdrawn",
    )
    return csv_answer("releases", head, (_cells(row) for row in rows[:EXPORT_LIMIT]))


def _cells(row: Any) -> list[Any]:
    rollout = getattr(row, "rollout", None)
    return [
        row.name, row.version, row.fleet.slug if row.fleet else "", f"{row.created_at:%Y-%m-%d %H:%M:%S}",
        row.size_bytes, row.sha256, row.key_id, rollout.percent if rollout else 100, row.healthy, row.failed,
        "" if row.active else "yes",
    ]  # fmt: skip


@page
def new_release(request: HttpRequest) -> HttpResponse:
    """A signed package from the browser; the same rules as over the API."""
    principal = principal_of(request.user)
    owned = owned_fleets(principal)
    if not principal.sees_everything and not owned:
        raise PermissionDenied("Releases are added by a fleet's owner or by staff.")
    form = ReleaseForm(principal, owned, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            release = add_release(Actor.of(request), form.facts, form.cleaned_data["file"])
        except ValidationError as error:
            for field, texts in error.message_dict.items():
                form.add_error(field if field in form.fields else None, texts)
        except ExistsError:
            form.add_error("version", "This version exists, and a release never changes: number it anew.")
        else:
            messages.success(request, f"{release} is verified and offered.")
            return redirect("release-page", release.pk)
    return render(request, "devices/release_new.html", {"form": form}, status=400 if form.errors else 200)


@page
def release_page(request: HttpRequest, release: int) -> HttpResponse:
    return shown(request, managed_release(request, release))


def shown(
    request: HttpRequest, release: ModelRelease, form: RolloutForm | None = None, problem: str = ""
) -> HttpResponse:
    principal, now = principal_of(request.user), timezone.now()
    fleets = managed_ids(principal)
    rollout = getattr(release, "rollout", None)
    devices = progress.devices_of(release, fleets)
    words = request.GET.get("q", "").replace("\0", "").strip()[:80]
    for word in words.split():
        devices = devices.filter(Q(name__icontains=word) | Q(vehicle__name__icontains=word))
    offered, looked = progress.offered_now(release, progress.devices_of(release, fleets), now)
    rows = Paginator(devices.order_by("vehicle__name", "name", "id"), DEVICES).get_page(
        request.GET.get("page", "1")
    )
    content = {
        "release": release,
        "rollout": rollout,
        "stages": progress.stages(release, fleets),
        "offered": offered,
        "looked": looked,
        "rows": rows,
        "standings": progress.standings(release, list(rows), now),
        "q": words,
        "problem": problem,
    }
    if not request.headers.get("HX-Request"):
        content |= _surroundings(principal, release, form)
        return render(request, "devices/release.html", content, status=400 if problem or form else 200)
    return render(request, "devices/_release_progress.html", content)


def _surroundings(principal: Principal, release: ModelRelease, form: RolloutForm | None) -> dict[str, Any]:
    """What the page shows around the progress."""
    rollout = getattr(release, "rollout", None)
    audit = AuditEntry.objects.filter(object_type="modelrelease", object_id=str(release.pk))
    versions = ModelRelease.objects.filter(name=release.name, fleet=release.fleet_id).exclude(pk=release.pk)
    return {
        "signer": signer_of(bytes.fromhex(release.sha256), release.signature) if release.sha256 else None,
        "there": release.withdrawn_at is None and default_storage.exists(release.stored_as),
        "may_steer": may_steer(principal, release),
        "may_withdraw": may_withdraw(principal, release),
        "audit": audit.order_by("-id")[:AUDIT],
        "versions": versions.order_by("-id")[:20],
        "next_step": steering.next_step(rollout) if rollout else None,
        "form": form or RolloutForm.of(rollout),
    }
