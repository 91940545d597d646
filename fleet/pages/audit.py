"""A fleet's audit trail in the browser, for its managers."""

from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from fleet.access import principal_of, visible_fleets
from fleet.api.audit import narrowed
from fleet.models import Role
from fleet.pages.session import page

PAGE_SIZE = 100
_COUNTED = 5_000
"""Beyond this, the pages are not counted further: the trail only grows."""


@page
def audit(request: HttpRequest, fleet: str) -> HttpResponse:
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise PermissionDenied
    asked = {name: request.GET.get(name, "").strip()[:80] for name in ("action", "actor", "object")}
    rows = narrowed(found, asked).order_by("-id")
    paginator = Paginator(rows, PAGE_SIZE)
    paginator.count = len(rows.values_list("pk")[:_COUNTED])
    entries = paginator.get_page(request.GET.get("page", "1"))
    query = urlencode({name: value for name, value in asked.items() if value})
    return render(
        request, "fleet/audit.html", {"fleet": found, "asked": asked, "entries": entries, "query": query}
    )
