"""Everything kept of a driver as a file, and their erasure, over the API."""

from typing import Any

from django.core.files.storage import default_storage
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import Principal, principal_of
from fleet.api.drivers import FLEET, find_driver
from fleet.api.files import Stored, file_answer
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Driver, PersonWish, Role, User
from fleet.people import account
from fleet.privacy import wishes

_ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 429), ProblemSerializer)


class ExportAskedSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(
        max_length=300,
        required=False,
        allow_blank=True,
        default="",
        help_text="Needed unless it is about yourself.",
    )


class ErasureAskedSerializer(serializers.Serializer[Any]):
    password = serializers.CharField(max_length=200, help_text="Yours.")
    code = serializers.CharField(
        max_length=40, required=False, allow_blank=True, default="", help_text="With a second factor."
    )
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class PersonWishSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid")
    kind = serializers.CharField(help_text="export or erase")
    state = serializers.CharField(help_text="waiting, done, failed or expired")
    size = serializers.IntegerField(source="size_bytes", allow_null=True, help_text="bytes")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="The file is deleted then.")


class WishPages(Pages):
    ordering = ("-created_at", "-id")


class PersonExportsView(APIView):
    pagination_class = WishPages

    @extend_schema(
        operation_id="person_exports",
        summary="Exports of a driver that you asked for, and their erasure",
        parameters=[FLEET],
        responses={200: PersonWishSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request, driver: str) -> Response:
        found, principal = person_of(request, driver)
        pages = WishPages()
        rows: Any = pages.paginate_queryset(wishes.shown_to(principal.user_id, found), request, self)
        return pages.get_paginated_response(PersonWishSerializer(rows, many=True).data)

    @extend_schema(
        summary="Ask for a file of everything kept of a driver (managers with a reason, and the driver)",
        parameters=[FLEET],
        request=ExportAskedSerializer,
        responses={202: PersonWishSerializer, **_ERRORS},
    )
    def post(self, request: Request, driver: str) -> Response:
        found, _ = person_of(request, driver)
        body = ExportAskedSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            wish = wishes.export(Actor.of(request), found, body.validated_data["reason"])
        except wishes.RefusedError as refused:
            raise serializers.ValidationError({"reason": [str(refused)]}) from None
        return Response(PersonWishSerializer(wish).data, status=202)


class PersonFileView(APIView):
    @extend_schema(
        summary="The file, for who asked for it",
        parameters=[FLEET],
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **_ERRORS},
    )
    def get(self, request: Request, driver: str, wish: str) -> HttpResponseBase:
        found, principal = person_of(request, driver)
        return stored_answer(request, found, principal, wish)


class PersonErasureView(APIView):
    @extend_schema(
        summary="Erase a driver (managers, with their password)",
        description="Irreversible. From the answer on no data brings the driver's id back; the rest is worked in the "
        "background. Asked again it answers the same.",
        parameters=[FLEET],
        request=ErasureAskedSerializer,
        responses={202: PersonWishSerializer, **_ERRORS},
    )
    def post(self, request: Request, driver: str) -> Response:
        found = find_driver(request, driver)
        if not principal_of(request.user).can(Role.MANAGER, found.fleet_id):
            raise exceptions.PermissionDenied("This takes a manager of the fleet.")
        body = ErasureAskedSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        user, said = request.user, body.validated_data
        if not isinstance(user, User) or not account.proves(
            request._request, user, said["password"], said["code"]
        ):
            raise serializers.ValidationError({"password": ["It is not yours."]})
        try:
            wish = wishes.erase(Actor.of(request), found, said["reason"])
        except wishes.RefusedError as refused:
            raise serializers.ValidationError({"driver": [str(refused)]}) from None
        return Response(PersonWishSerializer(wish).data, status=202)


def person_of(request: Request, slug: str) -> tuple[Driver, Principal]:
    found, principal = find_driver(request, slug), principal_of(request.user)
    if not may_export(principal, found):
        raise exceptions.PermissionDenied("This takes a manager of the fleet, or the driver in person.")
    return found, principal


def may_export(principal: Principal, driver: Driver) -> bool:
    if principal.user_id is None:
        return False
    return principal.can(Role.MANAGER, driver.fleet_id) or principal.user_id == driver.user_id


def stored_answer(request: Any, driver: Driver, principal: Principal, uid: Any) -> HttpResponseBase:
    """404 before it is there, after it has expired, and to everybody who did not ask for it."""
    wish = PersonWish.objects.filter(driver=driver, uid=uid, asked_by=principal.user_id).first()
    gone = wish is None or not wish.stored_as or (wish.expires_at and wish.expires_at <= timezone.now())
    if wish is None or gone or not default_storage.exists(wish.stored_as):
        raise Http404
    name = f"{driver.slug}.zip"
    return file_answer(
        request, Stored(wish.stored_as, wish.size_bytes or 0, f'"{wish.uid.hex}"', name, "application/zip")
    )
