"""Drives of the demo fleet, as the edge of a car sends them."""

from itertools import islice

from edge.drive import Choice, Drive
from edge.protocol.encoder import Encoder
from edge.protocol.telemetry_pb2 import Telemetry
from tests.environment import ROOT
from tests.world import Car

DRIVE = ROOT / "edge/drives/berlin/berlin-01.csv.gz"


def recorded(car: Car, count: int, start: float) -> list[Telemetry]:
    """The first so many records, the first of them at `start` (Unix seconds)."""
    encoder = Encoder(car.vin)
    rows = list(islice(Drive(DRIVE, Choice()).rows(), count))
    return [encoder.encode(start + row.time - rows[0].time, row.readings) for row in rows]
