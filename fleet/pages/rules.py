"""A fleet's alert rules: the list, and the form to make, change, switch off and delete them."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from rest_framework.exceptions import ValidationError as RefusedError

from fleet.access import principal_of, visible_fleets
from fleet.alerting import rules
from fleet.alerting.ruletext import summary_of
from fleet.audit import Actor
from fleet.models import AlertRule, Crossing, Fleet, Role, RuleKind, Severity
from fleet.pages.rule_list import exported, narrowed
from fleet.pages.session import page
from fleet.readings import catalogue_of, shown_as
from fleet.sensors import seen_in

PAGE_SIZE = 50


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """The model decides which fields a kind needs (`AlertRule.clean`)."""

    codes = forms.CharField(max_length=2000, required=False)
    silent_after_min = forms.FloatField(min_value=0.5, max_value=90 * 1440, required=False)
    replay_days = forms.FloatField(min_value=0, max_value=rules.REPLAY_DAYS, required=False)

    class Meta:
        model = AlertRule
        fields = (
            "name", "kind", "field", "direction", "limit", "clear", "min_duration_s", "ignore_parked", "geofence",
            "crossing", "severity", "message", "auto_resolve", "enabled", "all_vehicles", "vehicles",
        )  # fmt: skip

    def __init__(self, fleet: Fleet, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fleet = fleet
        self.instance.fleet = fleet
        field = self.fields["vehicles"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = fleet.vehicles.order_by("name", "id")
        fences = self.fields["geofence"]
        assert isinstance(fences, forms.ModelChoiceField)
        fences.queryset = fleet.geofences.order_by("name", "id")
        self.fields["min_duration_s"].required = False

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        cleaned["min_duration_s"] = cleaned.get("min_duration_s") or 0
        minutes = cleaned.get("silent_after_min")
        self.instance.silent_after_s = None if minutes is None else round(minutes * 60)
        self.instance.codes = [word for word in cleaned.get("codes", "").replace(",", " ").split() if word]
        if not cleaned.get("all_vehicles") and not cleaned.get("vehicles"):
            self.add_error("vehicles", "Choose vehicles, or the whole fleet.")
        return cleaned

    def _update_errors(self, errors: ValidationError) -> None:
        """The model speaks of seconds, the form asks for minutes."""
        found = getattr(errors, "error_dict", {})
        if "silent_after_s" in found:
            found["silent_after_min"] = found.pop("silent_after_s")
        super()._update_errors(errors)  # type: ignore[misc]

    @property
    def wish(self) -> rules.Wish:
        told = self.cleaned_data
        return rules.Wish(self.instance, list(told["vehicles"]), told.get("replay_days") or 0)


@page
def rule_list(request: HttpRequest, fleet: str) -> HttpResponse:
    """Filtered, sorted, paged; `?export=csv` answers the same rows as a file."""
    found = get_object_or_404(visible_fleets(request.user), slug=fleet)
    counted = (
        AlertRule.objects.filter(fleet=found)
        .select_related("geofence")
        .annotate(
            holding=Count("episodes", filter=Q(episodes__confirmed=True, episodes__ended_at=None)),
            newest=Max("episodes__started_at", filter=Q(episodes__confirmed=True)),
        )
    )
    asked, rows = narrowed(request, counted)
    catalogue = catalogue_of(found.pk)
    if request.GET.get("export") == "csv":
        return exported(found, rows, catalogue)
    shown = Paginator(rows.prefetch_related("vehicles"), PAGE_SIZE).get_page(request.GET.get("page", "1"))
    content = {
        "fleet": found,
        "asked": asked,
        "rules": shown,
        "lines": [(rule, summary_of(rule, catalogue)) for rule in shown],
        "kinds": RuleKind.choices,
        "may_edit": principal_of(request.user).can(Role.MANAGER, found.pk),
    }
    part = request.headers.get("HX-Request")
    return render(request, "fleet/_rule_list.html" if part else "fleet/rules.html", content)


@page
def new(request: HttpRequest, fleet: str) -> HttpResponse:
    found = managed(request, fleet)
    form = RuleForm(found, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            rule = rules.add(Actor.of(request), found, form.wish)
        except RefusedError as error:
            refuse(form, error)
        else:
            messages.success(request, f"{rule.name} watches from now on.")
            return redirect("rules-page", found.slug)
    return render_form(request, found, form)


@page
def edit(request: HttpRequest, fleet: str, rule: int) -> HttpResponse:
    found = managed(request, fleet)
    known = _rule(found, rule)
    form = RuleForm(found, request.POST or None, instance=known)
    if request.method == "POST" and form.is_valid():
        try:
            rules.change(Actor.of(request), form.wish)
        except RefusedError as error:
            refuse(form, error)
        else:
            messages.success(request, f"{known.name} was changed.")
            return redirect("rules-page", found.slug)
    return render_form(request, found, form)


@page
def switch(request: HttpRequest, fleet: str, rule: int) -> HttpResponse:
    """On or off."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    found = managed(request, fleet)
    known = _rule(found, rule)
    known.enabled = not known.enabled
    rules.change(Actor.of(request), rules.Wish(known, list(known.vehicles.all())))
    messages.success(request, f"{known.name} is {'on' if known.enabled else 'off'}.")
    return redirect("rules-page", found.slug)


