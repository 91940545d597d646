"""Driving events over the API, dismissing them, and the score they explain."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_vehicles
from fleet.api.asked import PARAMETERS, narrowed, text_in
from fleet.api.drivers import FLEET, find_driver
from fleet.api.idempotency import IDEMPOTENCY_KEY, REPEATED, idempotent
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.audit import Actor
from fleet.behaviour import drivingevents, scorecard, scoring
from fleet.behaviour.driving import visible
from fleet.behaviour.scorecard import Scorecard, rounded
from fleet.models import DrivingEvent, EventKind, Role, Strength

_ERRORS = dict.fromkeys((401, 403, 404), ProblemSerializer)
_STRENGTHS = {label.lower(): value for value, label in Strength.choices}


class DismissalSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    by = serializers.CharField(source="by_name", help_text="Empty for devices.")
    reason = serializers.CharField()


class DrivingEventSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(EventKind.choices)
    strength = serializers.SerializerMethodField()
    fleet_id = serializers.CharField(source="fleet.slug")
    vehicle_id = serializers.CharField(source="vehicle.slug")
    driver_id = serializers.CharField(help_text="Of the trip it began in; empty: not known.")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField()
    going_on = serializers.BooleanField()
    duration = serializers.FloatField(source="duration_s", help_text="s")
    peak = serializers.FloatField(source="peak_m_s2", allow_null=True, help_text="m/s², of a harsh one.")
    speed_before = serializers.FloatField(source="speed_before_m_s", allow_null=True, help_text="m/s")
    top_speed = serializers.FloatField(source="top_speed_m_s", allow_null=True, help_text="m/s, of speeding.")
    limit = serializers.FloatField(
        allow_null=True, help_text="m/s² of a harsh one, m/s of speeding, s of idling."
    )
    place = serializers.SerializerMethodField(help_text="Where it began; null: not known.")
    source = serializers.CharField(help_text="The signal its peak was read from.")  # type: ignore[assignment]
    rate = serializers.FloatField(source="rate_hz", allow_null=True, help_text="Records a second.")
    cannot_be_seen = serializers.SerializerMethodField(help_text="At this rate of records.")
    dismissal = DismissalSerializer(allow_null=True)

    def get_strength(self, event: DrivingEvent) -> str:
        return str(Strength(event.strength).label).lower()

    def get_place(self, event: DrivingEvent) -> dict[str, float] | None:
        if event.latitude_deg is None or event.longitude_deg is None:
            return None
        return {"lat": event.latitude_deg, "lng": event.longitude_deg}

    def get_cannot_be_seen(self, event: DrivingEvent) -> list[str]:
        return [what for what, can in visible(event.rate_hz) if not can]


class ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class EventPages(Pages):
    ordering = ("-started_at", "-id")


_FILTERS = [
    *PARAMETERS,
    OpenApiParameter("kind", str, enum=EventKind.values),
    OpenApiParameter("strength", str, enum=list(_STRENGTHS), description="At least this one."),
    OpenApiParameter("driver", str),
    OpenApiParameter("fleet", str, description="Of this fleet only."),
    OpenApiParameter("dismissed", bool, description="Only these, or only the others."),
]


class DrivingEventsView(generics.GenericAPIView[DrivingEvent]):
    pagination_class = EventPages
    serializer_class = DrivingEventSerializer
    queryset = DrivingEvent.objects.none()

    @extend_schema(
        operation_id="v1_driving_events_list",
        summary="Driving events, newest first",
        description="What the stored records say now: late records add, move and remove events. A person with the "
        "role driver sees their own.",
        parameters=_FILTERS,
        responses={200: DrivingEventSerializer(many=True), 400: ProblemSerializer, 401: ProblemSerializer},
    )
    def get(self, request: Request) -> Response:
        found = DrivingEvent.objects.visible_to(principal_of(request.user))
        rows = _asked(
            narrowed(found.select_related("vehicle", "fleet", "dismissal"), request, "started_at"), request
        )
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response([described(row, request) for row in page])


def _asked(rows: Any, request: Request) -> Any:
    asked, errors = request.query_params, {}
    if kind := asked.get("kind"):
        if kind not in EventKind.values:
            errors["kind"] = [f"{kind[:40]!r} is none of {', '.join(EventKind.values)}."]
        rows = rows.filter(kind=kind)
    if strength := asked.get("strength"):
        if strength not in _STRENGTHS:
            errors["strength"] = [f"{strength[:40]!r} is none of {', '.join(_STRENGTHS)}."]
        rows = rows.filter(strength__gte=_STRENGTHS.get(strength, 0))
    if errors:
        raise exceptions.ValidationError(errors)
    if driver := asked.get("driver"):
        rows = rows.filter(driver_id=text_in(driver, "driver"))
    if fleet := asked.get("fleet"):
        rows = rows.filter(fleet__slug=text_in(fleet, "fleet"))
    if dismissed := asked.get("dismissed"):
        rows = rows.filter(dismissal__isnull=not serializers.BooleanField().run_validation(dismissed))
    return rows


def described(event: DrivingEvent, request: Request) -> dict[str, Any]:
    """Needs `vehicle`, `fleet` and `dismissal` selected. A device learns nobody's name."""
    told: Any = DrivingEventSerializer(event).data
    if told["dismissal"] and principal_of(request.user).device_id is not None:
        told["dismissal"] = {**told["dismissal"], "by": ""}
    return dict(told)


