"""Groups of devices over the API."""

from typing import Any

from django.core.exceptions import ValidationError as FieldsError
from django.db.models import Count, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import groups
from devices.api.configjson import ERRORS, check_role
from devices.api.configuration import fleet_owner, group_owner
from devices.models import Device, DeviceGroup
from fleet.api.idempotency import IDEMPOTENCY_KEY, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.models import Fleet, Role

_MOST = 10_000
_AT_ONCE = 500


class _Names(serializers.ListField):
    child = serializers.CharField(max_length=80)


class DeviceGroupSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="slug", read_only=True)
    name = serializers.CharField(max_length=120)
    devices = serializers.IntegerField(read_only=True, help_text="How many.")
    drifted = serializers.IntegerField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)


class NewDeviceGroupSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    devices = _Names(required=False, max_length=_MOST, default=list, help_text="Ids of those that join it.")


class DeviceGroupPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = DeviceGroupSerializer(many=True)


class DeviceGroupChangeSerializer(serializers.Serializer[Any]):
    """Devices by their id. A device that joins leaves the group it is in."""

    name = serializers.CharField(max_length=120, required=False)
    devices = _Names(required=False, max_length=_MOST, help_text="These and no others.")
    add = _Names(required=False, max_length=_MOST)
    remove = _Names(required=False, max_length=_MOST)


class GroupPages(Pages):
    ordering = ("name", "id")


class GroupsView(APIView):
    @extend_schema(
        operation_id="v1_fleet_groups_list",
        summary="Groups of devices",
        responses={200: DeviceGroupPageSerializer, **ERRORS},
    )
    def get(self, request: Request, fleet: str) -> Response:
        owner = fleet_owner(request, fleet)
        check_role(request, owner, Role.VIEWER)
        pages = GroupPages()
        rows = pages.paginate_queryset(counted(owner.fleet), request, self)
        return pages.get_paginated_response(DeviceGroupSerializer(rows, many=True).data)

    @extend_schema(
        summary="Make a group (managers)",
        parameters=[IDEMPOTENCY_KEY],
        request=NewDeviceGroupSerializer,
        responses={
            201: DeviceGroupSerializer,
            400: ProblemSerializer,
            409: ProblemSerializer,
            422: ProblemSerializer,
            **ERRORS,
        },
    )
    @idempotent
    def post(self, request: Request, fleet: str) -> Response:
        owner = fleet_owner(request, fleet)
        check_role(request, owner, Role.MANAGER)
        body = NewDeviceGroupSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        joining = _devices(owner.fleet, body.validated_data["devices"], "devices")
        try:
            made = groups.make(Actor.of(request), owner.fleet, body.validated_data["name"])
        except FieldsError as error:
            raise exceptions.ValidationError(error.message_dict) from None
        groups.place(Actor.of(request), made, joining, [])
        address = f"/api/v1/fleet/{owner.fleet.slug}/groups/{made.slug}"
        return Response(_told(made), status=201, headers={"Location": address})


class GroupView(APIView):
    @extend_schema(
        summary="A group; its devices: /devices?group=", responses={200: DeviceGroupSerializer, **ERRORS}
    )
    def get(self, request: Request, fleet: str, group: str) -> Response:
        return Response(_told(_group(request, fleet, group, Role.VIEWER)))

    @extend_schema(
        summary="Rename a group, change who is in it (managers)",
        request=DeviceGroupChangeSerializer,
        responses={200: DeviceGroupSerializer, 400: ProblemSerializer, **ERRORS},
    )
    def patch(self, request: Request, fleet: str, group: str) -> Response:
        found = _group(request, fleet, group, Role.MANAGER)
        body = DeviceGroupChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted, actor = body.validated_data, Actor.of(request)
        exact = "devices" in wanted
        add = _devices(found.fleet, wanted["devices"] if exact else wanted.get("add", []), "devices")
        remove = _devices(found.fleet, wanted.get("remove", []), "remove")
        if exact:
            members = set(found.members.values_list("device", flat=True))
            remove += sorted(members - set(add))
        try:
            groups.rename(actor, found, wanted.get("name", found.name))
        except FieldsError as error:
            raise exceptions.ValidationError(error.message_dict) from None
        groups.place(actor, found, add, remove)
        return Response(_told(found))

    @extend_schema(
        summary="Delete a group with its configuration (managers)",
        description="Its devices go back to what the fleet says, and are told to fetch it.",
        responses={204: None, **ERRORS},
    )
    def delete(self, request: Request, fleet: str, group: str) -> Response:
        groups.delete(Actor.of(request), _group(request, fleet, group, Role.MANAGER))
        return Response(status=204)


def counted(fleet: Fleet) -> "QuerySet[DeviceGroup]":
    """With `devices` and `drifted`: members that are the fleet's devices now."""
    here = Q(members__device__vehicle__fleet=fleet)
    drifted = here & Q(members__device__config__drifted_since__isnull=False)
    return fleet.device_groups.annotate(
        devices=Count("members", filter=here), drifted=Count("members", filter=drifted)
    )


def _told(group: DeviceGroup) -> dict[str, Any]:
    return dict(DeviceGroupSerializer(counted(group.fleet).get(pk=group.pk)).data)


def _group(request: Request, fleet: str, group: str, role: Role) -> DeviceGroup:
    owner = group_owner(request, fleet, group)
    check_role(request, owner, role)
    assert owner.group is not None
    return owner.group


def _devices(fleet: Fleet, names: list[str], field: str) -> list[int]:
    """Keys of the fleet's devices of these names. Raises ValidationError for a name that is none's."""
    wanted, found = sorted(set(names)), dict[str, int]()
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        rows = Device.objects.filter(Q(slug__in=part) | Q(external_id__in=part), vehicle__fleet=fleet)
        for key, slug, own in rows.values_list("pk", "slug", "external_id"):
            found |= {own: key, slug: key} if own else {slug: key}
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise exceptions.ValidationError({field: f"Not devices of this fleet: {', '.join(unknown[:10])}."})
    return sorted({found[name] for name in wanted})
