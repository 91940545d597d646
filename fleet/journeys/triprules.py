"""What counts as a trip in a fleet, changed by its managers. Changing it finds all trips anew, in the background."""

from dataclasses import asdict, dataclass, fields

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from fleet import audit
from fleet.audit import Actor
from fleet.journeys.tripfinder import TripSettings
from fleet.models import Fleet, TripHead, TripRules

NAMES = tuple(one.name for one in fields(TripSettings))


def settings_of(rules: TripRules | None) -> TripSettings:
    if rules is None:
        return TripSettings()
    return TripSettings(**{name: getattr(rules, name) for name in NAMES})


def of(fleet: Fleet) -> TripRules:
    """The fleet's, or the defaults, not stored."""
    return TripRules.objects.filter(fleet=fleet).first() or TripRules(fleet=fleet)


@dataclass(frozen=True, slots=True)
class Progress:
    """Of finding trips anew: vehicles that were looked at, of all that have records."""

    done: int
    total: int

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 100


def progress(rules: TripRules) -> Progress:
    heads = TripHead.objects.filter(vehicle__fleet=rules.fleet_id)
    left = heads.filter(Q(behind=True) | ~Q(rules_version=rules.version)).count()
    total = heads.count()
    return Progress(total - left, total)


@transaction.atomic
def change(actor: Actor, fleet: Fleet, wanted: TripSettings) -> TripRules:
    """Raises ValidationError by field. The trips that the old settings found stand until the new ones are found."""
    Fleet.objects.select_for_update(no_key=True).get(pk=fleet.pk)
    rules = of(fleet)
    old, new = asdict(settings_of(rules)), asdict(wanted)
    if old == new:
        return rules
    for name, value in new.items():
        setattr(rules, name, value)
    rules.clean_fields()
    if rules.longest_gap_s < rules.gap_s:
        raise ValidationError({"longest_gap_s": "Not shorter than the silence that ends a trip."})
    rules.version += 1
    rules.save()
    audit.record(actor, "trip_rules.changed", rules, fleet, (old, new))
    return rules
