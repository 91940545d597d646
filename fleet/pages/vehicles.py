"""The vehicles of my fleets as a list, and the forms that add, change and retire one. `/vehicles`."""

from dataclasses import asdict, dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from fleet import vehicles
from fleet.access import managed_fleets, principal_of, vehicle_or_404, visible_fleets, visible_vehicles
from fleet.audit import Actor
from fleet.models import Fleet, Kind, Role, Vehicle
from fleet.pages.asked import Asked
from fleet.pages.csvfile import EXPORT_LIMIT, csv_answer
from fleet.pages.session import page
from fleet.vehicles import Facts

PAGE_SIZE = 50
STATES = (("", "In service"), ("retired", "Retired"), ("all", "All"))
SORTS: dict[str, tuple[str, list[Any]]] = {
    "name": ("Name", ["name", "id"]),
    "plate": ("Plate", ["plate", "name", "id"]),
    "seen": ("Last seen", [F("state__received_at").desc(nulls_last=True), "name", "id"]),
    "new": ("Newest", ["-id"]),
}


@dataclass(frozen=True)
class Wish(Asked):
    """What the list's form asks for."""

    choices = {"state": list(dict(STATES)), "sort": list(SORTS)}

    q: str = ""
    fleet: str = ""
    state: str = ""
    sort: str = ""


class FactsForm(forms.Form):
    """Labels are typed with commas. What makes no sense is for fleet.vehicles to say."""

    name = forms.CharField(max_length=120)
    vin = forms.CharField(max_length=17, required=False)
    plate = forms.CharField(max_length=20, required=False)
    model = forms.CharField(max_length=120, required=False)
    model_year = forms.IntegerField(required=False)
    labels = forms.CharField(max_length=900, required=False)
    kind = forms.ChoiceField(choices=Kind.choices)

    @property
    def facts(self) -> Facts:
        return Facts(**{**self.cleaned_data, "labels": tuple(self.cleaned_data["labels"].split(","))})

    def take(self, error: ValidationError) -> None:
        for field, texts in error.message_dict.items():
            self.add_error(field if field in self.fields else None, texts)


class NewVehicleForm(FactsForm):
    fleet = forms.ModelChoiceField(queryset=Fleet.objects.none(), to_field_name="slug")

    def __init__(self, managed: list[Fleet], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["fleet"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Fleet.objects.filter(pk__in=[fleet.pk for fleet in managed])

    @property
    def facts(self) -> Facts:
        known = {name: value for name, value in self.cleaned_data.items() if name != "fleet"}
        return Facts(**{**known, "labels": tuple(known["labels"].split(","))})


@page
def vehicle_list(request: HttpRequest) -> HttpResponse:
    """The page, only its list when htmx asks; `?export=csv` answers the same rows as a file."""
    wish = Wish.of(request)
    rows = _narrowed(visible_vehicles(request.user), wish)
    if request.GET.get("export") == "csv":
        return _exported(rows)
    content = {
        "wish": wish,
        "vehicles": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page", "1")),
        "states": STATES,
        "sorts": [(name, label) for name, (label, _) in SORTS.items()],
    }
    if request.headers.get("HX-Request"):
        return render(request, "fleet/_vehicles.html", content)
    content["fleets"] = list(visible_fleets(request.user).order_by("name")[:200])
    content["managed"] = managed_fleets(principal_of(request.user))
    return render(request, "fleet/vehicles.html", content)


def _narrowed(found: Any, wish: Wish) -> Any:
    found = found.search(wish.q).select_related("fleet", "state")
    if wish.fleet:
        found = found.filter(fleet__slug=wish.fleet)
    if wish.state != "all":
        found = found.filter(retired_at__isnull=wish.state != "retired")
    return found.order_by(*SORTS[wish.sort or "name"][1])


def _exported(rows: Any) -> HttpResponse:
    head = (
        "vehicle",
        "id",
        "fleet",
        "plate",
        "vin",
        "model",
        "year",
        "labels",
        "last_seen_utc",
        "retired_at_utc",
    )
    return csv_answer("vehicles", head, (_cells(vehicle) for vehicle in rows[:EXPORT_LIMIT]))


def _cells(vehicle: Vehicle) -> list[Any]:
    state = getattr(vehicle, "state", None)
    return [
        vehicle.name, vehicle.slug, vehicle.fleet.slug, vehicle.plate, vehicle.vin or "", vehicle.model,
        vehicle.model_year or "", ", ".join(vehicle.labels),
        f"{state.received_at:%Y-%m-%d %H:%M:%S}" if state else "",
        f"{vehicle.retired_at:%Y-%m-%d %H:%M:%S}" if vehicle.retired_at else "",
    ]  # fmt: skip


@page
def new_vehicle(request: HttpRequest) -> HttpResponse:
    managed = managed_fleets(principal_of(request.user))
    if not managed:
        raise PermissionDenied("Adding vehicles takes a manager.")
    form = NewVehicleForm(managed, request.POST or None, initial={"kind": Kind.VEHICLE})
    if request.method == "POST" and form.is_valid():
        try:
            made = vehicles.add(Actor.of(request), form.cleaned_data["fleet"], form.facts)
        except ValidationError as error:
            form.take(error)
        else:
            messages.success(request, f"{made.name} was added. It appears on the map with its first record.")
            return redirect(made)
    return _form(request, form, managed=managed)


@page
def edit_vehicle(request: HttpRequest, fleet: str, vehicle: str) -> HttpResponse:
    """`do` is save, retire or revive."""
    found = vehicle_or_404(request.user, fleet, vehicle)
    if not principal_of(request.user).can(Role.MANAGER, found.fleet_id):
        raise PermissionDenied("Only managers of the fleet change its vehicles.")
    actor, do = Actor.of(request), request.POST.get("do", "")
    if request.method == "POST" and do in {"retire", "revive"}:
        (vehicles.retire if do == "retire" else vehicles.revive)(actor, found)
        messages.success(request, f"{found.name} is {'retired' if do == 'retire' else 'back in service'}.")
        return redirect(found)
    known = asdict(Facts.of(found)) | {"labels": ", ".join(found.labels)}
    form = FactsForm(request.POST if request.method == "POST" else None, initial=known)
    if request.method == "POST" and form.is_valid():
        try:
            vehicles.change(actor, found, **asdict(form.facts))
        except ValidationError as error:
            form.take(error)
        else:
            messages.success(request, "Saved.")
            return redirect(found)
    return _form(request, form, vehicle=found)


def _form(request: HttpRequest, form: FactsForm, **content: Any) -> HttpResponse:
    status = 400 if form.errors else 200
    return render(request, "fleet/vehicle_form.html", {"form": form, **content}, status=status)
