"""Resumable uploads by the tus protocol 1.0 (creation, expiration, checksum, termination)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeVar

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.http import http_date
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from fleet.api.asked import demand_device, text_in
from fleet.api.problems import ProblemSerializer, problem
from fleet.api.scenarios import WITHDRAWN, scenario_or_404
from fleet.api.throttles import PrincipalThrottle
from fleet.models import Scenario, Upload
from fleet.recording import uploads
from fleet.recording.scenarios import WithdrawnError, drop_upload

VERSION = "1.0.0"
CONTENT_TYPE = "application/offset+octet-stream"
_EXTENSIONS = "creation,expiration,checksum,termination"
_HASHES = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}
_WRONG_CHECKSUM = 460
_RESUMABLE = OpenApiParameter("Tus-Resumable", str, OpenApiParameter.HEADER, required=True, enum=[VERSION])
_BLOCK = 1024 * 1024
_METADATA_LIMIT = 4_096

Answer = TypeVar("Answer", bound=HttpResponseBase)


class UploadThrottle(PrincipalThrottle):
    """A large file is many requests, and its bytes are limited already."""

    scope = "upload"


class NoBodyParser(BaseParser):
    """The body is read from the request in blocks."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        return {}


def create(request: Request, scenario: Scenario) -> HttpResponseBase:
    """The answer to a creation."""
    if refusal := _wrong_version(request):
        return refusal
    length = _number(request, "Upload-Length")
    if length < 1:
        raise exceptions.ValidationError({"Upload-Length": ["An empty file is no footage."]})
    told_metadata = request.headers.get("Upload-Metadata", "")
    told = _told(told_metadata)
    try:
        upload = uploads.begin(scenario, told, length, told_metadata, timezone.now())
    except uploads.TooLargeError as error:
        return dressed(problem(413, str(error)))
    except WithdrawnError:
        return dressed(problem(409, WITHDRAWN))
    response = dressed(HttpResponse(status=201), upload)
    location = reverse("upload", args=[scenario.uid, upload.uid])
    response["Location"] = request.build_absolute_uri(location)
    return response


class UploadView(APIView):
    """An upload under way, for the device of its vehicle."""

    parser_classes = (NoBodyParser,)
    throttle_classes = (UploadThrottle,)

    @extend_schema(
        summary="How far an upload is (tus)",
        responses={
            200: OpenApiResponse(description="`Upload-Offset`, `Upload-Length`, `Upload-Expires`."),
            401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer, 412: ProblemSerializer,
        },
    )  # fmt: skip
    def head(self, request: Request, scenario: str, upload: str) -> HttpResponseBase:
        found = self._found(request, scenario, upload)
        response = dressed(HttpResponse(status=200), found)
        response["Upload-Length"] = str(found.length)
        if found.told_metadata:
            response["Upload-Metadata"] = found.told_metadata
        return response

    @extend_schema(
        summary="Go on with an upload (tus)",
        description="The bytes are durable when 204 is answered; after a cut, what had arrived is kept. With "
        "`Upload-Checksum` (sha1, sha256) a PATCH is kept whole or not at all.",
        parameters=[
            OpenApiParameter("Upload-Offset", int, OpenApiParameter.HEADER, required=True),
            _RESUMABLE,
        ],
        request={CONTENT_TYPE: {"type": "string", "format": "binary"}},
        responses={
            204: None,
            **dict.fromkeys((400, 401, 403, 404, 409, 412, 413, 415, 422, 460), ProblemSerializer),
        },
    )
    def patch(self, request: Request, scenario: str, upload: str) -> HttpResponseBase:
        found = self._found(request, scenario, upload)
        if refusal := _wrong_version(request):
            return refusal
        if request.content_type != CONTENT_TYPE:
            return dressed(problem(415, f"Send the bytes as {CONTENT_TYPE}."))
        offset = _number(request, "Upload-Offset")
        if checksum := request.headers.get("Upload-Checksum"):
            with _checked(checksum, request) as body:
                return dressed(_problem_460()) if body is None else _append(found, offset, body)
        return _append(found, offset, request._request)

    @extend_schema(
        summary="Give an upload up (tus)",
        parameters=[_RESUMABLE],
        responses={
            204: None, 401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer, 412: ProblemSerializer,
        },
    )  # fmt: skip
    def delete(self, request: Request, scenario: str, upload: str) -> HttpResponseBase:
        found = self._found(request, scenario, upload)
        if refusal := _wrong_version(request):
            return refusal
        drop_upload(found)
        return dressed(HttpResponse(status=204))

    @extend_schema(exclude=True)
    def post(self, request: Request, scenario: str, upload: str) -> HttpResponseBase:
        """For clients behind proxies that know GET and POST only."""
        methods = {"HEAD": self.head, "PATCH": self.patch, "DELETE": self.delete}
        self._found(request, scenario, upload)
        asked = methods.get(request.headers.get("X-HTTP-Method-Override", "").upper())
        if asked is None:
            raise exceptions.ValidationError({"X-HTTP-Method-Override": ["HEAD, PATCH or DELETE."]})
        return asked(request, scenario, upload)

    @extend_schema(exclude=True)
    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return options()

    def _found(self, request: Request, scenario: str, upload: str) -> Upload:
        owner = scenario_or_404(request, scenario)
        demand_device(request)
        alive = Upload.objects.alive(timezone.now()).select_related("scenario")
        found: Upload = get_object_or_404(alive, scenario=owner, uid=upload)
        return found


