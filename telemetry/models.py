"""The inbox, the streams' decoder state, and history. Tables are named as in the original document.

Rows of `telemetry_data` are written by telemetry.store only; on PostgreSQL the table is partitioned by month.
"""

from typing import ClassVar

from django.db import models


class Quality(models.IntegerChoices):
    """How far a record can be trusted."""

    VERIFIED = 0, "verified"
    UNVERIFIED = 1, "unverified"
    INCOMPLETE = 2, "incomplete"


class Frame(models.Model):
    """One record as it came, acknowledged and not yet worked on. The drain deletes it with its result."""

    device = models.ForeignKey(
        "devices.Device", on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    vehicle = models.ForeignKey(
        "fleet.Vehicle", on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    stream_id = models.BigIntegerField(help_text="0: the sender has no streams.")
    sequence = models.BigIntegerField(help_text="In stream 0: a hash of the content.")
    time = models.DateTimeField()
    received_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Not looked at before; a record after a gap waits here.")
    payload = models.BinaryField()

    class Meta:
        db_table = "telemetry_frame"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["device", "stream_id", "sequence"], name="frame_once")
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}/{self.sequence}"


class HeldFrame(models.Model):
    """A record after a gap, stored incomplete; kept in case the missing one turns up."""

    stream = models.ForeignKey("Stream", on_delete=models.CASCADE, db_index=False, related_name="held")
    sequence = models.BigIntegerField()
    time = models.DateTimeField()
    received_at = models.DateTimeField(db_index=True)
    payload = models.BinaryField()

    class Meta:
        db_table = "telemetry_held"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["stream", "sequence"], name="held_once")
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}/{self.sequence}"


class Stream(models.Model):
    """One start of an edge: where its reconstruction stands. Saved in the transaction that stores records."""

    device = models.ForeignKey("devices.Device", on_delete=models.CASCADE, related_name="streams")
    vehicle = models.ForeignKey("fleet.Vehicle", on_delete=models.CASCADE, related_name="streams")
    stream_id = models.BigIntegerField()
    next_sequence = models.BigIntegerField(default=1)
    decoder = models.JSONField(default=dict)
    last_time = models.DateTimeField(null=True, help_text="Of the newest record reconstructed.")
    wants_keyframe = models.BooleanField(default=False)
    records = models.BigIntegerField(default=0)
    repeated = models.BigIntegerField(default=0)
    incomplete = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "telemetry_stream"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["device", "stream_id"], name="stream_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["device"], condition=models.Q(wants_keyframe=True), name="stream_lost")
        ]

    def __str__(self) -> str:
        return f"{self.device_id}/{self.stream_id}"


