"""Configurations as JSON: what an edit brings, what is answered, which headers guard it."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from devices.configdocument import FlawedError
from devices.configuration import ConflictError, Edit, Owner, Written
from devices.models import ConfigState, ConfigVersion, DeviceConfig
from fleet.access import principal_of
from fleet.api.moments import MomentField
from fleet.api.problems import ProblemSerializer, problem
from fleet.models import Role

NOTE_LIMIT = 500
ERRORS = dict.fromkeys((401, 403, 404, 429), ProblemSerializer)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, required=True, description="The ETag you edited, or `*`."
)
IF_NONE_MATCH = OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER)
ETAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304])


@extend_schema_field({"type": "object", "additionalProperties": True})
class DocumentField(serializers.Field[Any, Any, Any, Any]):
    """Any JSON object; whether it can be kept is for `tidied` to say."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class ConfigEditSerializer(serializers.Serializer[Any]):
    config = DocumentField(help_text="PUT: the whole document; PATCH: a merge patch of it (RFC 7396).")
    note = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=NOTE_LIMIT, help_text="Why."
    )


class ConfigWrittenSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="Of this layer.")
    status = serializers.CharField(help_text="stored or unchanged.")
    affected = serializers.IntegerField(help_text="Devices that are wanted to run something else now.")


class ConfigStaleSerializer(ProblemSerializer):
    """Nothing was overwritten: fetch, look, send again."""

    version = serializers.IntegerField(help_text="The one that stands.")
    etag = serializers.CharField()


class ConfigLayerSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="0: nobody has said anything yet.")
    config = DocumentField()
    note = serializers.CharField()
    author = serializers.CharField(allow_null=True)
    changed_at = serializers.DateTimeField(allow_null=True)
    devices = serializers.IntegerField(help_text="That it may concern.")
    drifted = serializers.IntegerField(help_text="Of these, devices that do not run what is wanted.")


class ConfigVersionSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    config = DocumentField()
    note = serializers.CharField()
    author = serializers.CharField()
    changed_at = serializers.DateTimeField()
    restored_from = serializers.IntegerField(allow_null=True)


class ConfigVersionPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ConfigVersionSerializer(many=True)


class ConfigDriftSerializer(serializers.Serializer[Any]):
    wanted_version = serializers.IntegerField()
    running_version = serializers.IntegerField(allow_null=True, help_text="As the device reported it.")
    state = serializers.ChoiceField(ConfigState.choices)
    drifted_since = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(help_text="Why the device refused what is wanted.")


class ConfigSerializer(serializers.Serializer[Any]):
    """`own` and `sources` are for people only."""

    device_id = serializers.CharField()
    version = serializers.IntegerField(help_text="Grows by one whenever the content becomes another.")
    config = DocumentField(help_text="Fleet, group and device merged: what the device should run.")
    changed_at = serializers.DateTimeField(allow_null=True)
    own = ConfigVersionSerializer(
        required=False, allow_null=True, help_text="What is said for this device alone."
    )
    sources = serializers.DictField(
        child=serializers.ChoiceField(["fleet", "group", "device"]),
        required=False,
        help_text="JSON pointer of each value to the layer that says it.",
    )


class ConfigReportSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    error = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="Why the device refused this version."
    )
    timestamp = MomentField(past=True, required=False, help_text="When it was so; without it, now.")


EXAMPLE = OpenApiExample(
    "Send every ten seconds",
    {"config": {"telemetry": {"send_interval_s": 10}}, "note": "Winter timetable"},
    request_only=True,
)


class BasisNeeded(exceptions.APIException):
    status_code = 428
    default_detail = "Send If-Match with the ETag of what you edited (or * to overwrite whatever is there)."


def edit_of(request: Request, *, patch: bool = False) -> Edit:
    body = ConfigEditSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    return Edit(body.validated_data["config"], body.validated_data["note"], basis_of(request), patch)


def basis_of(request: Request) -> frozenset[int] | None:
    """Versions in If-Match: a layer's tag is its number, a device's ends with that of its own layer."""
    header = request.headers.get("If-Match")
    if header is None:
        raise BasisNeeded
    if header.strip() == "*":
        return None
    ends = [tag.strip().strip('"').rpartition(".")[2] for tag in header.split(",")]
    return frozenset(int(end) for end in ends if end.isascii() and end.isdigit() and len(end) < 10)


def check_role(request: Request, owner: Owner, role: Role) -> None:
    """Layers are people's: a device reads what follows from them. Raises PermissionDenied."""
    if not principal_of(request.user).can(role, owner.fleet.pk):
        raise PermissionDenied(
            "Only managers of the fleet may change its configuration."
            if role is Role.MANAGER
            else "Configurations are for viewers, managers and owners; a device reads its own, merged."
        )


def done(act: Callable[[], Written]) -> Response:
    """The answer to an edit or a restoration, whatever comes of it."""
    try:
        written = act()
    except ConflictError as conflict:
        tag = f'"{conflict.version}"'
        detail = f"Version {conflict.version} stands: somebody changed it. Fetch it, and send your edit with its ETag."
        reply = problem(412, detail, version=conflict.version, etag=tag)
        reply["ETag"] = tag
        return reply
    except FlawedError as flawed:
        raise exceptions.ValidationError(
            {pointer or "config": [reason] for pointer, reason in flawed.errors.items()}
        ) from None
    except ConfigVersion.DoesNotExist:
        raise exceptions.NotFound("There is no such version; …/config/versions lists them.") from None
    content = {
        "version": written.version,
        "status": "stored" if written.changed else "unchanged",
        "affected": written.affected,
    }
    return Response(content, headers={"ETag": f'"{written.version}"'})


def told_layer(owner: Owner) -> dict[str, Any]:
    layer = owner.layer()
    newest = ConfigVersion.objects.filter(layer=layer.pk, number=layer.version).first() if layer.pk else None
    devices = owner.devices()
    return {
        "version": layer.version,
        "config": layer.document,
        "note": newest.note if newest else "",
        "author": newest.author_name if newest else None,
        "changed_at": newest.at if newest else None,
        "devices": devices.count(),
        "drifted": DeviceConfig.objects.filter(device__in=devices, drifted_since__isnull=False).count(),
    }


def told_version(row: ConfigVersion) -> dict[str, Any]:
    return {
        "version": row.number,
        "config": row.document,
        "note": row.note,
        "author": row.author_name,
        "changed_at": row.at,
        "restored_from": row.restored_from,
    }


def unchanged(request: Request, tag: str) -> bool:
    """Does If-None-Match name this tag?"""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")]
    return tag in known or "*" in known
