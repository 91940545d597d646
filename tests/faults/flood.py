"""The real application with a flood behind its sockets: many vehicles that change many times a second.

`python -m config.uvicorn --app tests.faults.flood:application` or `python -m tests.faults.flood PORT` (our daphne).
The flood starts at the first look at /flood and ends after FLOOD_S; then every vehicle's speed is FLOOD_END.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from config.asgi import application as convoy
from edge.protocol.signals import SIGNALS
from telemetry import live
from telemetry.vehicle_state import Update

VEHICLES = 800
PERIOD_S = 0.05
FLOOD_END = 499.0
_started = threading.Event()


def _update(fleet_id: int, vehicle_id: int, speed: float) -> Update:
    now_us = time.time_ns() // 1000
    values = {signal.name: 0.123456 for signal in SIGNALS} | {"speed": speed}
    return Update(
        vehicle_id,
        fleet_id,
        f"v{vehicle_id}",
        f"VIN{vehicle_id}",
        now_us,
        now_us,
        values,
        [],
        "verified",
    )


def _flood(fleet_id: int) -> None:
    end = time.monotonic() + float(os.environ["FLOOD_S"])
    vehicles = list(range(1, VEHICLES + 1))
    count = 0
    while time.monotonic() < end:
        count += 1
        # A fifth of the fleet at a time, as drains do it.
        live.publish([_update(fleet_id, vehicle, count % 100) for vehicle in vehicles[count % 5 :: 5]])
        time.sleep(PERIOD_S)
    live.publish([_update(fleet_id, vehicle, FLOOD_END) for vehicle in vehicles])


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == "/flood" and not _started.is_set():
        _started.set()
        threading.Thread(target=_flood, args=(int(os.environ["FLOOD_FLEET"]),), daemon=True).start()
    await convoy(scope, receive, send)


if __name__ == "__main__":
    from config.daphne import PatientServer

    Path(os.environ["DATA_DIR"]).mkdir(exist_ok=True)
    PatientServer(application, endpoints=[f"tcp:port={sys.argv[1]}:interface=127.0.0.1"], verbosity=0).run()
