"""Paths of the profiles' API and pages."""

from django.urls import path

from profiles.api import history, profile
from profiles.pages import driver

_API = "api/v1/drivers/<str:driver>/profile"
_PAGE = "drivers/<slug:fleet>/<str:driver>"

urlpatterns = [
    path(f"{_PAGE}/", driver.driver, name="driver"),
    path(f"{_PAGE}/export", driver.export, name="driver-export"),
    path(f"{_PAGE}/erase", driver.erase, name="driver-erase"),
    path(f"{_PAGE}/lift", driver.lift, name="driver-lift"),
    path(f"{_PAGE}/versions/<int:version>/restore", driver.restore, name="driver-restore"),
    path(_API, profile.ProfileView.as_view(), name="profile"),
    path(f"{_API}/versions", history.VersionListView.as_view(), name="profile-versions"),
    path(f"{_API}/versions/<int:version>/restore", history.RestoreView.as_view(), name="profile-restore"),
    path(f"{_API}/copies", history.CopyListView.as_view(), name="profile-copies"),
    path(f"{_API}/export", history.ExportView.as_view(), name="profile-export"),
    path(f"{_API}/lift", history.LiftView.as_view(), name="profile-lift"),
]
