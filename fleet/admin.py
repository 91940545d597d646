"""The admin's way with fleets, people and vehicles, and the bases that keep it usable at a million rows."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator

from fleet.aggregation import rebuild
from fleet.models import (
    Alert,
    AlertNote,
    AlertReport,
    AlertRule,
    Annotation,
    AuditEntry,
    Driver,
    Episode,
    Fleet,
    IdempotencyKey,
    Membership,
    Piece,
    Scenario,
    SensorType,
    TripSummary,
    Upload,
    User,
    Vehicle,
    VehicleState,
    Video,
)


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
        ("Rights", {"fields": ("is_active", "is_device", "is_staff", "is_superuser", "groups")}),
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
    list_display = ("name", "fleet", "plate", "vin", "model", "model_year", "retired_at")
    list_select_related = ("fleet",)
    autocomplete_fields = ("fleet",)
    search_fields = ("name__istartswith", "plate__istartswith", "vin__istartswith", "slug__istartswith")
    prepopulated_fields: ClassVar[dict[str, tuple[str, ...]]] = {"slug": ("name",)}

    def delete_model(self, request: HttpRequest, obj: Vehicle) -> None:
        super().delete_model(request, obj)
        rebuild.ask_for([obj.fleet_id])

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Vehicle]") -> None:
        fleets = set(queryset.values_list("fleet_id", flat=True))
        super().delete_queryset(request, queryset)
        rebuild.ask_for(fleets)


@admin.register(VehicleState)
class VehicleStateAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "time", "received_at", "speed_kmh", "battery_percent", "quality")
    list_select_related = ("vehicle",)
    search_fields = ("vehicle__name__istartswith", "vehicle__vin__istartswith")


@admin.register(Driver)
class DriverAdmin(LargeTableAdmin):
    list_display = ("slug", "name", "fleet", "active", "created_at")
    list_filter = ("active",)
    list_select_related = ("fleet",)
    autocomplete_fields = ("fleet", "user")
    search_fields = ("slug__istartswith", "name__istartswith")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "object_type", "object_name", "fleet", "address")
    list_filter = ("object_type",)
    list_select_related = ("fleet",)
    search_fields = ("actor__istartswith", "action__istartswith", "object_name__istartswith")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("last_at", "type", "severity", "state", "vehicle", "count", "assigned_to")
    list_filter = ("state", "severity", "source")
    list_select_related = ("vehicle", "assigned_to")
    search_fields = ("type__istartswith", "vehicle__name__istartswith")


@admin.register(AlertReport)
class AlertReportAdmin(ReadOnlyAdmin):
    list_display = ("at", "alert", "severity", "message")
    list_select_related = ("alert",)


@admin.register(AlertNote)
class AlertNoteAdmin(ReadOnlyAdmin):
    list_display = ("at", "alert", "who", "act")
    list_select_related = ("alert",)


@admin.register(AlertRule)
class AlertRuleAdmin(ReadOnlyAdmin):
    """To look things up; made and changed on the fleet's page and over the API, which keep the audit trail."""

    list_display = ("name", "fleet", "kind", "severity", "enabled", "version", "since")
    list_filter = ("kind", "enabled", "severity")
    list_select_related = ("fleet",)
    search_fields = ("name__istartswith", "fleet__slug__istartswith")


@admin.register(Episode)
class EpisodeAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "ended_at", "rule", "vehicle", "peak", "confirmed", "alert")
    list_select_related = ("rule", "vehicle", "alert")
    search_fields = ("rule__name__istartswith", "vehicle__name__istartswith")


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ("key", "principal", "status", "created_at")
    search_fields = ("key__exact", "principal__exact")


@admin.register(SensorType)
class SensorTypeAdmin(LargeTableAdmin):
    list_display = ("type", "fleet", "label", "unit", "low", "high", "decimals")
    list_select_related = ("fleet",)
    autocomplete_fields = ("fleet",)
    search_fields = ("type__istartswith", "fleet__slug__istartswith")


@admin.register(TripSummary)
class TripSummaryAdmin(ReadOnlyAdmin):
    list_display = ("trip_id", "vehicle", "driver_id", "start_time", "end_time", "distance_m", "max_risk")
    list_select_related = ("vehicle",)
    search_fields = ("trip_id__istartswith", "vehicle__name__istartswith", "driver_id__istartswith")


@admin.register(Scenario)
class ScenarioAdmin(ReadOnlyAdmin):
    """Withdrawn on its page, which deletes the files too and leaves a trace."""

    list_display = ("scenario_id", "vehicle", "time", "trigger", "received_at", "expired_at", "withdrawn_at")
    list_select_related = ("vehicle",)
    search_fields = ("scenario_id__istartswith", "vehicle__name__istartswith")


@admin.register(Video)
class VideoAdmin(ReadOnlyAdmin):
    list_display = ("scenario", "camera", "content_type", "size_bytes", "received_at")
    list_select_related = ("scenario",)
    search_fields = ("scenario__scenario_id__istartswith", "camera__istartswith")


@admin.register(Annotation)
class AnnotationAdmin(ReadOnlyAdmin):
    list_display = ("scenario", "offset_s", "label")
    list_select_related = ("scenario",)
    search_fields = ("scenario__scenario_id__istartswith", "label__istartswith")


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ("uid", "scenario", "camera", "offset", "length", "completed_at", "expires_at")
    list_select_related = ("scenario",)
    search_fields = ("scenario__scenario_id__istartswith",)


@admin.register(Piece)
class PieceAdmin(ReadOnlyAdmin):
    list_display = ("upload", "start", "size_bytes", "stored_as")
    list_select_related = ("upload",)


# After the bases they stand on.
from fleet.aggregation import rollup_admin, short_admin  # noqa: E402, F401
from fleet.behaviour import driving_admin  # noqa: E402, F401
from fleet.geofencing import geofence_admin  # noqa: E402, F401
from fleet.journeys import journey_admin  # noqa: E402, F401
from fleet.notifying import admin_notifications  # noqa: E402, F401
from fleet.people import peopleadmin  # noqa: E402, F401
from fleet.privacy import privacy_admin  # noqa: E402, F401
from fleet.reports import report_admin  # noqa: E402, F401
