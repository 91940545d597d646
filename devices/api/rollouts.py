"""Steering a release's rollout over the API, and seeing how it goes."""

from typing import Any

from django.forms.models import model_to_dict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import steering
from devices.models import ModelRelease, Rollout
from devices.models.releases import canonical
from devices.releases import withdraw
from devices.rollouts import outcome_of
from fleet.access import principal_of
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.audit import Actor
from fleet.models import Role

_ERRORS = dict.fromkeys((400, 401, 403, 404), ProblemSerializer)
_VERSION = OpenApiParameter("version", str, required=True)


class WantedSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is (or gets its default)."""

    percent = serializers.FloatField(min_value=0, max_value=100, required=False)
    steps = serializers.ListField(
        child=serializers.FloatField(min_value=0, max_value=100), max_length=20, required=False
    )
    labels = serializers.ListField(child=serializers.CharField(max_length=40), max_length=20, required=False)
    starts_at = serializers.DateTimeField(required=False, allow_null=True)
    paused = serializers.BooleanField(required=False)
    success_threshold = serializers.FloatField(min_value=0, max_value=1, required=False)
    error_threshold = serializers.FloatField(min_value=0, max_value=1, required=False)
    min_reports = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False)


class RolloutSerializer(WantedSerializer):
    paused_because = serializers.CharField()
    aborted = serializers.BooleanField(help_text="For good: a new version gets a new rollout.")
    stage_began_at = serializers.DateTimeField()
    begun = serializers.IntegerField(help_text="Devices that began in this stage.")
    healthy = serializers.IntegerField()
    failed = serializers.IntegerField()


class RolloutView(APIView):
    @extend_schema(
        summary="A release's rollout: its terms, and how the stage goes",
        parameters=[_VERSION],
        responses={200: RolloutSerializer, **_ERRORS},
    )
    def get(self, request: Request, model: str) -> Response:
        release = _managed(request, model)
        rollout = Rollout.objects.filter(release=release).first()
        return Response(told(rollout or Rollout(release=release, stage_began_at=release.created_at)))

    @extend_schema(
        summary="Change a rollout: percentage, labels, start, thresholds, pause (managers; for all: staff)",
        parameters=[_VERSION],
        request=WantedSerializer,
        responses={200: RolloutSerializer, 409: ProblemSerializer, **_ERRORS},
    )
    def put(self, request: Request, model: str) -> Response:
        release = _managed(request, model)
        serializer = WantedSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            rollout = steering.change(Actor.of(request), release, serializer.validated_data)
        except steering.SteeringError as error:
            raise Conflict(str(error)) from None
        return Response(told(rollout))


class WithdrawView(APIView):
    @extend_schema(
        summary="Withdraw a release (owners; for all: staff)",
        description="Its file is deleted and nobody is offered it any more. It cannot be undone; the number stays "
        "taken. Repeating it changes nothing.",
        parameters=[_VERSION],
        request=None,
        responses={204: None, **_ERRORS},
    )
    def post(self, request: Request, model: str) -> Response:
        release = _managed(request, model)
        owner = release.fleet_id is not None and principal_of(request.user).can(Role.OWNER, release.fleet_id)
        if not owner and not principal_of(request.user).sees_everything:
            raise exceptions.PermissionDenied(
                "A release is withdrawn by the fleet's owners; one for all, by staff."
            )
        if not request.query_params.get("version"):
            raise exceptions.ValidationError({"version": "Say which: it cannot be undone."})
        withdraw(Actor.of(request), release)
        return Response(status=204)


def told(rollout: Rollout) -> dict[str, Any]:
    seen = outcome_of(rollout)
    return {
        **model_to_dict(rollout, fields=[*steering.TERMS, "paused_because"]),
        "paused": rollout.paused_at is not None,
        "aborted": rollout.aborted_at is not None,
        "stage_began_at": rollout.stage_began_at,
        "begun": seen.begun,
        "healthy": seen.healthy,
        "failed": seen.failed,
    }


def _managed(request: Request, model: str) -> ModelRelease:
    principal = principal_of(request.user)
    seen = ModelRelease.objects.visible_to(principal).filter(name=model.replace("\0", ""))
    if not seen.exists():
        raise exceptions.NotFound("There is no such model that you may see.")
    asked = request.query_params.get("version", "")
    found = [release for release in seen if not asked or release.canonical == canonical(asked)]
    if not found:
        raise exceptions.NotFound("There is no release of this version.")
    release = max(found, key=lambda release: (release.order, release.fleet_id or 0))
    if not principal.sees_everything and (
        release.fleet_id is None or not principal.can(Role.MANAGER, release.fleet_id)
    ):
        raise exceptions.PermissionDenied(
            "A rollout is steered by the fleet's managers; of one for all, by staff."
        )
    return release