def _event(request: Request, number: int) -> DrivingEvent:
    found = DrivingEvent.objects.visible_to(principal_of(request.user))
    event: DrivingEvent = get_object_or_404(found.select_related("vehicle", "fleet", "dismissal"), pk=number)
    return event


class DrivingEventView(APIView):
    @extend_schema(summary="One driving event", responses={200: DrivingEventSerializer, **_ERRORS})
    def get(self, request: Request, event: int) -> Response:
        return Response(described(_event(request, event), request))


class DismissView(APIView):
    @extend_schema(
        summary="Dismiss a driving event, with a reason",
        description="It is kept and costs no points, also when late records move it. Again: the first reason stays.",
        parameters=[IDEMPOTENCY_KEY],
        request=ReasonSerializer,
        responses={200: DrivingEventSerializer, 400: ProblemSerializer, **_ERRORS, **REPEATED},
        examples=[OpenApiExample("reason", {"reason": "A child ran into the road."}, request_only=True)],
    )
    @idempotent
    def post(self, request: Request, event: int) -> Response:
        found = _managed(request, event)
        body = ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        drivingevents.dismiss(Actor.of(request), found, body.validated_data["reason"])
        return Response(described(_event(request, event), request))


class RestoreView(APIView):
    @extend_schema(
        summary="Count a dismissed driving event again",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: DrivingEventSerializer, **_ERRORS, **REPEATED},
    )
    @idempotent
    def post(self, request: Request, event: int) -> Response:
        drivingevents.restore(Actor.of(request), _managed(request, event))
        return Response(described(_event(request, event), request))


def _managed(request: Request, number: int) -> DrivingEvent:
    found = _event(request, number)
    if not principal_of(request.user).can(Role.MANAGER, found.fleet_id):
        raise exceptions.PermissionDenied("Dismissing an event is a manager's matter.")
    return found


class ComponentSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    lost = serializers.FloatField(allow_null=True, help_text="Points; null: nothing is known of it.")
    most = serializers.FloatField(help_text="Points it can cost; the three harsh kinds together.")
    each = serializers.FloatField(allow_null=True, help_text="Points that one event costs.")
    basis = serializers.CharField()


class ScoreSerializer(serializers.Serializer[Any]):
    first_day = serializers.DateField()
    last_day = serializers.DateField()
    time_zone = serializers.CharField()
    score = serializers.FloatField(allow_null=True, help_text="Towards the mean below the minimum distance.")
    own_score = serializers.FloatField(allow_null=True, help_text="Before that.")
    fleet_score = serializers.FloatField(allow_null=True)
    score_version = serializers.IntegerField()
    eligible = serializers.BooleanField(help_text="Drove the minimum distance.")
    minimum_distance = serializers.FloatField(help_text="m")
    distance = serializers.FloatField(help_text="m, in trips.")
    seen_distance = serializers.FloatField(help_text="m, with records dense enough to show braking.")
    cornering_distance = serializers.FloatField(help_text="m, with records that show cornering.")
    components = ComponentSerializer(many=True)
    updating = serializers.BooleanField(help_text="Events are being found, or days summed up, anew.")


class DriverScoreView(APIView):
    @extend_schema(
        summary="A driver's score of the last 30 days, explained",
        parameters=[FLEET],
        responses={200: ScoreSerializer, **_ERRORS},
    )
    def get(self, request: Request, driver: str) -> Response:
        return Response(_score(scorecard.of_driver(find_driver(request, driver), timezone.now())))


class VehicleScoreView(APIView):
    @extend_schema(
        summary="A vehicle's score of the last 30 days, explained",
        responses={200: ScoreSerializer, **_ERRORS},
    )
    def get(self, request: Request, name: str) -> Response:
        found = visible_vehicles(request.user).named(name).select_related("fleet")
        vehicle = get_object_or_404(found.order_by("id")[:1])
        return Response(_score(scorecard.of_vehicle(vehicle, timezone.now())))


def _score(card: Scorecard) -> dict[str, Any]:
    return {
        "first_day": card.period.first.isoformat(),
        "last_day": card.period.last.isoformat(),
        "time_zone": card.period.zone,
        "score": rounded(card.score),
        "own_score": rounded(card.own),
        "fleet_score": rounded(card.mean),
        "score_version": scoring.VERSION,
        "eligible": card.eligible,
        "minimum_distance": scoring.RANKED_FROM_M,
        "distance": card.sums.distance_m,
        "seen_distance": card.sums.seen_mm / 1e3,
        "cornering_distance": card.sums.turning_mm / 1e3,
        "components": [
            {
                "name": one.name, "label": one.label, "lost": rounded(one.lost), "most": one.most,
                "each": rounded(one.each), "basis": one.basis,
            }
            for one in card.components
        ],
        "updating": card.finding or bool(card.waiting),
    }  # fmt: skip
