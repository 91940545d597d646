"""GET and PUT /api/v1/fleet/{id}/trip-rules: what counts as a trip in a fleet."""

from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.journeys import triprules
from fleet.journeys.tripfinder import TripSettings
from fleet.models import Fleet, Role

_ERRORS = dict.fromkeys((401, 403, 404, 429), ProblemSerializer)


class TripSettingsSerializer(serializers.Serializer[Any]):
    """Metres, seconds, metres a second."""

    moving_mps = serializers.FloatField(min_value=0.1, max_value=10)
    stop_s = serializers.FloatField(min_value=30, max_value=7_200)
    off_s = serializers.FloatField(min_value=0, max_value=7_200)
    gap_s = serializers.FloatField(min_value=60, max_value=7_200)
    longest_gap_s = serializers.FloatField(min_value=60, max_value=86_400)
    drove_on_mps = serializers.FloatField(min_value=0.5, max_value=30)
    least_m = serializers.FloatField(min_value=0, max_value=10_000)
    least_s = serializers.FloatField(min_value=0, max_value=3_600)


class TripRulesSerializer(TripSettingsSerializer):
    version = serializers.IntegerField(help_text="Another one at each change; 0: never changed.")
    vehicles_done = serializers.IntegerField(help_text="Whose trips are those of this version.")
    vehicles_total = serializers.IntegerField()


class TripRulesView(APIView):
    @extend_schema(
        summary="What counts as a trip in a fleet", responses={200: TripRulesSerializer, **_ERRORS}
    )
    def get(self, request: Request, fleet: str) -> Response:
        return Response(_told(_fleet(request, fleet, Role.VIEWER)))

    @extend_schema(
        summary="Change what counts as a trip: all trips of the fleet are found anew, in the background",
        request=TripSettingsSerializer,
        responses={200: TripRulesSerializer, 400: ProblemSerializer, **_ERRORS},
    )
    def put(self, request: Request, fleet: str) -> Response:
        found = _fleet(request, fleet, Role.MANAGER)
        body = TripSettingsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            triprules.change(Actor.of(request), found, TripSettings(**body.validated_data))
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from None
        return Response(_told(found))


def _fleet(request: Request, slug: str, role: Role) -> Fleet:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=slug)
    if not principal_of(request.user).can(role, found.pk):
        raise exceptions.PermissionDenied(f"This takes a {role.label.lower()} of the fleet.")
    return found


def _told(fleet: Fleet) -> dict[str, Any]:
    rules = triprules.of(fleet)
    progress = triprules.progress(rules)
    return {
        **asdict(triprules.settings_of(rules)),
        "version": rules.version,
        "vehicles_done": progress.done,
        "vehicles_total": progress.total,
    }
