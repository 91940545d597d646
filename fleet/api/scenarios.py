"""Scenarios over the API: their facts and annotations. Footage is in videos.py and tus.py."""

from typing import Any

from django.db.models import Count, Sum
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from fleet.access import principal_of
from fleet.api.asked import PARAMETERS, demand_device, narrowed, own_vehicle, text_in
from fleet.api.moments import MomentField
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer, problem
from fleet.api.told import NumberField, ToldSerializer
from fleet.audit import Actor
from fleet.models import Role, Scenario, Video
from fleet.recording import scenarios

ANNOTATIONS_AT_ONCE = 1_000
NO_CONSENT = (
    "Nothing of a scenario is taken without consent: send `consent: true` once the driver has agreed."
)
WITHDRAWN = "Consent for this scenario was withdrawn: take it out of the queue."


class ScenarioToldSerializer(ToldSerializer):
    """Keys not listed here are kept as metadata."""

    scenario_id = serializers.CharField(max_length=200)
    vehicle_id = serializers.CharField(max_length=64, help_text="Slug, VIN or plate.")
    timestamp = MomentField(past=True, help_text="When it began.")
    duration = NumberField(required=False, allow_null=True, min_value=0, max_value=86_400, help_text="s")
    trigger = serializers.CharField(max_length=120, required=False, allow_blank=True, allow_null=True)
    consent = serializers.BooleanField(help_text="Must be `true`, else 422 and nothing is kept.")


class VideoSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid")
    camera = serializers.CharField()
    filename = serializers.CharField()
    content_type = serializers.CharField()
    size = serializers.IntegerField(source="size_bytes", help_text="bytes")
    sha256 = serializers.CharField()
    received_at = serializers.DateTimeField()
    url = serializers.SerializerMethodField(help_text="For members of the fleet; supports Range.")

    def get_url(self, video: Video) -> str:
        return reverse("video-file", args=[self.context["scenario"].uid, video.uid])


class AnnotationSerializer(serializers.Serializer[Any]):
    timestamp = serializers.FloatField(source="offset_s", help_text="s from the start")
    label = serializers.CharField()  # type: ignore[assignment]
    details = serializers.DictField()


class ScenarioSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid")
    scenario_id = serializers.CharField()
    vehicle_id = serializers.CharField(source="vehicle.slug")
    fleet_id = serializers.CharField(source="fleet.slug")
    timestamp = serializers.DateTimeField(source="time")
    duration = serializers.FloatField(source="duration_s", allow_null=True, help_text="s")
    trigger = serializers.CharField()
    metadata = serializers.DictField()
    received_at = serializers.DateTimeField()
    footage_expired_at = serializers.DateTimeField(source="expired_at", allow_null=True)


class ScenarioRowSerializer(ScenarioSerializer):
    videos = serializers.IntegerField(source="video_count")
    size = serializers.IntegerField(source="video_bytes", help_text="bytes of all videos")


class ScenarioWholeSerializer(ScenarioSerializer):
    videos = serializers.SerializerMethodField()
    annotations = AnnotationSerializer(many=True)

    def get_videos(self, scenario: Scenario) -> list[dict[str, Any]]:
        rows = VideoSerializer(scenario.videos.all(), many=True, context={"scenario": scenario})
        return list(rows.data)


EXAMPLE = OpenApiExample(
    "A scenario",
    {
        "scenario_id": "2024-11-17_10-30-45", "vehicle_id": "vehicle_001", "timestamp": "2024-11-17T10:30:45Z",
        "duration": 20, "trigger": "hard_brake", "consent": True, "metadata": {"priority": "high"},
    },
    request_only=True,
)  # fmt: skip
ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 409, 429), ProblemSerializer)


def with_videos(found: Any) -> Any:
    """Rows with what a list shows, their videos counted in the same query."""
    counted = found.annotate(video_count=Count("videos"), video_bytes=Sum("videos__size_bytes", default=0))
    return counted.select_related("vehicle", "fleet")


def scenario_or_404(request: Request, name: str) -> Scenario:
    found = Scenario.objects.visible_to(principal_of(request.user)).named(text_in(name, "id"))
    scenario: Scenario = get_object_or_404(found.select_related("fleet", "vehicle").order_by("-id")[:1])
    return scenario


def own_scenario(request: Request, name: str) -> Scenario:
    """For what only the device adds: others get 404, members 403."""
    scenario = scenario_or_404(request, name)
    demand_device(request)
    return scenario


