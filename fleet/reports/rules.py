"""A fleet's own settings as a report prints them: what counted as a trip, which limits it was judged by."""

from dataclasses import replace
from typing import Any

from fleet.behaviour import drivingsettings
from fleet.journeys import triprules
from fleet.models import DrivingSettings, Fleet
from fleet.reports.columns import Column, Kind
from fleet.reports.report import Setting


def _seconds(name: str, label: str) -> Column:
    return Column(name, label, Kind.NUMBER, unit="s", loose=True)


def _hour(name: str, label: str) -> Column:
    return Column(name, label, Kind.WHOLE, unit="h")


_TRIP = (
    Column("moving_mps", "moves above", Kind.SPEED),
    _seconds("stop_s", "standing ends a trip after"),
    _seconds("off_s", "ignition off after"),
    _seconds("gap_s", "silence after"),
    _seconds("longest_gap_s", "silence whatever happened after"),
    Column("drove_on_mps", "drove on through a silence above", Kind.SPEED),
    Column("least_m", "a trip is at least", Kind.DISTANCE, digits=2, loose=True),
    _seconds("least_s", "and lasts at least"),
)
_HARSH = (
    Column("acceleration_m_s2", "harsh acceleration from", Kind.ACCELERATION, digits=2),
    Column("braking_m_s2", "harsh braking from", Kind.ACCELERATION, digits=2),
    Column("cornering_m_s2", "harsh cornering from", Kind.ACCELERATION, digits=2),
)
_LIMIT = Column("speed_limit", "speeding above", Kind.SPEED)
_SPEEDING = _seconds("speeding_from_s", "speeding lasts at least")
_IDLING = _seconds("idling_from_s", "idling lasts at least")
_NIGHT = (_hour("night_from", "night from"), _hour("night_to", "night until"))


def trip_rules(fleet: Fleet) -> list[Setting]:
    return _read(triprules.of(fleet), _TRIP)


def harsh_limits(fleet: Fleet) -> list[Setting]:
    return _harsh(drivingsettings.of(fleet))


def speeding_limits(fleet: Fleet) -> list[Setting]:
    return _speeding(drivingsettings.of(fleet))


def idling_limits(fleet: Fleet) -> list[Setting]:
    return _read(drivingsettings.of(fleet), (_IDLING,))


def driving_limits(fleet: Fleet) -> list[Setting]:
    """All of them. One query."""
    settings = drivingsettings.of(fleet)
    return [*_harsh(settings), *_speeding(settings), *_read(settings, (_IDLING, *_NIGHT))]


def _harsh(settings: DrivingSettings) -> list[Setting]:
    return _read(settings, _HARSH)


def _speeding(settings: DrivingSettings) -> list[Setting]:
    limit = settings.limits.speed_mps
    if limit is None:
        return [(replace(_LIMIT, kind=Kind.TEXT), "never")]
    return [(_LIMIT, limit), *_read(settings, (_SPEEDING,))]


def _read(row: Any, columns: tuple[Column, ...]) -> list[Setting]:
    return [(column, getattr(row, column.name)) for column in columns]
