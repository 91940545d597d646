"""What reports are measured on must fit today's tables, and give every report rows."""

import pytest

from benchmarks.reports import FORMATS, _written, fill, markdown
from fleet.models import DrivingEvent, Trip
from fleet.reports import registry

NOT_MEASURED = {"page": 0.0, **dict.fromkeys(FORMATS, 0.0), "grown_mb": 0.0}


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_month_can_be_made_and_written() -> None:
    fill(2)
    assert (Trip.objects.count(), DrivingEvent.objects.count()) == (240, 1_000)
    rows = {report.name: _written(report.name, "csv")["rows"] for report in registry.known()}
    assert all(rows.values())
    # 120 a vehicle that were detected, and 8 of which only the device tells.
    assert rows["trips"] == 256
    told = [{"report": name, "rows": count, **NOT_MEASURED} for name, count in rows.items()]
    assert markdown({2: told}).count("\n") == len(rows) + 3
