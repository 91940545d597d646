"""Devices and their tokens in the admin. A token's text is shown once, in the message after it was issued."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import StackedInline, TabularInline

from devices import releases
from devices.models import (
    Command,
    Device,
    DeviceStatus,
    DeviceToken,
    ModelInstall,
    ModelRelease,
    RegistrationSecret,
    Rollout,
)
from fleet.admin import LargeTableAdmin, ReadOnlyAdmin
from fleet.audit import Actor
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
    autocomplete_fields = ("vehicle", "account")
    search_fields = (
        "slug__istartswith",
        "external_id__istartswith",
        "name__istartswith",
        "vehicle__vin__istartswith",
    )
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
    list_select_related = ("device__vehicle",)
    fields = ("device", "name", "expires_at", "scopes")
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
            obj.device, obj.name, expires_at=obj.expires_at, scopes=obj.scopes, created_by=request.user
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


@admin.register(RegistrationSecret)
class RegistrationSecretAdmin(LargeTableAdmin):
    """Added here, it is issued and shown once; afterwards it can only be revoked."""

    list_display = ("prefix", "name", "fleet", "uses", "limit", "created_at", "expires_at", "revoked_at")
    list_select_related = ("fleet",)
    fields = ("fleet", "name", "limit", "expires_at")
    autocomplete_fields = ("fleet",)
    search_fields = ("prefix__exact", "fleet__slug__istartswith")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.fields if obj else ()

    def save_model(self, request: HttpRequest, obj: RegistrationSecret, form: Any, change: bool) -> None:
        if change:
            return
        made, text = RegistrationSecret.objects.issue(
            obj.fleet, obj.name, limit=obj.limit, expires_at=obj.expires_at, created_by=request.user
        )
        obj.pk = made.pk
        messages.warning(request, f"Secret of {obj.fleet}: {text} – copy it now, it is not shown again.")

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, secrets: "QuerySet[RegistrationSecret]") -> None:
        secrets.filter(revoked_at=None).update(revoked_at=timezone.now())
        messages.success(request, "Revoked: nobody can register with them any more.")


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    """To look things up; sent, approved and cancelled on the pages and over the API, where the rules are."""

    list_display = (
        "public_id",
        "action",
        "vehicle",
        "device",
        "shown",
        "path",
        "sender",
        "created_at",
        "ended_at",
    )
    list_filter = ("state", "path", "dangerous")
    list_select_related = ("vehicle", "device", "sender")
    search_fields = ("public_id__exact", "action__exact", "device__slug__exact", "vehicle__vin__exact")

    @admin.display(description="state")
    def shown(self, command: Command) -> str:
        return command.shown_state.label


@admin.register(DeviceStatus)
class DeviceStatusAdmin(ReadOnlyAdmin):
    list_display = ("device", "status", "time", "received_at", "source")
    list_select_related = ("device",)
    search_fields = ("device__slug__istartswith", "status__istartswith")


class RolloutInline(StackedInline):  # type: ignore[misc]
    model = Rollout
    extra = 0


@admin.register(ModelRelease)
class ModelReleaseAdmin(LargeTableAdmin):
    """Taken in by the API or `manage.py add_release`, which verify the signature; steered here. Withdrawing deletes
    the file, and so does deleting the row."""

    list_display = ("name", "version", "fleet", "size_bytes", "key_id", "active", "created_at")
    list_filter = ("active",)
    list_select_related = ("fleet",)
    search_fields = ("name__istartswith", "sha256__istartswith")
    readonly_fields = (
        "fleet", "name", "version", "size_bytes", "sha256", "signature", "key_id", "active", "withdrawn_at",
    )  # fmt: skip
    inlines = (RolloutInline,)
    actions = ("withdraw",)

    @admin.action(description="Withdraw for good", permissions=["change"])
    def withdraw(self, request: HttpRequest, found: "QuerySet[ModelRelease]") -> None:
        for release in found.select_related("fleet"):
            releases.withdraw(Actor.of(request), release)
        messages.success(request, "Withdrawn: offered to nobody, the files are deleted.")

    def delete_model(self, request: HttpRequest, obj: ModelRelease) -> None:
        self.delete_queryset(request, ModelRelease.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[ModelRelease]") -> None:
        with transaction.atomic():
            releases.delete_later(list(queryset))
            queryset.delete()

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Rollout)
class RolloutAdmin(ReadOnlyAdmin):
    """To look over all of them; each is edited with its release."""

    list_display = ("release", "percent", "starts_at", "paused_at", "paused_because")
    list_select_related = ("release",)
    search_fields = ("release__name__istartswith",)


@admin.register(ModelInstall)
class ModelInstallAdmin(ReadOnlyAdmin):
    list_display = ("release", "device", "state", "began_at", "state_at", "detail")
    list_filter = ("state",)
    list_select_related = ("release", "device")
    search_fields = ("device__slug__istartswith", "release__name__istartswith")


from devices import configuration_admin  # noqa: E402, F401 - after the bases it stands on