@page
def delete(request: HttpRequest, fleet: str, rule: int) -> HttpResponse:
    """Asks once, then deletes."""
    found = managed(request, fleet)
    known = _rule(found, rule)
    if request.method == "POST":
        rules.delete(Actor.of(request), known)
        messages.success(request, f"{known.name} was deleted. Its alerts stay.")
        return redirect("rules-page", found.slug)
    return render(request, "fleet/rule_delete.html", {"fleet": found, "rule": known})


def managed(request: HttpRequest, name: str) -> Fleet:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=name)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise PermissionDenied("Alert rules are made by managers of the fleet.")
    return found


def _rule(fleet: Fleet, number: int) -> AlertRule:
    return get_object_or_404(AlertRule.objects.select_related("fleet", "geofence"), pk=number, fleet=fleet)


def refuse(form: RuleForm, error: RefusedError) -> None:
    detail: Any = error.detail
    for name, texts in detail.items():
        form.add_error(name if name in form.fields else None, texts)


def render_form(request: HttpRequest, fleet: Fleet, form: RuleForm, **more: Any) -> HttpResponse:
    """The page of the form, right after a mistake or a trial as well."""
    rule, catalogue = form.instance, catalogue_of(fleet.pk)
    stored = rule if rule.pk else _usual(request)
    seen = [(name, shown_as(name, catalogue)) for name in seen_in(fleet)]
    content = {
        "fleet": fleet, "rule": rule, "form": form, "stored": stored, "bound": form.is_bound,
        "kinds": RuleKind.choices, "severities": Severity.choices, "seen": seen,
        "codes": " ".join(stored.codes), "minutes": (stored.silent_after_s or 900) / 60,
        "chosen": _chosen(form, stored), "members": fleet.vehicles.order_by("name", "id"),
        "replay_limit": rules.REPLAY_DAYS, "crossings": Crossing.choices,
        "fences": fleet.geofences.order_by("name", "id").values_list("pk", "name"), **more,
    }  # fmt: skip
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "fleet/rule.html", content, status=status)


def _usual(request: HttpRequest) -> AlertRule:
    """What a new rule begins with: about the geofence whose page led here, else a threshold."""
    fence = request.GET.get("geofence", "")
    if fence.isascii() and fence.isdigit() and len(fence) < 19:
        rule = AlertRule(kind=RuleKind.GEOFENCE, crossing=Crossing.ENTER, geofence_id=int(fence))
    else:
        rule = AlertRule(kind=RuleKind.THRESHOLD)
    rule.severity, rule.auto_resolve = Severity.WARNING, True
    return rule


def _chosen(form: RuleForm, stored: AlertRule) -> list[int]:
    if form.is_bound:
        return [int(number) for number in form.data.getlist("vehicles") if number.isdigit()]  # type: ignore[attr-defined]
    return list(stored.vehicles.values_list("pk", flat=True)) if stored.pk else []
