"""A profile's versions and holders; restoring, exporting, and allowing a new one after an erasure."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of
from fleet.api.drivers import FLEET, find_driver
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Driver
from profiles import access, versions
from profiles.api.profile import StoredSerializer, gone, tagged
from profiles.export import everything
from profiles.models import EncryptedProfile, ProfileCopy

_ERRORS = dict.fromkeys((400, 401, 404), ProblemSerializer)
_FORBIDDEN = {403: ProblemSerializer}
_PAGED = [FLEET, OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]


class VersionSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField(help_text="Of the ciphertext.")
    metadata = serializers.DictField()
    vehicle_id = serializers.CharField(allow_null=True, help_text="Which car wrote it.")
    device_id = serializers.CharField(allow_null=True)
    restored_from = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class VersionListSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = VersionSerializer(many=True)


class CopySerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.CharField()
    version = serializers.IntegerField()
    timestamp = serializers.DateTimeField(help_text="When the vehicle last fetched or wrote it.")
    told_erased_at = serializers.DateTimeField(allow_null=True)


class CopyListSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = CopySerializer(many=True)


class VersionPages(Pages):
    ordering = ("-version",)


class VersionListView(APIView):
    @extend_schema(
        summary="Versions of a driver's profile, newest first, without their ciphertext",
        parameters=_PAGED,
        responses={200: VersionListSerializer, **_ERRORS},
    )
    def get(self, request: Request, driver: str) -> Response:
        pages = VersionPages()
        rows = pages.paginate_queryset(versions_of(find_driver(request, driver)), request, self) or []
        return pages.get_paginated_response([described(row) for row in rows])


class CopyListView(APIView):
    @extend_schema(
        summary="Vehicles that hold a copy of a driver's profile",
        parameters=_PAGED,
        responses={200: CopyListSerializer, **_ERRORS},
    )
    def get(self, request: Request, driver: str) -> Response:
        pages = Pages()
        rows = pages.paginate_queryset(copies_of(find_driver(request, driver)), request, self) or []
        return pages.get_paginated_response(
            [
                {
                    "vehicle_id": row.vehicle.slug,
                    "version": row.version,
                    "timestamp": row.at,
                    "told_erased_at": row.told_erased_at,
                }
                for row in rows
            ]
        )


class RestoreView(APIView):
    @extend_schema(
        summary="Make a new version of an older one's content (managers)",
        parameters=[FLEET, IDEMPOTENCY_KEY],
        request=None,
        responses={201: StoredSerializer, 410: ProblemSerializer, **_ERRORS, **_FORBIDDEN, **REPEATED},
    )
    @idempotent
    def post(self, request: Request, driver: str, version: int) -> Response:
        found = _managed(request, driver, "Restoring a version")
        try:
            number = versions.restore(Actor.of(request), found, version)
        except EncryptedProfile.DoesNotExist:
            raise exceptions.NotFound(
                f"Version {version} is not kept; profile/versions lists what is."
            ) from None
        except versions.ConflictError:
            raise exceptions.ValidationError(
                {"version": ["This is the current version: nothing to restore."]}
            ) from None
        except versions.ErasedError:
            return gone()
        answer = {"driver_id": found.slug, "version": number, "status": "stored"}
        return Response(answer, status=201, headers=tagged(number))


class LiftView(APIView):
    @extend_schema(
        summary="Allow a new profile after an erasure (managers)",
        parameters=[FLEET],
        request=None,
        responses={204: None, **_ERRORS, **_FORBIDDEN},
    )
    def post(self, request: Request, driver: str) -> Response:
        versions.lift(Actor.of(request), _managed(request, driver, "Allowing a new profile"))
        return Response(status=204)


class ExportView(APIView):
    @extend_schema(
        summary="Everything kept about a driver's profile, as one file (managers, and the driver)",
        parameters=[FLEET],
        responses={200: OpenApiTypes.OBJECT, **_ERRORS, **_FORBIDDEN},
    )
    def get(self, request: Request, driver: str) -> Response:
        found = find_driver(request, driver)
        if not access.may_export(principal_of(request.user), found):
            raise exceptions.PermissionDenied(
                "An export is for the driver in person and the fleet's managers."
            )
        name = f'attachment; filename="profile-{found.slug}.json"'
        headers = {"Content-Disposition": name, "Cache-Control": "no-store"}
        return Response(everything(Actor.of(request), found), headers=headers)


def versions_of(driver: Driver) -> "QuerySet[EncryptedProfile]":
    rows = EncryptedProfile.objects.filter(profile_id=driver.pk).defer("ciphertext")
    return rows.select_related("vehicle", "device").order_by("-version")


def copies_of(driver: Driver) -> "QuerySet[ProfileCopy]":
    return ProfileCopy.objects.filter(profile_id=driver.pk).select_related("vehicle__fleet").order_by("-id")


def described(row: EncryptedProfile) -> dict[str, Any]:
    """Needs `vehicle` and `device` selected."""
    return {
        "version": row.version,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "metadata": row.metadata,
        "vehicle_id": row.vehicle.slug if row.vehicle else None,
        "device_id": row.device.slug if row.device else None,
        "restored_from": row.restored_from,
        "created_at": row.created_at,
    }


def _managed(request: Request, slug: str, what: str) -> Driver:
    driver = find_driver(request, slug)
    if not access.may_manage(principal_of(request.user), driver):
        raise exceptions.PermissionDenied(f"{what} takes the role manager in this fleet.")
    return driver
