"""Paths of the fleet API."""

from django.urls import path

from fleet.api.vehicles import VehicleListView, VehicleStatusView

urlpatterns = [
    path("api/v1/vehicles", VehicleListView.as_view(), name="vehicles"),
    path("api/v1/vehicles/<str:name>/status", VehicleStatusView.as_view(), name="vehicle-status"),
]
