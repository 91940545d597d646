"""The levers of a release's page: pause, go on, widen, abort, change the terms, withdraw."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from devices import steering
from devices.models import ModelRelease
from devices.pages.releaseforms import RolloutForm
from devices.pages.releases import managed_release, may_steer, may_withdraw, shown
from devices.releases import withdraw
from fleet.access import principal_of
from fleet.audit import Actor
from fleet.pages.session import page


@require_POST
@page
def act(request: HttpRequest, release: int) -> HttpResponse:
    """`do` tells the forms apart."""
    found = managed_release(request, release)
    do = request.POST.get("do", "")
    if do == "withdraw":
        return _withdraw(request, found)
    if not may_steer(principal_of(request.user), found):
        raise PermissionDenied("A rollout is steered by the fleet's managers; of one for all, by staff.")
    if do == "terms":
        return _change(request, found)
    try:
        told = _steer(request, found, do)
    except steering.SteeringError as error:
        return shown(request, found, problem=str(error))
    if told is None:
        return shown(request, found, problem="Choose what to do.")
    messages.success(request, told)
    return redirect("release-page", found.pk)


def _steer(request: HttpRequest, release: ModelRelease, do: str) -> str | None:
    """What was done, in words; None for what is no act."""
    actor = Actor.of(request)
    if do == "pause":
        steering.pause(actor, release)
        return "Paused: offered to nobody but who runs it already."
    if do == "resume":
        steering.resume(actor, release)
        return "Going on; counts begin afresh."
    if do == "widen":
        try:
            seen = float(request.POST.get("seen", ""))
        except ValueError:
            return None
        rollout = steering.widen(actor, release, seen)
        return f"Widened to {rollout.percent:g} %."
    if do == "abort":
        steering.abort(actor, release)
        return "Aborted: nobody new gets this version."
    return None


def _change(request: HttpRequest, release: ModelRelease) -> HttpResponse:
    form = RolloutForm(request.POST)
    if not form.is_valid():
        return shown(request, release, form)
    try:
        steering.change(Actor.of(request), release, form.wanted)
    except steering.SteeringError as error:
        return shown(request, release, problem=str(error))
    messages.success(request, "The rollout's terms are saved.")
    return redirect("release-page", release.pk)


def _withdraw(request: HttpRequest, release: ModelRelease) -> HttpResponse:
    if not may_withdraw(principal_of(request.user), release):
        raise PermissionDenied("A release is withdrawn by the fleet's owners; one for all, by staff.")
    if request.POST.get("confirm", "").strip() != release.version:
        return shown(request, release, problem=f"Type {release.version} to confirm: this cannot be undone.")
    withdraw(Actor.of(request), release)
    messages.success(request, f"{release} is withdrawn and its file deleted.")
    return redirect("release-page", release.pk)