class Gap(models.Model):
    """Sequences first..last of a stream that could not be reconstructed yet, and the state before them."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="gaps")
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    decoder = models.JSONField(default=dict)
    opened_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        db_table = "telemetry_gap"

    def __str__(self) -> str:
        return f"{self.first}-{self.last} of {self.stream_id}"


class TelemetryRecord(models.Model):
    """One moment of one vehicle. A value whose bit in `sent` is set came over the air; the others were
    reconstructed within their tolerance."""

    vehicle = models.ForeignKey(
        "fleet.Vehicle", on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="records"
    )
    device = models.ForeignKey(
        "devices.Device", on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    time = models.DateTimeField()
    received_at = models.DateTimeField()
    stream_id = models.BigIntegerField()
    sequence = models.BigIntegerField()
    quality = models.SmallIntegerField(choices=Quality.choices)
    sent = models.BigIntegerField(help_text="Bit n: signal n was sent.")
    speed_kmh = models.FloatField(null=True)
    battery_percent = models.FloatField(null=True)
    power_kw = models.FloatField(null=True)
    heading_deg = models.FloatField(null=True)
    latitude_deg = models.FloatField(null=True)
    longitude_deg = models.FloatField(null=True)
    voltage = models.FloatField(null=True)
    current = models.FloatField(null=True)
    odometer_km = models.FloatField(null=True)
    altitude = models.FloatField(null=True)
    rpm = models.FloatField(null=True)
    battery_temperature_c = models.FloatField(null=True)
    motor_temperature_c = models.FloatField(null=True)
    cabin_temperature_c = models.FloatField(null=True)
    outdoor_temperature_c = models.FloatField(null=True)
    coolant_temperature_c = models.FloatField(null=True)
    acceleration = models.FloatField(null=True)
    throttle_percent = models.FloatField(null=True)
    torque = models.FloatField(null=True)
    ignition = models.FloatField(null=True)
    charging = models.FloatField(null=True)
    range_km = models.FloatField(null=True)
    fuel_percent = models.FloatField(null=True)
    engine_load_percent = models.FloatField(null=True)
    aux_voltage = models.FloatField(null=True)
    intake_temperature_c = models.FloatField(null=True)
    air_flow_gps = models.FloatField(null=True)
    lateral_acceleration = models.FloatField(null=True)
    yaw_rate_degps = models.FloatField(null=True)
    hvac_power_kw = models.FloatField(null=True)
    extra = models.JSONField(null=True, help_text="Further values and words, as sent.")
    decoder = models.JSONField(null=True, help_text="Unverified only: the state after it, to replay from.")

    class Meta:
        db_table = "telemetry_data"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "time", "stream_id", "sequence"], name="record_once")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} at {self.time}"


class CompressionStat(models.Model):
    """Per vehicle and day (UTC, event time): what the predictor saved."""

    vehicle = models.ForeignKey(
        "fleet.Vehicle", on_delete=models.CASCADE, db_index=False, related_name="compression"
    )
    day = models.DateField()
    records = models.BigIntegerField(default=0)
    transmitted_readings = models.BigIntegerField(default=0)
    skipped_readings = models.BigIntegerField(default=0)
    bytes_received = models.BigIntegerField(default=0)

    class Meta:
        db_table = "compression_stats"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["vehicle", "day"], name="compression_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.vehicle_id} on {self.day}"

    @property
    def compression_ratio(self) -> float:
        return ratio(self.transmitted_readings, self.skipped_readings)


def ratio(transmitted: int, skipped: int) -> float:
    """Skipped ÷ all, as the document's /status shows it."""
    total = transmitted + skipped
    return skipped / total if total else 0.0


class TouchedSpan(models.Model):
    """Whose history changed where since it was last derived from. The drain widens the span in the transaction that
    stores the records; `derivation.derive` deletes the row with its results, unless the version has moved on."""

    vehicle = models.OneToOneField(
        "fleet.Vehicle", on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="+"
    )
    first_us = models.BigIntegerField(help_text="Event time, microseconds since 1970.")
    last_us = models.BigIntegerField()
    due_us = models.BigIntegerField(default=0, help_text="Wall clock, microseconds: not looked at before.")
    version = models.BigIntegerField(default=1)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.vehicle_id} from {self.first_us} to {self.last_us}"


class Touched(TouchedSpan):
    """For alert rules: vehicles that they concern."""

    class Meta:
        db_table = "telemetry_touched"
        verbose_name_plural = "touched"


class Paced(TouchedSpan):
    """For all that can wait some seconds: every vehicle."""

    class Meta:
        db_table = "telemetry_paced"
        verbose_name_plural = "paced"


class Reach(models.Model):
    """The newest event time of a vehicle that was derived from: what is later only needs to go on from there."""

    vehicle = models.OneToOneField(
        "fleet.Vehicle", on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="+"
    )
    last_us = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.vehicle_id} up to {self.last_us}"


class Derived(Reach):
    class Meta:
        db_table = "telemetry_derived"
        verbose_name_plural = "derived"


class PacedDerived(Reach):
    class Meta:
        db_table = "telemetry_paced_derived"
        verbose_name_plural = "paced derived"
