"""Which signals a device without streams usually sends, so that an answer can count what was left out.

Only for the answer's numbers; reconstruction keeps its own state. One small entry per device and process.
"""

from edge.protocol.content import signals_of
from edge.protocol.signals import mask_of
from edge.protocol.telemetry_pb2 import Telemetry
from telemetry.models import Stream

_LIMIT = 100_000
_masks: dict[int, int] = {}


def omitted_in(device_id: int, message: Telemetry) -> int:
    """How many signals this device has sent before are absent now. Remembers the message's."""
    sent = signals_of(message)[0].mask
    seen = _masks.get(device_id, 0)
    _masks[device_id] = seen | sent
    return (seen & ~sent).bit_count()


def is_loaded(device_id: int) -> bool:
    return device_id in _masks


def load(device_id: int) -> None:
    """Start from the device's stored state. One query; transports call it for a device new to the process."""
    stored = Stream.objects.filter(device_id=device_id, stream_id=0).values_list("decoder", flat=True).first()
    if len(_masks) >= _LIMIT:
        _masks.clear()
    _masks[device_id] = mask_of([int(number) for number in (stored or {}).get("state", {})])


def forget() -> None:
    _masks.clear()
