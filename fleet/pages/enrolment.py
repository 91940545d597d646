"""Second factor first: who needs one is led to where it is set up, and comes back afterwards."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from fleet.access import lacks_staff_factor, principal_of
from fleet.models import Fleet, User

_OPEN_TO_ALL = ("/account", "/logout", "/login", "/static/", "/health", "/status", "/api/")


def enrol_first(request: HttpRequest, fleet: Any) -> HttpResponse | None:
    """Of a page, about the fleet of this slug or about all: where to go instead, if anywhere."""
    principal = principal_of(request.user)
    if not principal.withheld:
        return None
    nothing_else = not principal.roles and not principal.sees_everything
    if nothing_else or (fleet and Fleet.objects.filter(pk__in=principal.withheld, slug=fleet).exists()):
        return _led(request)
    return None


class StaffEnrolMiddleware:
    """The admin included. The API needs no word here: such a person has no rights in it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.STAFF_SECOND_FACTOR and not request.path.startswith(_OPEN_TO_ALL):
            user: Any = request.user
            if user.is_authenticated and isinstance(user, User) and lacks_staff_factor(user):
                return _led(request)
        return self.get_response(request)


def _led(request: HttpRequest) -> HttpResponse:
    wanted = request.get_full_path() if request.method == "GET" else "/"
    address = reverse("second-factor") + "?" + urlencode({"next": wanted})
    if request.headers.get("HX-Request"):
        return HttpResponse(status=403, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)
