"""From simulated seconds to the rows of a drive file: electrical, thermal and odometer signals on top of the motion."""

import math
from collections.abc import Sequence

from edge.drives.simulate import Sample
from edge.drives.vehicles import Vehicle

COLUMNS = {  # name on the wire -> decimals in the file
    "t_s": 0,
    "latitude": 6,
    "longitude": 6,
    "speed": 2,
    "heading": 1,
    "acceleration": 2,
    "battery": 2,
    "power": 2,
    "voltage": 1,
    "current": 1,
    "odometer": 3,
    "battery_temperature": 1,
    "outdoor_temperature": 1,
    "ignition": 0,
}
PARKED_FIRST_S = 5
PARKED_LAST_S = 10
_STANDING_MS = 0.05
_ASLEEP_KW = 0.03
_OUTDOOR_C = 11.4
_RESISTANCE_OHM = 0.075
_THERMAL_MASS_J_K = 5_500  # per kWh of battery
_COOLING_W_K = 12.0


def rows(vehicle: Vehicle, samples: Sequence[Sample], convergence: float) -> list[dict[str, float]]:
    """One row a second, parked at both ends."""
    seconds = _with_parking(_until_home(samples))
    last = len(seconds) - 1
    soc, odometer = vehicle.soc_start, vehicle.odometer_km
    warmth = 19.0 + vehicle.number % 5
    heading = _heading(seconds[0].angle, convergence)
    speed = 0.0
    result: list[dict[str, float]] = []
    for second, sample in enumerate(seconds):
        before = seconds[max(second - 1, 0)]
        previous, speed = speed, _speed(sample)
        heading = _heading(sample.angle, convergence) if speed else heading
        ignition = PARKED_FIRST_S <= second <= last - PARKED_LAST_S
        traction = (sample.energy_wh - before.energy_wh) * 3.6
        power = round(traction + vehicle.auxiliary_kw, 2) if ignition else _ASLEEP_KW
        soc -= power / 36 / vehicle.model.battery_kwh
        odometer += (previous + speed) / 2 / 3600
        voltage = round(_voltage(soc, power), 1)
        current = round(power * 1000 / voltage, 1)
        outdoor = _OUTDOOR_C + 0.05 * vehicle.number + 0.5 * math.sin(2 * math.pi * second / last)
        warmth += _warming(vehicle, current, warmth - outdoor)
        acceleration = (speed - previous) / 3.6
        motion = (sample.lat, sample.lon, speed, heading, acceleration)
        electric = (soc, power, voltage, current, odometer, warmth, outdoor, ignition)
        result.append(dict(zip(COLUMNS, (second, *motion, *electric), strict=True)))
    return result


def text(row: dict[str, float]) -> str:
    """A row as a CSV line; a rounded minus zero loses its sign."""
    return ",".join(f"{round(row[name], places) + 0.0:.{places}f}" for name, places in COLUMNS.items())


def _until_home(samples: Sequence[Sample]) -> list[Sample]:
    """Cut what follows the first second of the last stop."""
    end = max(index for index, sample in enumerate(samples) if sample.speed_ms < _STANDING_MS)
    while samples[end - 1].speed_ms < _STANDING_MS:
        end -= 1
    return list(samples[: end + 1])


def _with_parking(samples: list[Sample]) -> list[Sample]:
    return [samples[0]] * PARKED_FIRST_S + samples + [samples[-1]] * (PARKED_LAST_S + 1)


def _speed(sample: Sample) -> float:
    return 0.0 if sample.speed_ms < _STANDING_MS else round(sample.speed_ms * 3.6, 2)


def _heading(angle: float, convergence: float) -> float:
    """SUMO's angle is clockwise from the north of its grid; turn it to true north."""
    return round((angle + convergence) % 360, 1) % 360


def _voltage(soc: float, power_kw: float) -> float:
    """Terminal voltage of a pack with an inner resistance, from P = U * (U0 - U) / R."""
    resting = 340 + 0.40 * soc + 8 * (soc / 100) ** 3
    return (resting + math.sqrt(resting**2 - 4 * _RESISTANCE_OHM * power_kw * 1000)) / 2


def _warming(vehicle: Vehicle, current: float, above_outdoor: float) -> float:
    loss = _RESISTANCE_OHM * current**2 - _COOLING_W_K * above_outdoor
    return loss / (_THERMAL_MASS_J_K * vehicle.model.battery_kwh)
