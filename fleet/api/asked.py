"""What lists of a vehicle's things may be asked, and what only its device may send."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request

from fleet.access import principal_of, visible_vehicles
from fleet.api.moments import moment_of
from fleet.api.told import storable
from fleet.models import Vehicle

PARAMETERS = [
    OpenApiParameter("vehicle", str, description="Slug, VIN or plate."),
    OpenApiParameter("from", str, description="Began at or after: ISO 8601 or Unix seconds."),
    OpenApiParameter("to", str, description="Began before."),
]


def demand_device(request: Request) -> None:
    if principal_of(request.user).device_id is None:
        raise exceptions.PermissionDenied("Only a vehicle's device sends this: use its token.")


def own_vehicle(request: Request, names: set[str]) -> Vehicle | None:
    """The device's vehicle, when it is what all the names mean; None when there are no names."""
    vehicle = None
    for name in names:
        vehicle = get_object_or_404(visible_vehicles(request.user).named(name).select_related("fleet"))
    return vehicle


def narrowed(rows: QuerySet[Any], request: Request, moment: str) -> Any:
    """By the parameters that lists of a vehicle's things share: vehicle, from, to."""
    asked, errors = request.query_params, {}
    if name := asked.get("vehicle"):
        rows = rows.filter(vehicle__in=visible_vehicles(request.user).named(text_in(name, "vehicle")))
    for parameter, lookup in (("from", "gte"), ("to", "lt")):
        text = asked.get(parameter, "")
        if not text:
            continue
        try:
            rows = rows.filter(**{f"{moment}__{lookup}": moment_of(text)})
        except ValueError as error:
            errors[parameter] = [str(error)]
    if errors:
        raise exceptions.ValidationError(errors)
    return rows


def text_in(text: str, parameter: str) -> str:
    """PostgreSQL cannot even look for a NUL."""
    return str(storable(text, parameter))
