"""Who belongs to a fleet: a list for its managers, invitations, and one member with what may be changed."""

import csv
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, F, OrderBy
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from fleet.access import principal_of, visible_fleets
from fleet.models import Fleet, Invitation, Membership, Role
from fleet.notifying import mail
from fleet.pages.csvfile import plain
from fleet.pages.session import page
from fleet.people import invitations, members

PAGE_SIZE = 50
INVITATIONS_SHOWN = 200
_EXPORT_LIMIT = 20_000
SORTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "name": ("Name", ("user__last_name", "user__first_name", "user__email")),
    "login": ("Last log-in", (OrderBy(F("user__last_login"), descending=True, nulls_last=True), "-id")),
    "role": ("Role", ("role", "user__email")),
    "since": ("Newest member", ("-created_at", "-id")),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the list's form asks for; anything unknown counts as not asked."""

    words: str
    role: str
    sort: str
    page: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Wish":
        role, sort = request.GET.get("role", ""), request.GET.get("sort", "")
        return cls(
            words=request.GET.get("q", "").replace("\0", "").strip()[:80],
            role=role if role in Role.values else "",
            sort=sort if sort in SORTS else "name",
            page=request.GET.get("page", "1"),
        )

    @property
    def query(self) -> str:
        told = {"q": self.words, "role": self.role, "sort": "" if self.sort == "name" else self.sort}
        return urlencode({name: value for name, value in told.items() if value})


@page
def member_list(request: HttpRequest, fleet: str) -> HttpResponse:
    """Filtered, sorted, paged; `?export=csv` answers the same rows as a file."""
    found = managed_fleet(request, fleet)
    wish = Wish.of(request)
    searched = members.search(members.listed(found), wish.words)
    rows = (searched.filter(role=wish.role) if wish.role else searched).order_by(*SORTS[wish.sort][1])
    if request.GET.get("export") == "csv":
        return _exported(found, rows)
    counts = dict(searched.order_by().values_list("role").annotate(Count("id")))
    content = {"fleet": found, "wish": wish, "roles": _chips(counts)}
    content["sorts"] = [(name, label) for name, (label, _) in SORTS.items()]
    paginator = Paginator(rows, PAGE_SIZE)
    paginator.count = counts.get(wish.role, 0) if wish.role else sum(counts.values())
    content["members"] = paginator.get_page(wish.page)
    if request.headers.get("HX-Request"):
        return render(request, "fleet/_member_list.html", content)
    return render(request, "fleet/members.html", content | invitation_content(request, found))


@page
def member(request: HttpRequest, fleet: str, member: int) -> HttpResponse:
    found = managed_fleet(request, fleet)
    row = get_object_or_404(members.listed(found), pk=member)
    principal = principal_of(request.user)
    content = {
        "fleet": found,
        "member": row,
        "is_me": row.user_id == principal.user_id,
        "may_change": members.may_grant(principal, found.pk, row.role),
        "may_reset": principal.can(Role.OWNER, found.pk) and row.user_id != principal.user_id,
        "roles": members.grantable(principal, found.pk),
    }
    return render(request, "fleet/member.html", content)


def managed_fleet(request: HttpRequest, slug: str) -> Fleet:
    """404 for outsiders, 403 for members below manager."""
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=slug)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise PermissionDenied
    return found


def invitation_content(request: HttpRequest, fleet: Fleet) -> dict[str, Any]:
    """What the page shows beside the list."""
    principal, now = principal_of(request.user), timezone.now()
    waiting = Invitation.objects.unanswered().filter(fleet=fleet).order_by("-id")[:INVITATIONS_SHOWN]
    shown = not mail.goes_out()
    rows = []
    for invitation in waiting:
        mine = members.may_grant(principal, fleet.pk, invitation.role)
        link = invitations.link_of(invitation) if shown and mine else ""
        rows.append((invitation, invitation.state(now), mine, link))
    return {
        "invitations": rows,
        "grantable": members.grantable(principal, fleet.pk),
        "is_owner": principal.can(Role.OWNER, fleet.pk),
        "mail_goes_out": not shown,
    }


def _chips(counts: dict[str, int]) -> list[tuple[str, str, int]]:
    named = [(value, f"{label}s", counts.get(value, 0)) for value, label in Role.choices]
    return [("", "All", sum(counts.values())), *named]


def _exported(fleet: Fleet, rows: Any) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    name = f"members-{fleet.slug}-{timezone.now():%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(response)
    writer.writerow(
        ("email", "name", "role", "second_factor", "last_login_utc", "member_since_utc", "active")
    )
    row: Membership
    for row in rows[:_EXPORT_LIMIT]:
        user, seen = row.user, row.user.last_login
        writer.writerow(
            [
                plain(user.email), plain(user.get_full_name()), row.role,
                "on" if row.second_factor else "off",  # type: ignore[attr-defined]
                f"{seen:%Y-%m-%d %H:%M:%S}" if seen else "", f"{row.created_at:%Y-%m-%d %H:%M:%S}",
                "yes" if user.is_active else "no",
            ]
        )  # fmt: skip
    return response
