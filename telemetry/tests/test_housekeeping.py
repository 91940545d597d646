"""What is forgotten in time, and what never is."""

from datetime import timedelta

from django.utils import timezone

from edge.protocol.telemetry_pb2 import Telemetry
from telemetry import housekeeping
from telemetry.models import Frame, Gap, HeldFrame, Stream, TelemetryRecord
from tests.deliveries import deliver, drain_all
from tests.drives import START, drive, encode
from tests.world import Car, make_car


def age_everything(days: int) -> None:
    moment = timezone.now() - timedelta(days=days)
    HeldFrame.objects.update(received_at=moment)
    Gap.objects.update(opened_at=moment)
    Stream.objects.update(updated_at=moment)


def gappy(car: Car, settings: object) -> None:
    settings.TELEMETRY_GAP_WAIT_S = 0  # type: ignore[attr-defined]
    messages = encode(car.vin, drive(9), keyframe_every=5)
    deliver(car, [messages[0], messages[2], *messages[5:7], messages[8]])
    deliver(car, [Telemetry(timestamp=START, speed=1)])
    drain_all()


def test_young_gaps_and_held_records_stay(car: Car, settings: object) -> None:
    gappy(car, settings)
    age_everything(29)
    housekeeping.prune(timezone.now(), 30)
    assert (Gap.objects.count(), HeldFrame.objects.count(), Stream.objects.count()) == (1, 2, 2)


def test_old_ones_go_but_history_and_the_state_without_stream_stay(car: Car, settings: object) -> None:
    gappy(car, settings)
    age_everything(31)
    housekeeping.prune(timezone.now(), 30)
    assert (Gap.objects.count(), HeldFrame.objects.count()) == (0, 0)
    assert list(Stream.objects.values_list("stream_id", flat=True)) == [0]
    assert TelemetryRecord.objects.count() == 6


def test_late_record_of_a_forgotten_gap_is_stored_as_it_was_sent(car: Car, settings: object) -> None:
    settings.TELEMETRY_GAP_WAIT_S = 0  # type: ignore[attr-defined]
    messages = encode(car.vin, drive(9), keyframe_every=5)
    deliver(car, [messages[0], *messages[5:]])
    drain_all()
    Gap.objects.update(opened_at=timezone.now() - timedelta(days=31))
    housekeeping.prune(timezone.now(), 30)
    deliver(car, messages)
    drain_all()
    assert TelemetryRecord.objects.count() == 9 and Frame.objects.count() == 0


def test_oldest_frame(db: None) -> None:
    assert housekeeping.oldest_frame_age(timezone.now()) is None
    car = make_car()
    deliver(car, encode(car.vin, drive(2)))
    age = housekeeping.oldest_frame_age(timezone.now() + timedelta(seconds=90))
    assert age is not None and 89 < age < 95
