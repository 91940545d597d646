"""A forgotten password: a link by mail, a new password, and then the log-in with everything it asks for."""

from django.contrib import messages
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from fleet.audit import Actor
from fleet.notifying import mail
from fleet.pace import address_of, within
from fleet.people import account

_LINK = "password_reset_link"


@never_cache
def forgot(request: HttpRequest) -> HttpResponse:
    """Answers the same, as quickly, for every address: what there is to know goes by mail."""
    if request.method != "POST":
        return render(request, "registration/reset.html")
    email = request.POST.get("email", "").strip().lower()[:254]
    if not within("reset", address_of(request), 10, 3600) or not within("reset", email, 3, 3600):
        return render(request, "registration/reset.html", {"too_many": True}, status=429)
    if "@" in email:
        mail.queue("fleet.send_reset", email)
    return render(request, "registration/reset_sent.html", {"email": email})


@sensitive_post_parameters()
@never_cache
def new_password(request: HttpRequest) -> HttpResponse:
    """The mail's link. Its secret moves into the session, so that no address bar or log keeps it in use."""
    if "token" in request.GET:
        request.session[_LINK] = (request.GET.get("for", ""), request.GET["token"])
        return redirect("new-password")
    user = account.person_of_reset(*request.session.get(_LINK, ("", "")))
    if user is None:
        return render(request, "registration/reset_stale.html", status=410)
    form = SetPasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        del request.session[_LINK]
        actor = Actor(str(user), user, request.META.get("REMOTE_ADDR") or None)
        account.set_password(actor, user, form.cleaned_data["new_password1"])
        messages.success(request, "Your new password is set: log in with it.")
        return redirect("login")
    return render(request, "registration/new_password.html", {"form": form, "email": user.email})
