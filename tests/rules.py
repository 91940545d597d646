"""Alert rules for tests, and what they made of a car's records."""

from datetime import UTC, datetime
from typing import Any

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.alerting import rules
from fleet.audit import Actor
from fleet.models import Alert, AlertRule, Episode, Severity
from telemetry.models import Touched
from tests.drives import START
from tests.world import Car

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def make_rule(car: Car, kind: str = "overspeed", **fields: Any) -> AlertRule:
    """For the car's fleet, judging records of any age."""
    usual: dict[str, dict[str, Any]] = {
        "overspeed": {"limit": 100.0, "name": "Overspeed"},
        "silence": {"silent_after_s": 600},
    }
    told = {"name": kind, "severity": Severity.WARNING, **usual.get(kind, {}), **fields}
    rule = AlertRule(kind=kind, **told)
    rule.clean()
    rules.add(Actor("a test"), car.vehicle.fleet, rules.Wish(rule))
    AlertRule.objects.filter(pk=rule.pk).update(since=LONG_AGO, replay_from=None)
    rule.refresh_from_db()
    return rule


def at(seconds: float, **values: Any) -> Telemetry:
    """A record without a stream, so many seconds after START."""
    message = Telemetry(timestamp=START + seconds)
    for name, value in values.items():
        if isinstance(value, str):
            message.labels[name] = value
        elif name in Telemetry.DESCRIPTOR.fields_by_name:
            setattr(message, name, value)
        else:
            message.extra[name] = value
    return message


def speeds(*values: float, every_s: float = 1.0, start: float = 0.0) -> list[Telemetry]:
    return [at(start + place * every_s, speed=value) for place, value in enumerate(values)]


def episodes(rule: AlertRule) -> list[tuple[float, float | None, float]]:
    """Begin and end in seconds after START, and the peak."""
    rows = Episode.objects.filter(rule=rule, confirmed=True).order_by("vehicle", "started_at")
    return [
        (
            round(row.started_at.timestamp() - START, 3),
            round(row.ended_at.timestamp() - START, 3) if row.ended_at else None,
            round(row.peak, 3),
        )
        for row in rows
    ]


def pictured(rule: AlertRule) -> list[Any]:
    """Everything about a rule's episodes and alerts that must not depend on how the records came."""
    columns = ("vehicle", "started_at", "last_at", "ended_at", "peak", "codes", "confirmed", "severity")
    told = (
        "type", "severity", "message", "data", "first_at", "last_at", "count", "state", "resolved_by_rule",
    )  # fmt: skip
    alerts = Alert.objects.filter(key=rule.cause, count__gt=0).order_by("vehicle", "id")
    return [
        list(Episode.objects.filter(rule=rule).order_by("vehicle", "started_at").values(*columns)),
        list(alerts.values(*told)),
        list(alerts.filter(resolved_by_rule=True).values("resolved_at")),
        [list(alert.reports.order_by("at").values("at", "severity", "message", "data")) for alert in alerts],
    ]


def nothing_touched() -> bool:
    return not Touched.objects.exists()
