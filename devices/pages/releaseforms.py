"""What people fill in about releases and rollouts."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from devices.models import Rollout
from devices.releases import Facts
from fleet.access import Principal
from fleet.models import Fleet, Role
from fleet.vehicles import checked_labels

_EVERYBODY = ""
_MOST_STEPS = 20


def owned_fleets(principal: Principal) -> list[Fleet]:
    ids = [fleet for fleet in principal.roles if principal.can(Role.OWNER, fleet)]
    fleets = Fleet.objects.all() if principal.sees_everything else Fleet.objects.filter(pk__in=ids)
    return list(fleets.order_by("name")[:200])


class ReleaseForm(forms.Form):
    name = forms.CharField(max_length=80)
    version = forms.CharField(max_length=40)
    file = forms.FileField()
    signature = forms.CharField(max_length=88)
    notes = forms.CharField(required=False, max_length=10_000)
    compatibility = forms.CharField(required=False, max_length=4_000)
    fleet = forms.ChoiceField(required=False)

    def __init__(self, principal: Principal, owned: list[Fleet], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owned = {fleet.slug: fleet for fleet in owned}
        choices = [(fleet.slug, fleet.name) for fleet in owned]
        if principal.sees_everything:
            choices = [(_EVERYBODY, "all fleets"), *choices]
        field = self.fields["fleet"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices
        field.required = not principal.sees_everything

    def clean_compatibility(self) -> dict[str, Any]:
        text = self.cleaned_data["compatibility"].strip()
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ValidationError('A JSON object: {"vehicle_model": ["e-Van"]}.')
        return found

    @property
    def facts(self) -> Facts:
        known = {name: value for name, value in self.cleaned_data.items() if name not in {"file", "fleet"}}
        return Facts(**known, fleet=self.owned.get(self.cleaned_data["fleet"]))


class RolloutForm(forms.Form):
    """Percentages as people say them; the thresholds become shares. Times are the reader's."""

    percent = forms.FloatField(min_value=0, max_value=100)
    steps = forms.CharField(required=False, max_length=200)
    labels = forms.CharField(required=False, max_length=900)
    starts_at = forms.DateTimeField(required=False, input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
    success_percent = forms.FloatField(min_value=0, max_value=100)
    error_percent = forms.FloatField(min_value=0, max_value=100)
    min_reports = forms.IntegerField(min_value=1, max_value=1_000_000)

    @classmethod
    def of(cls, rollout: Rollout | None) -> "RolloutForm":
        known = rollout or Rollout()
        starts = timezone.localtime(known.starts_at) if known.starts_at else None
        return cls(
            initial={
                "percent": f"{known.percent:g}",
                "steps": ", ".join(f"{step:g}" for step in known.steps),
                "labels": ", ".join(known.labels),
                "starts_at": starts.strftime("%Y-%m-%dT%H:%M") if starts else "",
                "success_percent": f"{known.success_threshold * 100:g}",
                "error_percent": f"{known.error_threshold * 100:g}",
                "min_reports": known.min_reports,
            }
        )

    def clean_steps(self) -> list[float]:
        words = self.cleaned_data["steps"].replace(",", " ").replace("%", " ").split()
        try:
            steps = [float(word) for word in words]
        except ValueError:
            steps = [-1.0]
        if len(steps) > _MOST_STEPS or any(not 0 < step <= 100 for step in steps):
            raise ValidationError("Percentages with commas between them: 5, 25, 100.")
        return sorted(set(steps))

    def clean_labels(self) -> list[str]:
        return list(checked_labels(self.cleaned_data["labels"].split(",")))

    @property
    def wanted(self) -> dict[str, Any]:
        """As steering.change takes it."""
        known = self.cleaned_data
        return {
            **{name: known[name] for name in ("percent", "steps", "labels", "starts_at", "min_reports")},
            "success_threshold": known["success_percent"] / 100,
            "error_threshold": known["error_percent"] / 100,
        }
