"""What only telemetry can report: how devices are doing, and what the predictor saved."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, ExpressionWrapper, F, FloatField, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import NullIf

from devices.models import ConfigState, Device, DeviceStatus
from fleet.aggregation.days import bounds
from fleet.reports.columns import Column, Kind, Total, rate
from fleet.reports.registry import register as register_reports
from fleet.reports.report import Ask, ListSource, Order, QuerySource, Report, Row
from telemetry.models import CompressionStat, Gap, Stream


def health_rows(ask: Ask) -> Iterator[Row]:
    """Four queries."""
    zone = ask.period.zone
    first, end = bounds(zone, ask.period.first)[0], bounds(zone, ask.period.last)[1]
    newest = DeviceStatus.objects.filter(device=OuterRef("pk")).order_by("-time", "-id")
    devices = Device.objects.filter(vehicle__fleet=ask.fleet).select_related("vehicle__state", "config")
    if ask.vehicles is not None:
        devices = devices.filter(vehicle__in=ask.vehicles)
    shown = devices.annotate(
        last_status=Subquery(newest.values("status")[:1]), status_at=Subquery(newest.values("time")[:1])
    ).order_by("name", "pk")
    keys = devices.values("pk").order_by()
    told = DeviceStatus.objects.filter(device__in=keys, time__gte=first, time__lt=end)
    statuses = dict(told.values_list("device").annotate(Count("id")).order_by())
    gaps = {row["stream__device"]: row for row in _gaps(keys)}
    streams = {row["device"]: row for row in _streams(keys)}
    for device in shown:
        yield _health(device, statuses, gaps.get(device.pk, {}), streams.get(device.pk, {}))


def _gaps(devices: Any) -> Any:
    missing = Sum(F("last") - F("first") + Value(1))
    rows = Gap.objects.filter(stream__device__in=devices).values("stream__device")
    return rows.annotate(gaps=Count("id"), missing=missing).order_by()


def _streams(devices: Any) -> Any:
    rows = Stream.objects.filter(device__in=devices).values("device")
    return rows.annotate(all_records=Sum("records"), torn=Sum("incomplete"), again=Sum("repeated")).order_by()


def _health(device: Any, statuses: dict[int, int], gaps: dict[str, Any], streams: dict[str, Any]) -> Row:
    config, state = getattr(device, "config", None), getattr(device.vehicle, "state", None)
    return (
        device.name, device.vehicle.name, device.working, device.version, state.received_at if state else None,
        device.last_status or "", device.status_at, statuses.get(device.pk, 0),
        config.state if config else None, config.drifted_since if config else None,
        gaps.get("gaps", 0), gaps.get("missing", 0), streams.get("all_records"), streams.get("torn"),
        streams.get("again"),
    )  # fmt: skip


HEALTH = Report(
    name="devices",
    title="Device health",
    text="When each device was last heard of, what it said, what is missing, whether it runs what it should.",
    order=Order("seen"),
    definition="As things are now; only the status reports are those of the period. Missing: records that the device "
    "counted and the server never got.",
    source=ListSource(health_rows),
    columns=(
        Column("device", "Device"),
        Column("vehicle", "Vehicle"),
        Column("working", "In service", Kind.FLAG),
        Column("version", "Version"),
        Column("seen", "Vehicle last heard of", Kind.MOMENT),
        Column("status", "Newest status"),
        Column("status_at", "Said at", Kind.MOMENT),
        Column("statuses", "Status reports", Kind.WHOLE, total=Total.SUM),
        Column("config", "Configuration", words={one.value: one.label.lower() for one in ConfigState}),
        Column("drifted", "Differs since", Kind.MOMENT),
        Column("gaps", "Gaps", Kind.WHOLE, total=Total.SUM),
        Column("missing", "Records missing", Kind.WHOLE, total=Total.SUM),
        Column("records", "Records in streams", Kind.WHOLE, total=Total.SUM, usual=False),
        Column("incomplete", "Incomplete", Kind.WHOLE, total=Total.SUM, usual=False),
        Column("repeated", "Repeated", Kind.WHOLE, total=Total.SUM, usual=False),
    ),
)


def compression_query(ask: Ask) -> "QuerySet[CompressionStat]":
    rows = CompressionStat.objects.filter(
        vehicle__fleet=ask.fleet, day__gte=ask.period.first, day__lte=ask.period.last
    )
    return rows if ask.vehicles is None else rows.filter(vehicle__in=ask.vehicles)


def _share() -> Any:
    total = (F("transmitted_readings") + F("skipped_readings")) * Value(1.0)
    return ExpressionWrapper(F("skipped_readings") / NullIf(total, Value(0.0)), output_field=FloatField())


def _per_record() -> Any:
    return ExpressionWrapper(
        F("bytes_received") * Value(1.0) / NullIf(F("records") * Value(1.0), Value(0.0)),
        output_field=FloatField(),
    )


def _saved(sums: Any) -> float | None:
    sent, skipped = sums["sent"], sums["skipped"]
    return None if sent is None else rate(skipped, sent + skipped)


COMPRESSION = Report(
    name="compression",
    title="Compression",
    text="What cars sent and what the predictor left out, day by day.",
    order=Order("day", down=True),
    definition="Days are those of UTC, by when it was measured. Saved: readings that were not sent, of all readings.",
    source=QuerySource(compression_query, ("vehicle__name", "pk")),
    columns=(
        Column("day", "Day", Kind.DAY),
        Column("vehicle", "Vehicle", field="vehicle__name"),
        Column("records", "Records", Kind.WHOLE, total=Total.SUM),
        Column("sent", "Readings sent", Kind.WHOLE, "transmitted_readings", Total.SUM),
        Column("skipped", "Readings saved", Kind.WHOLE, "skipped_readings", Total.SUM),
        Column("saved", "Saved", Kind.SHARE, _share(), _saved),
        Column("bytes", "Received", Kind.BYTES, "bytes_received", Total.SUM),
        Column("bytes_a_record", "Bytes a record", Kind.NUMBER, _per_record(),
               lambda sums: rate(sums["bytes"], sums["records"])),
    ),
)  # fmt: skip


def register() -> None:
    register_reports(HEALTH, COMPRESSION)
