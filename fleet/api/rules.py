"""Alert rules over the API: members read them, managers make and change them."""

from typing import Any

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of, visible_fleets
from fleet.alerting import rules
from fleet.alerting.ruletext import summary_of
from fleet.api.alerts import SeverityField
from fleet.api.paging import Pages
from fleet.api.problems import ProblemSerializer
from fleet.api.told import NumberField
from fleet.audit import Actor
from fleet.models import (
    AlertRule,
    Crossing,
    Direction,
    Episode,
    Fleet,
    Geofence,
    Role,
    RuleKind,
    Severity,
    Vehicle,
)
from fleet.readings import catalogue_of

_ERRORS: dict[int, Any] = dict.fromkeys((401, 403, 404, 429), ProblemSerializer)
_WRONG: dict[int, Any] = {400: ProblemSerializer, **_ERRORS}


class RuleBodySerializer(serializers.Serializer[Any]):
    """Which fields a rule needs depends on its kind; the others are emptied."""

    name = serializers.CharField(max_length=60)
    kind = serializers.ChoiceField(RuleKind.choices)
    vehicles = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, allow_null=True, max_length=1_000,
        help_text="Slug, VIN or plate of each; null or left out: the whole fleet.",
    )  # fmt: skip
    field = serializers.CharField(max_length=128, required=False, allow_blank=True)
    direction = serializers.ChoiceField(Direction.choices, required=False, allow_blank=True)
    limit = NumberField(required=False, allow_null=True, help_text="In the unit of the field.")
    clear = NumberField(required=False, allow_null=True)
    min_duration_s = NumberField(required=False, min_value=0, max_value=7 * 86_400)
    codes = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=100)
    silent_after_s = serializers.IntegerField(
        required=False, allow_null=True, min_value=30, max_value=90 * 86_400
    )
    ignore_parked = serializers.BooleanField(required=False)
    geofence_id = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**62)
    crossing = serializers.ChoiceField(
        Crossing.choices, required=False, allow_blank=True,
        help_text="Of a geofence; dwell and outside last min_duration_s, dwell without it the geofence's dwell_s.",
    )  # fmt: skip
    severity = SeverityField(required=False)
    message = serializers.CharField(max_length=300, required=False, allow_blank=True)
    auto_resolve = serializers.BooleanField(
        required=False, help_text="Without it: yes for silence, threshold, low_charge and geofence."
    )
    enabled = serializers.BooleanField(required=False)
    replay_days = NumberField(
        required=False, min_value=0, max_value=rules.REPLAY_DAYS, write_only=True,
        help_text="Judge the stored records of so many days too.",
    )  # fmt: skip


class RuleSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(RuleKind.choices)
    summary = serializers.SerializerMethodField()
    vehicles = serializers.SerializerMethodField(help_text="Slugs; null: the whole fleet.")
    field = serializers.CharField()
    direction = serializers.CharField()
    limit = serializers.FloatField(allow_null=True)
    clear = serializers.FloatField(allow_null=True)
    min_duration_s = serializers.FloatField()
    codes = serializers.ListField(child=serializers.CharField())
    silent_after_s = serializers.IntegerField(allow_null=True)
    ignore_parked = serializers.BooleanField()
    geofence_id = serializers.IntegerField(allow_null=True)
    crossing = serializers.CharField()
    severity = SeverityField()
    message = serializers.CharField()
    auto_resolve = serializers.BooleanField()
    enabled = serializers.BooleanField()
    version = serializers.IntegerField()
    since = serializers.DateTimeField(help_text="Records measured before are not judged.")

    def get_summary(self, rule: AlertRule) -> str:
        return summary_of(rule, self.context.get("catalogue", {}))

    def get_vehicles(self, rule: AlertRule) -> list[str] | None:
        return None if rule.all_vehicles else sorted(vehicle.slug for vehicle in rule.vehicles.all())


class EpisodeSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.CharField(source="vehicle.slug")
    started_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField(help_text="The last record in which it held.")
    ended_at = serializers.DateTimeField(allow_null=True, help_text="null: it holds.")
    peak = serializers.FloatField()
    codes = serializers.ListField(child=serializers.CharField())
    severity = SeverityField()
    rule_version = serializers.IntegerField()
    alert_id = serializers.IntegerField(allow_null=True)


EXAMPLE = OpenApiExample(
    "Coolant",
    {
        "name": "Coolant hot", "kind": "threshold", "field": "coolant_temperature", "direction": "above",
        "limit": 105, "clear": 100, "min_duration_s": 60, "severity": "CRITICAL",
    },
    request_only=True,
)  # fmt: skip


class RulePages(Pages):
    ordering = ("name", "id")


class EpisodePages(Pages):
    ordering = ("-started_at", "-id")


