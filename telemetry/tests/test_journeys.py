"""Stored trips, stops and charging sessions: what ends and joins them, late records, other rules, and what it costs."""

import random
from datetime import UTC, datetime

import pytest
from pytest_django import Settings as DjangoSettings

from edge.protocol.telemetry_pb2 import Telemetry
from fleet.audit import Actor
from fleet.journeys import triprules
from fleet.journeys.tripfinder import TripSettings
from fleet.models import AuditEntry, ChargingSession, Stop, TouchedDay, Trip, TripHead, TripMark, TripRules
from telemetry.derivation import derive, journeys, samples
from telemetry.derivation.samples import Page, Wanted
from telemetry.derivation.touched import PACED
from telemetry.models import Paced
from telemetry.tests.test_drain_faults import statements
from tests.deliveries import deliver, derive_all, drain_all
from tests.drives import START
from tests.journeys import head, spans, stored
from tests.rules import at
from tests.world import Car, make_car

Leg = tuple[int, float]
"""Seconds, and metres a second; silence where that is negative."""


def driven(*legs: Leg, start: float = 0.0, every: int = 10, **values: float) -> list[Telemetry]:
    """Northwards; `values` go with every record."""
    found, now, latitude = [], start, 50.0
    for seconds, mps in legs:
        for second in range(0, seconds, every):
            if mps >= 0:
                found.append(at(now + second, speed=mps * 3.6, latitude=latitude, longitude=8.0, **values))
            latitude += abs(mps) * every / 111_195
        now += seconds
    return found


def send(car: Car, *messages: Telemetry) -> None:
    deliver(car, messages)
    drain_all()
    derive_all()


class TestWhatIsFound:
    def test_a_trip_between_two_stops(self, car: Car) -> None:
        send(car, *driven((100, 0), (600, 10), (300, 0), power=12.0, battery=80.0, odometer=7.0))
        trip = Trip.objects.get()
        assert spans(car, START) == [(90, 700)]
        assert trip.distance_m == pytest.approx(6_000, abs=60) and trip.distance_source == "speed"
        assert (trip.moving_s, trip.idle_s, trip.unheard_s) == (600.0, 10.0, 0.0)
        assert trip.max_speed_mps == pytest.approx(10) and trip.fleet_id == car.vehicle.fleet_id
        assert trip.energy_wh == pytest.approx(12_000 * 610 / 3600)
        assert trip.kwh_per_100_km == pytest.approx(33.9, abs=0.5)
        assert (trip.battery_from_percent, trip.battery_to_percent, trip.reconstructed) == (80.0, 80.0, 0)
        before, after = Stop.objects.order_by("started_at")
        assert before.ended_at == trip.started_at and before.begin_unknown and before.settled_at
        assert after.started_at == trip.ended_at and after.settled_at is None and after.idle_s is None
        assert TouchedDay.objects.filter(part="driving").exists()

    def test_charging_ends_a_trip_and_is_a_session(self, car: Car) -> None:
        send(car, *driven((300, 15), charging=0.0))
        hour = [at(300 + n * 60, speed=0.0, charging=1.0, power=-11.0, battery=50 + n / 4) for n in range(60)]
        send(car, *hour[:30])
        assert ChargingSession.objects.get().settled_at is None
        send(car, *hour[30:], *driven((300, 15), start=3_900, charging=0.0))
        session = ChargingSession.objects.get()
        assert session.settled_at and session.told_by == "signal"
        assert session.energy_wh == pytest.approx(11_000 * 59 / 60) and session.max_power_w == 11_000
        assert (session.battery_from_percent, session.battery_to_percent) == (50.0, 64.75)
        assert Trip.objects.count() == 2

    def test_a_charge_that_rises_while_it_stands_is_one_too(self, car: Car) -> None:
        levels = [40.0, 40.0, *(41.0 + n for n in range(10)), *[50.0] * 20]
        send(car, *(at(n * 300, speed=0.0, battery=level) for n, level in enumerate(levels)))
        session = ChargingSession.objects.get()
        assert (session.battery_from_percent, session.battery_to_percent) == (40.0, 50.0)
        assert session.told_by == "level" and session.energy_wh is None and session.settled_at

    def test_a_tunnel_is_driven_through_and_an_offline_night_is_not(self, car: Car) -> None:
        send(car, *driven((300, 20), (900, -20), (300, 20)))
        assert spans(car, START) == [(0, 1490)] and Trip.objects.get().unheard_s == pytest.approx(910)
        night = driven((300, 20), start=40_000)
        send(car, *night)
        assert len(spans(car, START)) == 2
        (stop,) = Stop.objects.all()
        assert stop.unheard_s > 30_000 and stop.moved_m and stop.moved_m > 10_000

    def test_midnight_cuts_nothing(self, car: Car) -> None:
        midnight = datetime.fromtimestamp(START, UTC).replace(hour=0, minute=0, second=0).timestamp() - START
        send(car, *driven((1200, 10), start=midnight - 600))
        trip = Trip.objects.get()
        assert trip.started_at.date() != trip.ended_at.date()
        days = TouchedDay.objects.filter(part="driving").values_list("day", flat=True)
        assert {trip.started_at.date(), trip.ended_at.date()} <= set(days)

    def test_a_clock_that_jumps_ahead_and_back_spoils_nothing(self, car: Car) -> None:
        usual = make_car()
        drive = driven((60, 0), (900, 10), (400, 0))
        send(usual, *drive)
        for part in range(0, len(drive), 15):
            send(car, *drive[part : part + 15])
            if part == 30:
                send(car, at(5_000_000, speed=50.0))
        assert stored(car)["Trip"] == stored(usual)["Trip"]

    def test_what_is_no_vehicle_drives_nowhere(self, car: Car) -> None:
        type(car.vehicle).objects.filter(pk=car.vehicle.pk).update(kind="gateway")
        send(car, *driven((600, 10)))
        assert not Trip.objects.exists() and not TripHead.objects.exists() and not Paced.objects.exists()


