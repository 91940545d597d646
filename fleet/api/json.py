"""JSON in and out by orjson: what no view should meet is refused before any view sees it."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any

import orjson
from django.conf import settings
from django.http import Http404
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from fleet.api.packed import Refused, unpacked
from fleet.jsontext import dumped, not_json

_NUL = b"\\u0000"
_LONG = re.compile(rb"\d{19}")
"""A number of which orjson makes the nearest float."""
_WHOLE = 2**63
_DEEPEST = 64
_TOLD = 20
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else dumped(data)


class JsonParser(BaseParser):
    """UTF-8, gzipped or not, of a limited size. No NUL, which PostgreSQL cannot keep; no NaN; no towers of brackets."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request: Request = (parser_context or {})["request"]
        _check_charset(request.content_type or "")
        body = _body(request, stream, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if not body.strip():
            return {}
        content, strict = _read(body)
        if _is_deep(content):
            raise exceptions.ParseError(f"The body is nested more than {_DEEPEST} deep.")
        if not strict or _NUL in body:
            errors = {path or "body": [reason] for path, reason in islice(_odd(content), _TOLD)}
            if errors:
                raise exceptions.ValidationError(errors)
        return content


class Negotiation(DefaultContentNegotiation):
    """A body that nobody named the type of is taken for what the view reads first: JSON, nearly always."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        if not request.content_type:
            return next(iter(parsers), None)
        return super().select_parser(request, parsers)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """Who accepts nothing that we have gets JSON all the same: better than an error about it."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except (exceptions.NotAcceptable, Http404):  # also a `format` in the address that we do not have
            return renderers[0], renderers[0].media_type


def _body(request: Request, stream: IO[Any], limit: int) -> bytes:
    """As meant by the client. What is announced as too large is refused before it is read."""
    reason = f"A body may have {limit} bytes: send less at once."
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise Refused(413, reason)
    body: bytes = stream.read(limit + 1)
    if len(body) > limit:
        raise Refused(413, reason)
    return unpacked(body, request.headers.get("Content-Encoding", ""), limit)


def _read(body: bytes) -> tuple[Any, bool]:
    """The content, and whether it is JSON to the letter; NaN and half characters are let by, to be told by name."""
    try:
        content = orjson.loads(body)
        return (json.loads(body), False) if _LONG.search(body) else (content, True)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(body), False
        except (ValueError, RecursionError):
            raise exceptions.ParseError(not_json(body, error)) from None


def _check_charset(content_type: str) -> None:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip("\"' ").lower() not in _CHARSETS:
            raise Refused(415, f"charset={value[:40]}: JSON is UTF-8, send it so.")


def _is_deep(content: Any) -> bool:
    """More brackets in each other than any of our bodies has, and than recursive code should meet."""
    level = [content]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _odd(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and reason of what JSON, Unicode or PostgreSQL do not have."""
    match value:
        case str() if "\0" in value:
            yield path, "Contains the character U+0000."
        case str() if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            yield path, "Is not valid Unicode: half of a surrogate pair."
        case int() if not -_WHOLE <= value < _WHOLE:
            yield path, "A whole number of more than 64 bits."
        case float() if not math.isfinite(value):
            yield path, "A finite number is required."
        case dict():
            for name, inner in value.items():
                own = f"{path}.{name}".strip(".").replace("\0", "?").encode("utf-8", "replace").decode()[:200]
                yield from ((own, reason) for _, reason in _odd(name))
                yield from _odd(inner, own)
        case list():
            for place, inner in enumerate(value):
                yield from _odd(inner, f"{path}[{place}]")
