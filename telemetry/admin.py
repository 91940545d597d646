"""What arrived and what became of it, to look at. The admin never writes here."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from fleet.admin import ReadOnlyAdmin
from telemetry.models import (
    CompressionStat,
    Derived,
    Frame,
    Gap,
    HeldFrame,
    Paced,
    PacedDerived,
    Stream,
    TelemetryRecord,
    Touched,
)


@admin.register(Frame)
class FrameAdmin(ReadOnlyAdmin):
    list_display = ("id", "vehicle", "stream_id", "sequence", "time", "received_at", "due_at", "size")
    list_select_related = ("vehicle",)
    exclude = ("payload",)
    readonly_fields = ("size",)

    @admin.display(description="bytes")
    def size(self, frame: Frame) -> int:
        return len(frame.payload)


@admin.register(HeldFrame)
class HeldFrameAdmin(ReadOnlyAdmin):
    list_display = ("id", "stream", "sequence", "time", "received_at")
    list_select_related = ("stream",)
    exclude = ("payload",)


@admin.register(Stream)
class StreamAdmin(ReadOnlyAdmin):
    list_display = (
        "stream_id", "device", "vehicle", "records", "repeated", "incomplete", "wants_keyframe", "last_time",
    )  # fmt: skip
    list_select_related = ("device", "vehicle")
    search_fields = ("device__slug__exact", "vehicle__vin__exact")


@admin.register(Gap)
class GapAdmin(ReadOnlyAdmin):
    list_display = ("stream", "first", "last", "opened_at")
    list_select_related = ("stream",)


@admin.register(TelemetryRecord)
class TelemetryRecordAdmin(ReadOnlyAdmin):
    """By primary key, so that a page is one short walk along an index in each partition. With a vehicle
    (`?vehicle=ID`) by time, along the index (vehicle, time)."""

    list_display = (
        "id", "vehicle", "time", "quality", "speed_kmh", "battery_percent", "power_kw", "stream_id", "sequence",
    )  # fmt: skip
    list_select_related = ("vehicle",)
    exclude = ("latitude_deg", "longitude_deg", "heading_deg", "altitude", "extra", "decoder")
    """Positions are shown through fleet.privacy.gate only, which the admin knows nothing of."""
    list_filter: ClassVar[list[Any]] = []

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("-time",) if "vehicle" in request.GET else ("-pk",)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup == "vehicle" or super().lookup_allowed(lookup, value, request)


@admin.register(CompressionStat)
class CompressionStatAdmin(ReadOnlyAdmin):
    list_display = (
        "vehicle", "day", "records", "transmitted_readings", "skipped_readings", "left_out", "bytes_received",
    )  # fmt: skip
    list_select_related = ("vehicle",)
    search_fields = ("vehicle__vin__exact", "vehicle__slug__exact")

    @admin.display(description="left out")
    def left_out(self, stat: CompressionStat) -> str:
        return f"{stat.compression_ratio:.1%}"


@admin.register(Touched, Paced)
class TouchedAdmin(ReadOnlyAdmin):
    """Empty when all that follows from stored records is up to date."""

    list_display = ("vehicle", "first_us", "last_us", "due_us", "version")
    list_select_related = ("vehicle",)


@admin.register(Derived, PacedDerived)
class DerivedAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "last_us")
    list_select_related = ("vehicle",)
