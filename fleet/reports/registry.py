"""All reports there are. Rooms that fleet does not know of register theirs when they are ready."""

from fleet.reports import (
    alerts,
    charging,
    daily,
    driving_events,
    energy,
    scorecard,
    stops,
    summary,
    trips,
    utilisation,
    visits,
)
from fleet.reports.report import Report

_known: dict[str, Report] = {}


def register(*reports: Report) -> None:
    for report in reports:
        _known[report.name] = report


def known() -> list[Report]:
    return list(_known.values())


def named(name: str) -> Report | None:
    return _known.get(name)


register(
    summary.REPORT, trips.REPORT, stops.REPORT, daily.REPORT, utilisation.REPORT, scorecard.REPORT,
    driving_events.EVENTS, driving_events.OVERSPEED, driving_events.IDLING, energy.REPORT, charging.REPORT,
    visits.REPORT, alerts.REPORT,
)  # fmt: skip
