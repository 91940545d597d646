"""Paths of privacy, retention, and of what a person may ask for: pages and API."""

from django.urls import path

from fleet.api.person import PersonErasureView, PersonExportsView, PersonFileView
from fleet.api.privacy import DriverPrivacyView, FleetPrivacyView, VehiclePrivacyView
from fleet.pages import person, privacy

urlpatterns = [
    path("fleets/<slug:fleet>/privacy", privacy.privacy, name="privacy"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/private", privacy.switch_vehicle, name="vehicle-private"),
    path("drivers/<slug:fleet>/<str:driver>/private", privacy.switch_driver, name="driver-private"),
    path("drivers/<slug:fleet>/<str:driver>/person", person.person, name="driver-person"),
    path("drivers/<slug:fleet>/<str:driver>/person/<uuid:wish>", person.person_file, name="person-file"),
    path("api/v1/drivers/<str:driver>/exports", PersonExportsView.as_view(), name="person-exports-api"),
    path(
        "api/v1/drivers/<str:driver>/exports/<uuid:wish>/file",
        PersonFileView.as_view(),
        name="person-file-api",
    ),
    path("api/v1/drivers/<str:driver>/erasure", PersonErasureView.as_view(), name="person-erasure-api"),
    path("api/v1/fleet/<slug:fleet>/privacy", FleetPrivacyView.as_view(), name="privacy-api"),
    path("api/v1/vehicles/<str:name>/private", VehiclePrivacyView.as_view(), name="vehicle-private-api"),
    path("api/v1/drivers/<str:driver>/private", DriverPrivacyView.as_view(), name="driver-private-api"),
]
