"""Which signals a device without streams usually sends, so that an answer can count what was left out.

Only for the answer's numbers; reconstruction keeps its own state. One small entry per device and process.
"""

from edge.protocol.signals import mask_of
from telemetry.frames import Delivery
from telemetry.models import Stream

_LIMIT = 100_000
_masks: dict[int, int] = {}


def skipped_in(delivery: Delivery) -> int:
    """Signals left out of a delivery: as its streams say, and what its device has sent before.

    One query for a device that is new to this process.
    """
    skipped = delivery.skipped
    if delivery.unverified:
        device_id = delivery.arrivals[0].device_id
        seen = _masks[device_id] if device_id in _masks else _load(device_id)
        for mask in delivery.unverified:
            skipped += (seen & ~mask).bit_count()
            seen |= mask
        _masks[device_id] = seen
    return skipped


def _load(device_id: int) -> int:
    stored = Stream.objects.filter(device_id=device_id, stream_id=0).values_list("decoder", flat=True).first()
    if len(_masks) >= _LIMIT:
        _masks.clear()
    return mask_of([int(number) for number in (stored or {}).get("state", {})])


def forget() -> None:
    _masks.clear()
