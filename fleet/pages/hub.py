"""A fleet's own pages in one place: `/fleets/`, and `/fleets/{fleet}/` with what this reader may open there.

A new page about a fleet is one line in SECTIONS; its URL takes the fleet's slug as `fleet`.
"""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from fleet.access import principal_of, visible_fleets
from fleet.models import Role
from fleet.pages.session import page


@dataclass(frozen=True, slots=True)
class Section:
    """A link of the hub; `role`: the least that may open it."""

    title: str
    text: str
    url_name: str
    role: Role


SECTIONS = (
    Section("Members", "Who belongs to the fleet, as what; invitations.", "members", Role.MANAGER),
    Section(
        "Sensors", "Names, units and usual ranges of what vehicles measure.", "fleet-sensors", Role.DRIVER
    ),
    Section(
        "Reports",
        "Tables and files of what the fleet did; by mail on a schedule.",
        "fleet-reports",
        Role.VIEWER,
    ),
    Section(
        "Alert rules",
        "What raises an alert by itself, and what it would have raised.",
        "rules-page",
        Role.VIEWER,
    ),
    Section("Geofences", "Areas and routes, and who was there when.", "geofences-page", Role.VIEWER),
    Section(
        "Driving",
        "What counts as harsh, as speeding, as idling; when the night is.",
        "driving-settings",
        Role.DRIVER,
    ),
    Section(
        "Notifications",
        "Webhooks, and who is told when nobody acknowledges.",
        "fleet-notifications",
        Role.MANAGER,
    ),
    Section(
        "Configuration", "What devices should run, by fleet, group and device.", "configuration", Role.VIEWER
    ),
    Section("Trips", "What counts as a trip, and what ends one.", "trip-rules", Role.VIEWER),
    Section("Privacy", "How long what is kept; when positions are private.", "privacy", Role.MANAGER),
    Section("Registration", "Secrets with which devices add themselves.", "registration", Role.MANAGER),
    Section("Audit trail", "Who did what to which object, from where.", "audit-page", Role.MANAGER),
)


@page
def fleets(request: HttpRequest) -> HttpResponse:
    """All of the reader's fleets; who has one is taken there."""
    found = list(visible_fleets(request.user).order_by("name")[:500])
    if len(found) == 1:
        return redirect("fleet-hub", found[0].slug)
    roles = principal_of(request.user).roles
    rows = [(fleet, roles.get(fleet.pk, "")) for fleet in found]
    return render(request, "fleet/fleets.html", {"rows": rows})


@page
def hub(request: HttpRequest, fleet: str) -> HttpResponse:
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    principal = principal_of(request.user)
    content = {
        "fleet": found,
        "role": principal.roles.get(found.pk, ""),
        "sections": [section for section in SECTIONS if principal.can(section.role, found.pk)],
    }
    return render(request, "fleet/hub.html", content)
