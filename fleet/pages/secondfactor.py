"""Setting up the second factor, its recovery codes, and switching it off. `/account/second-factor`."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.views.decorators.debug import sensitive_post_parameters

from fleet.access import lacks_staff_factor, principal_of
from fleet.audit import Actor
from fleet.models import Fleet, User
from fleet.pace import within
from fleet.pages.session import own_page
from fleet.people import account, second_factor


@sensitive_post_parameters()
@own_page
def second_factor_page(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    onwards = _next(request)
    if not second_factor.is_on(user):
        return _set_up(request, user, onwards)
    if request.method == "POST":
        return _changed(request, user)
    return render(request, "account/second_factor.html", {"codes_left": second_factor.codes_left(user)})


def _set_up(request: HttpRequest, user: User, onwards: str) -> HttpResponse:
    wrong = False
    if request.method == "POST":
        if not within("enrol", str(user.pk), 30, 600):
            return HttpResponse("Too many attempts: wait ten minutes.", status=429, content_type="text/plain")
        key = request.session.session_key
        codes = second_factor.confirm(Actor.of(request), user, request.POST.get("code", ""), key)
        if codes:
            return _shown(request, codes, onwards)
        wrong = True
    device = second_factor.begin(user)
    content = {
        # The drawing comes from segno and holds nothing but path data.
        "picture": mark_safe(second_factor.picture(device)),
        "key": second_factor.typed(device),
        "next": onwards,
        "wrong": wrong,
        "wanted_by": Fleet.objects.filter(pk__in=principal_of(user).withheld).order_by("name"),
        "wanted_of_staff": lacks_staff_factor(user),
    }
    response = render(request, "account/second_factor_set_up.html", content, status=400 if wrong else 200)
    add_never_cache_headers(response)
    return response


def _changed(request: HttpRequest, user: User) -> HttpResponse:
    act = request.POST.get("act", "")
    if act not in {"codes", "off"}:
        return redirect("second-factor")
    if not account.proves(request, user, request.POST.get("password", ""), request.POST.get("code", "")):
        content = {"codes_left": second_factor.codes_left(user), "wrong": act}
        return render(request, "account/second_factor.html", content, status=400)
    if act == "codes":
        return _shown(request, second_factor.renew_codes(Actor.of(request), user), "")
    second_factor.turn_off(Actor.of(request), user)
    messages.success(request, "Your second factor is off. Delete the entry in your app.")
    return redirect("account")


def _shown(request: HttpRequest, codes: list[str], onwards: str) -> HttpResponse:
    """The only time they can be seen: they are in no redirect, no session and no cache."""
    response = render(request, "account/recovery_codes.html", {"codes": codes, "next": onwards})
    add_never_cache_headers(response)
    return response


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if wanted and safe else ""
