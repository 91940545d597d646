"""Drivers over the API. Devices see their fleet's ids and nothing personal."""

from typing import Any

from django.core.exceptions import ValidationError as FieldsError
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet import drivers
from fleet.access import Principal, principal_of, visible_fleets
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer, problem
from fleet.audit import Actor
from fleet.models import Driver, Fleet, Role

FLEET = OpenApiParameter(
    "fleet", str, description="Fleet id; needed only where two of your fleets know the id."
)
EXAMPLE = OpenApiExample(
    "driver",
    {
        "driver_id": "driver_123", "fleet_id": "fleet_alpha", "active": True, "name": "Ada Berg",
        "user": "ada@example.com", "labels": ["night"], "created_at": "2024-11-17T10:30:45Z",
    },
)  # fmt: skip


class FactsSerializer(serializers.Serializer[Any]):
    """What people say about a driver."""

    name = serializers.CharField(max_length=120, allow_blank=True, required=False)
    user = serializers.EmailField(
        allow_null=True, required=False, help_text="E-mail of the member who is this driver; null: nobody."
    )
    active = serializers.BooleanField(required=False)
    labels = serializers.ListField(
        child=serializers.CharField(max_length=drivers.LABEL_LENGTH),
        max_length=drivers.MAX_LABELS,
        required=False,
    )


class NewDriverSerializer(FactsSerializer):
    driver_id = serializers.CharField(max_length=64, help_text="What cars call the driver: `driver_123`.")
    fleet = serializers.CharField(required=False, help_text="Fleet id; needed when you manage several.")


class DriverSerializer(serializers.Serializer[Any]):
    driver_id = serializers.CharField()
    fleet_id = serializers.CharField()
    active = serializers.BooleanField()
    name = serializers.CharField(required=False, help_text="For people only, like the three below.")
    user = serializers.EmailField(required=False, allow_null=True)
    labels = serializers.ListField(child=serializers.CharField(), required=False)
    created_at = serializers.DateTimeField(required=False)


class DriverListSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = DriverSerializer(many=True)


