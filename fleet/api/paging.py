"""Lists by cursor: stable while rows are added, and as quick on the last page as on the first.

A view names its pages as `pagination_class`, for the schema, and answers with them.
"""

from typing import Any

from django.core.exceptions import ValidationError as FieldsError
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


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

    def decode_cursor(self, request: Request) -> Any:
        cursor = super().decode_cursor(request)
        if cursor is not None and "\0" in str(cursor.position):
            raise ValueError("no text of ours")
        return cursor
