"""The forms of a device's page: tokens, account, in or out of service. One address, told apart by `do`."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from devices import accounts, retiring, tokens
from devices.models import Device, DeviceToken, Scope
from devices.pages.device import in_days, managed_device, shown
from devices.tokens import Terms
from fleet.audit import Actor
from fleet.pages.session import page

_NAME_LENGTH = 120


@require_POST
@page
def act(request: HttpRequest, fleet: str, device: str) -> HttpResponse:
    found = managed_device(request, fleet, device)
    do = _ACTS.get(request.POST.get("do", ""))
    if do is None:
        return shown(request, found, 400, problem="Choose what to do.")
    try:
        return do(request, found)
    except ValidationError as error:
        texts = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        reason = " ".join(text for each in texts.values() for text in each)
        return shown(request, found, 400, problem=reason, refused=request.POST)


def _issue(request: HttpRequest, device: Device) -> HttpResponse:
    name = " ".join(request.POST.get("name", "").replace("\0", "").split())[:_NAME_LENGTH]
    if not name:
        raise ValidationError({"name": "Say what the token is for, so that it can be told apart one day."})
    if not device.working:
        raise ValidationError("A retired device gets no token: bring it back first.")
    scopes = tuple(scope for scope in request.POST.getlist("scopes") if scope in Scope.values)
    everything = len(scopes) in {0, len(Scope.values)}
    terms = Terms(name, in_days(request.POST.get("days", "")), () if everything else scopes)
    token, text = tokens.issue(device, terms, Actor.of(request))
    return _told_once(request, device, token, text, f"Token “{token.name}”")


def _rotate(request: HttpRequest, device: Device) -> HttpResponse:
    old = _token(request, device)
    if not old.usable:
        raise ValidationError("This token has ended already: issue a new one.")
    token, text = tokens.rotate(old, Actor.of(request), timezone.now())
    hours = f"{tokens.OVERLAP.total_seconds() / 3600:.0f}"
    title = f"Token “{token.name}”; the one before works for another {hours} hours"
    return _told_once(request, device, token, text, title)


def _told_once(
    request: HttpRequest, device: Device, token: DeviceToken, text: str, title: str
) -> HttpResponse:
    may_send = not token.scopes or Scope.TELEMETRY in token.scopes
    return shown(request, device, secret=text, secret_title=title, secret_sends=may_send)


def _revoke(request: HttpRequest, device: Device) -> HttpResponse:
    token = _token(request, device)
    tokens.revoke(token, Actor.of(request))
    messages.success(request, f"cvy_{token.prefix}_… is revoked: refused everywhere within seconds.")
    return _back(device)


def _token(request: HttpRequest, device: Device) -> DeviceToken:
    prefix = request.POST.get("token", "").replace("\0", "")
    found: DeviceToken = get_object_or_404(device.tokens.select_related("device"), prefix=prefix)
    found.device = device
    return found


def _create_account(request: HttpRequest, device: Device) -> HttpResponse:
    email = request.POST.get("email", "").replace("\0", "")
    password = accounts.create(Actor.of(request), device, email)
    device.refresh_from_db(fields=["account"])
    return shown(request, device, secret=password, secret_title=f"Password of {email.strip().lower()}")


def _reset_account(request: HttpRequest, device: Device) -> HttpResponse:
    if not device.working:
        raise ValidationError("A retired device does not log in: bring it back first.")
    password = accounts.reset(Actor.of(request), device)
    device.refresh_from_db(fields=["account"])
    return shown(request, device, secret=password, secret_title=f"New password of {device.account}")


def _disable_account(request: HttpRequest, device: Device) -> HttpResponse:
    accounts.disable(Actor.of(request), device)
    messages.success(request, "The account is disabled. Resetting its password enables it again.")
    return _back(device)


def _retire(request: HttpRequest, device: Device) -> HttpResponse:
    retiring.retire(Actor.of(request), device)
    messages.success(request, f"{device.name} is retired. Its history stays.")
    return _back(device)


def _revive(request: HttpRequest, device: Device) -> HttpResponse:
    retiring.revive(Actor.of(request), device)
    messages.success(request, f"{device.name} is back in service. Issue a token for it.")
    return _back(device)


def _back(device: Device) -> HttpResponse:
    return redirect("device-page", device.vehicle.fleet.slug, device.slug)


_ACTS: dict[str, Callable[[HttpRequest, Device], HttpResponse]] = {
    "issue": _issue,
    "rotate": _rotate,
    "revoke": _revoke,
    "account": _create_account,
    "reset": _reset_account,
    "disable": _disable_account,
    "retire": _retire,
    "revive": _revive,
}
