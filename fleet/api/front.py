"""What all machine-facing addresses share, around Django's own handling of a request.

Paths are read as clients build them (a slash too many), what no view should meet is refused, every error is a problem
document, reads that repeat cost a 304, and answers say how much of the rate limit is left.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from fleet.api import throttles
from fleet.api.etags import revalidated
from fleet.api.problems import MEDIA_TYPE, content_of

_MACHINES = ("/api/", "/health", "/status", "/logger/")
_PEOPLE = ("/api/docs",)
_SLASHES = re.compile("/{2,}")
_JSON = ("application/json", MEDIA_TYPE)
_SAID = {
    400: "The request cannot be understood.",
    403: "This needs a cross-site request token or a device's token.",
    404: "There is nothing at this address: see /api/docs.",
    405: "This address does not know the method: see Allow.",
    500: "The server failed. Whatever was sent may not have been kept: send it again.",
}


class ApiFront:
    """Middleware; put it inside CORS and outside everything that may raise."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        path = _SLASHES.sub("/", request.path_info)
        if not path.startswith(_MACHINES) or path.startswith(_PEOPLE):
            return self.get_response(request)
        request.path_info = request.path = path.rstrip("/")
        _measure(request)
        refusal = _unreadable(request)
        if iscoroutinefunction(self):
            return self._later(request, refusal)
        return refusal or _dressed(request, self.get_response(request))

    async def _later(self, request: HttpRequest, refusal: HttpResponse | None) -> HttpResponseBase:
        return refusal or _dressed(request, await self.get_response(request))


def _measure(request: HttpRequest) -> None:
    """A body in chunks announces no length, and would be taken for none."""
    stream = getattr(request, "_stream", None)
    if request.headers.get("Transfer-Encoding") and not request.META.get("CONTENT_LENGTH") and stream:
        request.META["CONTENT_LENGTH"] = str(stream.seek(0, 2))
        stream.seek(0)


def _unreadable(request: HttpRequest) -> HttpResponse | None:
    """PostgreSQL cannot even look for a NUL."""
    if "\0" in request.path_info:
        return _problem(404, _SAID[404])
    query = request.META.get("QUERY_STRING", "")
    if "%00" not in query and "\0" not in query:
        return None
    odd = [name for name, texts in request.GET.lists() if any("\0" in text for text in (name, *texts))]
    errors = [{"field": name.replace("\0", "?"), "reason": "Contains the character U+0000."} for name in odd]
    return _problem(400, "The address holds the character U+0000.", errors)


def _dressed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    kind = response.get("Content-Type", "").partition(";")[0]
    if response.status_code >= 400 and kind not in _JSON and isinstance(response, HttpResponse):
        response = _as_problem(response)
    throttles.dress(request, response)
    if kind == "application/json" and request.method in {"GET", "HEAD"} and response.status_code == 200:
        return revalidated(request, response)
    return response


def _as_problem(response: HttpResponse) -> HttpResponse:
    """What Django itself answered, for machines."""
    status = response.status_code
    changed = _problem(status, _SAID.get(status, HTTPStatus(status).phrase))
    for name, value in response.headers.items():
        if name != "Content-Length":
            changed.headers.setdefault(name, value)
    return changed


def _problem(status: int, detail: str, errors: list[dict[str, str]] | None = None) -> HttpResponse:
    body = orjson.dumps(content_of(status, detail, errors))
    return HttpResponse(body, status=status, content_type=MEDIA_TYPE)
