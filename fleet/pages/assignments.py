"""Who has which vehicle: the list, one of them, and bringing them in from a file. `/assignments`."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from fleet.access import managed_fleets, principal_of, visible_fleets
from fleet.audit import Actor
from fleet.behaviour import assignmentfile, assignments
from fleet.behaviour.assignments import Wish
from fleet.models import Driver, DriverAssignment, Fleet, Role, Vehicle
from fleet.pages.asked import Asked
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.session import page

PAGE_SIZE, CHOICES, SHOWN = 50, 1_000, 5
STATES = (("", "All"), ("now", "Now"), ("over", "Over"), ("ahead", "Ahead"))
SORTS: dict[str, tuple[str, list[Any]]] = {
    "new": ("Newest first", ["-started_at", "-id"]),
    "old": ("Oldest first", ["started_at", "id"]),
    "vehicle": ("Vehicle", ["vehicle__name", "-started_at", "-id"]),
    "driver": ("Driver", ["driver__name", "driver__slug", "-started_at", "-id"]),
    "end": ("End", [F("ended_at").desc(nulls_first=True), "-id"]),
}
TYPED = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Listed(Asked):
    """What the list's form asks for: words of the vehicle and of the driver."""

    choices = {"state": list(dict(STATES)), "sort": list(SORTS)}

    vehicle: str = ""
    driver: str = ""
    fleet: str = ""
    state: str = ""
    sort: str = ""

    def rows(self, found: Any) -> Any:
        for word in self.vehicle.split():
            v = Q(vehicle__name__icontains=word) | Q(vehicle__plate__icontains=word)
            found = found.filter(v | Q(vehicle__slug__iexact=word))
        for word in self.driver.split():
            found = found.filter(Q(driver__name__icontains=word) | Q(driver__slug__icontains=word))
        if self.fleet:
            found = found.filter(fleet__slug=self.fleet)
        now = timezone.now()
        if self.state == "now":
            found = found.filter(Q(ended_at=None) | Q(ended_at__gt=now), started_at__lte=now)
        elif self.state:
            found = found.filter(
                **({"ended_at__lte": now} if self.state == "over" else {"started_at__gt": now})
            )
        return found.order_by(*SORTS[self.sort or "new"][1])


