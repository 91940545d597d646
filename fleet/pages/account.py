"""One's own account: name, time zone, address, password, fleets, and where one is logged in. `/account`."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from fleet.audit import Actor
from fleet.models import Membership, User
from fleet.models.people import check_time_zone
from fleet.pace import within
from fleet.pages.session import own_page
from fleet.people import account, members, second_factor, sessions

_SESSIONS_SHOWN = 50


class PersonForm(forms.Form):
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    time_zone = forms.CharField(max_length=64, validators=[check_time_zone])


@own_page
def overview(request: HttpRequest) -> HttpResponse:
    user = _me(request)
    form = PersonForm(request.POST or None, initial=vars(user))
    if request.method == "POST" and form.is_valid():
        for name, value in form.cleaned_data.items():
            setattr(user, name, value)
        user.save(update_fields=list(form.cleaned_data))
        messages.success(request, "Saved.")
        return redirect("account")
    status = 400 if request.method == "POST" else 200
    return render(request, "account/account.html", _content(request, user, form), status=status)


@sensitive_post_parameters()
@own_page
def password(request: HttpRequest) -> HttpResponse:
    user = _me(request)
    form = SetPasswordForm(user, request.POST or None)
    wrong = ""
    if request.method == "POST" and form.is_valid():
        if account.proves(request, user, request.POST.get("password", ""), request.POST.get("code", "")):
            account.set_password(
                Actor.of(request), user, form.cleaned_data["new_password1"], request.session.session_key
            )
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is changed; you are logged out everywhere else.")
            return redirect("account")
        wrong = _not_proved(user)
    content = {"form": form, "wrong": wrong, "second_factor": second_factor.is_on(user)}
    status = 400 if request.method == "POST" else 200
    return render(request, "account/password.html", content, status=status)


@sensitive_post_parameters()
@own_page
def new_address(request: HttpRequest) -> HttpResponse:
    """The form that asks for another address, and with `?token=` the link that confirms it."""
    user, token = _me(request), request.GET.get("token", "")
    told = account.new_address_in(token) if token else None
    if request.method == "POST" and token:
        if account.take_new_address(Actor.of(request), user, token):
            messages.success(request, f"Your address is {user.email} now: log in with it from here on.")
            return redirect("account")
        told = None
    if token:
        usable = told is not None and told[:2] == (user.pk, user.email)
        content = {"new": told[2] if told and usable else "", "token": token}
        return render(request, "account/confirm_address.html", content, status=200 if usable else 410)
    return _asked_for_address(request, user)


def _asked_for_address(request: HttpRequest, user: User) -> HttpResponse:
    email = request.POST.get("email", "").strip()
    content: dict[str, Any] = {"email": email, "second_factor": second_factor.is_on(user)}
    if request.method == "POST":
        try:
            forms.EmailField(max_length=254).clean(email)
        except forms.ValidationError as error:
            content["problem"] = " ".join(error.messages)
        else:
            if not account.proves(
                request, user, request.POST.get("password", ""), request.POST.get("code", "")
            ):
                content["wrong"] = _not_proved(user)
            elif not within("address", str(user.pk), 5, 3600):
                content["problem"] = "You asked for several changes already: try again in an hour."
            else:
                account.ask_for_new_address(user, email)
                messages.success(request, f"We have written to {email}: open the link in that mail.")
                return redirect("account")
    status = 400 if request.method == "POST" else 200
    return render(request, "account/new_address.html", content, status=status)


@require_POST
@own_page
def end_sessions(request: HttpRequest) -> HttpResponse:
    """`end`: the id of one of them, `others`, or `api`."""
    user, wanted = _me(request), request.POST.get("end", "")
    here = request.session.session_key
    if wanted == "api":
        sessions.end_api(user)
        messages.success(request, "Programs that were logged in as you have to log in again.")
    else:
        others = [row for row in sessions.active(user) if row.session_key != here]
        keys = [row.session_key for row in others if wanted in {"others", row.public_id}]
        sessions.end(user, keys)
        messages.success(request, "Ended." if keys else "There was nothing to end.")
    return redirect("account")


@require_POST
@own_page
def leave(request: HttpRequest) -> HttpResponse:
    member = get_object_or_404(
        _me(request).memberships.select_related("fleet"), fleet__slug=request.POST.get("fleet")
    )
    try:
        members.remove(Actor.of(request), member)
        messages.success(request, f"You left {member.fleet}.")
    except members.RefusedError as refused:
        messages.error(request, str(refused))
    return redirect("account")


def _content(request: HttpRequest, user: User, form: PersonForm) -> dict[str, Any]:
    rows = list(sessions.active(user)[: _SESSIONS_SHOWN + 1])
    here = request.session.session_key
    return {
        "form": form,
        "memberships": Membership.objects.filter(user=user).select_related("fleet").order_by("fleet__name"),
        "sessions": [(row, row.session_key == here) for row in rows[:_SESSIONS_SHOWN]],
        "more_sessions": len(rows) > _SESSIONS_SHOWN,
        "api_log_ins": sessions.api_log_ins(user).count(),
        "second_factor": second_factor.is_on(user),
        "codes_left": second_factor.codes_left(user),
    }


def _me(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return User.objects.get(pk=request.user.pk)


def _not_proved(user: User) -> str:
    return f"The password{' or the code' if second_factor.is_on(user) else ''} is wrong."
