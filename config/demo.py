"""What a first start needs: an administrator, a demo fleet, and tokens for the vehicles that are replayed."""

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from devices.models import DeviceToken, digest_of
from devices.provision import VehicleFacts, provision
from fleet import drivers
from fleet.alerting import rules
from fleet.audit import SYSTEM
from fleet.behaviour import assignments
from fleet.geofencing import geofences
from fleet.models import (
    AlertRule,
    FenceKind,
    Fleet,
    Geofence,
    Membership,
    Role,
    RuleKind,
    Severity,
    User,
    Vehicle,
)

DRIVES = Path(settings.BASE_DIR) / "edge" / "drives" / "berlin"
FLEET = "demo"
ADMIN = "admin@example.com"
_NAMES = (
    "Jonas Albrecht", "Mira Brandt", "Emre Demir", "Lotte Ebert", "Tomasz Fiedler", "Nora Graf", "Samuel Hahn",
    "Aylin Kaya", "Pia Lorenz", "Viktor Novak",
)  # fmt: skip


def first_administrator() -> tuple[str, str] | None:
    """E-mail and password of the administrator made just now; None when somebody can log in already."""
    if User.objects.filter(is_superuser=True).exists():
        return None
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    User.objects.create_superuser(
        ADMIN, password, first_name="Fleet", last_name="Admin", time_zone="Europe/Berlin"
    )
    return ADMIN, password


def wanted_vehicles(replay: str) -> int:
    """REPLAY: empty, 1, yes or on means all; 0, no or off none; another number that many."""
    word = replay.strip().lower()
    if word in {"0", "no", "off", "false"}:
        return 0
    return int(word) if word.isdigit() and int(word) > 1 else len(manifest())


def manifest() -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((DRIVES / "manifest.json").read_text("utf-8"))
    return content


def demo_fleet(count: int, folder: Path, url: str) -> dict[str, Any]:
    """The demo fleet with its first `count` vehicles; answers the configuration for `python -m edge fleet`."""
    kept = _kept_tokens(folder / "fleet.json")
    loggers = []
    for drive in manifest()[:count]:
        token = kept.get(drive["vin"])
        if token is None:
            facts = VehicleFacts(
                vin=drive["vin"],
                plate=drive["plate"],
                name=drive["name"],
                model=drive["model"],
                model_year=drive["model_year"],
            )
            token = provision(FLEET, drive["vehicle"], facts, "replay").token
        loggers.append({"source": str(DRIVES / drive["file"]), "token": token, "vin": drive["vin"]})
    fleet = Fleet.objects.get(slug=FLEET)
    if fleet.name == FLEET:
        fleet.name, fleet.time_zone = "Demo fleet Berlin", "Europe/Berlin"
        fleet.save()
        _demo_rules(fleet)
        _demo_geofences(fleet)
        _demo_drivers(fleet)
    for user in User.objects.filter(is_superuser=True):
        Membership.objects.get_or_create(fleet=fleet, user=user, defaults={"role": Role.OWNER})
    return {"url": url, "speed": 1, "with_parent": True, "loggers": loggers}


def _demo_rules(fleet: Fleet) -> None:
    """At the first start only: two that the replayed drives break now and then, and not all of them."""
    fast = AlertRule(
        name="Faster than 55 km/h", kind=RuleKind.OVERSPEED, limit=55, clear=50, min_duration_s=5
    )
    low = AlertRule(
        name="Charge below 35 %", kind=RuleKind.LOW_CHARGE, limit=35, clear=40, auto_resolve=True,
        severity=Severity.INFO,
    )  # fmt: skip
    for rule in (fast, low):
        rule.clean()
        rules.add(SYSTEM, fleet, rules.Wish(rule))


def _demo_geofences(fleet: Fleet) -> None:
    """Likewise: a yard and a quarter that the replayed drives cross."""
    ring = [[13.526, 52.4315], [13.5325, 52.4325], [13.5335, 52.4352], [13.5245, 52.4345], [13.526, 52.4315]]
    depot = Geofence(
        name="Depot", kind=FenceKind.CIRCLE, radius_m=120, dwell_s=120,
        geometry={"type": "Point", "coordinates": [13.533, 52.431]},
    )  # fmt: skip
    quarter = Geofence(
        name="Northern quarter", kind=FenceKind.POLYGON, colour="#b45309",
        geometry={"type": "Polygon", "coordinates": [ring]},
    )  # fmt: skip
    for fence in (depot, quarter):
        fence.fleet = fleet
        fence.clean()
    geofences.add_all(SYSTEM, fleet, [geofences.Wish(fence) for fence in (depot, quarter)])


def _demo_drivers(fleet: Fleet) -> None:
    """Likewise: who has which vehicle, but for the last two, which are the pool's."""
    vehicles = list(Vehicle.objects.filter(fleet=fleet).order_by("pk"))
    for number, (vehicle, name) in enumerate(zip(vehicles, _NAMES, strict=False), 1):
        driver = drivers.add(SYSTEM, fleet, f"driver_{number}", drivers.Facts(name=name))
        assignments.add(SYSTEM, assignments.Wish(vehicle, driver, timezone.now()))


def _kept_tokens(path: Path) -> dict[str, str]:
    """VIN to token of the last start, as far as they still work: a restart must not issue new ones."""
    try:
        loggers = json.loads(path.read_text("utf-8"))["loggers"]
        tokens = {entry["vin"]: entry["token"] for entry in loggers}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    usable = set(
        DeviceToken.objects.filter(
            digest__in=[digest_of(token) for token in tokens.values()], revoked_at=None, device__active=True
        ).values_list("digest", "device__vehicle__vin")
    )
    return {vin: token for vin, token in tokens.items() if (digest_of(token), vin) in usable}
