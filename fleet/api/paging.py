"""Lists by cursor: stable while rows are added, and as quick on the last page as on the first.

A view names its pages as `pagination_class`, for the schema, and answers with them.
"""

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs

from django.core.exceptions import ValidationError as FieldsError
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

_PARTS = {"o", "p", "r"}
"""Offset, position, direction: a cursor of ours has one of them."""


class Pages(CursorPagination):
    """`?limit=` rows (at most 1,000), `next` and `previous` are addresses to follow."""

    page_size = 100
    max_page_size = 1_000
    page_size_query_param = "limit"
    page_size_query_description = "Rows in a page, 1 to 1,000."
    cursor_query_description = "From `next` or `previous`, as it is."
    ordering: tuple[str, ...] = ("-id",)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (exceptions.NotFound, FieldsError, ValueError, OverflowError):
            raise exceptions.ValidationError(
                {"cursor": ["Is not a cursor of ours: follow `next` as it is."]}
            ) from None

    def get_page_size(self, request: Request) -> int | None:
        text = request.query_params.get(self.page_size_query_param)
        if not text:
            return self.page_size
        if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text)):
            reason = f"{text[:40]!r}: send a whole number from 1 on; a page has at most {self.max_page_size:,} rows."
            raise exceptions.ValidationError({self.page_size_query_param: [reason]})
        return min(int(text), self.max_page_size)

    def decode_cursor(self, request: Request) -> Any:
        text = request.query_params.get(self.cursor_query_param)
        cursor = super().decode_cursor(request)
        if text and not _PARTS & parse_qs(b64decode(text).decode("ascii")).keys():
            raise ValueError(
                "no cursor of ours"
            )  # as the first page, it would send a client round in circles
        if cursor is not None and "\0" in str(cursor.position):
            raise ValueError("no text of ours")
        return cursor
