"""Tokens may be limited to some of what their device may do."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from fleet.access import Principal


class WithinScope(BasePermission):
    """A view says what it takes with `scope`; without, it takes "read"."""

    def has_permission(self, request: Request, view: Any) -> bool:
        who = request.user
        if not isinstance(who, Principal):
            return True
        scope = getattr(view, "scope", "read")
        self.message = f"This token may not do that: its scopes lack {scope!r}."
        return who.may(scope)
