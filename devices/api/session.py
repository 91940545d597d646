"""Logging in over the API: e-mail and password become a short access token and a refresh token that rotates.

For people and for device accounts alike. Failed attempts count towards the same lock-out as the log-in page's.
"""

from typing import Any

from axes.helpers import get_cool_off
from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import TokenObtainSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from devices.auth import looks_like_jwt, token_in
from fleet.api.problems import ProblemSerializer, problem
from fleet.api.throttles import LoginThrottle
from fleet.models import Role, User
from fleet.people import account, second_factor

NEEDS_CODE = "urn:convoy:problem:second-factor-required"
WRONG_CODE = "urn:convoy:problem:second-factor-wrong"
"""The `type` of the problem when the password was right and the second factor is missing, or is not."""


class SecondFactor(exceptions.AuthenticationFailed):
    """The password was right."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class LoginSerializer(TokenObtainSerializer):
    """E-mail (any case), password, and where the account has a second factor a code of it."""

    token_class = RefreshToken
    otp = serializers.CharField(
        required=False,
        write_only=True,
        max_length=40,
        help_text="A code of the authenticator app, or a recovery code.",
    )
    user: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # A password is what was typed, as on the log-in page.
        self.fields["password"] = serializers.CharField(
            write_only=True, max_length=4096, trim_whitespace=False
        )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        request = self.context["request"]
        email = str(attrs[self.username_field]).strip().lower()
        # The name of the argument is what the lock-out counts by, here and on the log-in page.
        self.user = authenticate(request=request, username=email, password=attrs["password"])
        if getattr(request, "axes_locked_out", False):
            raise _locked_out(request)
        if not isinstance(self.user, User):
            raise exceptions.AuthenticationFailed("E-mail and password do not match an active account.")
        if not self.user.is_device and second_factor.is_on(self.user):
            _check_code(request, self.user, attrs.get("otp", ""))
        refresh: Any = self.get_token(self.user)
        update_last_login(User, self.user)
        tokens = {"refresh": str(refresh), "access": str(refresh.access_token)}
        return answer_of(tokens) | {"user": _described(self.user)}


def _check_code(request: Any, user: User, code: str) -> None:
    if not code:
        raise SecondFactor(NEEDS_CODE, "This account has a second factor: send its code as `otp` as well.")
    if second_factor.verify(user, code).right:
        return
    account.failed(request, user)
    if getattr(request, "axes_locked_out", False):
        raise _locked_out(request)
    raise SecondFactor(WRONG_CODE, "The code is wrong or was used already: wait for the next one.")


class SessionSerializer(serializers.Serializer[Any]):
    """The same two tokens under the names that clients look for."""

    access = serializers.CharField()
    refresh = serializers.CharField()
    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    accessToken = serializers.CharField()
    refreshToken = serializers.CharField()
    token = serializers.CharField(help_text="The access token again.")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")
    expiresIn = serializers.IntegerField()
    user = serializers.DictField(
        required=False,
        help_text="id, email, name, role, fleets with the role held there (a device account: device_id).",
    )


def answer_of(tokens: dict[str, Any]) -> dict[str, Any]:
    seconds = int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return {
        **dict.fromkeys(("access", "access_token", "accessToken", "token"), tokens["access"]),
        **dict.fromkeys(("refresh", "refresh_token", "refreshToken"), tokens["refresh"]),
        "token_type": "Bearer",
        **dict.fromkeys(("expires_in", "expiresIn"), seconds),
    }


class LoginView(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (LoginThrottle,)

    @extend_schema(
        summary="Log in with e-mail and password",
        description="Where the account has a second factor and `otp` is missing, the answer is 401 with the problem "
        f"type `{NEEDS_CODE}`; a wrong code has `{WRONG_CODE}`.",
        auth=[],
        request=LoginSerializer,
        responses={
            200: SessionSerializer,
            400: ProblemSerializer,
            401: ProblemSerializer,
            429: ProblemSerializer,
        },
        examples=[
            OpenApiExample(
                "A device's account",
                {"email": "device@mashmarket.app", "password": "your_secure_device_password"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = LoginSerializer(data=request.data, context={"request": request})
        try:
            serializer.is_valid(raise_exception=True)
        except SecondFactor as refused:
            reply = problem(401, str(refused.detail), type=refused.kind, title="Second factor")
            reply["WWW-Authenticate"] = self.get_authenticate_header(request)
            return reply
        return Response(serializer.validated_data, headers={"Cache-Control": "no-store"})

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="convoy"'


class RefreshView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        summary="Exchange a refresh token for a new pair; the old one is used up",
        auth=[],
        request=TokenRefreshSerializer,
        responses={200: SessionSerializer, 400: ProblemSerializer, 401: ProblemSerializer},
    )
    def post(self, request: Request) -> Response:
        body = request.data if isinstance(request.data, dict) else {}
        sent = (body.get(name) for name in ("refresh", "refresh_token", "refreshToken"))
        # Some send it as they send the other one.
        bearer = token_in({name.lower(): value for name, value in request.headers.items()})
        text = next(filter(None, sent), bearer if looks_like_jwt(bearer) else "")
        serializer = TokenRefreshSerializer(data={"refresh": text} if text else {})
        try:
            with transaction.atomic():
                _take_in_turn(text)
                serializer.is_valid(raise_exception=True)
        except TokenError:
            raise exceptions.AuthenticationFailed(
                "This refresh token is expired or used up: log in again."
            ) from None
        return Response(answer_of(serializer.validated_data), headers={"Cache-Control": "no-store"})

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="convoy"'


def _take_in_turn(text: str) -> None:
    """Whoever sends the same refresh token at the same time waits, and finds it used up."""
    if text:
        number = RefreshToken(text, verify=False).payload.get("jti")  # type: ignore[arg-type]
        OutstandingToken.objects.select_for_update().filter(jti=str(number)).first()


def _locked_out(request: Request) -> exceptions.Throttled:
    cool_off = get_cool_off(request._request)
    seconds = cool_off.total_seconds() if cool_off else None
    return exceptions.Throttled(seconds, "Too many failed attempts for this e-mail from this address.")


def _described(user: User) -> dict[str, Any]:
    """Who logged in. `role` is ADMIN where somebody may change a fleet's people, else GROWER, as one document says."""
    held = dict(user.memberships.order_by("fleet__slug").values_list("fleet__slug", "role"))
    told = {
        "id": user.pk,
        "email": user.email,
        "name": str(user),
        "role": "ADMIN" if user.is_superuser or Role.OWNER in held.values() else "GROWER",
    }
    device = getattr(user, "device", None)
    if device:
        return told | {"device_id": device.slug}
    return told | {"fleets": [{"fleet_id": slug, "role": role} for slug, role in held.items()]}
