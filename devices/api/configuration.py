"""Configurations over the API: the layers that people edit, and what a device fetches and reports."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import configkeys, configuration, drift
from devices.access import device_or_404
from devices.api import configjson as form
from devices.configdocument import sources
from devices.configuration import Edit, Owner
from devices.models import ConfigVersion, Device, DeviceConfig, DeviceGroup
from fleet.access import principal_of, visible_fleets
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Role

_WRITTEN = {
    200: form.ConfigWrittenSerializer,
    400: ProblemSerializer,
    412: form.ConfigStaleSerializer,
    428: ProblemSerializer,
    **form.ERRORS,
}


def fleet_owner(request: Request, fleet: str) -> Owner:
    return Owner(get_object_or_404(visible_fleets(request.user), slug=fleet))


def group_owner(request: Request, fleet: str, group: str) -> Owner:
    seen = DeviceGroup.objects.visible_to(principal_of(request.user)).select_related("fleet")
    found = get_object_or_404(seen, fleet__slug=fleet, slug=group)
    return Owner(found.fleet, group=found)


def device_owner(request: Request, device: str) -> Owner:
    found = device_or_404(request.user, device)
    return Owner(found.vehicle.fleet, device=found)


class _LayerView(APIView):
    """Of whatever `find` finds by the places of the route."""

    find: ClassVar[Callable[..., Owner]]

    def _owner(self, request: Request, role: Role, names: dict[str, Any]) -> Owner:
        owner = type(self).find(request, **names)
        form.check_role(request, owner, role)
        return owner


class EditableView(_LayerView):
    @extend_schema(
        summary="What is said here, as people edit it",
        parameters=[form.IF_NONE_MATCH, form.ETAG],
        responses={200: form.ConfigLayerSerializer, 304: None, **form.ERRORS},
    )
    def get(self, request: Request, **names: Any) -> Response:
        told = form.told_layer(self._owner(request, Role.VIEWER, names))
        return Response(told, headers={"ETag": f'"{told["version"]}"', "Cache-Control": "private, no-cache"})

    @extend_schema(
        summary="Replace the configuration said here (managers)",
        description="A new version; devices whose merged configuration becomes another one are told to fetch it. "
        "`errors` name places in the document as JSON pointers. The same content again changes nothing.",
        parameters=[form.IF_MATCH],
        request=form.ConfigEditSerializer,
        responses=_WRITTEN,
        examples=[form.EXAMPLE],
    )
    def put(self, request: Request, **names: Any) -> Response:
        owner = self._owner(request, Role.MANAGER, names)
        edit = form.edit_of(request)
        return form.done(lambda: configuration.write(Actor.of(request), owner, edit))

    @extend_schema(
        summary="Change some keys of the configuration said here (managers)",
        description="`config` is a merge patch (RFC 7396) of the document: null takes a key out of it. To say that a "
        "key of a wider layer is to be gone, PUT a document that holds null.",
        parameters=[form.IF_MATCH],
        request=form.ConfigEditSerializer,
        responses=_WRITTEN,
        examples=[form.EXAMPLE],
    )
    def patch(self, request: Request, **names: Any) -> Response:
        owner = self._owner(request, Role.MANAGER, names)
        edit = form.edit_of(request, patch=True)
        return form.done(lambda: configuration.write(Actor.of(request), owner, edit))


class FleetConfigView(EditableView):
    find = staticmethod(fleet_owner)


class GroupConfigView(EditableView):
    find = staticmethod(group_owner)


class DeviceConfigView(EditableView):
    """GET is the merged configuration; PUT and PATCH edit what is said for this device alone."""

    find = staticmethod(device_owner)

    @extend_schema(
        summary="What a device should run: fleet, group and device merged",
        description="Send the ETag as If-None-Match: 304 as long as the content is the same. Asked by a person, the "
        "answer also says what is said for this device alone and which layer each value comes from.",
        parameters=[form.IF_NONE_MATCH, form.ETAG],
        responses={200: form.ConfigSerializer, 304: None, **form.ERRORS},
    )
    def get(self, request: Request, **names: Any) -> Response:
        device = _configured(request, names["device"])
        row: DeviceConfig = device.config
        told = {
            "device_id": device.slug,
            "version": row.version,
            "config": row.content.document,
            "changed_at": row.wanted_at if row.version else None,
        }
        tag = f'"{row.content_id}"'
        if principal_of(request.user).device_id is None:
            form.check_role(request, Owner(device.vehicle.fleet, device=device), Role.VIEWER)
            further, versions = _for_people(device)
            told |= further
            tag = f'"{".".join([row.content_id, *map(str, versions)])}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if form.unchanged(request, tag):
            return Response(status=304, headers=headers)
        return Response(told, headers=headers)


class _VersionPages(Pages):
    ordering = ("-number",)


class VersionListView(_LayerView):
    @extend_schema(
        summary="Every version of what was said here, newest first",
        responses={200: form.ConfigVersionPageSerializer, **form.ERRORS},
    )
    def get(self, request: Request, **names: Any) -> Response:
        layer = self._owner(request, Role.VIEWER, names).layer()
        pages = _VersionPages()
        rows = pages.paginate_queryset(ConfigVersion.objects.filter(layer=layer.pk), request, self) or []
        return pages.get_paginated_response([form.told_version(row) for row in rows])


class RestoreView(_LayerView):
    @extend_schema(
        summary="Say again what an older version said, as a new version (managers)",
        parameters=[form.IF_MATCH],
        request=None,
        responses=_WRITTEN,
    )
    def post(self, request: Request, version: int, **names: Any) -> Response:
        owner = self._owner(request, Role.MANAGER, names)
        edit = Edit({}, f"Version {version} again.", form.basis_of(request))
        return form.done(lambda: configuration.restore(Actor.of(request), owner, version, edit))


class FleetVersionsView(VersionListView):
    find = staticmethod(fleet_owner)


class GroupVersionsView(VersionListView):
    find = staticmethod(group_owner)


class DeviceVersionsView(VersionListView):
    find = staticmethod(device_owner)


class FleetRestoreView(RestoreView):
    find = staticmethod(fleet_owner)


class GroupRestoreView(RestoreView):
    find = staticmethod(group_owner)


class DeviceRestoreView(RestoreView):
    find = staticmethod(device_owner)


class ConfigReportView(APIView):
    scope = "telemetry"

    @extend_schema(
        summary="A device says which version it runs, or why it refused one",
        description="The newest by `timestamp` counts. The same may come as `config_version` and `config_error` with "
        "PUT /devices/{id} and among the details of /api/car-status.",
        request=form.ConfigReportSerializer,
        responses={200: form.ConfigDriftSerializer, 400: ProblemSerializer, **form.ERRORS},
    )
    def post(self, request: Request, device: str) -> Response:
        found = device_or_404(request.user, device)
        if principal_of(request.user).device_id is None:
            raise exceptions.PermissionDenied("Only the device itself knows what it runs.")
        body = form.ConfigReportSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        time, error = said.get("timestamp") or timezone.now(), said["error"][: drift.REASON_LIMIT]
        return Response(drift.heard(found, drift.ConfigReport(said["version"], time, error)).told())


class ConfigKeysView(APIView):
    @extend_schema(
        summary="JSON Schema of the keys that Convoy knows",
        responses={200: OpenApiTypes.OBJECT, 401: ProblemSerializer},
    )
    def get(self, request: Request) -> Response:
        return Response(configkeys.schema())


def _configured(request: Request, name: str) -> Device:
    """With `config` and its content: one query, unless the device is new or changed fleets."""
    if "\0" in name:
        raise Http404
    seen = Device.objects.visible_to(principal_of(request.user)).named(name).order_by("id")
    found = seen.select_related("vehicle__fleet", "config__content")
    device: Device = get_object_or_404(found[:1])
    row: DeviceConfig | None = getattr(device, "config", None)
    if row is None or row.fleet_id != device.vehicle.fleet_id:
        configuration.settle_one(device)
        device = found[0]
    return device


def _for_people(device: Device) -> tuple[dict[str, Any], list[int]]:
    """(`own` and `sources`, versions of fleet, group and device)"""
    layers = configuration.layers_of(device)
    versions = {kind: layer.version for kind, layer in layers}
    own = next((layer for kind, layer in layers if kind == "device"), None)
    newest = own.versions.filter(number=own.version).first() if own else None
    told = {
        "own": form.told_version(newest) if newest else None,
        "sources": {
            each.pointer: each.layer for each in sources([(kind, layer.document) for kind, layer in layers])
        },
    }
    return told, [versions.get(kind, 0) for kind in ("fleet", "group", "device")]
