"""The admin's way with fleets, people and vehicles, and the bases that keep it usable at a million rows."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator

from fleet.models import Fleet, Membership, User, Vehicle, VehicleState


class LargeTableAdmin(ModelAdmin):  # type: ignore[misc]
    """Newest first by primary key, never counted: what a list costs does not grow with the table."""

    ordering: ClassVar[Any] = ("-pk",)
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50


class ReadOnlyAdmin(LargeTableAdmin):
    """Rows that only the product itself writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class PersonCreationForm(UserCreationForm):  # type: ignore[misc]
    class Meta:
        model = User
        fields = ("email",)
        field_classes: ClassVar[dict[str, type]] = {}


class PersonChangeForm(UserChangeForm):  # type: ignore[misc]
    class Meta:
        model = User
        fields = "__all__"
        field_classes: ClassVar[dict[str, type]] = {}


class MembershipInline(TabularInline):  # type: ignore[misc]
    model = Membership
    extra = 0
    autocomplete_fields = ("user", "fleet")
    per_page = 50
    ordering = ("pk",)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    pass


@admin.register(User)
class UserAdmin(DjangoUserAdmin, LargeTableAdmin):  # type: ignore[type-arg]
    form = PersonChangeForm
    add_form = PersonCreationForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("-pk",)
    list_display = ("email", "first_name", "last_name", "time_zone", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email__istartswith", "last_name__istartswith")
    filter_horizontal = ()
    autocomplete_fields = ("groups",)
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "time_zone")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),)


@admin.register(Fleet)
class FleetAdmin(LargeTableAdmin):
    list_display = ("name", "slug", "time_zone", "created_at")
    search_fields = ("name__istartswith", "slug__istartswith")
    prepopulated_fields: ClassVar[dict[str, tuple[str, ...]]] = {"slug": ("name",)}
    inlines = (MembershipInline,)


@admin.register(Membership)
class MembershipAdmin(LargeTableAdmin):
    list_display = ("user", "fleet", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "fleet")
    autocomplete_fields = ("user", "fleet")
    search_fields = ("user__email__istartswith", "fleet__slug__istartswith")


@admin.register(Vehicle)
class VehicleAdmin(LargeTableAdmin):
    list_display = ("name", "fleet", "plate", "vin", "model", "model_year")
    list_select_related = ("fleet",)
    autocomplete_fields = ("fleet",)
    search_fields = ("name__istartswith", "plate__istartswith", "vin__istartswith", "slug__istartswith")
    prepopulated_fields: ClassVar[dict[str, tuple[str, ...]]] = {"slug": ("name",)}


@admin.register(VehicleState)
class VehicleStateAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "time", "received_at", "speed_kmh", "battery_percent", "quality")
    list_select_related = ("vehicle",)
    search_fields = ("vehicle__name__istartswith", "vehicle__vin__istartswith")
