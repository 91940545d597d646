"""Answering with a stored file: in blocks, never all in memory; in ranges (RFC 9110), so that a break costs little."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from django.core.files.storage import default_storage
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request

from fleet.api.problems import problem

_BLOCK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that never changes: its name in storage, size in bytes, strong entity tag, and what to call it."""

    name: str
    size: int
    etag: str
    filename: str
    content_type: str = "application/octet-stream"
    inline: bool = False
    """Shown rather than saved."""


def file_answer(request: Request | HttpRequest, file: Stored) -> HttpResponseBase:
    """200, 206, 304 or 416. One range is understood; several, or nonsense, mean the whole file."""
    if not default_storage.exists(file.name):
        raise Http404  # withdrawn a moment ago
    if file.etag in [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]:
        return _dressed(HttpResponse(status=304), file)
    asked = request.headers.get("Range", "")
    part = part_of(asked, file.size) if request.headers.get("If-Range", file.etag) == file.etag else None
    first, last = part or (0, file.size - 1)
    if part and first > last:
        reply = problem(416, f"The file has {file.size} bytes.")
        reply["Content-Range"] = f"bytes */{file.size}"
        return reply
    blocks = iter(()) if request.method == "HEAD" else blocks_of(file.name, first, last)
    # Django would read a plain iterator to its end before it sends the first byte over ASGI.
    content = awaited(blocks) if isinstance(getattr(request, "_request", request), ASGIRequest) else blocks
    response = StreamingHttpResponse(content, status=206 if part else 200, content_type=file.content_type)
    response["Content-Length"] = str(last - first + 1)
    if part:
        response["Content-Range"] = f"bytes {first}-{last}/{file.size}"
    return _dressed(response, file)


def part_of(asked: str, size: int) -> tuple[int, int] | None:
    """First and last byte asked for, the first beyond the last when nothing of the file is; None: not one range."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return size - min(int(found[2]), size), size - 1
    first = int(found[1])
    if found[2] and int(found[2]) < first:
        return None
    return first, min(int(found[2] or size), size - 1)


def blocks_of(name: str, first: int, last: int) -> Iterator[bytes]:
    with default_storage.open(name, "rb") as file:
        file.seek(first)
        left = last - first + 1
        while left and (block := file.read(min(_BLOCK, left))):
            left -= len(block)
            yield block


async def awaited(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while block := await asyncio.to_thread(next, blocks, b""):
        yield block


def _dressed(response: HttpResponseBase, file: Stored) -> HttpResponseBase:
    response["Content-Disposition"] = content_disposition_header(not file.inline, file.filename) or "inline"
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = file.etag
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache, no-transform"
    return response
