"""TUF repositories over HTTP: metadata and files for devices' updaters, and publishing for who releases."""

from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import rollouts, tufrepository
from devices.tufrepository import UnacceptableError
from fleet.access import principal_of, visible_fleets
from fleet.api.files import Stored, file_answer
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Fleet, Role

_ERRORS = dict.fromkeys((401, 403, 404), ProblemSerializer)


class RoleSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(["root", "targets", "snapshot", "timestamp"])
    version = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class RepositorySerializer(serializers.Serializer[Any]):
    roles = RoleSerializer(many=True)


class PublishSerializer(serializers.Serializer[Any]):
    metadata = serializers.ListField(
        child=serializers.DictField(),
        min_length=1,
        max_length=10,
        help_text="Signed root and targets, in order.",
    )


class PublishedSerializer(RepositorySerializer):
    taken = serializers.ListField(
        child=serializers.CharField(), help_text="What was not there yet: 2.targets.json."
    )


class RepositoryView(APIView):
    """Without a fleet: the releases that are for everybody."""

    scope = "files"

    @extend_schema(
        operation_id="v1_models_tuf_roles",
        summary="The newest TUF metadata of each role, and when it ends",
        responses={200: RepositorySerializer, **_ERRORS},
    )
    def get(self, request: Request, fleet: str = "") -> Response:
        return Response({"roles": _roles(_fleet(request, fleet))})

    @extend_schema(
        summary="Publish signed root or targets metadata (owners for their fleet, staff for all)",
        description="All documents or none. Each is verified as a client would: signatures by the root that is there, "
        "versions that grow, no expiry; targets may only list releases of this repository with their own length and "
        "SHA-256. Snapshot and timestamp follow at once.",
        request=PublishSerializer,
        responses={200: PublishedSerializer, 400: ProblemSerializer, **_ERRORS},
    )
    def post(self, request: Request, fleet: str = "") -> Response:
        found, principal = _fleet(request, fleet), principal_of(request.user)
        allowed = principal.can(Role.OWNER, found.pk) if found else principal.sees_everything
        if not allowed:
            raise exceptions.PermissionDenied("Published by a fleet's owner; for all, by staff.")
        body = PublishSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            taken = tufrepository.publish(Actor.of(request), found, body.validated_data["metadata"])
        except UnacceptableError as error:
            raise exceptions.ValidationError({"metadata": str(error)}) from None
        return Response({"taken": taken, "roles": _roles(found)})


class MetadataView(APIView):
    scope = "files"

    @extend_schema(
        summary="TUF metadata: timestamp.json, N.snapshot.json, N.targets.json, N.root.json",
        parameters=[OpenApiParameter("file", str, OpenApiParameter.PATH)],
        responses={(200, "application/json"): OpenApiTypes.OBJECT, **_ERRORS},
    )
    def get(self, request: Request, file: str, fleet: str = "") -> HttpResponseBase:
        row = tufrepository.file_of(_fleet(request, fleet), file)
        if row is None:
            raise exceptions.NotFound("There is no such metadata.")
        fresh = "no-cache" if file == "timestamp.json" else "private, max-age=86400"
        # Byte for byte: the timestamp names the snapshot's hash.
        return HttpResponse(row.body, content_type="application/json", headers={"Cache-Control": fresh})


class TargetView(APIView):
    """As updaters ask with consistent snapshots: NAME/SHA256.VERSION."""

    scope = "files"

    @extend_schema(
        summary="A release's file by its TUF path: NAME/SHA256.VERSION",
        parameters=[OpenApiParameter(name, str, OpenApiParameter.HEADER) for name in ("Range", "If-Range")],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: None,
            416: ProblemSerializer,
            **_ERRORS,
        },
    )
    def get(self, request: Request, fleet: str = "", **path: str) -> HttpResponseBase:
        found = _fleet(request, fleet)
        name, _, file = next(iter(path.values())).replace("\0", "").rpartition("/")
        sha256, _, version = file.partition(".")
        for release in rollouts.offered(principal_of(request.user), name or "-"):
            same = (release.fleet_id, release.sha256, release.version) == (
                found and found.pk,
                sha256,
                version,
            )
            if same:
                filename = f"{release.name}-{release.version}"
                stored = Stored(release.stored_as, release.size_bytes, f'"{sha256}"', filename)
                return file_answer(request, stored)
        raise exceptions.NotFound("There is no such file that is meant for you.")


@extend_schema_view(
    get=extend_schema(operation_id="v1_models_tuf_shared_roles"),
    post=extend_schema(operation_id="v1_models_tuf_shared_publish"),
)
class SharedRepositoryView(RepositoryView):
    """Of the releases for everybody."""


@extend_schema_view(get=extend_schema(operation_id="v1_models_tuf_shared_metadata"))
class SharedMetadataView(MetadataView):
    """Of the releases for everybody."""


@extend_schema_view(get=extend_schema(operation_id="v1_models_tuf_shared_target"))
class SharedTargetView(TargetView):
    """Of the releases for everybody."""


def _fleet(request: Request, slug: str) -> Fleet | None:
    return get_object_or_404(visible_fleets(request.user), slug=slug) if slug else None


def _roles(fleet: Fleet | None) -> list[dict[str, Any]]:
    return [
        {"role": row.role, "version": row.version, "expires_at": row.expires_at}
        for row in tufrepository.newest_of(fleet)
    ]
