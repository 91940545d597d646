"""Where a fleet's alerts go besides its people: webhooks with their log, and escalation. For managers."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from fleet.access import principal_of, visible_fleets
from fleet.alerting import escalation
from fleet.alerting.escalation import StepError
from fleet.audit import Actor
from fleet.models import (
    DeliveryState,
    EscalationStep,
    Fleet,
    Happening,
    Role,
    Severity,
    User,
    Webhook,
    WebhookDelivery,
)
from fleet.notifying import webhooks
from fleet.notifying.webhooks import WebhookError
from fleet.pages.session import page

PAGE_SIZE = 50
_COUNTED = 5_000


class WebhookForm(forms.Form):
    name = forms.CharField(max_length=80)
    url = forms.CharField(max_length=1000, label="Address")
    severity = forms.TypedChoiceField(choices=Severity.choices, coerce=int)
    kinds = forms.MultipleChoiceField(choices=Happening.choices)


class StepForm(forms.Form):
    severity = forms.TypedChoiceField(choices=Severity.choices, coerce=int)
    after_minutes = forms.IntegerField(min_value=1, max_value=escalation.LONGEST_MINUTES)
    role = forms.ChoiceField(choices=[("", "nobody by role"), *Role.choices], required=False)
    people = forms.MultipleChoiceField(required=False)


def _managed(request: HttpRequest, fleet: str) -> Fleet:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=fleet)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise PermissionDenied("Only managers of the fleet set where its alerts go.")
    return found


@page
def settings_page(request: HttpRequest, fleet: str) -> HttpResponse:
    found = _managed(request, fleet)
    people = User.objects.filter(memberships__fleet=found, is_active=True, is_device=False).order_by("email")
    emails = list(people.values_list("email", flat=True)[:500])
    hook_form, step_form = WebhookForm(), _step_form(None, emails)
    if request.method == "POST":
        match request.POST.get("act"):
            case "add-webhook":
                hook_form = WebhookForm(request.POST)
                if made := _add_webhook(request, found, hook_form):
                    return made
            case "add-step":
                step_form = _step_form(request.POST, emails)
                if _add_step(request, found, step_form):
                    return redirect("fleet-notifications", found.slug)
            case "remove-step":
                _remove_step(request, found)
                return redirect("fleet-notifications", found.slug)
    now = timezone.now()
    hooks = [(hook, hook.health_at(now)) for hook in found.webhooks.all()]
    content = {
        "fleet": found,
        "hooks": hooks,
        "steps": found.escalation_steps.prefetch_related("people"),
        "hook_form": hook_form,
        "step_form": step_form,
        "kinds": Happening.choices,
        "severities": Severity.choices,
        "roles": step_form.fields["role"].choices,  # type: ignore[attr-defined]
        "emails": emails,
    }
    status = 400 if hook_form.errors or step_form.errors else 200
    return render(request, "fleet/fleet_notifications.html", content, status=status)


def _step_form(sent: Any, emails: list[str]) -> StepForm:
    form = StepForm(sent)
    form.fields["people"].choices = [(email, email) for email in emails]  # type: ignore[attr-defined]
    return form


def _add_webhook(request: HttpRequest, fleet: Fleet, form: WebhookForm) -> HttpResponse | None:
    """The page of the new one, which shows its secret this once."""
    if not form.is_valid():
        return None
    try:
        hook, secret = webhooks.create(Actor.of(request), fleet, Webhook(**form.cleaned_data))
    except WebhookError as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return None
    return _webhook_page(request, hook, secret=secret)


def _add_step(request: HttpRequest, fleet: Fleet, form: StepForm) -> bool:
    if not form.is_valid():
        return False
    wish = form.cleaned_data
    step = EscalationStep(severity=wish["severity"], after_minutes=wish["after_minutes"], role=wish["role"])
    try:
        escalation.add(Actor.of(request), fleet, step, wish["people"])
    except StepError as error:
        form.add_error(error.field, str(error))
        return False
    messages.success(request, "Step added: it counts for alerts that open from now on.")
    return True


def _remove_step(request: HttpRequest, fleet: Fleet) -> None:
    number = request.POST.get("step", "")
    step = fleet.escalation_steps.filter(
        pk=int(number) if number.isdigit() and len(number) < 19 else 0
    ).first()
    if step is not None:
        escalation.remove(Actor.of(request), step)
        messages.success(request, "Step removed.")


@page
def webhook(request: HttpRequest, fleet: str, webhook: int) -> HttpResponse:
    """One webhook: its log, and the forms that change it."""
    found = get_object_or_404(_managed(request, fleet).webhooks.select_related("fleet"), pk=webhook)
    form = WebhookForm(_initial(found))
    if request.method == "POST":
        if request.POST.get("act") == "save":
            form = WebhookForm(request.POST)
        try:
            if answer := _do(request, found, form):
                return answer
        except WebhookError as error:
            if request.POST.get("act") == "save" and error.field in form.fields:
                form.add_error(error.field, str(error))
            else:
                messages.error(request, str(error))
                return redirect("webhook-page", found.fleet.slug, found.pk)
    return _webhook_page(request, found, form=form)


def _do(request: HttpRequest, hook: Webhook, form: WebhookForm) -> HttpResponse | None:
    """Where to go next; None: the form stays, with its errors. Raises WebhookError."""
    actor, act = Actor.of(request), request.POST.get("act")
    match act:
        case "save":
            if not form.is_valid():
                return None
            webhooks.change(actor, hook, form.cleaned_data)
            messages.success(request, "Saved.")
        case "enable" | "disable":
            webhooks.change(actor, hook, {"enabled": act == "enable"})
            messages.success(request, f"{hook.name} is {act}d.")
        case "test":
            webhooks.test(actor, hook)
            messages.success(request, "The test is on its way: see the log.")
        case "secret":
            return _webhook_page(request, hook, secret=webhooks.renew_secret(actor, hook))
        case "resend":
            _resend(request, actor, hook)
        case "delete":
            webhooks.remove(actor, hook)
            messages.success(request, f"{hook.name} is deleted, with its log.")
            return redirect("fleet-notifications", hook.fleet.slug)
    return redirect("webhook-page", hook.fleet.slug, hook.pk)


def _resend(request: HttpRequest, actor: Actor, hook: Webhook) -> None:
    number = request.POST.get("delivery", "")
    delivery = hook.deliveries.filter(pk=int(number) if number.isdigit() and len(number) < 19 else 0).first()
    if delivery is None:
        raise Http404
    webhooks.resend(actor, delivery)
    messages.success(request, "It is sent again, with the same id.")


def _initial(hook: Webhook) -> dict[str, Any]:
    return {name: value for name, value in hook.facts().items() if name != "enabled"}


def _webhook_page(
    request: HttpRequest, hook: Webhook, *, form: WebhookForm | None = None, secret: str = ""
) -> HttpResponse:
    now = timezone.now()
    state = request.GET.get("state", "")
    rows = hook.deliveries.select_related("event__alert").order_by("-id")
    if state in DeliveryState.values:
        rows = rows.filter(state=state)
    paginator = Paginator(rows, PAGE_SIZE)
    paginator.count = len(rows.values_list("pk")[:_COUNTED])
    deliveries = paginator.get_page(request.GET.get("page", "1"))
    content = {
        "hook": hook,
        "fleet": hook.fleet,
        "health": hook.health_at(now),
        "form": form or WebhookForm(_initial(hook)),
        "secret": secret,
        "state": state,
        "states": DeliveryState.choices,
        "deliveries": deliveries,
        "unsettled": any(_soon(delivery, now) for delivery in deliveries),
        "now": now,
        "kinds": Happening.choices,
        "severities": Severity.choices,
    }
    whole = not request.headers.get("HX-Request")
    status = 400 if form is not None and form.errors else 200
    template = "fleet/webhook.html" if whole else "fleet/_delivery_list.html"
    return render(request, template, content, status=status)


def _soon(delivery: WebhookDelivery, now: datetime) -> bool:
    """Will its outcome be known while somebody looks?"""
    return delivery.due_at is not None and delivery.due_at < now + timedelta(minutes=2)