class ScenarioListView(generics.GenericAPIView[Scenario]):
    pagination_class = Pages
    serializer_class = ScenarioRowSerializer
    queryset = Scenario.objects.none()

    @extend_schema(
        summary="Recorded scenarios, newest first",
        parameters=[*PARAMETERS, OpenApiParameter("trigger", str)],
        responses={200: ScenarioRowSerializer(many=True), 400: ProblemSerializer, 401: ProblemSerializer},
    )
    def get(self, request: Request) -> Response:
        found = narrowed(Scenario.objects.visible_to(principal_of(request.user)), request, "time")
        if trigger := request.query_params.get("trigger"):
            found = found.filter(trigger=text_in(trigger, "trigger"))
        rows = self.paginate_queryset(with_videos(found))
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)

    @extend_schema(
        summary="Announce a recorded scenario",
        description="201 when new, 200 when this vehicle has announced it before; what was told first stays. "
        "Send videos and annotations to the `id` of the answer. 422 without consent; 409 after it was withdrawn.",
        request=ScenarioToldSerializer,
        responses={
            200: ScenarioWholeSerializer,
            201: ScenarioWholeSerializer,
            **ERRORS,
            422: ProblemSerializer,
        },
        examples=[EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        demand_device(request)
        body = request.data
        # Before anything else of the body is looked at: "true" or 1 is not what somebody agreed to.
        if isinstance(body, dict) and body and body.get("consent") is not True:
            return problem(422, NO_CONSENT, [{"field": "consent", "reason": "Must be true."}])
        told = ScenarioToldSerializer(data=body)
        told.is_valid(raise_exception=True)
        values = told.validated_data
        vehicle = own_vehicle(request, {values["vehicle_id"]})
        assert vehicle is not None
        columns = {
            "time": values["timestamp"],
            "duration_s": values.get("duration"),
            "trigger": values.get("trigger") or "",
            "metadata": values["metadata"],
        }
        try:
            scenario, created = scenarios.receive(vehicle, values["scenario_id"], columns)
        except scenarios.WithdrawnError:
            return problem(409, WITHDRAWN)
        scenario.fleet, scenario.vehicle = vehicle.fleet, vehicle
        return Response(ScenarioWholeSerializer(scenario).data, status=201 if created else 200)


class ScenarioView(APIView):
    @extend_schema(
        summary="One scenario with its videos and annotations",
        description="`{id}` is the server's id or the device's own name for it.",
        responses={200: ScenarioWholeSerializer, 401: ProblemSerializer, 404: ProblemSerializer},
    )
    def get(self, request: Request, scenario: str) -> Response:
        return Response(ScenarioWholeSerializer(scenario_or_404(request, scenario)).data)

    @extend_schema(
        summary="Withdraw consent: footage, annotations and metadata are deleted at once",
        description="By the scenario's device or a manager. The name stays known, so that it is not taken again.",
        responses={204: None, 401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer},
    )
    def delete(self, request: Request, scenario: str) -> Response:
        found = scenario_or_404(request, scenario)
        principal = principal_of(request.user)
        if principal.device_id is None and not principal.can(Role.MANAGER, found.fleet_id):
            raise exceptions.PermissionDenied("Only a manager or the vehicle's device withdraws a scenario.")
        scenarios.withdraw(Actor.of(request), found, timezone.now())
        return Response(status=204)


class AnnotationToldSerializer(ToldSerializer):
    """Keys not listed here are kept as details."""

    timestamp = NumberField(min_value=0, max_value=86_400, help_text="s from the start")
    label = serializers.CharField(max_length=200)  # type: ignore[assignment]

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        found = super().to_internal_value(data)
        return {"offset_s": found["timestamp"], "label": found["label"], "details": found["metadata"]}


class AnnotationsToldSerializer(serializers.Serializer[Any]):
    annotations = AnnotationToldSerializer(many=True, max_length=ANNOTATIONS_AT_ONCE)  # type: ignore[call-arg]


class AnnotationsKeptSerializer(serializers.Serializer[Any]):
    received = serializers.IntegerField()
    annotations = AnnotationSerializer(many=True)


class AnnotationsView(APIView):
    @extend_schema(
        summary="Add annotations; those that are there already are not added again",
        request=AnnotationsToldSerializer,
        responses={201: AnnotationsKeptSerializer, **ERRORS},
        examples=[
            OpenApiExample(
                "Two annotations",
                {"annotations": [{"timestamp": 2.4, "label": "pedestrian", "confidence": 0.93},
                                 {"timestamp": 3.1, "label": "brake"}]},
                request_only=True,
            )
        ],
    )  # fmt: skip
    def post(self, request: Request, scenario: str) -> Response:
        found = own_scenario(request, scenario)
        told = AnnotationsToldSerializer(data=request.data)
        told.is_valid(raise_exception=True)
        rows = told.validated_data["annotations"]
        try:
            scenarios.annotate(found, rows)
        except scenarios.WithdrawnError:
            return problem(409, WITHDRAWN)
        kept = AnnotationSerializer(found.annotations.all()[:ANNOTATIONS_AT_ONCE], many=True)
        return Response({"received": len(rows), "annotations": kept.data}, status=201)
