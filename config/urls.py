"""The HTTP map of the whole product."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

urlpatterns = [
    path("", include("telemetry.urls")),
    path("", include("fleet.urls")),
    path("", include("devices.urls")),
    path("", include("profiles.urls")),
    path("api/schema", SpectacularAPIView.as_view(permission_classes=[]), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema", permission_classes=[]), name="docs"),
    path("admin/", admin.site.urls),
]
