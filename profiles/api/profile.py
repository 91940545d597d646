"""A driver's profile: fetched and written by cars, erased by managers. The server passes ciphertext on, unread."""

from typing import Any

from django.core.exceptions import ValidationError as FieldsError
from django.db import transaction
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import Principal, principal_of
from fleet.api.drivers import FLEET, find_driver
from fleet.api.problems import ProblemSerializer, problem
from fleet.audit import Actor, record
from fleet.models import Driver
from profiles import access, versions
from profiles.api.body import UploadSerializer, condition_of, upload_of, versions_in

EXAMPLE = OpenApiExample(
    "profile",
    {"driver_id": "driver_123", "encrypted_profile": "gAAAAABnOc…", "version": 7, "seat": "memory 2"},
)
_TAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 201], description='`"7"`')
_ERRORS = dict.fromkeys((400, 401, 403, 404), ProblemSerializer)


class ProfileSerializer(serializers.Serializer[Any]):
    """With whatever else the car sent beside it."""

    driver_id = serializers.CharField()
    encrypted_profile = serializers.CharField()
    version = serializers.IntegerField()


class StoredSerializer(serializers.Serializer[Any]):
    driver_id = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(["stored", "unchanged"])


class ConflictSerializer(ProblemSerializer):
    """Nothing was overwritten: fetch, merge, send again."""

    version = serializers.IntegerField(allow_null=True, help_text="The current one; null when there is none.")
    etag = serializers.CharField(required=False)


class ProfileView(APIView):
    scope = "files"

    @extend_schema(
        summary="Fetch a driver's encrypted profile",
        description="A car that fetches it, or proves with If-None-Match that it has it, is noted as a holder.",
        parameters=[FLEET, OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER), _TAG],
        responses={200: ProfileSerializer, 304: None, 410: ProblemSerializer, **_ERRORS},
        examples=[EXAMPLE],
    )
    def get(self, request: Request, driver: str) -> Response:
        found, principal = find_driver(request, driver), principal_of(request.user)
        if not access.may_read(principal, found):
            raise exceptions.PermissionDenied(
                "The ciphertext is for the fleet's devices, its managers and the driver; see profile/versions."
            )
        try:
            row = versions.current(found)
        except versions.ErasedError:
            if principal.vehicle_id is not None:
                versions.told_erased(found, principal.vehicle_id)
            return gone()
        if row is None:
            raise exceptions.NotFound("This driver has no profile yet: PUT the first version.")
        if principal.vehicle_id is not None and request.method == "GET":
            versions.given(found.pk, principal.vehicle_id, row.version)
        headers = tagged(row.version) | {"Cache-Control": "private, no-cache"}
        known = request.headers.get("If-None-Match", "")
        if known.strip() == "*" or row.version in versions_in(known, weak=True):
            return Response(status=304, headers=headers)
        told = {"driver_id": found.slug, "encrypted_profile": row.ciphertext, "version": row.version}
        return Response(row.metadata | told, headers=headers)

    @extend_schema(
        summary="Store a new version of a driver's encrypted profile",
        description="Send If-Match with the ETag you fetched; or no header and, in the body, the current version + 1. "
        "Anything else is a conflict: 412 with the current version, and nothing is overwritten. The same content again "
        "is harmless. A device may write a driver it does not know yet: the driver is made, without a name.",
        parameters=[
            FLEET,
            OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description='`"7"` or `*`'),
            OpenApiParameter(
                "If-None-Match", str, OpenApiParameter.HEADER, description="`*`: only when new."
            ),
            _TAG,
        ],
        request=UploadSerializer,
        responses={
            200: StoredSerializer, 201: StoredSerializer, 410: ProblemSerializer, 412: ConflictSerializer,
            413: ProblemSerializer, **_ERRORS,
        },
        examples=[EXAMPLE],
    )  # fmt: skip
    def put(self, request: Request, driver: str) -> Response:
        principal = principal_of(request.user)
        found = None if principal.device_id is not None else find_driver(request, driver)
        if found and not access.may_write(principal, found):
            raise exceptions.PermissionDenied(
                "Profiles are written by the fleet's devices and restored by managers."
            )
        upload, condition = upload_of(request, driver), condition_of(request)
        try:
            with transaction.atomic():
                found = found or _driver_of(principal, driver)
                stored = versions.store(found, upload, condition, principal)
                if stored.changed and principal.user_id is not None:
                    told: dict[str, Any] = {"version": stored.version}
                    record(Actor.of(request), "profile.uploaded", found, found.fleet, ({}, told))
        except versions.ConflictError as conflict:
            return refused(conflict.version)
        except versions.ErasedError:
            return gone()
        status = "stored" if stored.changed else "unchanged"
        answer = {"driver_id": driver, "version": stored.version, "status": status}
        return Response(answer, status=201 if stored.first else 200, headers=tagged(stored.version))

    @extend_schema(
        summary="Erase every version of a driver's profile (managers)",
        description="Cars are told 410 from then on, reading and writing, until a manager allows a new profile.",
        parameters=[FLEET],
        responses={204: None, **_ERRORS},
    )
    def delete(self, request: Request, driver: str) -> Response:
        found = find_driver(request, driver)
        if not access.may_manage(principal_of(request.user), found):
            raise exceptions.PermissionDenied("Erasing a profile takes the role manager in this fleet.")
        versions.erase(Actor.of(request), found)
        return Response(status=204)


def tagged(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


def refused(version: int | None) -> Response:
    """412: the writer did not start from what is stored."""
    if version is None:
        return problem(412, "Nothing is stored to match: send it without If-Match.", version=None)
    tag = f'"{version}"'
    reply = problem(
        412,
        f"Version {version} is stored. Fetch it, merge, and send the result as version {version + 1} "
        f"or with If-Match: {tag}.",
        version=version,
        etag=tag,
    )
    reply["ETag"] = tag
    return reply


def gone() -> Response:
    return problem(
        410, "This driver's profile was erased: delete your copy. A manager has to allow a new one first."
    )


def _driver_of(device: Principal, slug: str) -> Driver:
    """A device's fleet is its name space: an id that is new there makes a driver there."""
    assert device.fleet_id is not None
    try:
        return Driver.objects.known(device.fleet_id, slug)
    except FieldsError as error:
        raise exceptions.ValidationError({"driver_id": error.messages}) from None
