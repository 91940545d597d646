"""One driver: who it is, the versions of the profile, the cars that hold a copy; export, restore, erase."""

from typing import Any

import orjson
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from fleet.access import principal_of
from fleet.audit import Actor
from fleet.behaviour import scorecard, scoring
from fleet.models import Driver
from fleet.pages import assignments, scoretrend
from fleet.pages.drivers import FactsForm, changed, driver_or_404
from fleet.pages.session import page
from fleet.privacy import rules
from profiles import access, versions
from profiles.api.history import copies_of, versions_of
from profiles.export import everything
from profiles.models import DriverProfile, EncryptedProfile

SHOWN_COPIES = 200


@page
def driver(request: HttpRequest, fleet: str, driver: str) -> HttpResponse:
    principal = principal_of(request.user)
    found = driver_or_404(principal, fleet, driver)
    manages = access.may_manage(principal, found)
    form = FactsForm(request.POST) if request.method == "POST" else _form(found)
    if request.method == "POST":
        if not manages:
            raise PermissionDenied
        if changed(request, found, form):
            messages.success(request, "Saved.")
            return redirect(found)
    head = DriverProfile.objects.select_related("erased_by").filter(driver=found).first()
    copies = list(copies_of(found)[: SHOWN_COPIES + 1])
    content = {
        "driver": found,
        "form": form,
        "head": head,
        "versions": versions_of(found),
        "copies": copies[:SHOWN_COPIES],
        "more_copies": len(copies) > SHOWN_COPIES,
        "manages": manages,
        "card": scorecard.of_driver(found, timezone.now()),
        "score_version": scoring.VERSION,
        **assignments.of(request, driver=found),
        **scoretrend.of(principal, found, timezone.now()),
        "private": rules.open_wish(found),
        "exports": access.may_export(principal, found),
    }
    status = 400 if form.errors else 200
    return render(request, "profiles/driver.html", content, status=status)


@page
def export(request: HttpRequest, fleet: str, driver: str) -> HttpResponse:
    """Everything kept, as a file."""
    principal = principal_of(request.user)
    found = driver_or_404(principal, fleet, driver)
    if not access.may_export(principal, found):
        raise PermissionDenied
    text = orjson.dumps(everything(Actor.of(request), found), option=orjson.OPT_INDENT_2)
    response = HttpResponse(text, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="profile-{found.slug}.json"'
    return response


@page
def erase(request: HttpRequest, fleet: str, driver: str) -> HttpResponse:
    """Asks first, naming what will be gone and which cars keep a copy until they call in."""
    found = _managed(request, fleet, driver)
    if request.method == "POST":
        if request.POST.get("confirm") == found.slug:
            count = versions.erase(Actor.of(request), found)
            told = (
                f"Erased: {count} version{'' if count == 1 else 's'}. Cars are told when they next call in."
            )
            messages.success(request, told)
            return redirect(found)
        messages.error(request, f"Nothing was erased: type {found.slug} to confirm.")
    content = {"driver": found, "count": versions_of(found).count(), "copies": copies_of(found)[:20]}
    return render(request, "profiles/erase.html", content)


@page
@require_POST
def lift(request: HttpRequest, fleet: str, driver: str) -> HttpResponse:
    found = _managed(request, fleet, driver)
    if versions.lift(Actor.of(request), found):
        messages.success(request, "Cars may store a new profile for this driver.")
    return redirect(found)


@page
@require_POST
def restore(request: HttpRequest, fleet: str, driver: str, version: int) -> HttpResponse:
    found = _managed(request, fleet, driver)
    try:
        number = versions.restore(Actor.of(request), found, version)
        messages.success(request, f"Version {version} is current again, as version {number}.")
    except EncryptedProfile.DoesNotExist:
        raise Http404 from None
    except versions.ConflictError:
        messages.error(request, f"Version {version} is the current one already.")
    except versions.ErasedError:
        messages.error(request, "The profile was erased: there is nothing to restore.")
    return redirect(found)


def _managed(request: HttpRequest, fleet: str, slug: str) -> Driver:
    principal = principal_of(request.user)
    found = driver_or_404(principal, fleet, slug)
    if not access.may_manage(principal, found):
        raise PermissionDenied
    return found


def _form(driver: Driver) -> FactsForm:
    known: dict[str, Any] = {
        "name": driver.name,
        "user": driver.user.email if driver.user else "",
        "labels": ", ".join(driver.labels),
        "active": driver.active,
    }
    return FactsForm(initial=known)
