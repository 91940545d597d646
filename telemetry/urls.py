"""Paths fixed by the documents, at the root and below the API root."""

from django.urls import path

from telemetry import status
from telemetry.api import moving, sensors
from telemetry.api.trips import TripTrackView
from telemetry.pages import arriving, charts, compression, rule_trial, track
from telemetry.pages import trip as trip_tracks
from telemetry.transports.car_data import CarDataView
from telemetry.transports.http import TelemetryView
from telemetry.transports.sensor_data import SensorDataView

urlpatterns = [
    path("health", status.health, name="health"),
    path("status", status.status, name="status"),
    path("logger/start", status.start_logger, name="logger-start"),
    path("logger/stop", status.stop_logger, name="logger-stop"),
    path("api/telemetry", TelemetryView.as_view(), name="telemetry"),
    path("api/car-data", CarDataView.as_view(), name="car-data"),
    path("api/v1/sensors/data", SensorDataView.as_view(), name="sensors-data"),
    path("api/v1/sensor/<str:name>", sensors.SensorView.as_view(), name="sensor"),
    path("api/v1/sensor/<str:name>/history", sensors.HistoryView.as_view(), name="sensor-history"),
    path("api/v1/sensor/<str:name>/summary", sensors.SummaryView.as_view(), name="sensor-summary"),
    path("api/v1/sensor/<str:name>/<path:type>", sensors.ReadingView.as_view(), name="sensor-reading"),
    path("api/v1/health", status.health),
    path("api/v1/devices/<str:device>/move", moving.MoveView.as_view(), name="api-device-move"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/track", track.track, name="telemetry-track"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/charts", charts.charts, name="telemetry-charts"),
    path("trips/<int:trip>/track", trip_tracks.track, name="trip-track"),
    path("trips/<int:trip>/file/<slug:kind>", trip_tracks.track_file, name="trip-file"),
    path(
        "api/v1/detected-trips/<int:trip>/track/<slug:kind>", TripTrackView.as_view(), name="trip-track-api"
    ),
    path("fleets/<slug:fleet>/rules/try", rule_trial.rule_trial, name="rule-trial"),
    path(
        "vehicles/<slug:fleet>/<slug:vehicle>/compression",
        compression.compression,
        name="telemetry-compression",
    ),
    path("devices/<slug:fleet>/<slug:device>/arriving", arriving.arriving, name="device-arriving"),
    path("devices/<slug:fleet>/<slug:device>/move", arriving.move_device, name="device-move"),
]
