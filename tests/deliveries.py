"""Records through the door and out of the inbox, in this process and without HTTP."""

import time
from collections.abc import Sequence

from django.utils import timezone

from edge.protocol.telemetry_pb2 import Telemetry
from telemetry.derivation.derive import derive, take_up
from telemetry.derivation.touched import PACED
from telemetry.drain import drain
from telemetry.frames import Receipt
from telemetry.ingest import accept
from telemetry.models import Frame, Paced
from telemetry.transports.body import read
from tests.drives import PROTOBUF, batch
from tests.world import Car


def deliver(car: Car, messages: Sequence[Telemetry]) -> Receipt:
    """One request; every record of it is good."""
    delivery = read(batch(messages), PROTOBUF, car.principal, time.time())
    assert not delivery.rejected
    return accept([delivery])[0]


def drain_all() -> int:
    return drain(0) + drain(1)


def time_is_up() -> None:
    """The wait for missing records is over."""
    Frame.objects.update(due_at=timezone.now())


def derive_all() -> None:
    """Rules taken up, and everything that was touched derived from, without waiting for its time."""
    take_up()
    Paced.objects.update(due_us=0)
    for shard in range(2):
        derive(shard)
        derive(shard, lane=PACED)
