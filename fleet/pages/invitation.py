"""Accepting an invitation: `/invitation?token=…`. With an account one logs in; without, one is made here."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.password_validation import validate_password
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from fleet.models import Invitation, InvitationState, User
from fleet.models.people import check_time_zone
from fleet.pace import address_of, within
from fleet.pages.login import begin_session
from fleet.people import invitations
from fleet.people.members import RefusedError


class NewPersonForm(forms.Form):
    name = forms.CharField(max_length=150)
    time_zone = forms.CharField(max_length=64, validators=[check_time_zone])
    password = forms.CharField(max_length=1000, strip=False)
    again = forms.CharField(max_length=1000, strip=False)

    def __init__(self, email: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean() or {}
        password = told.get("password")
        if password is not None:
            if password != told.get("again"):
                self.add_error("again", "The two passwords differ.")
            try:
                validate_password(password, User(email=self.email, last_name=told.get("name", "")))
            except forms.ValidationError as error:
                self.add_error("password", error)
        return told

    @property
    def person(self) -> invitations.NewPerson:
        told = self.cleaned_data
        return invitations.NewPerson(told["name"], told["password"], told["time_zone"])


@sensitive_post_parameters()
@never_cache
def invitation(request: HttpRequest) -> HttpResponse:
    token = request.GET.get("token", "")
    found = invitations.find(token)
    state = found.state(timezone.now()) if found else None
    if found is None or state is not InvitationState.OPEN:
        gone = {"invitation": found, "state": state}
        return render(request, "account/invitation_gone.html", gone, status=410 if found else 404)
    if request.method == "POST":
        if not within("accept", address_of(request), 30, 600):
            return render(request, "account/invitation.html", _content(request, found), status=429)
        return _accepted(request, found)
    return render(request, "account/invitation.html", _content(request, found))


def _accepted(request: HttpRequest, found: Invitation) -> HttpResponse:
    user = request.user if isinstance(request.user, User) else None
    form = None if user else NewPersonForm(found.email, request.POST)
    if form is not None and not form.is_valid():
        return render(request, "account/invitation.html", _content(request, found, form), status=400)
    try:
        person = invitations.accept(
            found, request.META.get("REMOTE_ADDR") or None, user, form.person if form else None
        )
    except RefusedError as refused:
        content = _content(request, found, form) | {"refused": str(refused)}
        return render(request, "account/invitation.html", content, status=409)
    if user is None:
        begin_session(request, person)
    messages.success(request, f"Welcome: you are now {found.role} of {found.fleet.name}.")
    return redirect("fleet-hub", found.fleet.slug)


def _content(request: HttpRequest, found: Invitation, form: NewPersonForm | None = None) -> dict[str, Any]:
    user = request.user if isinstance(request.user, User) else None
    return {
        "invitation": found,
        "form": form or NewPersonForm(found.email, initial={"time_zone": found.fleet.time_zone}),
        "here": request.get_full_path(),
        "mine": user is not None and user.email == found.email,
        "too_many": request.method == "POST" and form is None and user is None,
    }