class TestLateRecords:
    def test_they_join_what_silence_had_parted_and_its_page_stays(self, car: Car) -> None:
        whole = driven((3_000, 12), every=10)
        first, middle, last = whole[:100], whole[100:200], whole[200:]
        send(car, *first)
        send(car, *driven((300, 0), start=40_000))
        send(car, *last)
        known = list(Trip.objects.order_by("started_at").values_list("pk", flat=True))
        assert len(known) == 1  # it drove on through the silence
        send(car, *middle[20:])
        send(car, *middle)
        assert list(Trip.objects.values_list("pk", flat=True)) == known
        usual = make_car()
        send(usual, *whole, *driven((300, 0), start=40_000))
        assert stored(car) == stored(usual) and head(car) == head(usual)

    def test_only_their_own_window_is_read(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ten trips, then one record within the second."""
        monkeypatch.setattr(journeys, "MARK_EVERY", 20)
        trips = [driven((60, 0), (600, 10), (600, 0), start=n * 2_000) for n in range(10)]
        for trip in trips:
            send(car, *trip)
        assert Trip.objects.count() == 10
        read: list[int] = []
        genuine = samples.read

        def watched(wanted: list[Wanted], limit: int) -> dict[int, Page]:
            pages = genuine(wanted, min(limit, 40))
            read.extend(len(page.samples) for page in pages.values())
            return pages

        monkeypatch.setattr(samples, "read", watched)
        before = stored(car)
        send(car, at(2_305, speed=72.0))
        assert sum(read) <= 200 < sum(map(len, trips))
        after = stored(car)
        assert [a == b for a, b in zip(before["Trip"], after["Trip"], strict=True)] == [True, False] + [
            True
        ] * 8
        assert TripMark.objects.count() <= 1_260 / 20 + 2
        assert not TripHead.objects.get().behind and not Paced.objects.exists()

    def test_any_pieces_in_any_order(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journeys, "MARK_EVERY", 7)
        monkeypatch.setattr(journeys, "LEAST", 1)
        monkeypatch.setattr(journeys, "FIRST", 3)
        monkeypatch.setattr(journeys, "PAGES", 2)
        drive = driven(
            (60, 0), (300, 10), (90, 0), (200, 8), (800, -1), (400, 0), (50, 3), (400, 0), (500, 9)
        )
        send(car, *drive)
        whole = stored(car)
        assert len(whole["Trip"]) == 2
        for seed in range(6):
            chance, other = random.Random(seed), make_car()
            rest = list(drive)
            chance.shuffle(rest)
            while rest:
                size = chance.randint(1, 60)
                part, rest = rest[:size], rest[size:]
                send(other, *part, *part[:2])
            assert stored(other) == whole, seed
            assert head(other) == head(car), seed


class TestOtherRules:
    def change(self, car: Car, **values: float) -> TripRules:
        return triprules.change(Actor("a test"), car.vehicle.fleet, TripSettings(**values))

    def test_everything_is_found_anew_in_steps(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journeys, "LEAST", 1)
        monkeypatch.setattr(journeys, "FIRST", 20)
        monkeypatch.setattr(journeys, "PAGES", 1)
        send(car, *driven((600, 10), (240, 0), (600, 10), (240, 0)))
        assert len(spans(car, START)) == 2
        rules = self.change(car, stop_s=300.0)
        assert triprules.progress(rules) == triprules.Progress(0, 1)
        assert AuditEntry.objects.get(action="trip_rules.changed").after == {"stop_s": 300.0}
        assert journeys.backlog() == [car.vehicle.pk % 2]
        derive_all()
        assert spans(car, START) == [(0, 1440)] and triprules.progress(rules).percent == 100
        self.change(car, stop_s=180.0)
        derive_all()
        assert len(spans(car, START)) == 2 and Stop.objects.count() == 2

    def test_what_retention_dropped_is_not_forgotten(self, car: Car, settings: DjangoSettings) -> None:
        send(car, *driven((600, 10), (240, 0)))
        Trip.objects.update(
            started_at=datetime(2020, 1, 1, tzinfo=UTC), settled_at=datetime(2020, 1, 2, tzinfo=UTC)
        )
        settings.TELEMETRY_RETENTION_MONTHS = 12
        self.change(car, stop_s=200.0)
        derive_all()
        assert Trip.objects.filter(started_at__year=2020).exists() and Trip.objects.count() == 2


class TestCost:
    def test_the_same_statements_for_two_vehicles_or_twenty(self, db: None) -> None:
        def derived(count: int) -> int:
            cars = [make_car() for _ in range(count)]
            for start in (0, 400):
                for one in cars:
                    deliver(one, driven((400, 10), start=start))
                drain_all()
                if not start:
                    derive_all()
            return statements(derive_all)

        derived(1)
        few, many = derived(2), derived(20)
        assert many <= few + 24 and many <= 80, (few, many)  # SQLite reads each vehicle's records alone

    def test_vehicles_are_looked_at_when_their_time_has_come(self, car: Car) -> None:
        deliver(car, driven((400, 10)))
        drain_all()
        derive.derive(car.vehicle.pk % 2, lane=PACED)
        assert not Trip.objects.exists() and Paced.objects.exists() and derive.waiting(PACED) == []
        Paced.objects.update(due_us=0)
        assert derive.waiting(PACED) == [car.vehicle.pk % 2]


def test_a_moment_told_twice_is_one_sample(car: Car) -> None:
    send(car, at(0, speed=36.0), at(0, battery=50.0), at(0, speed=36.0))
    (sample,) = samples.read([Wanted(car.vehicle.pk, 0, 2 * round(START * 1e6))], 10)[car.vehicle.pk].samples
    assert (sample.speed_mps, sample.battery_percent) == (10.0, 50.0)
