"""Who may open a page, and what a page's own requests are told when the session is over."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.cache import patch_cache_control, patch_vary_headers

from fleet.pages.enrolment import enrol_first

View = Callable[..., HttpResponse]


class LoginForm(AuthenticationForm):
    """E-mail in any case; the accounts of devices are for the API only."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "E-mail and password do not match. Passwords are case-sensitive.",
    }

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).strip().lower()

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if user.is_device:
            raise ValidationError("This is a device's account: it logs in over the API only.", code="device")


def page(view: View) -> Callable[..., HttpResponseBase]:
    """A page for people who are logged in; its parts are asked for by htmx at the same address."""

    @wraps(view)
    def after_enrolment(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return enrol_first(request, kwargs.get("fleet")) or view(request, *args, **kwargs)

    return own_page(after_enrolment)


def own_page(view: View) -> Callable[..., HttpResponseBase]:
    """The same for pages about the reader, which need no second factor: there it is set up."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.headers.get("HX-Request"):
            return part(view)(request, *args, **kwargs)
        response = login_required(view)(request, *args, **kwargs)
        patch_cache_control(response, private=True, no_cache=True)
        patch_vary_headers(response, ["HX-Request"])
        return response

    return answer


def part(view: View) -> Callable[..., HttpResponseBase]:
    """A fragment or data: 401 instead of a log-in page swapped into the middle of another."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            response = view(request, *args, **kwargs)
        else:
            response = HttpResponse("Log in first.", status=401, content_type="text/plain")
            current = urlsplit(request.headers.get("HX-Current-URL", ""))
            back = current.path + (f"?{current.query}" if current.query else "")
            response["HX-Redirect"] = resolve_url("login") + "?" + urlencode({"next": back or "/"})
        patch_cache_control(response, private=True, no_cache=True)
        patch_vary_headers(response, ["HX-Request"])
        return response

    return answer