def _append(upload: Upload, offset: int, body: Any) -> HttpResponseBase:
    try:
        upload.offset = uploads.append(upload, offset, body, timezone.now())
        return dressed(HttpResponse(status=204), upload)
    except uploads.MovedError as error:
        upload.offset = error.offset
        return dressed(problem(409, str(error)), upload)
    except uploads.TooLargeError as error:
        reply = problem(413, str(error))
    except uploads.RefusedError as error:
        reply = problem(422, str(error))
    except WithdrawnError:
        reply = problem(409, WITHDRAWN)
    return dressed(reply)


def options() -> HttpResponseBase:
    response = dressed(HttpResponse(status=204))
    response["Tus-Version"] = VERSION
    response["Tus-Extension"] = _EXTENSIONS
    response["Tus-Checksum-Algorithm"] = ",".join(_HASHES)
    if settings.FOOTAGE.file_bytes:
        response["Tus-Max-Size"] = str(settings.FOOTAGE.file_bytes)
    return response


def dressed(response: Answer, upload: Upload | None = None) -> Answer:
    response["Tus-Resumable"] = VERSION
    response["Cache-Control"] = "no-store"
    if upload is not None:
        response["Upload-Offset"] = str(upload.offset)
        if upload.completed_at is None and upload.offset < upload.length:
            response["Upload-Expires"] = http_date(upload.expires_at.timestamp())
    return response


def _wrong_version(request: Request) -> HttpResponseBase | None:
    if request.headers.get("Tus-Resumable") == VERSION:
        return None
    reply = dressed(problem(412, f"Tus-Resumable: {VERSION} is what this server speaks."))
    reply["Tus-Version"] = VERSION
    return reply


def _number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise exceptions.ValidationError({header: ["A number of bytes is required."]})
    return int(text)


def _told(header: str) -> uploads.Told:
    """From `Upload-Metadata`: comma-separated names, each with a value in Base64."""
    if len(header) > _METADATA_LIMIT:
        raise exceptions.ValidationError({"Upload-Metadata": [f"At most {_METADATA_LIMIT} bytes."]})
    values = {}
    for pair in filter(None, (pair.strip() for pair in header.split(","))):
        name, _, encoded = pair.partition(" ")
        try:
            values[name] = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise exceptions.ValidationError({"Upload-Metadata": [f"{name}: Base64 of UTF-8."]}) from None
    sha256 = values.get("sha256", "").lower()
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise exceptions.ValidationError({"Upload-Metadata": ["sha256: 64 hexadecimal digits."]})
    camera, filename = values.get("camera") or "main", values.get("filename") or ""
    return uploads.Told(text_in(camera, "camera")[:80], text_in(filename, "filename")[:200], sha256)


@contextmanager
def _checked(header: str, request: Request) -> Iterator[IO[bytes] | None]:
    """The body from its beginning; None when it is not what the client meant to send."""
    name, _, encoded = header.partition(" ")
    make = _HASHES.get(name)
    try:
        wanted = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        wanted = b""
    if make is None or not wanted:
        raise exceptions.ValidationError(
            {"Upload-Checksum": [f"{', '.join(_HASHES)} and Base64 are required."]}
        )
    found = make()
    with SpooledTemporaryFile(_BLOCK) as spool:
        while block := request._request.read(_BLOCK):
            found.update(block)
            spool.write(block)
        spool.seek(0)
        yield spool if found.digest() == wanted else None


def _problem_460() -> HttpResponseBase:
    reply = problem(400, "The bytes that arrived are not those that Upload-Checksum is of: send them again.")
    reply.status_code = _WRONG_CHECKSUM
    reply.data |= {"status": _WRONG_CHECKSUM, "title": "Checksum Mismatch"}
    return reply
