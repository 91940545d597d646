"""Paths fixed by the documents, at the root and below the API root."""

from django.urls import path

from telemetry import status
from telemetry.pages import charts, compression, track
from telemetry.transports.http import TelemetryView

urlpatterns = [
    path("health", status.health, name="health"),
    path("status", status.status, name="status"),
    path("logger/start", status.start_logger, name="logger-start"),
    path("logger/stop", status.stop_logger, name="logger-stop"),
    path("api/telemetry", TelemetryView.as_view(), name="telemetry"),
    path("api/v1/health", status.health),
    path("vehicles/<slug:fleet>/<slug:vehicle>/track", track.track, name="telemetry-track"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/charts", charts.charts, name="telemetry-charts"),
    path(
        "vehicles/<slug:fleet>/<slug:vehicle>/compression",
        compression.compression,
        name="telemetry-compression",
    ),
]
