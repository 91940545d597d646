"""Reports that come by themselves: a fleet's schedules, one with its log, and the forms that its managers have."""

from dataclasses import replace
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from fleet.access import principal_of
from fleet.audit import Actor
from fleet.models import (
    Dialect,
    Fleet,
    ReportExport,
    ReportFormat,
    ReportSchedule,
    Rhythm,
    Role,
    Units,
    Weekday,
    WhenEmpty,
)
from fleet.models.people import check_time_zone
from fleet.pages.reports import fleet_read
from fleet.pages.session import page
from fleet.reports import registry, schedules
from fleet.reports.schedules import Plan
from fleet.reports.wishes import Wish, WishError

PAGE_SIZE = 50
_ROW = ("name", "report", "format", "rhythm", "weekday", "month_day", "at", "time_zone", "when_empty")
_WISH = ("units", "dialect", "label", "zone")


class ScheduleForm(forms.Form):
    """What makes no sense together is for fleet.reports.schedules to say."""

    name = forms.CharField(max_length=120)
    report = forms.ChoiceField()
    format = forms.ChoiceField(choices=ReportFormat.choices)
    rhythm = forms.ChoiceField(choices=Rhythm.choices)
    weekday = forms.ChoiceField(choices=Weekday.choices, required=False)
    month_day = forms.IntegerField(min_value=1, max_value=31, required=False)
    at = forms.TimeField()
    time_zone = forms.CharField(max_length=64, validators=[check_time_zone])
    when_empty = forms.ChoiceField(choices=WhenEmpty.choices)
    vehicles = forms.CharField(required=False, max_length=10_000)
    label = forms.CharField(required=False, max_length=80)
    units = forms.ChoiceField(choices=Units.choices)
    dialect = forms.ChoiceField(choices=Dialect.choices)
    recipients = forms.CharField(required=False, max_length=10_000)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast(forms.ChoiceField, self.fields["report"])
        field.choices = [(report.name, report.title) for report in registry.known()]

    @property
    def plan(self) -> Plan:
        told = self.cleaned_data
        fields = {name: told[name] for name in _ROW}
        fields |= {"weekday": int(told["weekday"] or 0), "month_day": told["month_day"] or 1}
        wish = Wish(
            vehicles=tuple(_words(told["vehicles"])), zone=told["time_zone"],
            **{name: told[name] for name in _WISH if name != "zone"},
        )  # fmt: skip
        return Plan(fields, wish, _words(told["recipients"]))


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").replace(";", " ").split() if word]


def _initial(fleet: Fleet, request: HttpRequest) -> dict[str, Any]:
    user = cast(Any, request.user)
    return {
        "report": request.GET.get("report", "summary"), "format": ReportFormat.XLSX, "rhythm": Rhythm.WEEKLY,
        "weekday": 0, "month_day": 1, "at": "07:00", "time_zone": fleet.time_zone, "when_empty": WhenEmpty.SAY,
        "units": Units.METRIC, "dialect": Dialect.COMMA, "recipients": user.email,
    }  # fmt: skip


def _as_form(schedule: ReportSchedule) -> dict[str, Any]:
    wish = Wish.of(schedule.wish)
    return {name: getattr(schedule, name) for name in _ROW} | {
        "at": f"{schedule.at:%H:%M}",
        "vehicles": ", ".join(wish.vehicles),
        "label": wish.label,
        "units": wish.units,
        "dialect": wish.dialect,
        "recipients": ", ".join(user.email for user in schedule.recipients.all()),
    }


def _manages(request: HttpRequest, fleet: Fleet) -> bool:
    return principal_of(request.user).can(Role.MANAGER, fleet.pk)


