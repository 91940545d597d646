"""A trip's urgent alerts, as its device counted them: one alert per trip, as its newest summary says."""

import hashlib
from datetime import UTC

from fleet.aggregation.rollups import driving, touch
from fleet.alerting.alerts import day_of, open_up
from fleet.alerting.causes import Sum, show, withdraw
from fleet.models import Alert, AlertState, Severity, TripSummary, Vehicle

_KEY_LENGTH = 120


def tell(trip: TripSummary) -> Alert | None:
    """Raise, update or withdraw it; `trip` is the newest version. Call in the transaction that kept it."""
    critical, warning = (_count(trip, name) for name in ("critical", "warning"))
    key = _key(trip.trip_id)
    mine = Alert.objects.filter(vehicle=trip.vehicle_id, source="trip", key=key).order_by("id")
    if not critical + warning and not mine.exists():
        return None
    Vehicle.objects.select_for_update(no_key=True).get(pk=trip.vehicle_id)
    alert = mine.select_for_update(of=("self",)).first()
    if not critical + warning:
        if alert is not None:
            withdraw(alert)
            touch(driving(trip.fleet_id, trip.vehicle_id, {day_of(alert)}))
        return alert
    found = Sum(
        count=critical + warning,
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        message=_message(trip, critical, warning),
        data={"trip_id": trip.trip_id, "critical": critical, "warning": warning},
        first_at=trip.start_time,
        last_at=trip.end_time or trip.start_time,
    )
    if alert is None:
        alert = Alert(
            fleet_id=trip.fleet_id, vehicle_id=trip.vehicle_id, type="trip", key=key, source="trip",
            severity=found.severity, first_at=found.first_at, last_at=found.last_at,
            state=AlertState.RESOLVED, resolved_by_rule=True,
        )  # fmt: skip
        alert.save()
    days = {day_of(alert), found.first_at.astimezone(UTC).date()}
    grown = found.count > alert.count and alert.resolved_at is not None and found.last_at > alert.resolved_at
    show(alert, found)
    if grown and not alert.resolved_by_rule and alert.state == AlertState.RESOLVED:
        open_up(alert)  # somebody resolved it, and the trip went on to worse
    touch(driving(trip.fleet_id, trip.vehicle_id, days))
    return alert


def _count(trip: TripSummary, urgency: str) -> int:
    return sum(count for name, count in (trip.alerts or {}).items() if name.lower() == urgency)


def _message(trip: TripSummary, critical: int, warning: int) -> str:
    counts = [f"{count} {name}" for name, count in (("critical", critical), ("warning", warning)) if count]
    plural = "alerts" if critical + warning != 1 else "alert"
    return f"{' and '.join(counts)} {plural} on trip {trip.trip_id}"


def _key(trip_id: str) -> str:
    key = f"trip:{trip_id}"
    if len(key) <= _KEY_LENGTH:
        return key
    return f"trip:{hashlib.blake2b(trip_id.encode(), digest_size=32).hexdigest()}"
