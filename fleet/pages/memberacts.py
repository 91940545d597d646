"""The forms of the members page and of one member's: every act a POST, answered by a redirect with a word."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from fleet.access import person, principal_of
from fleet.audit import Actor
from fleet.models import Invitation, Membership, Role, User
from fleet.pages.members import managed_fleet
from fleet.pages.session import page
from fleet.people import invitations, members, second_factor


class InvitationForm(forms.Form):
    email = forms.EmailField(max_length=254)
    role = forms.ChoiceField(choices=Role.choices)


@require_POST
@page
def invite(request: HttpRequest, fleet: str) -> HttpResponse:
    found = managed_fleet(request, fleet)
    form = InvitationForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
        return redirect("members", found.slug)
    try:
        sent = invitations.invite(Actor.of(request), found, **form.cleaned_data)
        messages.success(request, f"{sent.email} is invited as {sent.role}, for seven days.")
    except members.RefusedError as refused:
        return _refused(request, refused, redirect("members", found.slug))
    return redirect("members", found.slug)


@require_POST
@page
def act_on_invitation(request: HttpRequest, fleet: str, invitation: int) -> HttpResponse:
    """`act`: resend or revoke."""
    found = managed_fleet(request, fleet)
    row = get_object_or_404(Invitation, fleet=found, pk=invitation)
    try:
        if request.POST.get("act") == "resend":
            invitations.resend(Actor.of(request), row)
            messages.success(request, f"{row.email} is invited again, for seven days from now.")
        elif request.POST.get("act") == "revoke":
            invitations.revoke(Actor.of(request), row)
            messages.success(request, f"The invitation of {row.email} no longer works.")
    except members.RefusedError as refused:
        return _refused(request, refused, redirect("members", found.slug))
    return redirect("members", found.slug)


@require_POST
@page
def act_on_member(request: HttpRequest, fleet: str, member: int) -> HttpResponse:
    """`act`: role (with `role`), remove, or reset (the second factor)."""
    found = managed_fleet(request, fleet)
    row = get_object_or_404(Membership.objects.select_related("user"), fleet=found, pk=member)
    act, role = request.POST.get("act", ""), request.POST.get("role", "")
    back = redirect("member", found.slug, row.pk)
    try:
        if act == "role" and role in Role.values:
            changed = members.change_role(Actor.of(request), row, role)
            messages.success(request, f"{changed.user} is {changed.role} now.")
        elif act == "remove" and request.POST.get("sure"):
            members.remove(Actor.of(request), row)
            messages.success(request, f"{row.user} no longer belongs to {found}.")
            mine = row.user_id == principal_of(request.user).user_id
            return redirect("live-map") if mine else redirect("members", found.slug)
        elif act == "reset":
            _reset(request, found, row)
        else:
            messages.error(request, "Choose a role, or tick the box to confirm.")
    except members.RefusedError as refused:
        return _refused(request, refused, back)
    user: Any = request.user
    if not person(User.objects.get(pk=user.pk)).can(Role.MANAGER, found.pk):
        return redirect("fleet-hub", found.slug)
    return back


@require_POST
@page
def require_second_factor(request: HttpRequest, fleet: str) -> HttpResponse:
    found = managed_fleet(request, fleet)
    if not principal_of(request.user).can(Role.OWNER, found.pk):
        raise PermissionDenied
    wanted = request.POST.get("required") == "on"
    try:
        members.require_second_factor(Actor.of(request), found, wanted)
        word = "Members need" if wanted else "Members no longer need"
        messages.success(request, f"{word} a second factor to see {found}.")
    except members.RefusedError as refused:
        return _refused(request, refused, redirect("members", found.slug))
    return redirect("members", found.slug)


def _reset(request: HttpRequest, fleet: Any, row: Membership) -> None:
    if not principal_of(request.user).can(Role.OWNER, fleet.pk):
        raise PermissionDenied
    try:
        second_factor.reset(Actor.of(request), row.user, fleet)
        messages.success(request, f"{row.user} logs in with the password alone until they set up a new one.")
    except second_factor.NotYoursError:
        messages.error(
            request, "This person belongs to other fleets too, or to the staff: only staff may reset it."
        )


def _refused(request: HttpRequest, refused: members.RefusedError, back: HttpResponse) -> HttpResponse:
    if isinstance(refused, members.ForbiddenError):
        return render(request, "403.html", {"reason": str(refused)}, status=403)
    messages.error(request, str(refused))
    return back
