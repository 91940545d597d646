"""A fleet's registration secrets: made, shown once, watched, revoked."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from devices.pages.device import LIVES, in_days
from devices.registration import issue_secret, revoke_secret
from fleet.access import principal_of, visible_fleets
from fleet.audit import Actor
from fleet.models import Fleet, Role
from fleet.pages.session import page

SHOWN = 100
_MOST_DEVICES = 1_000_000


@page
def registration(request: HttpRequest, fleet: str) -> HttpResponse:
    """GET: the list. POST: `do` is issue or revoke."""
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=fleet)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise PermissionDenied("Registration secrets are a manager's matter.")
    if request.method != "POST":
        return _shown(request, found)
    if request.POST.get("do") == "revoke":
        prefix = request.POST.get("secret", "").replace("\0", "")
        secret = get_object_or_404(found.registration_secrets.select_related("fleet"), prefix=prefix)
        revoke_secret(Actor.of(request), secret)
        messages.success(request, f"cvr_{secret.prefix}_… is revoked. Devices that used it stay.")
        return redirect("registration", fleet)
    return _issued(request, found)


def _issued(request: HttpRequest, fleet: Fleet) -> HttpResponse:
    name = " ".join(request.POST.get("name", "").replace("\0", "").split())[:120]
    limit = request.POST.get("limit", "").strip()
    if not name:
        return _shown(request, fleet, problem="Say which devices will carry it.")
    if limit and not (limit.isdecimal() and len(limit) < 8 and 0 < int(limit) <= _MOST_DEVICES):
        return _shown(request, fleet, problem=f"How many devices: a number from 1 to {_MOST_DEVICES:,}.")
    expires_at = in_days(request.POST.get("days", ""))
    _, text = issue_secret(Actor.of(request), fleet, name, int(limit) if limit else None, expires_at)
    return _shown(request, fleet, secret=text)


def _shown(request: HttpRequest, fleet: Fleet, *, secret: str = "", problem: str = "") -> HttpResponse:
    now = timezone.now()
    secrets = list(fleet.registration_secrets.select_related("created_by")[:SHOWN])
    usable = set(fleet.registration_secrets.usable(now).values_list("pk", flat=True))
    content = {
        "fleet": fleet,
        "rows": [(row, row.pk in usable) for row in secrets],
        "secret": secret,
        "problem": problem,
        "lives": LIVES,
        "server": request.build_absolute_uri("/").rstrip("/"),
    }
    response = render(request, "devices/registration.html", content, status=400 if problem else 200)
    if secret:
        add_never_cache_headers(response)
    return response
