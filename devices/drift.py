"""Which configuration a device says it runs, or why it refused one. The newest word by event time counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from devices.configdocument import EMPTY
from devices.configuration import settle_one
from devices.models import Device, DeviceConfig, DeviceConfigVersion

HIGHEST = 2**31 - 1
REASON_LIMIT = 500


@dataclass(frozen=True, slots=True)
class ConfigReport:
    """`error` empty: it runs this version. Else it refused it, and runs what it ran."""

    version: int
    time: datetime
    error: str = ""


def report_in(details: dict[str, Any], time: datetime) -> ConfigReport | None:
    """Among what a device says of itself: `config_version`, and `config_error` when it refused it."""
    version, error = details.get("config_version"), details.get("config_error")
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version <= HIGHEST:
        return None
    return ConfigReport(version, time, error[:REASON_LIMIT] if isinstance(error, str) else "")


@transaction.atomic
def heard(device: Device, report: ConfigReport) -> DeviceConfig:
    """Keep what the device said. Needs `vehicle` and its fleet selected."""
    rows = DeviceConfig.objects.select_for_update().filter(device=device)
    row = rows.first()
    if row is None:
        settle_one(device)
        row = rows.get()
    if _is_news(row, report):
        digest = _digest_of(device.pk, report.version)
        if report.error:
            row.refused_version, row.refused_digest = report.version, digest
            row.refused_at, row.refused_reason = report.time, report.error
        else:
            row.running_version, row.running_digest, row.running_at = report.version, digest, report.time
        row.judge(report.time)
        row.save()
    return row


def _is_news(row: DeviceConfig, report: ConfigReport) -> bool:
    """Two words of one moment: the higher version, so that their order does not matter."""
    if report.error:
        known = (row.refused_at, row.refused_version, row.refused_reason)
        return row.refused_at is None or known < (report.time, report.version, report.error)
    return row.running_at is None or (row.running_at, row.running_version) < (report.time, report.version)


def _digest_of(device_id: int, version: int) -> str:
    if version == 0:
        return EMPTY
    made = DeviceConfigVersion.objects.filter(device=device_id, version=version)
    return made.values_list("content", flat=True).first() or ""
