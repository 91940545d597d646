"""Trips, stops and charging sessions in the admin: to look at, never to change; telemetry writes them."""

from typing import Any, ClassVar

from django.contrib import admin

from fleet.admin import ReadOnlyAdmin
from fleet.models import ChargingSession, Stop, Trip, TripHead, TripMark, TripRules

_WHEN = ("id", "vehicle", "started_at", "ended_at", "settled_at", "duration_s")


class JourneyAdmin(ReadOnlyAdmin):
    list_select_related = ("vehicle",)
    search_fields = ("vehicle__slug__exact", "vehicle__vin__exact")
    ordering = ("-id",)


@admin.register(Trip)
class TripAdmin(JourneyAdmin):
    list_display = (*_WHEN, "distance_m", "distance_source", "max_speed_mps", "energy_wh", "records")


@admin.register(Stop)
class StopAdmin(JourneyAdmin):
    list_display = (*_WHEN, "idle_s", "unheard_s", "moved_m", "begin_unknown")


@admin.register(ChargingSession)
class ChargingSessionAdmin(JourneyAdmin):
    list_display = (*_WHEN, "battery_from_percent", "battery_to_percent", "energy_wh", "told_by")


@admin.register(TripRules)
class TripRulesAdmin(ReadOnlyAdmin):
    list_display = ("fleet", "version", "stop_s", "gap_s", "least_m", "changed_at")
    list_select_related = ("fleet",)


@admin.register(TripHead)
class TripHeadAdmin(ReadOnlyAdmin):
    """`behind`: there is more to look at; a worker goes on."""

    list_display = ("vehicle", "reached_us", "until_us", "behind", "rules_version")
    list_select_related = ("vehicle",)
    list_filter: ClassVar[list[Any]] = ["behind"]
    exclude = ("state",)


@admin.register(TripMark)
class TripMarkAdmin(ReadOnlyAdmin):
    list_display = ("id", "vehicle", "time_us")
    list_select_related = ("vehicle",)
    exclude = ("state",)
