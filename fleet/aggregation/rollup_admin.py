"""The admin's view of sums by day and of what waits to be summed up."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from fleet.admin import ReadOnlyAdmin
from fleet.aggregation import rebuild
from fleet.models import DriverDay, DriverMonth, FleetDay, RollupState, TouchedDay, VehicleDay, VehicleMonth


class DayAdmin(ReadOnlyAdmin):
    """Sums by day, kept by fleet.aggregation.rollups."""

    list_display: ClassVar[tuple[str, ...]] = ("day", "fleet", "trips", "distance_mm", "driving_ms")
    list_select_related: ClassVar[tuple[str, ...]] = ("fleet",)


@admin.register(FleetDay)
class FleetDayAdmin(DayAdmin):
    list_display = (*DayAdmin.list_display, "active_vehicles", "records")
    search_fields = ("fleet__slug__exact",)


@admin.register(VehicleDay)
class VehicleDayAdmin(DayAdmin):
    list_display = ("vehicle", *DayAdmin.list_display, "records")
    list_select_related = ("fleet", "vehicle")
    search_fields = ("vehicle__slug__exact",)


@admin.register(DriverDay)
class DriverDayAdmin(DayAdmin):
    list_display = ("driver_id", "vehicle", *DayAdmin.list_display)
    list_select_related = ("fleet", "vehicle")
    search_fields = ("driver_id__exact",)


class MonthAdmin(ReadOnlyAdmin):
    """Made of the days, kept by fleet.months."""

    list_select_related: ClassVar[tuple[str, ...]] = ("fleet",)


@admin.register(VehicleMonth)
class VehicleMonthAdmin(MonthAdmin):
    list_display = ("vehicle", "month", "fleet", "trips", "distance_mm", "driving_ms", "records", "active")
    list_select_related = ("fleet", "vehicle")
    search_fields = ("vehicle__slug__exact",)


@admin.register(DriverMonth)
class DriverMonthAdmin(MonthAdmin):
    list_display = ("driver_id", "month", "fleet", "trips", "distance_mm", "driving_ms", "active")
    search_fields = ("driver_id__exact",)


@admin.register(TouchedDay)
class TouchedDayAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "part", "day", "slot", "fleet")
    list_select_related = ("vehicle", "fleet")


@admin.register(RollupState)
class RollupStateAdmin(ReadOnlyAdmin):
    list_display = ("fleet", "time_zone", "score_version", "waiting_at_start", "updated_at")
    list_select_related = ("fleet",)
    actions = ("sum_up_anew",)

    @admin.action(description="Sum up everything of these fleets again")
    def sum_up_anew(self, request: HttpRequest, queryset: "QuerySet[RollupState]") -> None:
        rebuild.ask_for(queryset.values_list("pk", flat=True))
