"""Bodies as devices write them: numbers that are finite, further keys kept as metadata."""

import math
from typing import Any

import orjson
from rest_framework import serializers

METADATA_LIMIT = 16_384
_DEPTH = 12
_WHOLE = 2**63


class NumberField(serializers.FloatField):
    """A finite number."""

    default_error_messages = {"finite": "A finite number is required."}

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        try:
            number = super().to_internal_value(data)
        except OverflowError:
            self.fail("finite")
        if not math.isfinite(number):
            self.fail("finite")
        return number


class ToldSerializer(serializers.Serializer[Any]):
    """Keys without a field are collected in `metadata`, beside what came under that name."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().to_internal_value(data)
        given = data.get("metadata")
        known = {*self.fields, "metadata"}
        further = {name: value for name, value in data.items() if name not in known}
        if isinstance(given, dict):
            further |= given
        elif given is not None:
            further["metadata"] = given
        found["metadata"] = storable(further)
        if len(orjson.dumps(found["metadata"])) > METADATA_LIMIT:
            raise serializers.ValidationError(
                {"metadata": [f"At most {METADATA_LIMIT} bytes, further keys of the body included."]}
            )
        return found


def storable(value: Any, path: str = "metadata", depth: int = 0) -> Any:
    """The same JSON, when every database can keep it; else says where it cannot."""
    if depth > _DEPTH:
        raise serializers.ValidationError({path: [f"Nested more than {_DEPTH} deep."]})
    match value:
        case dict():
            keys = {storable(str(key), path, depth): inner for key, inner in value.items()}
            return {key: storable(inner, f"{path}.{key}", depth + 1) for key, inner in keys.items()}
        case list():
            return [storable(inner, f"{path}[{place}]", depth + 1) for place, inner in enumerate(value)]
        case str():
            if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                raise serializers.ValidationError({path: ["Text that is not valid Unicode, or holds a NUL."]})
        case bool():
            return value
        case int() if not -_WHOLE <= value < _WHOLE:
            raise serializers.ValidationError({path: ["A whole number of more than 64 bits."]})
        case float() if not math.isfinite(value):
            raise serializers.ValidationError({path: ["A finite number is required."]})
    return value
