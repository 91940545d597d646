"""Geofences and their visits over the API: members read them, managers make and change them."""

from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import managed_fleets, principal_of, visible_vehicles
from fleet.api.asked import PARAMETERS, narrowed, text_in
from fleet.api.etags import tag_of
from fleet.api.geofence_shape import (
    EXAMPLE,
    GeofenceBodySerializer,
    GeofenceSerializer,
    VisitSerializer,
    fill,
    told,
)
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import Conflict, ProblemSerializer, problem
from fleet.api.rules import vehicles_of
from fleet.audit import Actor
from fleet.geofencing import geofences
from fleet.jsontext import dumped
from fleet.models import FenceKind, Fleet, Geofence, Role, Visit

_ERRORS: dict[int, Any] = dict.fromkeys((401, 403, 404, 429), ProblemSerializer)
_WRONG: dict[int, Any] = {400: ProblemSerializer, **_ERRORS}
_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` you fetched: 412 when somebody changed it since.",
)
_STALE: dict[int, Any] = {412: ProblemSerializer}


class GeofencePages(Pages):
    ordering = ("name", "id")


class VisitPages(Pages):
    ordering = ("-entered_at", "-id")


class GeofencesView(APIView):
    pagination_class = GeofencePages

    @extend_schema(
        operation_id="v1_geofences_list",
        summary="Geofences you may see, by name",
        parameters=[
            OpenApiParameter("fleet", str, description="Fleet id."),
            OpenApiParameter("q", str, description="Words in the name."),
            OpenApiParameter("kind", str, enum=FenceKind.values),
        ],
        responses={200: GeofenceSerializer(many=True), **_WRONG},
    )
    def get(self, request: Request) -> Response:
        found = _visible(request)
        if fleet := request.query_params.get("fleet"):
            found = found.filter(fleet__slug=text_in(fleet, "fleet"))
        for word in text_in(request.query_params.get("q", ""), "q")[:80].split():
            found = found.filter(name__icontains=word)
        if kind := request.query_params.get("kind"):
            if kind not in FenceKind.values:
                raise exceptions.ValidationError({"kind": [f"Choose one of: {', '.join(FenceKind.values)}."]})
            found = found.filter(kind=kind)
        pages = GeofencePages()
        rows: Any = pages.paginate_queryset(found, request, self)
        return pages.get_paginated_response([told(row) for row in rows])

    @extend_schema(
        summary="Make a geofence",
        description="Managers only. It finds visits in records measured from now on, or since `history_from`.",
        parameters=[IDEMPOTENCY_KEY],
        request=GeofenceBodySerializer,
        responses={201: GeofenceSerializer, **_WRONG, **REPEATED},
        examples=[EXAMPLE],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        managed = managed_fleets(principal_of(request.user))
        if not managed:
            raise exceptions.PermissionDenied("Geofences are made by managers of a fleet.")
        body = _body(request)
        fleet = _fleet(managed, body["properties"].pop("fleet", ""))
        wish = _wish(Geofence(fleet=fleet), body)
        made = geofences.add(Actor.of(request), fleet, wish)
        headers = {"Location": f"/api/v1/geofences/{made.pk}"}
        return Response(told(_fresh(made.pk)), status=201, headers=headers)


class GeofenceView(APIView):
    @extend_schema(summary="One geofence", responses={200: GeofenceSerializer, **_ERRORS})
    def get(self, request: Request, geofence: int) -> Response:
        return Response(told(_one(request, geofence)))

    @extend_schema(
        summary="Change a geofence",
        description="Managers only. The whole geofence; what is left out goes back to its usual value. A changed shape "
        "finds visits from now on, or since `history_from`; earlier visits stay.",
        parameters=[_IF_MATCH],
        request=GeofenceBodySerializer,
        responses={200: GeofenceSerializer, **_WRONG, **_STALE},
        examples=[EXAMPLE],
    )
    def put(self, request: Request, geofence: int) -> Response:
        known = _managed(request, geofence)
        if (stale := _stale(request, known)) is not None:
            return stale
        body = _body(request)
        if body["properties"].pop("fleet", known.fleet.slug) != known.fleet.slug:
            raise exceptions.ValidationError({"properties.fleet": ["A geofence stays in its fleet."]})
        geofences.change(Actor.of(request), _wish(Geofence(pk=known.pk, fleet=known.fleet), body))
        return Response(told(_fresh(known.pk)))

    @extend_schema(
        summary="Delete a geofence and its visits",
        description="Managers only. One that alert rules watch is refused.",
        parameters=[_IF_MATCH],
        responses={204: None, 409: ProblemSerializer, **_ERRORS, **_STALE},
    )
    def delete(self, request: Request, geofence: int) -> Response:
        known = _managed(request, geofence)
        if (stale := _stale(request, known)) is not None:
            return stale
        try:
            geofences.delete(Actor.of(request), known)
        except exceptions.ValidationError as error:
            detail: Any = error.detail
            raise Conflict(str(detail["geofence"])) from None
        return Response(status=204)


class GeofenceVisitsView(APIView):
    pagination_class = VisitPages

    @extend_schema(
        operation_id="v1_geofences_visits",
        summary="Visits of a geofence, newest first",
        parameters=PARAMETERS,
        responses={200: VisitSerializer(many=True), **_WRONG},
    )
    def get(self, request: Request, geofence: int) -> Response:
        fence = _one(request, geofence)
        return _visits(self, request, Visit.objects.filter(geofence=fence))


class VehicleVisitsView(APIView):
    pagination_class = VisitPages

    @extend_schema(
        operation_id="v1_vehicles_visits",
        summary="Where a vehicle was, newest first",
        parameters=[*PARAMETERS[1:], OpenApiParameter("geofence", int, description="Only of this one.")],
        responses={200: VisitSerializer(many=True), **_WRONG},
    )
    def get(self, request: Request, name: str) -> Response:
        found = list(visible_vehicles(request.user).named(name.replace("\0", "")).order_by("id")[:2])
        if len(found) > 1:
            raise Conflict("More than one of your vehicles is called that: use the VIN.")
        if not found:
            raise Http404
        rows = Visit.objects.filter(vehicle=found[0])
        if text := request.query_params.get("geofence"):
            if not (text.isascii() and text.isdigit() and len(text) < 19):
                raise exceptions.ValidationError({"geofence": ["Send a geofence's id."]})
            rows = rows.filter(geofence=int(text))
        return _visits(self, request, rows)


def _visits(view: Any, request: Request, rows: Any) -> Response:
    rows = narrowed(rows.visible_to(principal_of(request.user)), request, "entered_at")
    pages = VisitPages()
    shown: Any = pages.paginate_queryset(rows.select_related("geofence", "vehicle"), request, view)
    return pages.get_paginated_response(VisitSerializer(shown, many=True).data)


def _visible(request: Request) -> Any:
    rows = Geofence.objects.visible_to(principal_of(request.user))
    return rows.select_related("fleet").prefetch_related("vehicles")


def _one(request: Request, number: int) -> Geofence:
    found: Geofence = get_object_or_404(_visible(request), pk=number)
    return found


def _fresh(number: int) -> Geofence:
    return Geofence.objects.select_related("fleet").prefetch_related("vehicles").get(pk=number)


def _managed(request: Request, number: int) -> Geofence:
    found = _one(request, number)
    if not principal_of(request.user).can(Role.MANAGER, found.fleet_id):
        raise exceptions.PermissionDenied("Geofences are changed by managers of the fleet.")
    return found


def _stale(request: Request, fence: Geofence) -> Response | None:
    """412 for who has seen something else."""
    wanted = request.headers.get("If-Match", "").strip()
    if wanted in {"", "*"} or tag_of(dumped(told(fence))) in {tag.strip() for tag in wanted.split(",")}:
        return None
    return problem(412, "Somebody changed it since: fetch it, and change what is there now.")


def _body(request: Request) -> dict[str, Any]:
    body = GeofenceBodySerializer(data=request.data)
    body.is_valid(raise_exception=True)
    found: dict[str, Any] = dict(body.validated_data)
    found["properties"] = dict(found["properties"])
    return found


def _wish(fence: Geofence, body: dict[str, Any]) -> geofences.Wish:
    wanted = body["properties"]
    names, since = wanted.pop("vehicles", None), wanted.pop("history_from", None)
    wanted["schedule"] = [dict(entry) for entry in wanted.get("schedule", [])]
    fill(fence, body["geometry"], wanted)
    fence.all_vehicles = names is None
    return geofences.Wish(fence, vehicles_of(fence.fleet, names or [], "properties.vehicles"), since)


def _fleet(managed: list[Fleet], slug: str) -> Fleet:
    found = [fleet for fleet in managed if slug in {"", fleet.slug}]
    if len(found) != 1:
        raise exceptions.ValidationError({"properties.fleet": ["Name one fleet that you manage."]})
    return found[0]
