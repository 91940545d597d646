"""Geofences and visits as JSON: GeoJSON features in and out."""

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import exceptions, serializers

from fleet.api.moments import MomentField
from fleet.api.told import NumberField
from fleet.geofencing import hours
from fleet.geofencing.fencefeatures import feature_of
from fleet.geofencing.geofences import REPLAY_DAYS
from fleet.models import FenceKind, Geofence
from fleet.models.geofences import Edge

_POSITIONS: dict[str, Any] = {"type": "array", "items": {}}


@extend_schema_field(
    {
        "type": "object",
        "required": ["type", "coordinates"],
        "properties": {
            "type": {"type": "string", "enum": ["Point", "Polygon", "MultiPolygon", "LineString"]},
            "coordinates": _POSITIONS,
        },
    }
)
class GeometryField(serializers.JSONField):
    """RFC 7946; what is wrong with it is said by `Geofence.clean`."""


class HoursSerializer(serializers.Serializer[Any]):
    days = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=7),
        min_length=1,
        max_length=7,
        help_text="1 is Monday.",
    )

    def get_fields(self) -> dict[str, Any]:
        """`from` is no name in Python."""
        said = (
            "HH:MM in the fleet's time zone; `to` may be 24:00, or before `from`: then it is the next day's."
        )
        moment = {"max_length": 5, "min_length": 5}
        return super().get_fields() | {
            "from": serializers.CharField(help_text=said, **moment),  # type: ignore[arg-type]
            "to": serializers.CharField(**moment),  # type: ignore[arg-type]
        }


class PropertiesSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(FenceKind.choices)
    radius_m = NumberField(required=False, allow_null=True, help_text="Of a circle, 5 to 500,000.")
    width_m = NumberField(
        required=False, allow_null=True, help_text="Of a corridor, side to side, 5 to 100,000."
    )
    colour = serializers.RegexField(r"^#[0-9a-f]{6}$", required=False)
    schedule = serializers.ListField(
        child=HoursSerializer(), required=False, max_length=hours.LIMIT,
        help_text="When rules about it count; empty: always.",
    )  # fmt: skip
    min_stay_s = NumberField(required=False, min_value=0, max_value=7 * 86_400)
    dwell_s = NumberField(required=False, allow_null=True, min_value=1, max_value=7 * 86_400)
    hysteresis_m = NumberField(required=False, min_value=0, max_value=5_000)
    vehicles = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, allow_null=True, max_length=1_000,
        help_text="Slug, VIN or plate of each; null or left out: the whole fleet.",
    )  # fmt: skip


class WishSerializer(PropertiesSerializer):
    """What is left out has its usual value."""

    fleet = serializers.CharField(max_length=64, required=False, help_text="Needed by who manages several.")
    history_from = MomentField(
        required=False, write_only=True,
        help_text=f"Look at stored records since; at most {REPLAY_DAYS} days back. Else only at later ones.",
    )  # fmt: skip


class GeofenceBodySerializer(serializers.Serializer[Any]):
    """A GeoJSON Feature."""

    type = serializers.ChoiceField(["Feature"])
    geometry = GeometryField()
    properties = WishSerializer()


class ToldPropertiesSerializer(PropertiesSerializer):
    fleet_id = serializers.CharField()
    version = serializers.IntegerField()
    since = serializers.DateTimeField(help_text="Visits begun before are of an earlier version.")
    evaluating = serializers.BooleanField(help_text="Stored records wait to be looked at.")


class GeofenceSerializer(serializers.Serializer[Any]):
    """A GeoJSON Feature."""

    type = serializers.ChoiceField(["Feature"])
    id = serializers.IntegerField()
    geometry = GeometryField()
    properties = ToldPropertiesSerializer()


class VisitSerializer(serializers.Serializer[Any]):
    geofence_id = serializers.IntegerField()
    geofence = serializers.CharField(source="geofence.name")
    vehicle_id = serializers.CharField(source="vehicle.slug")
    entered_at = serializers.DateTimeField()
    entry = serializers.ChoiceField(Edge.choices, help_text="How well that is known.")
    left_at = serializers.DateTimeField(allow_null=True, help_text="null: it is there, as far as is known.")
    exit = serializers.ChoiceField(Edge.choices, allow_blank=True)
    duration_s = serializers.FloatField(allow_null=True)
    first_at = serializers.DateTimeField(
        allow_null=True, help_text="First record within; null: it passed between two."
    )
    last_at = serializers.DateTimeField(allow_null=True)
    dwelled_at = serializers.DateTimeField(allow_null=True, help_text="When it reached the dwell time.")
    on_schedule = serializers.BooleanField(help_text="Some of it was in the geofence's hours.")
    geofence_version = serializers.IntegerField()


EXAMPLE = OpenApiExample(
    "A depot",
    {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [13.5331, 52.4312]},
        "properties": {
            "name": "Depot", "kind": "circle", "radius_m": 150, "dwell_s": 900, "hysteresis_m": 20,
            "schedule": [{"days": [1, 2, 3, 4, 5], "from": "22:00", "to": "06:00"}],
        },
    },
    request_only=True,
)  # fmt: skip


def told(fence: Geofence) -> dict[str, Any]:
    """Needs `fleet` selected and `vehicles` prefetched."""
    feature = feature_of(fence)
    feature["properties"] |= {
        "vehicles": None if fence.all_vehicles else sorted(vehicle.slug for vehicle in fence.vehicles.all()),
        "fleet_id": fence.fleet.slug,
        "version": fence.version,
        "since": fence.since,
        "evaluating": fence.replay_from is not None,
    }
    return feature


def fill(fence: Geofence, geometry: Any, wanted: dict[str, Any]) -> None:
    """Fields of a checked body; raises DRF's ValidationError by path of the body."""
    fence.geometry = geometry
    for name, value in wanted.items():
        setattr(fence, name, value)
    try:
        fence.clean()
    except ValidationError as error:
        raise exceptions.ValidationError(
            {
                name if name == "geometry" else f"properties.{name}": texts
                for name, texts in error.message_dict.items()
            }
        ) from None