class RulesView(APIView):
    pagination_class = RulePages

    @extend_schema(summary="A fleet's alert rules", responses={200: RuleSerializer(many=True), **_ERRORS})
    def get(self, request: Request, fleet: str) -> Response:
        found = _fleet(request, fleet)
        pages = RulePages()
        asked = AlertRule.objects.filter(fleet=found).select_related("geofence").prefetch_related("vehicles")
        rows: Any = pages.paginate_queryset(asked, request, self)
        context = {"catalogue": catalogue_of(found.pk)}
        return pages.get_paginated_response(RuleSerializer(rows, many=True, context=context).data)

    @extend_schema(
        summary="Make an alert rule",
        description="Managers only. It judges records measured from now on, and those of the last `replay_days`.",
        request=RuleBodySerializer,
        responses={201: RuleSerializer, **_WRONG},
        examples=[EXAMPLE],
    )
    def post(self, request: Request, fleet: str) -> Response:
        found = _fleet(request, fleet, managers=True)
        wish = _wish(request, AlertRule(fleet=found))
        return _told(rules.add(Actor.of(request), found, wish), 201)


class RuleView(APIView):
    @extend_schema(summary="One alert rule", responses={200: RuleSerializer, **_ERRORS})
    def get(self, request: Request, fleet: str, rule: int) -> Response:
        return _told(_rule(_fleet(request, fleet), rule))

    @extend_schema(
        summary="Change an alert rule",
        description="Managers only. The whole rule; what is left out goes back to its default. A changed condition "
        "judges records measured from now on.",
        request=RuleBodySerializer,
        responses={200: RuleSerializer, **_WRONG},
        examples=[EXAMPLE],
    )
    def put(self, request: Request, fleet: str, rule: int) -> Response:
        found = _fleet(request, fleet, managers=True)
        known = _rule(found, rule)
        wish = _wish(request, AlertRule(pk=known.pk, fleet=found, created_by=known.created_by))
        wish.rule.created_at = known.created_at
        return _told(rules.change(Actor.of(request), wish))

    @extend_schema(
        summary="Delete an alert rule",
        description="Managers only. Its alerts stay.",
        responses={204: None, **_ERRORS},
    )
    def delete(self, request: Request, fleet: str, rule: int) -> Response:
        found = _fleet(request, fleet, managers=True)
        rules.delete(Actor.of(request), _rule(found, rule))
        return Response(status=204)


class EpisodesView(APIView):
    pagination_class = EpisodePages

    @extend_schema(
        summary="When a rule's condition held, newest first",
        parameters=[OpenApiParameter("vehicle", description="Slug, VIN or plate.")],
        responses={200: EpisodeSerializer(many=True), **_ERRORS},
    )
    def get(self, request: Request, fleet: str, rule: int) -> Response:
        episodes = Episode.objects.filter(rule=_rule(_fleet(request, fleet), rule), confirmed=True)
        if principal_of(request.user).vehicle_id is not None:
            episodes = episodes.filter(vehicle=principal_of(request.user).vehicle_id)
        if name := request.query_params.get("vehicle", "").replace("\0", ""):
            episodes = episodes.filter(vehicle__in=Vehicle.objects.named(name))
        pages = EpisodePages()
        rows: Any = pages.paginate_queryset(episodes.select_related("vehicle"), request, self)
        return pages.get_paginated_response(EpisodeSerializer(rows, many=True).data)


def _fleet(request: Request, name: str, *, managers: bool = False) -> Fleet:
    found: Fleet = get_object_or_404(visible_fleets(request.user), slug=name)
    if managers and not principal_of(request.user).can(Role.MANAGER, found.pk):
        raise exceptions.PermissionDenied("Alert rules are made by managers of the fleet.")
    return found


def _rule(fleet: Fleet, number: int) -> AlertRule:
    return get_object_or_404(
        AlertRule.objects.select_related("fleet", "geofence").prefetch_related("vehicles"),
        pk=number,
        fleet=fleet,
    )


def _wish(request: Request, rule: AlertRule) -> rules.Wish:
    """What the body asks for, checked. Raises DRF's ValidationError by field."""
    body = RuleBodySerializer(data=request.data)
    body.is_valid(raise_exception=True)
    told = dict(body.validated_data)
    names, days = told.pop("vehicles", None), told.pop("replay_days", 0)
    told.setdefault("auto_resolve", told["kind"] in rules.RESOLVE_THEMSELVES)
    told.setdefault("severity", Severity.WARNING)
    number = told.pop("geofence_id", None)
    rule.geofence = Geofence.objects.filter(fleet=rule.fleet, pk=number).first() if number else None
    for name, value in told.items():
        setattr(rule, name, value)
    try:
        rule.clean()
    except ValidationError as error:
        told_of = {
            "geofence_id" if name == "geofence" else name: texts for name, texts in error.message_dict.items()
        }
        raise exceptions.ValidationError(told_of) from None
    rule.all_vehicles = names is None
    return rules.Wish(rule, vehicles_of(rule.fleet, names or []), days)


def vehicles_of(fleet: Fleet, names: list[str], field: str = "vehicles") -> list[Vehicle]:
    """By slug, VIN or plate. Raises ValidationError naming the place in the list `field`."""
    mine = Vehicle.objects.filter(fleet=fleet)
    found = []
    for place, name in enumerate(dict.fromkeys(names)):
        vehicle = mine.named(name.replace("\0", "")).first()
        if vehicle is None:
            raise exceptions.ValidationError(
                {f"{field}[{place}]": f"This fleet has no vehicle {name[:64]!r}."}
            )
        found.append(vehicle)
    return found


def _told(rule: AlertRule, status: int = 200) -> Response:
    context = {"catalogue": catalogue_of(rule.fleet_id)}
    return Response(RuleSerializer(rule, context=context).data, status=status)
