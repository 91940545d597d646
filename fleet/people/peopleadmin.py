"""The admin's way with log-ins, invitations and second factors. Registered by fleet.admin."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django_otp.plugins.otp_totp.models import TOTPDevice

from fleet.admin import ReadOnlyAdmin
from fleet.audit import Actor
from fleet.models import Invitation, RecoveryCode, Session
from fleet.pages.login import admin_log_in
from fleet.people import second_factor

# One log-in for pages and admin: the password, then the second factor.
admin.site.login = admin_log_in  # type: ignore[method-assign]
if admin.site.is_registered(TOTPDevice):
    admin.site.unregister(TOTPDevice)


@admin.register(TOTPDevice)
class SecondFactorAdmin(ReadOnlyAdmin):
    """Keys are not shown. To take one away, reset it: that is audited and told to the person."""

    list_display = ("user", "confirmed", "created_at", "last_used_at", "throttling_failure_count")
    list_select_related = ("user",)
    search_fields = ("user__email__istartswith",)
    exclude = ("key",)
    actions = ("reset",)

    @admin.action(description="Reset the second factor of these people")
    def reset(self, request: HttpRequest, chosen: Any) -> None:
        done = 0
        for device in chosen.select_related("user"):
            try:
                second_factor.reset(Actor.of(request), device.user, None)
                done += 1
            except second_factor.NotYoursError:
                messages.error(
                    request, "Your own is switched off on your account page, with password and code."
                )
        messages.success(request, f"Reset: {done}.")


@admin.register(RecoveryCode)
class RecoveryCodeAdmin(ReadOnlyAdmin):
    list_display = ("user", "used_at")
    list_select_related = ("user",)
    search_fields = ("user__email__istartswith",)
    exclude = ("digest",)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Sent and withdrawn on the members page of their fleet."""

    list_display = (
        "email",
        "fleet",
        "role",
        "inviter",
        "created_at",
        "expires_at",
        "accepted_at",
        "revoked_at",
    )
    list_select_related = ("fleet",)
    search_fields = ("email__istartswith", "fleet__slug__istartswith")
    exclude = ("nonce", "digest")


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    """Deleting one logs the person out of that browser."""

    ordering = ("-expire_date",)
    list_display = ("user", "address", "agent", "began_at", "seen_at", "expire_date")
    list_select_related = ("user",)
    search_fields = ("user__email__istartswith",)
    fields = ("user", "address", "agent", "began_at", "seen_at", "expire_date")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)
