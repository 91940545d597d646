"""Adding, changing and retiring vehicles, the same for the API and the pages, and recorded in the audit trail."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from fleet.audit import Actor, record
from fleet.models import Fleet, Kind, Vehicle
from fleet.privacy import spans

MAX_LABELS, LABEL_LENGTH = 20, 40
_EARLIEST_YEAR, _LATEST_YEAR = 1900, 2100


@dataclass(frozen=True, slots=True)
class Facts:
    """What people say about a vehicle. An empty VIN means none is known."""

    name: str = ""
    vin: str = ""
    plate: str = ""
    model: str = ""
    model_year: int | None = None
    labels: tuple[str, ...] = ()
    kind: str = Kind.VEHICLE

    @classmethod
    def of(cls, vehicle: Vehicle) -> "Facts":
        return cls(
            vehicle.name, vehicle.vin or "", vehicle.plate, vehicle.model, vehicle.model_year,
            tuple(vehicle.labels), vehicle.kind,
        )  # fmt: skip


FACTS = tuple(field.name for field in fields(Facts))


def add(actor: Actor, fleet: Fleet, facts: Facts) -> Vehicle:
    """A new vehicle under a free short name. Raises ValidationError by field name."""
    vehicle = Vehicle(fleet=fleet, slug="new")
    _apply(vehicle, facts)
    with transaction.atomic():
        # One new vehicle of a fleet at a time: two of one name get two short names.
        Fleet.objects.select_for_update().get(pk=fleet.pk)
        vehicle.slug = free_slug(fleet, facts.name)
        _save(vehicle, force_insert=True)
        spans.take_in(vehicle)
        record(actor, "vehicle.added", vehicle, fleet, ({}, {"slug": vehicle.slug, **_told(facts)}))
    return vehicle


def change(actor: Actor, vehicle: Vehicle, **wanted: Any) -> Vehicle:
    """`wanted`: fields of Facts. Its short name stays, because addresses hold it. Raises ValidationError."""
    with transaction.atomic():
        locked = Vehicle.objects.select_for_update().get(pk=vehicle.pk)
        before = Facts.of(locked)
        after = replace(before, **wanted)
        if after == before:
            return locked
        _apply(locked, after)
        _save(locked, update_fields=list(FACTS))
        record(actor, "vehicle.changed", locked, vehicle.fleet, (_told(before), _told(after)))
    return locked


def retire(actor: Actor, vehicle: Vehicle) -> Vehicle:
    """Out of lists and off the map, its devices refused; history stays. Again: nothing more."""
    return _set_retired(actor, vehicle, True)


def revive(actor: Actor, vehicle: Vehicle) -> Vehicle:
    """Back in service; the tokens of its devices work again as far as they were not revoked."""
    return _set_retired(actor, vehicle, False)


def checked_labels(labels: Any) -> tuple[str, ...]:
    """Trimmed, without empty and repeated ones, in order. Raises ValidationError."""
    if not isinstance(labels, list | tuple) or not all(isinstance(label, str) for label in labels):
        raise ValidationError("Send a list of words.")
    found = tuple(dict.fromkeys(filter(None, (" ".join(label.split()) for label in labels))))
    if any("\0" in label or "," in label for label in found):
        raise ValidationError("A label holds no comma.")
    if len(found) > MAX_LABELS or any(len(label) > LABEL_LENGTH for label in found):
        raise ValidationError(f"At most {MAX_LABELS} labels of {LABEL_LENGTH} characters each.")
    return found


def free_slug(fleet: Fleet, name: str) -> str:
    """The name for addresses, numbered where this fleet has it already."""
    wanted = slugify(name)[:60] or "vehicle"
    taken = set(fleet.vehicles.filter(slug__startswith=wanted).values_list("slug", flat=True))
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(slug for slug in numbered if slug not in taken)


def _set_retired(actor: Actor, vehicle: Vehicle, retired: bool) -> Vehicle:
    with transaction.atomic():
        locked = Vehicle.objects.select_for_update().get(pk=vehicle.pk)
        if (locked.retired_at is not None) == retired:
            return locked
        locked.retired_at = timezone.now() if retired else None
        locked.save(update_fields=["retired_at"])
        action = "vehicle.retired" if retired else "vehicle.revived"
        record(actor, action, locked, vehicle.fleet, ({"retired": not retired}, {"retired": retired}))
    return locked


def _apply(vehicle: Vehicle, facts: Facts) -> None:
    for name, value in asdict(facts).items():
        setattr(vehicle, name, value.strip() if isinstance(value, str) else value)
    vehicle.vin = facts.vin.strip().upper() or None
    try:
        vehicle.labels = list(checked_labels(facts.labels))
    except ValidationError as error:
        raise ValidationError({"labels": error.messages}) from None
    year = vehicle.model_year
    if year is not None and not _EARLIEST_YEAR <= year <= _LATEST_YEAR:
        raise ValidationError({"model_year": f"Must be between {_EARLIEST_YEAR} and {_LATEST_YEAR}."})


def _save(vehicle: Vehicle, **how: Any) -> None:
    vehicle.clean_fields(exclude=["fleet"])
    if vehicle.vin and Vehicle.objects.filter(vin=vehicle.vin).exclude(pk=vehicle.pk).exists():
        raise _vin_taken()
    try:
        with transaction.atomic():
            vehicle.save(**how)
    except IntegrityError:  # somebody was quicker
        raise _vin_taken() from None


def _vin_taken() -> ValidationError:
    return ValidationError({"vin": "Another vehicle has this VIN; each VIN is one vehicle."})


def _told(facts: Facts) -> dict[str, Any]:
    return {**asdict(facts), "labels": list(facts.labels)}
