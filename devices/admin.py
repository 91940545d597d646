"""Devices and their tokens in the admin. A token's text is shown once, in the message after it was issued."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from devices.models import Device, DeviceToken
from fleet.admin import LargeTableAdmin
from fleet.models import User


class TokenInline(TabularInline):  # type: ignore[misc]
    model = DeviceToken
    fields = readonly_fields = ("prefix", "name", "created_at", "last_used_at", "expires_at", "revoked_at")
    extra = 0
    can_delete = False
    per_page = 20

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _show(request: HttpRequest, device: Device, text: str) -> None:
    messages.warning(request, f"Token of {device}: {text} – copy it now, it is not shown again.")


@admin.register(Device)
class DeviceAdmin(LargeTableAdmin):
    list_display = ("name", "slug", "vehicle", "active", "created_at")
    list_filter = ("active",)
    list_select_related = ("vehicle",)
    autocomplete_fields = ("vehicle",)
    search_fields = ("slug__istartswith", "name__istartswith", "vehicle__vin__istartswith")
    prepopulated_fields: ClassVar[dict[str, tuple[str, ...]]] = {"slug": ("name",)}
    inlines = (TokenInline,)
    actions = ("issue_tokens",)

    @admin.action(description="Issue a new token", permissions=["change"])
    def issue_tokens(self, request: HttpRequest, devices: "QuerySet[Device]") -> None:
        assert isinstance(request.user, User)
        for device in devices:
            _, text = DeviceToken.objects.issue(device, "from the admin", created_by=request.user)
            self.log_change(request, device, "Issued a token.")
            _show(request, device, text)


@admin.register(DeviceToken)
class DeviceTokenAdmin(LargeTableAdmin):
    """Added here, it is issued; afterwards it can only be revoked."""

    list_display = ("prefix", "name", "device", "usable", "created_at", "last_used_at", "expires_at")
    list_select_related = ("device",)
    fields = ("device", "name", "expires_at")
    autocomplete_fields = ("device",)
    search_fields = ("prefix__exact", "device__slug__istartswith")
    actions = ("revoke",)

    @admin.display(boolean=True, description="usable")
    def usable(self, token: DeviceToken) -> bool:
        return token.usable

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        later = ("prefix", "created_by", "created_at", "last_used_at", "revoked_at")
        return (*self.fields, *later) if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: DeviceToken, form: Any, change: bool) -> None:
        if change:
            return
        token, text = DeviceToken.objects.issue(
            obj.device, obj.name, expires_at=obj.expires_at, created_by=request.user
        )
        obj.pk, obj.prefix, obj.digest = token.pk, token.prefix, token.digest
        _show(request, obj.device, text)

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, tokens: "QuerySet[DeviceToken]") -> None:
        alive = list(tokens.filter(revoked_at=None).select_related("device"))
        for token in alive:
            token.revoke()
            self.log_change(request, token, "Revoked.")
        names = ", ".join(token.prefix for token in alive) or "none"
        messages.success(request, f"Revoked: {names}. Refused everywhere within seconds.")
