"""Paths of the fleet's pages and API."""

from django.urls import path

from fleet.api.vehicles import VehicleListView, VehicleStatusView
from fleet.pages import live_map, vehicle

urlpatterns = [
    path("", live_map.live_map, name="live-map"),
    path("live/positions", live_map.positions, name="live-positions"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/", vehicle.vehicle, name="vehicle"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/now", vehicle.now, name="vehicle-now"),
    path("api/v1/vehicles", VehicleListView.as_view(), name="vehicles"),
    path("api/v1/vehicles/<str:name>/status", VehicleStatusView.as_view(), name="vehicle-status"),
]
