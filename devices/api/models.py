"""Models over the API: what a device is offered, links to the files, and what devices report."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError as FieldsError
from django.http import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, permissions, serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import rollouts
from devices.models import Device, InstallState, ModelRelease
from devices.models.releases import canonical
from devices.releases import ExistsError, Facts, add_release
from devices.tufdocuments import target_path
from fleet.access import Principal, principal_of
from fleet.api.files import Stored, file_answer
from fleet.api.problems import ProblemSerializer, problem
from fleet.audit import Actor
from fleet.models import Fleet, Role

_SALT = "model-file"
_ERRORS = dict.fromkeys((400, 401, 403, 404), ProblemSerializer)
_VERSION = OpenApiParameter("version", str, description="`v2.1.0`; the newest when left out.")
_EXAMPLE = {
    "name": "yolov8m_automotive",
    "version": "v2.1.0",
    "size": 52_043_811,
    "checksum": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "signature": "mJ0b…Cg==",
}


class ReleaseSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    checksum = serializers.CharField(help_text="SHA-256 of the file, hexadecimal.")
    signature = serializers.CharField(help_text="Ed25519 over the 32 bytes of the SHA-256, base64.")
    key_id = serializers.CharField(help_text="First 16 hexadecimal digits of the public key's SHA-256.")
    notes = serializers.CharField()
    compatibility = serializers.DictField()
    released_at = serializers.DateTimeField()
    target = serializers.CharField(help_text="Its path among the TUF targets.")
    tuf = serializers.CharField(help_text="Where the TUF repository is that may list it.")


class ModelsSerializer(serializers.Serializer[Any]):
    models = ReleaseSerializer(many=True)


class LinkSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField()
    url = serializers.URLField(help_text="Works without a token until it expires; supports Range.")
    checksum = serializers.CharField()
    signature = serializers.CharField()
    size = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class NewReleaseSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    version = serializers.CharField(max_length=40)
    file = serializers.FileField()
    signature = serializers.CharField(max_length=88)
    notes = serializers.CharField(required=False, default="", allow_blank=True)
    compatibility = serializers.JSONField(required=False, default=dict)
    targets = serializers.JSONField(
        required=False, default=None, help_text="Signed TUF targets that list it, to be published with it."
    )
    fleet = serializers.CharField(
        required=False, default="", help_text="Fleet id; staff may leave it out: for all."
    )

    def validate_compatibility(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise serializers.ValidationError('An object: {"vehicle_model": ["e-Van"]}.')
        return value


class ReportSerializer(serializers.Serializer[Any]):
    version = serializers.CharField(max_length=40)
    state = serializers.ChoiceField(InstallState.choices)
    detail = serializers.CharField(required=False, default="", allow_blank=True)


class ModelsView(APIView):
    scope = "files"

    def get_parsers(self) -> Any:
        return [MultiPartParser()]

    @extend_schema(
        summary="The newest release of each model that is meant for you",
        responses={200: ModelsSerializer, 401: ProblemSerializer, 403: ProblemSerializer},
        examples=[OpenApiExample("models", {"models": [_EXAMPLE]}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        found = rollouts.newest(rollouts.offered(principal_of(request.user)))
        return Response({"models": [told(release) for release in found]})

    @extend_schema(
        summary="Add a signed release (owners for their fleet, staff for all)",
        request={"multipart/form-data": NewReleaseSerializer},
        responses={201: ReleaseSerializer, 409: ProblemSerializer, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        principal = principal_of(request.user)
        owned = [fleet for fleet in principal.roles if principal.can(Role.OWNER, fleet)]
        if not principal.sees_everything and not owned:
            raise exceptions.PermissionDenied("Releases are added by a fleet's owner or by staff.")
        serializer = NewReleaseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = dict(serializer.validated_data)
        file, wanted["fleet"] = wanted.pop("file"), _fleet(principal, owned, wanted["fleet"])
        try:
            release = add_release(Actor.of(request), Facts(**wanted), file)
        except FieldsError as error:
            raise exceptions.ValidationError(error.message_dict) from None
        except ExistsError:
            return problem(
                409, "This version exists, and a release never changes: give the file a new version."
            )
        return Response(told(release), status=201)


class DownloadView(APIView):
    scope = "files"

    @extend_schema(
        summary="A link to a release's file, with what to check it against",
        parameters=[_VERSION],
        responses={200: LinkSerializer, **_ERRORS},
    )
    def get(self, request: Request, model: str) -> Response:
        principal = principal_of(request.user)
        release = _meant(principal, model, request.query_params.get("version", ""))
        expires = timezone.now() + timedelta(minutes=settings.MODEL_URL_MINUTES)
        token = signing.dumps({"release": release.pk, "for": principal.pk}, salt=_SALT)
        url = request.build_absolute_uri(reverse("model-file", args=[token]))
        shown = told(release)
        link = {key: shown[key] for key in ("name", "version", "checksum", "signature", "size")}
        return Response(link | {"url": url, "expires_at": expires}, headers={"Cache-Control": "no-store"})


class FileView(APIView):
    """The link is the permission: it names the release and for whom it was made, and expires."""

    permission_classes = (permissions.AllowAny,)

    @extend_schema(
        summary="A release's file",
        parameters=[OpenApiParameter(name, str, OpenApiParameter.HEADER) for name in ("Range", "If-Range")],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: None, 401: ProblemSerializer, 404: ProblemSerializer, 416: ProblemSerializer,
        },
    )  # fmt: skip
    def get(self, request: Request, link: str) -> HttpResponseBase:
        try:
            made = signing.loads(link, salt=_SALT, max_age=timedelta(minutes=settings.MODEL_URL_MINUTES))
        except signing.BadSignature:
            raise exceptions.NotFound(
                "This link has expired or is none: ask …/download for a new one."
            ) from None
        bearer = request.user
        if bearer and bearer.is_authenticated and principal_of(bearer).pk != made["for"]:
            raise exceptions.NotFound("This link was made for somebody else.")
        release = ModelRelease.objects.filter(pk=made["release"], active=True).first()
        if release is None or not _still_there(made["for"]):
            raise exceptions.NotFound("This release was withdrawn.")
        filename = f"{release.name}-{release.version}"
        return file_answer(
            request, Stored(release.stored_as, release.size_bytes, f'"{release.sha256}"', filename)
        )


class ReportView(APIView):
    scope = "files"

    @extend_schema(
        summary="Say how far the installation of a release is (devices)",
        description="A rollout counts success only when the new version reports `healthy`; failures pause it.",
        request=ReportSerializer,
        responses={204: None, **_ERRORS},
    )
    def post(self, request: Request, model: str) -> Response:
        principal = principal_of(request.user)
        if principal.device_id is None:
            if not any(release.name == model for release in rollouts.offered(principal, _name(model))):
                raise exceptions.NotFound("There is no such model that you may see.")
            raise exceptions.PermissionDenied("Installations are reported by devices.")
        seen = ModelRelease.objects.visible_to(principal).filter(name=_name(model))
        if not seen.exists():
            raise exceptions.NotFound("There is no such model that is meant for this device.")
        serializer = ReportSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        release = seen.filter(canonical=canonical(said["version"]) or "").order_by("fleet_id").last()
        if release is None:
            raise exceptions.ValidationError({"version": ["There is no release of this version."]})
        rollouts.report(principal.device_id, release, said["state"], said["detail"][:500])
        return Response(status=204)


def told(release: ModelRelease) -> dict[str, Any]:
    return {
        "name": release.name,
        "version": release.version,
        "size": release.size_bytes,
        "checksum": release.sha256,
        "signature": release.signature,
        "key_id": release.key_id,
        "notes": release.notes,
        "compatibility": release.compatibility,
        "released_at": release.created_at,
        "target": target_path(release.name, release.version),
        "tuf": "/api/v1/models/tuf" + (f"/{release.fleet.slug}" if release.fleet else ""),
    }


def _meant(principal: Principal, model: str, version: str) -> ModelRelease:
    wanted = canonical(version) if version else None
    for release in rollouts.offered(principal, _name(model)):
        if not version or release.canonical == wanted:
            return release
    raise exceptions.NotFound("There is no such release that is meant for you.")


def _name(model: str) -> str:
    """As the database can read it; an empty name would mean every model."""
    return model.replace("\0", "") or "-"


def _fleet(principal: Principal, owned: list[int], slug: str) -> Fleet | None:
    if not slug and principal.sees_everything:
        return None
    fleets = Fleet.objects.all() if principal.sees_everything else Fleet.objects.filter(pk__in=owned)
    found = list((fleets.filter(slug=slug) if slug else fleets)[:2])
    if len(found) != 1:
        raise exceptions.ValidationError({"fleet": ["Name one fleet that you own."]})
    return found[0]


def _still_there(subject: str) -> bool:
    kind, _, number = subject.partition("-")
    return kind != "device" or Device.objects.working().filter(pk=number).exists()
