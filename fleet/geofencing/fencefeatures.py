"""Geofences as GeoJSON features, out and in: exports, imports, the map, the API."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError

from fleet.models import Fleet, Geofence

MOST_FEATURES: Final = 1_000
MOST_BYTES: Final = 5_000_000
MOST_ERRORS: Final = 20
_KINDS: Final = {
    "Point": "circle", "Polygon": "polygon", "MultiPolygon": "polygon", "LineString": "corridor",
}  # fmt: skip
_PROPERTIES: Final = ("radius_m", "width_m", "colour", "schedule", "min_stay_s", "dwell_s", "hysteresis_m")


class UnreadableError(ValueError):
    """What is wrong with which feature, a line each."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = list(reasons)


def feature_of(fence: Geofence) -> dict[str, Any]:
    """RFC 7946, with everything that makes the same geofence again; for which vehicles is left out."""
    told = {name: getattr(fence, name) for name in _PROPERTIES}
    return {
        "type": "Feature",
        "id": fence.pk,
        "geometry": fence.geometry,
        "properties": {"name": fence.name, "kind": fence.kind, **told},
    }


def drawn(fence: Geofence) -> dict[str, Any]:
    """What a map needs."""
    return {
        "type": "Feature",
        "id": fence.pk,
        "geometry": fence.geometry,
        "properties": {
            "name": fence.name, "kind": fence.kind, "radius_m": fence.radius_m, "width_m": fence.width_m,
            "colour": fence.colour, "url": fence.get_absolute_url(),
        },
    }  # fmt: skip


def collection(features: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


def read(fleet: Fleet, text: str) -> list[Geofence]:
    """Checked geofences of a GeoJSON document, unsaved. Raises UnreadableError naming each wrong feature and why."""
    try:
        told = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableError([f"This is no JSON: {error}"]) from None
    features = _features(told)
    if not 0 < len(features) <= MOST_FEATURES:
        raise UnreadableError([f"{len(features):,} features: send from 1 to {MOST_FEATURES:,} at once."])
    found: list[Geofence] = []
    wrong: list[str] = []
    for place, feature in enumerate(features, 1):
        try:
            found.append(_fence(fleet, feature, place))
        except ValidationError as error:
            wrong += [f"{_called(feature, place)}: {reason}" for reason in _reasons(error)]
    names = [fence.name for fence in found]
    wrong += [f"Two features are named {name}." for name in sorted({n for n in names if names.count(n) > 1})]
    if wrong:
        more = [f"… and {len(wrong) - MOST_ERRORS} more."] if len(wrong) > MOST_ERRORS else []
        raise UnreadableError([*wrong[:MOST_ERRORS], *more])
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _features(told: Any) -> list[Any]:
    """Of a FeatureCollection, a Feature, or a geometry alone."""
    if not isinstance(told, dict):
        raise UnreadableError(["Send a GeoJSON FeatureCollection, Feature or geometry."])
    if told.get("type") == "FeatureCollection":
        if not isinstance(told.get("features"), list):
            raise UnreadableError(["This FeatureCollection has no list of features."])
        return list(told["features"])
    return [told if told.get("type") == "Feature" else {"type": "Feature", "geometry": told}]


def _fence(fleet: Fleet, feature: Any, place: int) -> Geofence:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise ValidationError({"type": ["Is no Feature."]})
    geometry, told = feature.get("geometry"), feature.get("properties") or {}
    kind = _KINDS.get(str(geometry.get("type"))) if isinstance(geometry, Mapping) else None
    if kind is None:
        raise ValidationError(
            {
                "geometry": [
                    f"Takes one of {', '.join(_KINDS)}; a Point with radius_m, a LineString with width_m."
                ]
            }
        )
    if not isinstance(told, dict):
        raise ValidationError({"properties": ["Is no object."]})
    fields = {name: told[name] for name in _PROPERTIES if told.get(name) is not None}
    if "colour" in fields:
        fields["colour"] = str(fields["colour"]).lower()
    _check_numbers(fields)
    fence = Geofence(fleet=fleet, name=_name(told, place), kind=kind, geometry=geometry, **fields)
    fence.clean_fields(exclude=["fleet", "since", "geometry", "schedule"])
    fence.clean()
    return fence


def _name(told: Mapping[str, Any], place: int) -> str:
    name = " ".join(str(told.get("name") or told.get("title") or f"Feature {place}").split())
    return "".join(letter for letter in name if letter.isprintable())


def _check_numbers(fields: Mapping[str, Any]) -> None:
    for name in ("radius_m", "width_m", "min_stay_s", "dwell_s", "hysteresis_m"):
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValidationError({name: ["Is no number."]})


def _called(feature: Any, place: int) -> str:
    told = feature.get("properties") if isinstance(feature, dict) else None
    name = told.get("name") if isinstance(told, dict) else None
    return f"Feature {place} (“{str(name)[:60]}”)" if name else f"Feature {place}"


def _reasons(error: ValidationError) -> Iterable[str]:
    for field, texts in error.message_dict.items():
        for text in texts:
            yield f"{'' if field in {'geometry', '__all__'} else f'{field}: '}{text}"
