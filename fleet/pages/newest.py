"""Pages of lists that grow with history. They hold the newest rows that match (sorted by time, the first of either
end), so that a page costs the same when there are millions: whoever wants others asks for days."""

from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest

MOST = 10_000


class Newest(Paginator):  # type: ignore[type-arg]
    """`rows` are sorted as asked for, `newest` are the same by time, which an index gives."""

    def __init__(self, rows: Any, newest: Any, size: int, which: str) -> None:
        self._newest, self.which = newest, which
        super().__init__(rows, size)

    @cached_property
    def found(self) -> int:
        """At most one more than can be paged through."""
        return int(self._newest[: MOST + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self.found, MOST)

    @property
    def there_are_more(self) -> bool:
        return self.found > MOST


def page_of(request: HttpRequest, rows: Any, moment: str, size: int) -> "Page[Any]":
    """`rows` are filtered and ordered; `moment` is their column of time."""
    newest, first = rows.order_by(f"-{moment}", "-id"), rows.query.order_by[0]
    if first not in {moment, f"-{moment}"}:
        rows = rows.filter(pk__in=newest.values("pk")[:MOST])
    return Newest(rows, newest, size, "oldest" if first == moment else "newest").get_page(
        request.GET.get("page", "1")
    )