class AssignmentForm(forms.Form):
    """Moments are typed in the reader's zone."""

    vehicle = forms.ModelChoiceField(queryset=Vehicle.objects.none())
    driver = forms.ModelChoiceField(queryset=Driver.objects.none())
    started_at = forms.DateTimeField(input_formats=[TYPED, "%Y-%m-%dT%H:%M:%S"])
    ended_at = forms.DateTimeField(input_formats=[TYPED, "%Y-%m-%dT%H:%M:%S"], required=False)
    hand_over = forms.BooleanField(required=False)

    def __init__(self, fleets: list[int], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, model in (("vehicle", Vehicle), ("driver", Driver)):
            field: Any = self.fields[name]
            field.queryset = model.objects.filter(fleet__in=fleets).order_by("name", "pk")

    @property
    def wish(self) -> Wish:
        told = self.cleaned_data
        return Wish(told["vehicle"], told["driver"], told["started_at"], told["ended_at"])

    def take(self, error: ValidationError) -> None:
        for field, texts in error.message_dict.items():
            self.add_error(field if field in self.fields else None, texts)


@page
def assignment_list(request: HttpRequest) -> HttpResponse:
    """The page, its list when htmx asks, a file with `?export=csv`, or a new assignment."""
    principal = principal_of(request.user)
    managed = managed_fleets(principal)
    form = AssignmentForm([fleet.pk for fleet in managed], request.POST or None)
    if request.method == "POST":
        if not managed:
            raise PermissionDenied("Assigning vehicles takes a manager.")
        if form.is_valid() and (made := _added(request, form)):
            messages.success(
                request, f"{made.vehicle.name} is {made.driver.title}’s. Trips follow within a minute."
            )
            return redirect(_back(request, made))
    wish = Listed.of(request)
    rows = wish.rows(_visible(request))
    if request.GET.get("export") == "csv":
        return _exported(rows)
    content = {
        "wish": wish,
        "rows": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1")),
        "states": STATES,
        "sorts": [(name, label) for name, (label, _) in SORTS.items()],
        "managed": managed,
        "now": timezone.now(),
    }
    if request.headers.get("HX-Request"):
        return render(request, "fleet/_assignment_list.html", content)
    content |= form_content(managed, form)
    return render(request, "fleet/assignments.html", content, status=400 if form.is_bound else 200)


def form_content(managed: list[Fleet], form: AssignmentForm | None = None, fixed: str = "") -> dict[str, Any]:
    """What fleet/_assignment_form.html needs; `fixed` is not chosen. A query for each choice."""
    fleets = [fleet.pk for fleet in managed]
    if not fleets:
        return {"assigning": None}
    ours = Vehicle.objects.filter(fleet__in=fleets, retired_at=None).order_by("name", "pk")
    drivers = Driver.objects.filter(fleet__in=fleets, active=True).order_by("name", "slug")
    return {
        "assigning": form or AssignmentForm(fleets),
        "to_assign": [] if fixed == "vehicle" else list(ours.values_list("pk", "name")[:CHOICES]),
        "to_drive": [] if fixed == "driver" else [(one.pk, one.title) for one in drivers[:CHOICES]],
        "usually": f"{timezone.localtime():{TYPED}}",
    }


def of(request: HttpRequest, **whose: Any) -> dict[str, Any]:
    """The newest of a vehicle or a driver (`vehicle=` or `driver=`), for its page."""
    rows = _visible(request).filter(**whose).order_by("-started_at", "-id")
    ((fixed, one),) = whose.items()
    managed = [one.fleet] if principal_of(request.user).can(Role.MANAGER, one.fleet_id) else []
    return {"assigned": list(rows[:SHOWN]), "now": timezone.now(), **form_content(managed, fixed=fixed)}


@page
def assignment(request: HttpRequest, assignment: int) -> HttpResponse:
    """`do` is save, end or delete."""
    found: DriverAssignment = get_object_or_404(_visible(request), pk=min(assignment, 2**63 - 1))
    if not principal_of(request.user).can(Role.MANAGER, found.fleet_id):
        raise PermissionDenied("Only managers of the fleet change who has which vehicle.")
    actor, do = Actor.of(request), request.POST.get("do", "")
    if request.method == "POST" and do == "delete":
        assignments.delete(actor, found)
        messages.success(request, "Deleted. Trips follow within a minute.")
        return redirect("assignments")
    data = None
    if request.method == "POST":
        data = request.POST.copy()
        data["vehicle"] = str(found.vehicle_id)
    # The vehicle may be another fleet's by now; the assignment stays this one's.
    form = AssignmentForm([found.fleet_id], data)
    form.fields["vehicle"].queryset = Vehicle.objects.filter(pk=found.vehicle_id)  # type: ignore[attr-defined]
    if data is not None and form.is_valid():
        told = form.cleaned_data
        wanted = {name: told[name] for name in ("driver", "started_at", "ended_at")}
        try:
            assignments.change(actor, found, **wanted)
        except ValidationError as error:
            form.take(error)
        else:
            messages.success(request, "Saved. Trips follow within a minute.")
            return redirect("assignments")
    content = {
        "one": found,
        "drivers": Driver.objects.filter(fleet=found.fleet_id).order_by("name", "slug")[:CHOICES],
    }
    return render(
        request, "fleet/assignment.html", content | {"form": form}, status=400 if form.errors else 200
    )


@page
def bring_in(request: HttpRequest, fleet: str) -> HttpResponse:
    """A file or a text is shown with what is wrong with each row; sent again from there, it is added."""
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=fleet)
    if not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise PermissionDenied("Assigning vehicles takes a manager of the fleet.")
    content: dict[str, Any] = {
        "fleet": found,
        "head": ",".join(assignmentfile.HEAD),
        "limit": assignmentfile.MOST_ROWS,
    }
    if request.method == "POST":
        try:
            content["text"] = _sent(request) or request.POST.get("text", "")
            lines = assignmentfile.read(found, content["text"], timezone.get_current_timezone())
        except assignmentfile.UnreadableError as error:
            content["reason"] = str(error)
        else:
            wrong = [line for line in lines if line.errors]
            content |= {"lines": lines, "wrong": len(wrong), "good": len(lines) - len(wrong)}
            if request.POST.get("do") == "add" and not wrong:
                assignments.add_all(Actor.of(request), [line.wish for line in lines if line.wish])
                messages.success(request, f"{len(lines)} added. Trips follow within a minute.")
                return redirect(f"{_list_of(found)}")
    refused = content.get("reason") or (content.get("wrong") and request.POST.get("do") == "add")
    status = 400 if refused else 200
    return render(request, "fleet/assignment_import.html", content, status=status)


def _list_of(fleet: Fleet) -> str:
    return "/assignments?" + urlencode({"fleet": fleet.slug})


def _sent(request: HttpRequest) -> str:
    file = request.FILES.get("file")
    if file is None:
        return ""
    if (file.size or 0) > assignmentfile.MOST_BYTES:
        raise assignmentfile.UnreadableError(f"At most {assignmentfile.MOST_BYTES // 1_000_000} MB at once.")
    try:
        return str(file.read(), "utf-8-sig")
    except UnicodeDecodeError:
        raise assignmentfile.UnreadableError("The file is no UTF-8 text.") from None


def _visible(request: HttpRequest) -> Any:
    found = DriverAssignment.objects.visible_to(principal_of(request.user))
    return found.select_related("fleet", "vehicle__fleet", "driver__fleet")


def _added(request: HttpRequest, form: AssignmentForm) -> DriverAssignment | None:
    try:
        return assignments.add(Actor.of(request), form.wish, hand_over=form.cleaned_data["hand_over"])
    except ValidationError as error:
        form.take(error)
    return None


def _back(request: HttpRequest, made: DriverAssignment) -> Any:
    back = {"vehicle": made.vehicle, "driver": made.driver}.get(request.POST.get("back", ""))
    return back or "assignments"


def _exported(rows: Any) -> HttpResponse:
    """With the head that `bring_in` reads."""
    head = ("id", "fleet", "vehicle", "driver", "from", "to", "vehicle_name", "driver_name")
    cells = (
        [
            one.pk, one.fleet.slug, one.vehicle.slug, one.driver.slug, f"{one.started_at:%Y-%m-%dT%H:%M:%SZ}",
            f"{one.ended_at:%Y-%m-%dT%H:%M:%SZ}" if one.ended_at else "", one.vehicle.name, one.driver.name,
        ]
        for one in rows[:EXPORT_LIMIT]
    )  # fmt: skip
    return csv_answer("assignments", head, cells)