class DriverListView(APIView):
    @extend_schema(
        operation_id="v1_drivers_list",
        summary="Drivers you may see, newest first",
        parameters=[
            OpenApiParameter("q", str, description="Words in the id or the name."),
            OpenApiParameter("active", bool),
            OpenApiParameter("fleet", str, description="Fleet id."),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses={
            200: DriverListSerializer, 400: ProblemSerializer, 401: ProblemSerializer, 404: ProblemSerializer,
        },
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        principal = principal_of(request.user)
        found = _filtered(Driver.objects.visible_to(principal), request)
        pages = Pages()
        rows: list[Driver] = (
            pages.paginate_queryset(found.select_related("fleet", "user"), request, self) or []
        )
        return pages.get_paginated_response([described(driver, principal) for driver in rows])

    @extend_schema(
        summary="Add a driver (managers)",
        parameters=[IDEMPOTENCY_KEY],
        request=NewDriverSerializer,
        responses={
            201: DriverSerializer, 400: ProblemSerializer, 401: ProblemSerializer, 403: ProblemSerializer,
            **REPEATED,
        },
        examples=[EXAMPLE],
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        principal = principal_of(request.user)
        managed = _managed(principal)
        if not managed.exists():
            raise exceptions.PermissionDenied("Adding drivers takes a fleet's manager.")
        serializer = NewDriverSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = dict(serializer.validated_data)
        fleet, slug = _chosen(managed, wanted.pop("fleet", "")), wanted.pop("driver_id")
        try:
            driver = drivers.add(Actor.of(request), fleet, slug, drivers.Facts(**_facts(wanted)))
        except drivers.TakenError:
            return problem(
                409, f"{fleet} has a driver {slug} already: change that one, or choose another id."
            )
        except FieldsError as error:
            raise _by_field(error) from None
        answer = described(driver, principal)
        return Response(answer, status=201, headers={"Location": f"/api/v1/drivers/{driver.slug}"})


class DriverView(APIView):
    @extend_schema(
        summary="One driver",
        parameters=[FLEET],
        responses={
            200: DriverSerializer, 400: ProblemSerializer, 401: ProblemSerializer, 404: ProblemSerializer,
        },
        examples=[EXAMPLE],
    )  # fmt: skip
    def get(self, request: Request, driver: str) -> Response:
        return Response(described(find_driver(request, driver), principal_of(request.user)))

    @extend_schema(
        summary="Change what is known of a driver (managers)",
        parameters=[FLEET],
        request=FactsSerializer,
        responses={
            200: DriverSerializer, 400: ProblemSerializer, 401: ProblemSerializer, 403: ProblemSerializer,
            404: ProblemSerializer,
        },
        examples=[EXAMPLE],
    )  # fmt: skip
    def patch(self, request: Request, driver: str) -> Response:
        found = find_driver(request, driver)
        principal = must_be(request, Role.MANAGER, found.fleet_id, "Changing a driver")
        serializer = FactsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            changed = drivers.change(Actor.of(request), found, **_facts(serializer.validated_data))
        except FieldsError as error:
            raise _by_field(error) from None
        return Response(described(changed, principal))


def find_driver(request: Request, slug: str) -> Driver:
    """The driver of a path, fleet and user selected. `?fleet=` decides where two fleets of one person know the id."""
    found = Driver.objects.visible_to(principal_of(request.user)).filter(slug=slug.replace("\0", ""))
    if fleet := asked(request, "fleet"):
        found = found.filter(fleet__slug=fleet)
    rows = list(found.select_related("fleet", "user").order_by("id")[:2])
    if not rows:
        raise exceptions.NotFound("There is no driver of this id that you may see.")
    if len(rows) > 1:
        raise exceptions.ValidationError({"fleet": ["Several of your fleets know this id: add ?fleet=…"]})
    return rows[0]


def asked(request: Request, name: str) -> str:
    """A query parameter as the database can read it: PostgreSQL takes no NUL."""
    return request.query_params.get(name, "")[:80].replace("\0", "")


def must_be(request: Request, role: str, fleet_id: int, what: str) -> Principal:
    principal = principal_of(request.user)
    if not principal.can(role, fleet_id):
        raise exceptions.PermissionDenied(f"{what} takes the role {role} in this fleet.")
    return principal


def described(driver: Driver, principal: Principal) -> dict[str, Any]:
    """Needs `fleet` and `user` selected."""
    told: dict[str, Any] = {
        "driver_id": driver.slug,
        "fleet_id": driver.fleet.slug,
        "active": driver.active,
    }
    if principal.device_id is not None:
        return told
    return told | {
        "name": driver.name,
        "user": driver.user.email if driver.user else None,
        "labels": driver.labels,
        "created_at": driver.created_at,
    }


def _filtered(found: Any, request: Request) -> Any:
    found = found.search(asked(request, "q"))
    if fleet := asked(request, "fleet"):
        found = found.filter(fleet__slug=fleet)
    if active := asked(request, "active"):
        found = found.filter(active=serializers.BooleanField().run_validation(active))
    return found


def _managed(principal: Principal) -> "QuerySet[Fleet]":
    fleets: QuerySet[Fleet] = visible_fleets(principal)
    if principal.sees_everything:
        return fleets
    return fleets.filter(pk__in=[fleet for fleet in principal.roles if principal.can(Role.MANAGER, fleet)])


def _chosen(managed: "QuerySet[Fleet]", slug: str) -> Fleet:
    rows = list((managed.filter(slug=slug) if slug else managed)[:2])
    if not rows:
        raise exceptions.ValidationError({"fleet": ["You manage no fleet of this id."]})
    if len(rows) > 1:
        raise exceptions.ValidationError({"fleet": ["You manage several: say which."]})
    return rows[0]


def _facts(wanted: dict[str, Any]) -> dict[str, Any]:
    """As fields of drivers.Facts."""
    facts = dict(wanted)
    if "user" in facts:
        facts["account"] = facts.pop("user") or ""
    if "labels" in facts:
        facts["labels"] = tuple(dict.fromkeys(facts["labels"]))
    return facts


def _by_field(error: FieldsError) -> exceptions.ValidationError:
    names = {"slug": "driver_id"}
    return exceptions.ValidationError(
        {names.get(field, field): texts for field, texts in error.message_dict.items()}
    )
