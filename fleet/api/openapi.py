"""What the schema says of every operation alike: views tell what is theirs, this adds what they all share.

A hook of drf-spectacular. Whatever a view has said itself stays as it is.
"""

from collections.abc import Iterator
from typing import Any

from fleet.api.problems import MEDIA_TYPE

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_TEXT = {"type": "string"}
_SAID = {
    400: "Something in the address or the body is wrong: `errors` names the fields.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "You may see this, but not do it; or the token's scopes lack it.",
    404: "It does not exist, or not for you.",
    413: "The body is too large.",
    415: "The body is of a type, charset or encoding that is not understood here.",
    429: "Too many requests.",
    503: "The database cannot be reached. Nothing was kept: send it again.",
}
_RATE = {
    "RateLimit-Policy": "Requests (`q`) in a window of seconds (`w`).",
    "RateLimit": "What is left of them (`r`), and seconds until the next window (`t`).",
}
_IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "schema": _TEXT,
    "description": "The `ETag` of the answer that you have: 304 when it is still right.",
}


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's POSTPROCESSING_HOOKS."""
    for path, operation, method in _operations(result):
        operation["tags"] = [_tag(path)]
        responses = operation.setdefault("responses", {})
        for status in _possible(path, operation):
            responses.setdefault(str(status), {"description": ""})
        for status, response in responses.items():
            if int(status) >= 400:
                _as_problem(int(status), response)
        _with_headers(responses)
        if method == "get" and "application/json" in responses.get("200", {}).get("content", {}):
            _revalidated(operation, responses)
        operation["responses"] = dict(sorted(responses.items()))
    return result


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    for path, item in result["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, item[method], method


def _tag(path: str) -> str:
    """The noun it is about: the first step below the API's root."""
    steps = [step for step in path.split("/") if step and step not in {"api", "v1"}]
    return steps[0]


def _possible(path: str, operation: dict[str, Any]) -> list[int]:
    """What may be answered whatever the view does."""
    found = [400, 429, 503]
    if any(operation.get("security", [])):
        found += [401, 403]
    if "{" in path:
        found.append(404)
    if "requestBody" in operation:
        found += [413, 415]
    return found


def _as_problem(status: int, response: dict[str, Any]) -> None:
    response["description"] = response.get("description") or _SAID.get(status, "")
    content = response.setdefault("content", {})
    plain = content.get("application/json", {"schema": _PROBLEM})
    if "Problem" in str(plain["schema"]) or "Conflict" in str(plain["schema"]):
        content.pop("application/json", None)
        content.setdefault(MEDIA_TYPE, plain)
    else:  # words of its own, from a view that a document describes; what comes in front of it speaks as everywhere
        content.setdefault(MEDIA_TYPE, {"schema": _PROBLEM})


def _with_headers(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        headers = response.setdefault("headers", {})
        for name, meaning in _RATE.items():
            headers.setdefault(name, {"schema": _TEXT, "description": meaning})
        if status in {"429", "503"}:
            headers["Retry-After"] = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        if status == "401":
            headers["WWW-Authenticate"] = {"schema": _TEXT}


def _revalidated(operation: dict[str, Any], responses: dict[str, Any]) -> None:
    parameters = operation.setdefault("parameters", [])
    if not any(parameter["name"] == "If-None-Match" for parameter in parameters):
        parameters.append(_IF_NONE_MATCH)
    responses["200"]["headers"].setdefault("ETag", {"schema": _TEXT})
    told = responses.setdefault("304", {})
    told["description"] = told.get("description") or "You have it."
