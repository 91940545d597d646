"""Private time of every kind over real drives: what is stored of them is the same whatever came when, records and what
says that they are private; and it is what the drive without private time says, without the places.

PRIVATE_DRAWS: how many draws of private time, two by default; each is told in three orders.
"""

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from edge.drive import Row
from fleet.audit import SYSTEM
from fleet.behaviour import assignments
from fleet.journeys.trips import TripTold, keep
from fleet.models import (
    Driver,
    Geofence,
    PrivateKind,
    PrivateRule,
    PrivateSpan,
    TripSummary,
    VehicleState,
    Visit,
)
from fleet.privacy import spans
from fleet.privacy.masks import PLACE, TRIP
from telemetry.derivation.fencing import stay_of
from tests.deliveries import deliver, derive_all, drain_all, time_is_up
from tests.driving import events_of, judge
from tests.fences import expected, make_fence
from tests.journeys import stored
from tests.rules import LONG_AGO, nothing_touched
from tests.test_stored_trips import encoded, several, small_steps
from tests.world import Car, make_car

__all__ = ["small_steps"]  # a fixture
DRAWS = int(os.environ.get("PRIVATE_DRAWS", "2"))
PRIVATE_DRIVER = "ada"
Act = Callable[[], object]
Stretch = tuple[datetime, datetime]


@dataclass(frozen=True)
class Drawn:
    """When what was private, in event time."""

    switch: Stretch
    hours: Stretch
    """Whole minutes of one day."""
    trip: Stretch
    assigned: Stretch

    @classmethod
    def over(cls, rows: list[Row], chance: random.Random) -> "Drawn":
        first, last = rows[0].time, rows[-1].time
        places = [row.time for row in rows]

        def stretch(share: float) -> Stretch:
            """Around some record, of a share of the time: some hold a drive, others a moment."""
            middle, half = chance.choice(places), chance.uniform(1, share * (last - first))
            return datetime.fromtimestamp(middle - half, UTC), datetime.fromtimestamp(middle + half, UTC)

        begin = stretch(0.02)[0].replace(second=0, microsecond=0)
        end = min(begin + timedelta(minutes=chance.choice([1, 4, 30])), begin.replace(hour=23, minute=59))
        return cls(
            stretch(0.05), (begin, max(end, begin + timedelta(minutes=1))), stretch(0.1), stretch(0.05)
        )


