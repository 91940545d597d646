"""The columns of sums, by where they come from."""

from django.db.models import Q

from fleet.models import Part, Severity

DRIVEN = (
    "trips", "distance_mm", "driving_ms", "risk_mm", "scored_mm", "counted_mm",
    "trip_info", "trip_warning", "trip_critical", "harsh_accelerations", "harsh_brakings", "harsh_corners",
    "speeding_ms", "idling_ms", "night_ms", "seen_mm", "turning_mm", "timed_ms",
)  # fmt: skip
HEARD = ("records", "seen_mm", "turning_mm", "timed_ms")
"""What telemetry counts; of drivers by their share of the vehicle's day or hour."""
MOVED = ("moved_mm", "standing_ms", "used_j", "returned_j", "top_speed_mm_s")
"""More of that, by minute and hour only. The last is a maximum."""
TOLD = (*HEARD, *MOVED, "charge")
"""All that records say of a minute or hour."""
ALERTS = {
    Severity.INFO: "alerts_info",
    Severity.WARNING: "alerts_warning",
    Severity.CRITICAL: "alerts_critical",
}
SEEN = (*DRIVEN, *ALERTS.values(), "records")
COLUMNS = {Part.DRIVING: tuple(name for name in SEEN if name not in HEARD), Part.ACTIVITY: HEARD}
SHARED = tuple(name for name in DRIVEN if name in HEARD)
OF_DRIVERS = tuple(name for name in DRIVEN if name not in HEARD)
"""What a driver gets a share of, and what is a driver's own."""
EMPTY = dict.fromkeys(SEEN, 0)
ACTIVE = Q(records__gt=0) | Q(driving_ms__gt=0) | Q(trips__gt=0)
