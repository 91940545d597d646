"""What a PUT brings: the body as an Upload, the conditional headers as a Condition."""

import math
from typing import Any

import orjson
from rest_framework import exceptions, serializers
from rest_framework.request import Request

from profiles.versions import Condition, Upload

MAX_CIPHERTEXT_BYTES = 1024 * 1024
MAX_BODY_BYTES = 2 * MAX_CIPHERTEXT_BYTES  # what JSON may add by escapes
MAX_METADATA_BYTES = 16 * 1024
_DEPTH = 8
_LARGEST = 2**63


class TooLargeError(exceptions.APIException):
    status_code = 413
    default_detail = f"A profile has at most {MAX_CIPHERTEXT_BYTES} bytes of ciphertext."


class UploadSerializer(serializers.Serializer[Any]):
    """Further keys are kept in clear and come back beside these."""

    encrypted_profile = serializers.CharField(
        trim_whitespace=False, help_text="Opaque text, up to 1 MiB of UTF-8."
    )
    version = serializers.IntegerField(
        min_value=0,
        max_value=2**53,
        required=False,
        allow_null=True,
        help_text="Without If-Match: the current version + 1. The very first may be any number or left out.",
    )

    def validate_encrypted_profile(self, text: str) -> str:
        if len(text.encode()) > MAX_CIPHERTEXT_BYTES:
            raise TooLargeError
        return text


def upload_of(request: Request, driver_id: str) -> Upload:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        raise TooLargeError
    try:
        body: Any = request.data
    except RecursionError:
        raise exceptions.ParseError("The JSON is nested too deeply.") from None
    serializer = UploadSerializer(data=body)
    serializer.is_valid(raise_exception=True)
    known = serializer.validated_data
    if body.get("driver_id", driver_id) != driver_id:
        raise exceptions.ValidationError({"driver_id": ["The path names another driver: send either one."]})
    further = {name: value for name, value in body.items() if name not in {*serializer.fields, "driver_id"}}
    _check_metadata(further)
    return Upload(known["encrypted_profile"], further, known.get("version"))


def condition_of(request: Request) -> Condition:
    match = request.headers.get("If-Match")
    return Condition(
        matches=None if match is None else frozenset(versions_in(match)),
        any_version=(match or "").strip() == "*",
        is_new=request.headers.get("If-None-Match", "").strip() == "*",
    )


def versions_in(header: str, weak: bool = False) -> set[int]:
    """Versions among the entity tags of a header; bare numbers are understood. `weak`: W/"7" counts too."""
    tags = [tag.strip() for tag in header.split(",")]
    texts = [(tag.removeprefix("W/") if weak else tag).strip('"') for tag in tags]
    return {int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 20}


def _check_metadata(further: dict[str, Any]) -> None:
    for name, value in further.items():
        if not (_storable(name) and _storable(value)):
            raise exceptions.ValidationError(
                {name: [f"Cannot be kept: no NUL characters, numbers below 2^63, at most {_DEPTH} levels."]}
            )
    try:
        size = len(orjson.dumps(further))
    except TypeError:
        raise exceptions.ValidationError("The metadata is not valid Unicode text.") from None
    if size > MAX_METADATA_BYTES:
        raise exceptions.ValidationError(
            f"Beside encrypted_profile and version, {MAX_METADATA_BYTES} bytes are kept; these are {size}."
        )


def _storable(value: Any, depth: int = 0) -> bool:
    """What both databases give back as it was: PostgreSQL takes no NUL and writes large floats as integers."""
    match value:
        case str():
            return "\0" not in value
        case int() | float():
            return math.isfinite(value) and abs(value) < _LARGEST
        case dict():
            inner = [*value.keys(), *value.values()]
        case list():
            inner = value
        case _:
            return True
    return depth < _DEPTH and all(_storable(part, depth + 1) for part in inner)
