"""A driver as a person: everything kept of them as a file, and their erasure. `/drivers/{fleet}/{driver}/person`."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from fleet.access import principal_of
from fleet.api.person import may_export, stored_answer
from fleet.audit import Actor
from fleet.models import Driver, Role, User
from fleet.pages.drivers import driver_or_404
from fleet.pages.session import page
from fleet.people import account, second_factor
from fleet.privacy import wishes

_SHOWN = 20


@sensitive_post_parameters()
@page
def person(request: HttpRequest, fleet: str, driver: str) -> HttpResponse:
    """`act`: export with `reason`, or erase with `confirm`, `password` and `code`."""
    principal = principal_of(request.user)
    found = driver_or_404(principal, fleet, driver)
    if not may_export(principal, found):
        raise PermissionDenied("This takes a manager of the fleet, or the driver in person.")
    assert isinstance(request.user, User)
    manages = principal.can(Role.MANAGER, found.fleet_id)
    problem = ""
    if request.method == "POST":
        problem = _acted(request, request.user, found, manages)
        if not problem:
            return redirect("driver-person", found.fleet.slug, found.slug)
    content = {
        "driver": found,
        "manages": manages,
        "own": found.user_id == principal.user_id,
        "problem": problem,
        "wishes": wishes.shown_to(principal.user_id, found)[:_SHOWN],
        "second_factor": second_factor.is_on(request.user),
    }
    return render(request, "fleet/person.html", content, status=400 if problem else 200)


@page
def person_file(request: HttpRequest, fleet: str, driver: str, wish: str) -> HttpResponse:
    principal = principal_of(request.user)
    found = driver_or_404(principal, fleet, driver)
    if not may_export(principal, found):
        raise PermissionDenied("This takes a manager of the fleet, or the driver in person.")
    return stored_answer(request, found, principal, wish)  # type: ignore[return-value]


def _acted(request: HttpRequest, user: User, driver: Driver, manages: bool) -> str:
    """What was wrong."""
    asked = request.POST
    reason = asked.get("reason", "").replace("\0", "")
    try:
        if asked.get("act") == "export":
            wishes.export(Actor.of(request), driver, reason)
            messages.success(request, "The file is being made: reload this page in a moment.")
        elif asked.get("act") == "erase":
            if not manages:
                raise PermissionDenied("Erasing somebody takes a manager of the fleet.")
            if asked.get("confirm") != driver.slug:
                return f"Nothing was erased: type {driver.slug} to confirm."
            if not account.proves(request, user, asked.get("password", ""), asked.get("code", "")):
                return "Nothing was erased: the password or the code is wrong."
            wishes.erase(Actor.of(request), driver, reason)
            messages.success(request, "The erasure has begun, and cannot be stopped.")
    except wishes.RefusedError as refused:
        return str(refused)
    return ""
