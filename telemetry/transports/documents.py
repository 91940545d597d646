"""What the JSON transports of other systems' documents share: one body, the one door, one answer."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from rest_framework import permissions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import refusals
from devices.auth import DeviceTokenAuthentication, JwtAuthentication
from fleet.access import Principal
from fleet.api.problems import problem
from fleet.api.scopes import WithinScope
from telemetry.frames import Delivery, Rejection
from telemetry.ingest import RETRY_AFTER_S, UnavailableError, accept
from telemetry.transports.body import RefusedError
from telemetry.transports.http import IsDevice, RawParser, body_of
from telemetry.transports.readings import Gathered, deliver, documents_in

Gather = Callable[[dict[str, Any], float | None], Gathered]
"""From an object, and the time it came where that can stand for a missing one, to a message."""


def device_of(request: Request) -> Principal:
    assert isinstance(request.user, Principal)
    return request.user


class DocumentView(ABC, APIView):
    """One object, or a list of them. 200 means committed: good records are kept, bad ones listed."""

    authentication_classes = (DeviceTokenAuthentication, JwtAuthentication)
    permission_classes = (permissions.IsAuthenticated, IsDevice, WithinScope)
    scope = "telemetry"
    parser_classes = (RawParser,)

    @abstractmethod
    def answer(self, principal: Principal, delivery: Delivery, told: dict[str, Any]) -> dict[str, Any]:
        """The body of a 200, asked for after the commit, around what is told of a batch and of readings left out."""

    def receive(self, request: Request, gather: Gather) -> Response:
        principal, now = device_of(request), time.time()
        try:
            documents, listed = documents_in(body_of(request))
            alone = len(documents) == 1
            delivery, odd = deliver(
                documents, lambda each: gather(each, now if alone else None), principal, now
            )
            if not delivery.arrivals:
                return _noted(principal, _refused(delivery.rejected, listed))
            receipt = accept([delivery])[0]
        except RefusedError as error:
            return _noted(principal, problem(error.status, error.reason))
        except UnavailableError:
            reply = problem(503, "The database cannot be written now. Nothing was kept: send it again.")
            reply["Retry-After"] = str(RETRY_AFTER_S)
            return reply
        told: dict[str, Any] = {"accepted": receipt.accepted, "repeated": receipt.repeated}
        if delivery.rejected:
            told["rejected"] = [rejection.as_json() for rejection in delivery.rejected]
        if odd:
            told["left_out"] = [rejection.as_json() for rejection in odd]
        return Response(self.answer(principal, delivery, told))

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        reply = problem(405, "Use POST.")
        reply["Allow"] = "POST"
        return reply


def _noted(principal: Principal, reply: Response) -> Response:
    refusals.note(principal.device_id or 0, reply.status_code, reply.data["detail"])
    return reply


def _refused(rejected: Any, listed: bool) -> Response:
    """Nothing could be kept: everything that is wrong, and the first of it in words."""
    errors = [{"field": _path(each, listed), "reason": each.reason} for each in rejected]
    first = errors[0]
    detail = f"{first['field']}: {first['reason']}" if first["field"] else first["reason"]
    return problem(rejected[0].status, f"{detail}. Nothing was kept.", errors)


def _path(rejection: Rejection, listed: bool) -> str:
    if not listed:
        return rejection.field
    return f"[{rejection.record}]" + (f".{rejection.field}" if rejection.field else "")
