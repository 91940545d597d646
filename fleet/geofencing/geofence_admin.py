"""Geofences and visits in the admin: to look things up; made and changed on pages and over the API, which keep the
audit trail."""

from django.contrib import admin

from fleet.admin import ReadOnlyAdmin
from fleet.models import Geofence, Placed, Visit


@admin.register(Geofence)
class GeofenceAdmin(ReadOnlyAdmin):
    list_display = ("name", "fleet", "kind", "version", "since", "replay_from")
    list_filter = ("kind",)
    list_select_related = ("fleet",)
    search_fields = ("name__istartswith", "fleet__slug__istartswith")


@admin.register(Visit)
class VisitAdmin(ReadOnlyAdmin):
    list_display = ("entered_at", "left_at", "geofence", "vehicle", "dwelled_at", "confirmed")
    list_select_related = ("geofence", "vehicle")
    search_fields = ("geofence__name__istartswith", "vehicle__name__istartswith")


@admin.register(Placed)
class PlacedAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "time_us", "latitude_deg", "longitude_deg")
    list_select_related = ("vehicle",)
