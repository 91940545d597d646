"""The admin's view of sums by minute and hour, and of the slices that wait to be summed up."""

from django.contrib import admin

from fleet.admin import ReadOnlyAdmin
from fleet.models import (
    DriverHour,
    DriverMinute,
    FleetHour,
    FleetMinute,
    TouchedSlice,
    VehicleHour,
    VehicleMinute,
)


@admin.register(VehicleMinute)
class VehicleMinuteAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "minute", "records", "moved_mm")
    list_select_related = ("vehicle",)
    search_fields = ("vehicle__slug__exact",)


@admin.register(DriverMinute)
class DriverMinuteAdmin(ReadOnlyAdmin):
    list_display = ("driver_id", "vehicle", "minute", "records", "moved_mm")
    list_select_related = ("vehicle",)
    search_fields = ("driver_id__exact",)


@admin.register(FleetMinute)
class FleetMinuteAdmin(ReadOnlyAdmin):
    list_display = ("fleet", "minute", "records", "moved_mm")
    list_select_related = ("fleet",)
    search_fields = ("fleet__slug__exact",)


@admin.register(VehicleHour)
class VehicleHourAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "hour", "trips", "distance_mm", "records", "moved_mm")
    list_select_related = ("vehicle",)
    search_fields = ("vehicle__slug__exact",)


@admin.register(DriverHour)
class DriverHourAdmin(ReadOnlyAdmin):
    list_display = ("driver_id", "vehicle", "hour", "trips", "distance_mm")
    list_select_related = ("vehicle",)
    search_fields = ("driver_id__exact",)


@admin.register(FleetHour)
class FleetHourAdmin(ReadOnlyAdmin):
    list_display = ("fleet", "hour", "trips", "distance_mm", "records", "active_vehicles")
    list_select_related = ("fleet",)
    search_fields = ("fleet__slug__exact",)


@admin.register(TouchedSlice)
class TouchedSliceAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "opens", "slot", "fleet")
    list_select_related = ("vehicle", "fleet")
    search_fields = ("vehicle__slug__exact",)
