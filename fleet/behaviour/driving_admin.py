"""The admin's view of driving events, dismissals, assignments and what fleets count as one."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from fleet.admin import ReadOnlyAdmin
from fleet.models import AssignmentChange, Dismissal, DriverAssignment, DrivingEvent, DrivingSettings


@admin.register(DrivingEvent)
class DrivingEventAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at",
        "kind",
        "strength",
        "vehicle",
        "driver_id",
        "peak_m_s2",
        "source",
        "rate_hz",
    )
    list_filter = ("kind", "strength")
    list_select_related = ("vehicle",)
    raw_id_fields = ("vehicle", "fleet", "dismissal")
    search_fields = ("vehicle__slug__exact", "driver_id__exact")


@admin.register(Dismissal)
class DismissalAdmin(ReadOnlyAdmin):
    """Made and taken back on the event's page and over the API, which keep the audit trail."""

    list_display = ("at", "kind", "vehicle", "started_at", "by_name", "reason")
    list_select_related = ("vehicle",)
    search_fields = ("vehicle__slug__exact", "by_name__istartswith")


@admin.register(DriverAssignment)
class DriverAssignmentAdmin(ReadOnlyAdmin):
    """Made on pages and over the API, which note whose trips change."""

    list_display = ("vehicle", "driver", "started_at", "ended_at")
    list_select_related = ("vehicle", "driver")
    search_fields = ("vehicle__slug__exact", "driver__slug__exact")


@admin.register(DrivingSettings)
class DrivingSettingsAdmin(ReadOnlyAdmin):
    """To look things up, and to have everything found anew; changed on the fleet's page."""

    list_display = ("fleet", "speed_limit_kmh", "braking_m_s2", "version", "found_version", "finder_version")
    list_select_related = ("fleet",)
    search_fields = ("fleet__slug__exact",)
    actions: ClassVar[tuple[str, ...]] = ("find_anew",)

    @admin.action(description="Find all events of these fleets anew")
    def find_anew(self, request: HttpRequest, queryset: QuerySet[DrivingSettings]) -> None:
        queryset.update(found_version=0)


@admin.register(AssignmentChange)
class AssignmentChangeAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "fleet", "started_at", "ended_at")
    list_select_related = ("vehicle", "fleet")
    search_fields = ("vehicle__slug__exact",)
