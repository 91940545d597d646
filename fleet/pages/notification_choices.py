"""What a person wants to hear of each of their fleets, on which channel, and when not."""

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from fleet.access import principal_of
from fleet.models import Fleet, Membership, NotificationChoice, Reach
from fleet.notifying.choices import keep, usual
from fleet.pages.session import page


class ChoiceForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = NotificationChoice
        fields = ("page_reach", "email_reach", "tell_resolved", "quiet_from", "quiet_to", "critical_breaks")
        widgets = {
            name: forms.TimeInput({"type": "time"}, format="%H:%M") for name in ("quiet_from", "quiet_to")
        }


@dataclass(frozen=True, slots=True)
class Choice:
    fleet: Fleet
    role: str
    form: ChoiceForm


@page
def choices(request: HttpRequest) -> HttpResponse:
    mine = _choices(request)
    if request.method == "POST":
        wanted = [choice for choice in mine if choice.fleet.slug == request.POST.get("fleet")]
        if wanted and wanted[0].form.is_valid():
            keep(wanted[0].form.save(commit=False))
            messages.success(request, f"Saved for {wanted[0].fleet.name}.")
            return redirect("notification-choices")
    return render(request, "fleet/notification_choices.html", {"choices": mine, "reaches": Reach.choices})


def _choices(request: HttpRequest) -> list[Choice]:
    user = principal_of(request.user).user_id
    assert user is not None, "a page is for people"
    told = {choice.fleet_id: choice for choice in NotificationChoice.objects.filter(user=user)}
    found = []
    for membership in Membership.objects.filter(user=user).select_related("fleet").order_by("fleet__name"):
        fleet = membership.fleet
        row = told.get(fleet.pk) or usual(membership)
        row.fleet = fleet
        sent = request.POST if request.POST.get("fleet") == fleet.slug else None
        found.append(Choice(fleet, membership.role, ChoiceForm(sent, instance=row, prefix=fleet.slug)))
    return found
