"""The admin's way with reports; fleet/admin.py loads it."""

from django.contrib import admin

from fleet.admin import LargeTableAdmin, ReadOnlyAdmin
from fleet.models import ReportColumns, ReportDelivery, ReportExport, ReportSchedule, ReportStyle


@admin.register(ReportExport)
class ReportExportAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "report",
        "format",
        "fleet",
        "user",
        "state",
        "rows",
        "size_bytes",
        "attempts",
    )
    list_filter = ("state", "format", "report")
    list_select_related = ("fleet", "user")
    search_fields = ("uid__exact", "user__email__istartswith", "fleet__slug__istartswith")


@admin.register(ReportSchedule)
class ReportScheduleAdmin(ReadOnlyAdmin):
    """Made and changed on the fleet's page and over the API, which keep the audit trail."""

    list_display = ("name", "fleet", "report", "format", "rhythm", "next_at", "paused")
    list_filter = ("rhythm", "paused")
    list_select_related = ("fleet",)
    search_fields = ("name__istartswith", "fleet__slug__istartswith")


@admin.register(ReportDelivery)
class ReportDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "export", "user", "state", "attempts", "handed_at", "ended_at", "error")
    list_filter = ("state",)
    list_select_related = ("export", "user")
    search_fields = ("user__email__istartswith",)


@admin.register(ReportStyle)
class ReportStyleAdmin(LargeTableAdmin):
    list_display = ("user", "units", "dialect")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)
    search_fields = ("user__email__istartswith",)


@admin.register(ReportColumns)
class ReportColumnsAdmin(LargeTableAdmin):
    list_display = ("user", "report", "columns")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)
    search_fields = ("user__email__istartswith",)
