"""Reads that repeat: an answer that is the same as last time costs a 304 and no body."""

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers

from fleet.jsontext import dumped

_WHO = ("Authorization", "X-API-Key", "Cookie")


def tag_of(content: bytes) -> str:
    """A strong entity tag: these bytes."""
    return f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'


def tag_without(content: Any, *fields: str) -> dict[str, str]:
    """The header for an answer that tells ages: a weak tag of everything but those fields."""
    return {"ETag": f"W/{tag_of(dumped(_without(content, fields)))}"}


def revalidated(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """A 200 with its tag, or 304 where the client has it. A view may bring a tag, or `no-store` for none."""
    if not isinstance(response, HttpResponse) or "no-store" in response.get("Cache-Control", ""):
        return response
    if not response.has_header("ETag"):
        response["ETag"] = tag_of(response.content)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    patch_vary_headers(response, _WHO)
    told = get_conditional_response(request, etag=response["ETag"], response=response)
    return response if told is None else told


def _without(content: Any, fields: tuple[str, ...]) -> Any:
    match content:
        case dict():
            return {name: _without(inner, fields) for name, inner in content.items() if name not in fields}
        case list():
            return [_without(inner, fields) for inner in content]
    return content
