"""The history that statistics are measured on must fit today's tables."""

import pytest
from django.utils import timezone

from benchmarks.history import make
from fleet.aggregation import rollups
from fleet.models import Alert, TripSummary, VehicleDay, VehicleHour, VehicleMinute, VehicleMonth
from telemetry.models import TelemetryRecord


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_history_can_be_made_and_summed_up() -> None:
    make("a bench", 200)
    assert (TripSummary.objects.count(), Alert.objects.count(), TelemetryRecord.objects.count()) == (
        200,
        4,
        2_000,
    )
    while rollups.keep_up(timezone.now()):
        pass
    assert sum(VehicleDay.objects.values_list("trips", flat=True)) == 200
    assert sum(VehicleMonth.objects.values_list("records", flat=True)) == 2_000
    assert sum(VehicleHour.objects.values_list("trips", flat=True)) == 200
    assert sum(VehicleMinute.objects.values_list("records", flat=True)) == 2_000