class Told:
    """A car and what is told of it: batches of records, and who drove or switched what."""

    def __init__(self, rows: list[Row], drawn: Drawn, name: str) -> None:
        self.car: Car = make_car(name, "van")
        self.vehicle, self.fleet, self.drawn = self.car.vehicle, self.car.vehicle.fleet, drawn
        self.ada = Driver.objects.create(fleet=self.fleet, slug=PRIVATE_DRIVER)
        judge(self.car, speed_limit_kmh=40.0, acceleration_m_s2=1.2, braking_m_s2=1.2, idling_from_s=30.0)
        self.fences = [self.fence(rows[len(rows) * part // 7]) for part in range(7)]
        *batches, self.newest = encoded(self.car, rows)
        self.batches: list[Act] = [partial(deliver, self.car, batch) for batch in batches]

    def fence(self, row: Row) -> Geofence:
        place = [row.readings["longitude"], row.readings["latitude"]]
        return make_fence(self.car, geometry={"type": "Point", "coordinates": place}, hysteresis_m=20.0)

    def facts(self) -> list[Act]:
        ends = {"since": self.drawn.switch[0], "until": self.drawn.switch[1]}
        hour = self.drawn.hours
        schedule = [
            {"days": [1, 2, 3, 4, 5, 6, 7], "from": f"{hour[0]:%H:%M}", "to": f"{hour[1]:%H:%M}"},
        ]
        day = {"since": hour[0] - timedelta(hours=12), "until": hour[0] + timedelta(hours=12)}
        return [
            lambda: self.rule(PrivateKind.SWITCH, vehicle=self.vehicle, **ends),
            lambda: self.rule(PrivateKind.SCHEDULE, hours=schedule, **day),
            lambda: self.rule(PrivateKind.DRIVER, driver=self.ada, since=LONG_AGO),
            lambda: self.sum_up(over=False),
            lambda: self.sum_up(over=True),
            lambda: assignments.add(SYSTEM, assignments.Wish(self.vehicle, self.ada, *self.drawn.assigned)),
        ]

    def rule(self, kind: PrivateKind, **fields: Any) -> None:
        with transaction.atomic():
            spans.renew([PrivateRule.objects.create(fleet=self.fleet, kind=kind, **fields)])

    def sum_up(self, *, over: bool) -> None:
        start, end = self.drawn.trip
        place = dict.fromkeys(TRIP, 1.5)
        values = {"driver_id": PRIVATE_DRIVER, "metadata": {"lat": 1.5}, **place}
        keep(self.vehicle, [TripTold("one", start, end if over else None, values)])

    def play(self, acts: Iterable[Act], chance: random.Random | None = None) -> "Told":
        """The newest records last: a place that was hidden for a while is shown again with the first record after."""
        for act in acts:
            act()
            drain_all()
            if chance is None or chance.random() < 0.5:
                derive_all()
        deliver(self.car, self.newest)
        drain_all()
        time_is_up()
        drain_all()
        derive_all()
        assert nothing_touched()
        return self

    def spans(self) -> list[tuple[Any, ...]]:
        rows = PrivateSpan.objects.filter(vehicle=self.vehicle)
        return sorted(rows.values_list("rule__kind", "summary__trip_id", "begins_at", "ends_at"), key=repr)

    def visits(self) -> list[list[Any]]:
        return [
            [stay_of(row) for row in Visit.objects.filter(geofence=fence).order_by("entered_at")]
            for fence in self.fences
        ]

    def picture(self) -> dict[str, Any]:
        own = {"vehicle_id", "fleet_id"}
        events = [{name: event[name] for name in event if name not in own} for event in events_of(self.car)]
        state = VehicleState.objects.filter(vehicle=self.vehicle)
        told = TripSummary.objects.filter(vehicle=self.vehicle)
        return {
            **stored(self.car),
            "events": events,
            "spans": self.spans(),
            "visits": self.visits(),
            "state": list(state.values("time", "place_time", "values", "further", *PLACE, "heading_deg")),
            "summaries": list(told.values("trip_id", "end_time", "metadata", *TRIP)),
        }


def blanked(plain: list[dict[str, Any]], told: Told, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of the drive without private time as they should be with it."""
    private = [(begin, end) for _, _, begin, end in told.spans()]
    found = []
    for row in plain:
        meets = any(begin <= row["ended_at"] and end > row["started_at"] for begin, end in private)
        found.append(row | (dict.fromkeys(names) if meets else {}))
    return found


def told_of(told: Told, stays: list[Any]) -> list[Any]:
    """Without those that no record tells of and that begin and end in private time."""

    def private(at_us: int) -> bool:
        return any(b.timestamp() * 1e6 <= at_us < e.timestamp() * 1e6 for _, _, b, e in told.spans())

    def unseen(stay: Any) -> bool:
        return stay.first_us is None and stay.left_us is not None

    return [one for one in stays if not (unseen(one) and private(one.entered_us) and private(one.left_us))]


@pytest.mark.parametrize("seed", range(DRAWS))
def test_any_order_of_records_and_of_what_makes_them_private(seed: int, db: None) -> None:
    chance = random.Random(seed)
    folder = ("rsk_twizy", "envirocar", "ndsbr")[seed % 3]
    rows = [row for row in several(folder, 2, 160) if {"latitude", "longitude"} <= row.readings.keys()]
    drawn = Drawn.over(rows, chance)
    plain = Told(rows, drawn, f"plain-{seed}")
    without = plain.play(plain.batches).picture()
    known = Told(rows, drawn, f"known-{seed}")
    wanted = known.play([*known.facts(), *known.batches]).picture()
    for name, places in (("Trip", TRIP), ("Stop", PLACE), ("ChargingSession", PLACE), ("events", PLACE)):
        assert wanted[name] == blanked(without[name], known, places), name
    assert wanted["visits"] == [told_of(known, expected(fence, known.car)) for fence in known.fences]
    assert {kind for kind, *_ in wanted["spans"]} >= {"switch", "schedule", "driver"}
    assert wanted["Trip"] != without["Trip"] and wanted["visits"] != without["visits"], "nothing to compare"
    later = Told(rows, drawn, f"later-{seed}")
    assert later.play([*later.batches, *later.facts()]).picture() == wanted
    mixed = Told(rows, drawn, f"mixed-{seed}")
    acts = [*mixed.batches, *mixed.facts()]
    chance.shuffle(acts)
    again = [*mixed.batches[:3], lambda: mixed.sum_up(over=True), lambda: mixed.sum_up(over=False)]
    assert mixed.play([*acts, *again], chance).picture() == wanted
