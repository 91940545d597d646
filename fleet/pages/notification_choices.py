"""What a person wants to hear of each of their fleets, on which channel, and when not."""

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from fleet.access import principal_of
from fleet.models import Channel, Fleet, Membership, Notification, NotificationChoice, Reach, Role
from fleet.pages.session import page

_MANAGE = {Role.MANAGER, Role.OWNER}


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
            _keep(wanted[0])
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
        reach = Reach.CRITICAL if membership.role in _MANAGE else Reach.NEVER
        row = told.get(fleet.pk) or NotificationChoice(user_id=user, fleet=fleet, email_reach=reach)
        row.fleet = fleet
        sent = request.POST if request.POST.get("fleet") == fleet.slug else None
        found.append(Choice(fleet, membership.role, ChoiceForm(sent, instance=row, prefix=fleet.slug)))
    return found


def _keep(choice: Choice) -> None:
    """And look again at what waits: the quiet hours may be others now."""
    row = choice.form.save()
    waiting = Notification.objects.filter(
        user=row.user_id, fleet=row.fleet_id, channel=Channel.EMAIL, claim=""
    )
    waiting.filter(due_at__gt=timezone.now(), attempts=0).update(due_at=timezone.now())