@page
def schedule_list(request: HttpRequest, fleet: str) -> HttpResponse:
    """For everybody who reads reports; managers add one here."""
    found = fleet_read(request, fleet)
    form = ScheduleForm(initial=_initial(found, request))
    if request.method == "POST":
        if not _manages(request, found):
            raise PermissionDenied
        form = ScheduleForm(request.POST)
        schedule = _kept(request, ReportSchedule(fleet=found), form)
        if schedule is not None:
            messages.success(request, f"{schedule.name} comes by itself from now on.")
            return redirect("report-schedule", found.slug, schedule.pk)
    rows = found.report_schedules.prefetch_related("recipients")
    content = _choices(found, form) | {
        "fleet": found,
        "schedules": [(row, registry.named(row.report)) for row in rows],
        "may_act": _manages(request, found),
        "form": form,
    }
    return render(request, "fleet/report_schedules.html", content, status=400 if form.errors else 200)


def _kept(request: HttpRequest, schedule: ReportSchedule, form: ScheduleForm) -> ReportSchedule | None:
    if not form.is_valid():
        return None
    plan = form.plan
    if schedule.pk:  # the page's form has neither; the API's has
        known = Wish.of(schedule.wish)
        same = known.columns if schedule.report == plan.fields["report"] else ()
        plan = replace(plan, wish=replace(plan.wish, columns=same, drivers=known.drivers if same else ()))
    try:
        return schedules.keep(Actor.of(request), schedule, plan)
    except WishError as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return None


@page
def schedule(request: HttpRequest, fleet: str, schedule: int) -> HttpResponse:
    """With its log: what was made, and what became of each mail."""
    found = fleet_read(request, fleet)
    row = get_object_or_404(found.report_schedules.select_related("fleet"), pk=schedule)
    form = ScheduleForm(initial=_as_form(row))
    if request.method == "POST":
        if not _manages(request, found):
            raise PermissionDenied
        answer, form = _act(request, row, form)
        if answer is not None:
            return answer
    return _schedule_page(request, row, form)


def _act(
    request: HttpRequest, row: ReportSchedule, form: ScheduleForm
) -> tuple[HttpResponse | None, ScheduleForm]:
    """Where to go next; None: the form stays, with its errors."""
    actor = Actor.of(request)
    match request.POST.get("act"):
        case "save":
            form = ScheduleForm(request.POST)
            if _kept(request, row, form) is None:
                return None, form
            messages.success(request, "Saved.")
        case "pause" | "resume" as act:
            schedules.pause(actor, row, act == "pause")
            messages.success(request, f"{row.name} is {act}d.")
        case "run":
            schedules.run_now(actor, row)
            messages.success(request, "It is on its way: see the log.")
        case "delete":
            schedules.remove(actor, row)
            messages.success(request, f"{row.name} is deleted.")
            return redirect("report-schedules", row.fleet.slug), form
    return redirect("report-schedule", row.fleet.slug, row.pk), form


def _schedule_page(request: HttpRequest, row: ReportSchedule, form: ScheduleForm) -> HttpResponse:
    log = (
        ReportExport.objects.filter(schedule=row)
        .prefetch_related("deliveries__user")
        .order_by("-slot", "-id")
    )
    runs = Paginator(log, PAGE_SIZE).get_page(request.GET.get("page", "1"))
    content = _choices(row.fleet, form) | {
        "fleet": row.fleet,
        "schedule": row,
        "report": registry.named(row.report),
        "runs": [(run, Wish.of(run.wish)) for run in runs],
        "current": runs,
        "unsettled": any(run.under_way or _unsent(run) for run in runs),
        "may_act": _manages(request, row.fleet),
        "form": form,
    }
    if request.headers.get("HX-Request"):
        return render(request, "fleet/_report_runs.html", content)
    return render(request, "fleet/report_schedule.html", content, status=400 if form.errors else 200)


def _unsent(run: ReportExport) -> bool:
    return any(one.due_at for one in run.deliveries.all())


def _choices(fleet: Fleet, form: ScheduleForm) -> dict[str, Any]:
    return {"members": schedules.readers(fleet)[:200], "fields": form.fields}
