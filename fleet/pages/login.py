"""Logging in: the password, then a code where the person has a second factor. Only then is there a session.

The admin's log-in leads here too. Wrong codes count towards the same lock-out as wrong passwords.
"""

import time
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth import get_user_model, login
from django.contrib.auth import views as auth
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from fleet.models import User
from fleet.pages.session import LoginForm
from fleet.people import account, second_factor, sessions
from fleet.people.second_factor import Verdict

PATIENCE_S = 600
_PENDING = "log_in_pending"
BACKEND = "django.contrib.auth.backends.ModelBackend"


class LoginPage(auth.LoginView):
    redirect_authenticated_user = True
    authentication_form = LoginForm

    def form_valid(self, form: Any) -> Any:
        user = form.get_user()
        if not second_factor.is_on(user):
            begin_session(self.request, user)
            return redirect(self.get_success_url())
        self.request.session.cycle_key()
        self.request.session[_PENDING] = {
            "user": user.pk,
            "hash": user.get_session_auth_hash(),
            "at": time.time(),
            "next": self.get_success_url(),
        }
        return redirect("login-code")


def begin_session(request: HttpRequest, user: User) -> None:
    """Everything was proved."""
    login(request, user, backend=BACKEND)
    sessions.note(request)


@sensitive_post_parameters()
@never_cache
def code(request: HttpRequest) -> HttpResponse:
    """The second step. Without the first, or ten minutes after it: back to the beginning."""
    pending: Any = request.session.get(_PENDING)
    user = _waiting(pending)
    if user is None:
        return redirect("login")
    if request.method != "POST":
        return render(request, "registration/login_code.html", {"next": pending["next"]})
    # Locked out by wrong passwords or codes: the middleware says so instead of what is answered here.
    if not AxesProxyHandler.is_allowed(request, {"username": user.email}):
        request.session.pop(_PENDING)
        request.axes_locked_out = True  # type: ignore[attr-defined]
        request.axes_credentials = {"username": user.email}  # type: ignore[attr-defined]
        return HttpResponse(status=429)
    verdict = second_factor.verify(user, request.POST.get("code", ""))
    if verdict.right:
        request.session.pop(_PENDING)
        begin_session(request, user)
        return redirect(pending["next"])
    account.failed(request, user)
    if getattr(request, "axes_locked_out", False):
        request.session.pop(_PENDING)
    return render(request, "registration/login_code.html", {"problem": told(verdict)})


def told(verdict: Verdict) -> str:
    """What is wrong with a code."""
    if verdict.wait_until:
        seconds = max(1, int((verdict.wait_until - timezone.now()).total_seconds()) + 1)
        return f"Too many wrong codes: wait {seconds} s, then try a new one."
    return "This code is wrong or was used already. Codes change every 30 seconds."


def _waiting(pending: Any) -> User | None:
    if not pending or not 0 <= time.time() - pending["at"] < PATIENCE_S:
        return None
    user = get_user_model().objects.filter(pk=pending["user"], is_active=True).first()
    return user if user and user.get_session_auth_hash() == pending["hash"] else None


def admin_log_in(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """Instead of the admin's own, which knows no second factor."""
    if request.user.is_authenticated:
        raise PermissionDenied
    wanted = request.GET.get("next") or reverse("admin:index")
    return redirect(reverse("login") + "?" + urlencode({"next": wanted}))
