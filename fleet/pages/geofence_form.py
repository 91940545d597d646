"""The form of a geofence: right without scripts, which only draw what its fields say."""

import json
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from fleet.geofencing import geofences, hours
from fleet.models import Fleet, Geofence


class GeofenceForm(forms.ModelForm):  # type: ignore[type-arg]
    """Durations are asked for in minutes, hours in lines, geometry as GeoJSON text."""

    geometry = forms.CharField(max_length=500_000)
    schedule = forms.CharField(max_length=2_000, required=False)
    min_stay_min = forms.FloatField(min_value=0, max_value=7 * 1440, required=False)
    dwell_min = forms.FloatField(min_value=0.05, max_value=7 * 1440, required=False)
    history_from = forms.DateField(required=False)

    class Meta:
        model = Geofence
        fields = (
            "name", "kind", "radius_m", "width_m", "colour", "hysteresis_m", "all_vehicles", "vehicles",
        )  # fmt: skip

    def __init__(self, fleet: Fleet, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.fleet = fleet
        field = self.fields["vehicles"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = fleet.vehicles.order_by("name", "id")

    def clean_geometry(self) -> Any:
        try:
            return json.loads(self.cleaned_data["geometry"])
        except (ValueError, RecursionError):
            raise ValidationError("Draw it on the map, or write it as a GeoJSON geometry.") from None

    def clean_schedule(self) -> Any:
        try:
            return hours.parsed(self.cleaned_data["schedule"])
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def clean_colour(self) -> str:
        return str(self.cleaned_data["colour"]).lower()

    def clean_history_from(self) -> datetime | None:
        """Midnight of the fleet's zone."""
        day: date | None = self.cleaned_data["history_from"]
        if day is None:
            return None
        found = datetime.combine(day, time(), ZoneInfo(self.instance.fleet.time_zone))
        now = timezone.now()
        if not geofences.earliest(now) <= found <= now:
            raise ValidationError(f"A day of the last {geofences.REPLAY_DAYS}.")
        return found

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        self.instance.min_stay_s = (cleaned.get("min_stay_min") or 0) * 60
        dwell = cleaned.get("dwell_min")
        self.instance.dwell_s = None if dwell is None else dwell * 60
        if not cleaned.get("all_vehicles") and not cleaned.get("vehicles"):
            self.add_error("vehicles", "Choose vehicles, or the whole fleet.")
        # What is wrong already is left as it was, so that nothing is said of it twice.
        for name in ("geometry", "schedule"):
            if name in cleaned:
                setattr(self.instance, name, cleaned[name])
        return cleaned

    def _update_errors(self, errors: ValidationError) -> None:
        found = getattr(errors, "error_dict", {})
        for name in [name for name in found if name in self.errors and name in {"geometry", "schedule"}]:
            del found[name]
        super()._update_errors(errors)  # type: ignore[misc]

    @property
    def wish(self) -> geofences.Wish:
        told = self.cleaned_data
        return geofences.Wish(self.instance, list(told["vehicles"]), told["history_from"])
