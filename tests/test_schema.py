"""The OpenAPI document: complete for every operation, whoever adds one."""

from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

METHODS = ("get", "post", "put", "patch", "delete", "head")
PROBLEM = "application/problem+json"
# Bodies that the documents show; their operations must have examples.
DOCUMENTED = (
    "POST /api/telemetry", "POST /api/car-data", "POST /api/car-status", "POST /api/v1/auth/login",
    "POST /api/v1/devices", "PUT /api/v1/devices/{device}", "POST /api/v1/sensors/data",
    "POST /api/v1/alerts/trigger", "POST /api/v1/devices/{device}/commands/{command}/ack", "POST /api/v1/trips",
    "POST /api/v1/scenarios", "POST /api/v1/scenarios/{scenario}/annotations",
    "PUT /api/v1/drivers/{driver}/profile",
)  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    with GENERATOR_STATS.silence():
        made: dict[str, Any] = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return made


@pytest.fixture(scope="module")
def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in schema["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_it_is_valid_and_made_without_a_warning() -> None:
    GENERATOR_STATS.reset()
    validate_schema(SchemaGenerator().get_schema(public=True))  # type: ignore[no-untyped-call]
    assert not GENERATOR_STATS, dict(GENERATOR_STATS._warn_cache) | dict(GENERATOR_STATS._error_cache)


def test_every_operation_says_what_it_does(operations: dict[str, Any]) -> None:
    lacking = [
        label
        for label, operation in operations.items()
        if not (operation.get("summary") and operation.get("tags") and operation.get("operationId"))
    ]
    assert not lacking
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names)


def test_every_operation_tells_its_errors(operations: dict[str, Any]) -> None:
    missing = []
    for label, operation in operations.items():
        wanted = {"400", "429", "503"}
        if any(operation.get("security", [])):
            wanted |= {"401", "403"}
        if "{" in label:
            wanted.add("404")
        if "requestBody" in operation:
            wanted |= {"413", "415"}
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", [])):
            wanted |= {"409", "422"}
        missing += [f"{label}: {status}" for status in sorted(wanted - operation["responses"].keys())]
    assert not missing


def test_errors_are_problem_documents_and_say_when_to_come_again(operations: dict[str, Any]) -> None:
    for label, operation in operations.items():
        for status, response in operation["responses"].items():
            assert response.get("description") is not None, (label, status)
            if int(status) < 400:
                continue
            content = response["content"]
            assert PROBLEM in content and "schema" in content[PROBLEM], (label, status)
            if status in {"429", "503"}:
                assert "Retry-After" in response["headers"], (label, status)
            if status == "401":
                assert "WWW-Authenticate" in response["headers"], label


def test_the_documents_bodies_have_examples(operations: dict[str, Any]) -> None:
    for label in DOCUMENTED:
        content = operations[label]["requestBody"]["content"]
        assert any("examples" in one for one in content.values()), label


def test_who_may_call(schema: dict[str, Any], operations: dict[str, Any]) -> None:
    schemes = schema["components"]["securitySchemes"]
    kinds = {(one["type"], one.get("scheme") or one["in"]) for one in schemes.values()}
    assert kinds == {("http", "bearer"), ("apiKey", "header"), ("apiKey", "cookie")}
    for label, operation in operations.items():
        for one in operation.get("security", []):
            assert one.keys() <= schemes.keys(), label


def test_lists_come_in_pages(operations: dict[str, Any]) -> None:
    """A list that answers everything would be as long as a fleet is old."""
    whole = []
    for label, operation in operations.items():
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        if content.get("schema", {}).get("type") == "array":
            whole.append(label)
        elif "Paginated" in content.get("schema", {}).get("$ref", ""):
            names = {parameter["name"] for parameter in operation["parameters"]}
            assert {"cursor", "limit"} <= names, label
    assert not whole


def test_reads_can_be_repeated_for_nothing(operations: dict[str, Any]) -> None:
    for label, operation in operations.items():
        if label.startswith("GET ") and "application/json" in operation["responses"]["200"].get(
            "content", {}
        ):
            assert "304" in operation["responses"] and "ETag" in operation["responses"]["200"]["headers"], (
                label
            )


def test_the_page_needs_nobody_elses_server(client: Client) -> None:
    page = client.get("/api/docs").content.decode()
    assert "swagger-ui" in page and "https://" not in page and "//cdn" not in page
