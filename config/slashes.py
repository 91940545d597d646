"""A page asked for with a slash too many or too few is shown where it is."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import is_valid_path
from django.utils.http import escape_leading_slashes

EXACT = ("/api/", "/status", "/health", "/logger", "/static/")
"""No pages: `fleet.api.front` sees to the API's addresses."""


class SlashMiddleware:
    """Only what leads nowhere else: a page that somebody may not see stays a 404."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        path = request.path_info
        if answer.status_code != 404 or request.method not in {"GET", "HEAD"} or path.startswith(EXACT):
            return answer
        other = path.rstrip("/") if path.endswith("/") else f"{path}/"
        if not other or is_valid_path(path) or not is_valid_path(other):
            return answer
        query = request.META.get("QUERY_STRING", "")
        return HttpResponseRedirect(escape_leading_slashes(other) + (f"?{query}" if query else ""))
