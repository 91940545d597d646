"""Adding, reading and changing a vehicle over the API."""

from typing import Any

from django.core.exceptions import ValidationError as FieldsError
from django.http import Http404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet import vehicles
from fleet.access import managed_fleets, principal_of, visible_vehicles
from fleet.api.idempotency import IDEMPOTENCY_KEY, idempotent
from fleet.api.problems import Conflict, ProblemSerializer
from fleet.audit import Actor
from fleet.models import Fleet, Kind, Role, Vehicle

_ERRORS = dict.fromkeys((401, 403, 404), ProblemSerializer)


class VehicleFactsSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    vin = serializers.CharField(max_length=17, allow_blank=True, allow_null=True, required=False)
    license_plate = serializers.CharField(max_length=20, allow_blank=True, required=False, source="plate")
    model = serializers.CharField(max_length=120, allow_blank=True, required=False)
    model_year = serializers.IntegerField(min_value=1900, max_value=2100, allow_null=True, required=False)
    labels = serializers.ListField(
        child=serializers.CharField(max_length=vehicles.LABEL_LENGTH),
        max_length=vehicles.MAX_LABELS,
        required=False,
        help_text="Words that rollouts and filters choose by.",
    )
    kind = serializers.ChoiceField(Kind.choices, required=False, help_text="A site is a gateway's place.")

    def facts(self) -> dict[str, Any]:
        """As fields of vehicles.Facts."""
        known = {key: value for key, value in self.validated_data.items() if key in vehicles.FACTS}
        if "vin" in known:
            known["vin"] = known["vin"] or ""
        if "labels" in known:
            known["labels"] = tuple(known["labels"])
        return known


class NewVehicleSerializer(VehicleFactsSerializer):
    fleet = serializers.CharField(max_length=64, required=False, help_text="Needed by who manages several.")


class ChangedVehicleSerializer(VehicleFactsSerializer):
    """What is left out stays as it is."""

    retired = serializers.BooleanField(required=False, help_text="True: its devices are refused from now on.")


class VehicleSerializer(VehicleFactsSerializer):
    vehicle_id = serializers.CharField()
    fleet_id = serializers.CharField()
    retired_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


_EXAMPLE = OpenApiExample(
    "A van", {"name": "Van 7", "license_plate": "B-CV 107", "labels": ["early"]}, request_only=True
)


class VehicleView(APIView):
    """`{id}` is the vehicle's slug, VIN or plate. Retired ones are found too."""

    @extend_schema(summary="What a vehicle is", responses={200: VehicleSerializer, **_ERRORS})
    def get(self, request: Request, name: str) -> Response:
        return Response(told(_vehicle(request, name)))

    @extend_schema(
        summary="Change a vehicle: name, VIN, plate, labels, in or out of service (managers)",
        request=ChangedVehicleSerializer,
        responses={200: VehicleSerializer, 400: ProblemSerializer, 409: ProblemSerializer, **_ERRORS},
    )
    def patch(self, request: Request, name: str) -> Response:
        vehicle = _vehicle(request, name)
        if not principal_of(request.user).can(Role.MANAGER, vehicle.fleet_id):
            raise exceptions.PermissionDenied("Only managers of the fleet change its vehicles.")
        body = ChangedVehicleSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        actor = Actor.of(request)
        changed = _kept(lambda: vehicles.change(actor, vehicle, **body.facts()))
        if "retired" in body.validated_data:
            act = vehicles.retire if body.validated_data["retired"] else vehicles.revive
            changed = act(actor, vehicle)
        changed.fleet = vehicle.fleet
        return Response(told(changed))


@extend_schema(
    summary="Add a vehicle (managers)",
    parameters=[IDEMPOTENCY_KEY],
    request=NewVehicleSerializer,
    responses={
        201: VehicleSerializer, 400: ProblemSerializer, 409: ProblemSerializer, 422: ProblemSerializer, **_ERRORS
    },
    examples=[_EXAMPLE],
)  # fmt: skip
@idempotent
def add(view: APIView, request: Request) -> Response:
    """The POST of the list of vehicles."""
    managed = managed_fleets(principal_of(request.user))
    if not managed:
        raise exceptions.PermissionDenied("Adding vehicles takes a manager.")
    body = NewVehicleSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    fleet = _fleet(managed, body.validated_data.get("fleet", ""))
    made = _kept(lambda: vehicles.add(Actor.of(request), fleet, vehicles.Facts(**body.facts())))
    return Response(told(made), status=201, headers={"Location": f"/api/v1/vehicles/{made.slug}"})


def told(vehicle: Vehicle) -> dict[str, Any]:
    """Needs `fleet` selected."""
    return {
        "vehicle_id": vehicle.slug,
        "fleet_id": vehicle.fleet.slug,
        "name": vehicle.name,
        "vin": vehicle.vin,
        "license_plate": vehicle.plate,
        "model": vehicle.model,
        "model_year": vehicle.model_year,
        "labels": vehicle.labels,
        "kind": vehicle.kind,
        "retired_at": vehicle.retired_at,
        "created_at": vehicle.created_at,
    }


def _fleet(managed: list[Fleet], slug: str) -> Fleet:
    found = [fleet for fleet in managed if slug in {"", fleet.slug}]
    if len(found) != 1:
        raise exceptions.ValidationError({"fleet": ["Name one fleet that you manage."]})
    return found[0]


def _vehicle(request: Request, name: str) -> Vehicle:
    seen = visible_vehicles(request.user).named(name.replace("\0", "")).select_related("fleet")
    found: list[Vehicle] = list(seen.order_by("id")[:2])
    if len(found) > 1:
        raise Conflict("More than one of your vehicles is called that: use the VIN.")
    if not found:
        raise Http404
    return found[0]


def _kept(act: Any) -> Vehicle:
    try:
        made: Vehicle = act()
    except FieldsError as error:
        names = {"plate": "license_plate"}
        told = {names.get(field, field): texts for field, texts in error.message_dict.items()}
        raise exceptions.ValidationError(told) from None
    return made
