"""The drivers of my fleets: a list that can be searched, and a form to add one. `/drivers/`."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from fleet import drivers
from fleet.access import Principal, managed_fleets, principal_of
from fleet.audit import Actor
from fleet.models import Driver, Fleet, User, check_driver_id
from fleet.pages.session import page

PAGE_SIZE = 50
SHOWN = (("", "All"), ("active", "Active"), ("inactive", "Inactive"))


class FactsForm(forms.Form):
    """What people say about a driver; labels are typed with commas."""

    name = forms.CharField(max_length=120, required=False)
    user = forms.EmailField(required=False)
    labels = forms.CharField(max_length=900, required=False)
    active = forms.BooleanField(required=False)

    def clean_labels(self) -> tuple[str, ...]:
        labels = tuple(filter(None, (word.strip() for word in self.cleaned_data["labels"].split(","))))
        if len(labels) > drivers.MAX_LABELS or any(len(label) > drivers.LABEL_LENGTH for label in labels):
            raise ValidationError(
                f"At most {drivers.MAX_LABELS} labels of {drivers.LABEL_LENGTH} characters each."
            )
        return tuple(dict.fromkeys(labels))

    @property
    def facts(self) -> dict[str, Any]:
        """As fields of drivers.Facts."""
        return {
            "name": self.cleaned_data["name"],
            "account": self.cleaned_data["user"],
            "labels": self.cleaned_data["labels"],
            "active": self.cleaned_data["active"],
        }


class NewDriverForm(forms.Form):
    driver_id = forms.CharField(max_length=64, validators=[check_driver_id])
    name = forms.CharField(max_length=120, required=False)
    fleet = forms.ModelChoiceField(queryset=Fleet.objects.none(), to_field_name="slug")

    def __init__(self, managed: list[Fleet], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["fleet"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Fleet.objects.filter(pk__in=[fleet.pk for fleet in managed])


@dataclass(frozen=True)
class Wish:
    """What the list's form asks for; anything unknown counts as not asked."""

    words: str
    state: str
    page: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Wish":
        state = request.GET.get("state", "")
        return cls(
            words=request.GET.get("q", "").replace("\0", "").strip()[:80],
            state=state if state in dict(SHOWN) else "",
            page=request.GET.get("page", "1"),
        )

    @property
    def query(self) -> str:
        return urlencode({name: value for name, value in (("q", self.words), ("state", self.state)) if value})


@page
def driver_list(request: HttpRequest) -> HttpResponse:
    """The page, only its list when htmx asks, or a new driver."""
    principal = principal_of(request.user)
    managed = managed_fleets(principal)
    form = NewDriverForm(managed, request.POST or None)
    if request.method == "POST":
        if not managed:
            raise PermissionDenied
        if form.is_valid() and (driver := _added(request, form)):
            messages.success(request, f"{driver.title} was added.")
            return redirect(driver)
    wish = Wish.of(request)
    content = {
        "wish": wish,
        "drivers": _page(Driver.objects.visible_to(principal), wish),
        "states": SHOWN,
        "managed": managed,
        "form": form,
    }
    is_part = request.headers.get("HX-Request")
    status = 400 if request.method == "POST" else 200
    return render(
        request, "fleet/_driver_list.html" if is_part else "fleet/drivers.html", content, status=status
    )


def driver_or_404(principal: Principal, fleet: str, driver: str) -> Driver:
    """The driver of a page's URL, fleet and user selected."""
    seen = Driver.objects.visible_to(principal).select_related("fleet", "user")
    found: Driver = get_object_or_404(seen, fleet__slug=fleet, slug=driver.replace("\0", ""))
    return found


def changed(request: HttpRequest, driver: Driver, form: FactsForm) -> bool:
    """Applies a valid form; what the rules of drivers refuse becomes errors of its fields."""
    assert isinstance(request.user, User)
    if not form.is_valid():
        return False
    try:
        drivers.change(Actor.of(request), driver, **form.facts)
    except ValidationError as error:
        for field, texts in error.message_dict.items():
            form.add_error(field if field in form.fields else None, texts)
        return False
    return True


def _added(request: HttpRequest, form: NewDriverForm) -> Driver | None:
    wanted = form.cleaned_data
    try:
        return drivers.add(
            Actor.of(request), wanted["fleet"], wanted["driver_id"], drivers.Facts(wanted["name"])
        )
    except drivers.TakenError:
        form.add_error("driver_id", "This fleet has a driver of that id already.")
    return None


def _page(found: Any, wish: Wish) -> Any:
    found = found.search(wish.words).select_related("fleet")
    if wish.state:
        found = found.filter(active=wish.state == "active")
    return Paginator(found.order_by("name", "slug", "id"), PAGE_SIZE).get_page(wish.page)
