"""Reports as files: who asked for one, how far it is, when it comes by itself, who got it by mail; and how people
like to read them. Exports are written by fleet.reports.exports, schedules by fleet.reports.schedules, deliveries by
fleet.reports.deliveries."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from fleet.models.fleets import Fleet
from fleet.models.people import check_time_zone


class ReportFormat(models.TextChoices):
    CSV = "csv", "CSV"
    XLSX = "xlsx", "Excel (XLSX)"
    JSON = "json", "JSON"
    PDF = "pdf", "PDF"


class Units(models.TextChoices):
    METRIC = "metric", "km, km/h"
    IMPERIAL = "imperial", "miles, mph"


class Dialect(models.TextChoices):
    """How a CSV file separates columns, and decimals."""

    COMMA = "comma", "1.5 , 2.5"
    SEMICOLON = "semicolon", "1,5 ; 2,5"
    TAB = "tab", "1.5 (tab) 2.5"


class ReportStyle(models.Model):
    """How a person likes numbers in reports. Without a row: metric, commas."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="report_style"
    )
    units = models.CharField(max_length=8, choices=Units.choices, default=Units.METRIC)
    dialect = models.CharField(max_length=9, choices=Dialect.choices, default=Dialect.COMMA)

    class Meta:
        db_table = "report_styles"

    def __str__(self) -> str:
        return f"{self.units}, {self.dialect}"


class ReportColumns(models.Model):
    """The columns a person has chosen for a report, in their order. Without a row: the report's own choice."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="report_columns"
    )
    report = models.CharField(max_length=40)
    columns: Any = models.JSONField(default=list)

    class Meta:
        db_table = "report_columns"
        verbose_name_plural = "report columns"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "report"], name="one_choice_per_report")
        ]

    def __str__(self) -> str:
        return f"{self.report} of {self.user_id}"


class Rhythm(models.TextChoices):
    DAILY = "daily", "every day"
    WEEKLY = "weekly", "every week"
    MONTHLY = "monthly", "every month"


class WhenEmpty(models.TextChoices):
    """What to do with a report without a row."""

    SEND = "send", "send it all the same"
    SAY = "say", "say that there is nothing"
    SKIP = "skip", "send nothing"


class Weekday(models.IntegerChoices):
    MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)


class ReportSchedule(models.Model):
    """A report that comes by itself. `next_at` is moved on by the transaction that makes the export row."""

    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="report_schedules")
    name = models.CharField(max_length=120)
    report = models.CharField(max_length=40)
    format = models.CharField(max_length=4, choices=ReportFormat.choices, default=ReportFormat.XLSX)
    wish: Any = models.JSONField(
        default=dict, blank=True, help_text="Vehicles, drivers, columns, units, dialect."
    )
    rhythm = models.CharField(max_length=7, choices=Rhythm.choices, default=Rhythm.WEEKLY)
    weekday = models.PositiveSmallIntegerField(choices=Weekday.choices, default=Weekday.MONDAY)
    month_day = models.PositiveSmallIntegerField(
        default=1, validators=[MaxValueValidator(31)], help_text="In a shorter month: its last day."
    )
    at = models.TimeField(help_text="By the clock of the time zone.")
    time_zone = models.CharField(max_length=64, validators=[check_time_zone])
    when_empty = models.CharField(max_length=4, choices=WhenEmpty.choices, default=WhenEmpty.SAY)
    recipients: Any = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    paused = models.BooleanField(default=False)
    next_at = models.DateTimeField(null=True, blank=True, help_text="Empty: paused.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "report_schedules"
        ordering: ClassVar[list[str]] = ["name", "id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="report_schedules_due")
        ]

    def __str__(self) -> str:
        return self.name


class ExportState(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    EMPTY = "empty", "nothing to send"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ReportExport(models.Model):
    """One file of a report. A claim is a lease, renewed with the progress; whose lease is over writes nothing."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    fleet = models.ForeignKey(Fleet, on_delete=models.CASCADE, related_name="report_exports")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="report_exports"
    )
    schedule = models.ForeignKey(
        ReportSchedule, on_delete=models.CASCADE, null=True, db_index=False, related_name="exports"
    )
    slot = models.DateTimeField(null=True, help_text="Which of the schedule's times it is for.")
    report = models.CharField(max_length=40)
    format = models.CharField(max_length=4, choices=ReportFormat.choices)
    wish: Any = models.JSONField(default=dict)
    state = models.CharField(max_length=9, choices=ExportState.choices, default=ExportState.WAITING)
    rows = models.PositiveBigIntegerField(default=0, help_text="Written so far.")
    rows_expected = models.PositiveBigIntegerField(null=True)
    filename = models.CharField(max_length=200, blank=True)
    stored_as = models.CharField(max_length=200, blank=True, db_index=True)
    size_bytes = models.PositiveBigIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    claim = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(
        null=True, help_text="When to begin, or when its worker is given up; empty: nothing to do."
    )
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "report_exports"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["schedule", "slot"], name="report_made_once_a_slot")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="report_exports_due"),
            models.Index(fields=["expires_at"], condition=~Q(stored_as=""), name="report_exports_kept"),
            models.Index(fields=["user", "fleet", "-id"], name="report_exports_mine"),
        ]

    def __str__(self) -> str:
        return self.filename or f"{self.report} as {self.format}"

    @property
    def under_way(self) -> bool:
        return self.state in {ExportState.WAITING, ExportState.RUNNING}

    @property
    def percent(self) -> int | None:
        """How much of it is written; None: not known yet."""
        if self.rows_expected is None:
            return None
        return 100 if not self.rows_expected else min(100, 100 * self.rows // self.rows_expected)


class MailState(models.TextChoices):
    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    DROPPED = "dropped"


class ReportDelivery(models.Model):
    """A scheduled report on its way to one person. Unique, and marked before it goes out: never twice."""

    export = models.ForeignKey(
        ReportExport, on_delete=models.CASCADE, db_index=False, related_name="deliveries"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=9, choices=MailState.choices, default=MailState.WAITING)
    due_at = models.DateTimeField(null=True)
    claim = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    handed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "report_deliveries"
        verbose_name_plural = "report deliveries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["export", "user"], name="report_mailed_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="report_deliveries_due")
        ]

    def __str__(self) -> str:
        return f"{self.export_id} to {self.user_id}: {self.state}"
