"""Drive the tours in SUMO, among other traffic, and read back what happened, second by second."""

import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from edge.drives.network import Network, Tour, sumo_home
from edge.drives.vehicles import Vehicle

SEED = 20260
STEP_S = 0.2
_WARM_UP_S = 240
_END_S = 2400
_TRAFFIC_EVERY_S = 2.6
_ROUTE_FILE, _FCD_FILE, _BATTERY_FILE = "routes.xml", "fcd.xml", "battery.xml"


@dataclass(frozen=True)
class Sample:
    """One second of one vehicle; energy_wh is the net traction energy since the start."""

    lon: float
    lat: float
    speed_ms: float
    angle: float
    energy_wh: float


def simulate(network: Network, fleet: tuple[Vehicle, ...], folder: Path) -> dict[str, list[Sample]]:
    """Run everybody in one simulation and return the samples of each vehicle, by slug."""
    routes = [*_type_lines(fleet), *_departures(network, fleet)]
    (folder / _ROUTE_FILE).write_text("\n".join(["<routes>", *routes, "</routes>"]), encoding="utf-8")
    _run(network, fleet, folder)
    return _read(folder)


def _type_lines(fleet: tuple[Vehicle, ...]) -> Iterator[str]:
    yield (
        '<vType id="other" vClass="passenger" accel="2.2" decel="3.5" sigma="0.5" tau="1.2"'
        ' speedFactor="normc(0.98,0.10,0.75,1.2)"/>'
    )
    for vehicle in fleet:
        model, style = vehicle.model, vehicle.style
        yield (
            f'<vType id="type-{vehicle.slug}" vClass="{model.vclass}" emissionClass="Energy" length="{model.length_m}"'
            f' mass="{model.mass_kg}" accel="{style.accel}" decel="{style.decel}" sigma="{style.sigma}"'
            f' tau="{style.headway}" speedFactor="{style.speed_factor}" speedDev="0" carFollowModel="EIDM">'
        )
        parameters = {
            "has.battery.device": "true",
            "has.fcd.device": "true",
            "device.battery.capacity": model.battery_kwh * 1000,
            "device.battery.chargeLevel": model.battery_kwh * 10 * vehicle.soc_start,
            "frontSurfaceArea": model.front_m2,
            "airDragCoefficient": model.drag,
            "rollDragCoefficient": 0.011,
            "rotatingMass": 40,
            "propulsionEfficiency": 0.9,
            "recuperationEfficiency": 0.72,
            "constantPowerIntake": 0,
        }
        yield from (f'<param key="{key}" value="{value}"/>' for key, value in parameters.items())
        yield "</vType>"


def _departures(network: Network, fleet: tuple[Vehicle, ...]) -> Iterator[str]:
    """Everything that departs, in order of time: SUMO reads its routes sorted."""
    dice = random.Random(SEED)
    traffic = list(_traffic(network, dice))
    drives = [line for vehicle in fleet for line in _drive(vehicle, _plan(network, vehicle))]
    yield from (line for depart, line in traffic if depart < _WARM_UP_S)
    yield from drives
    yield from (line for depart, line in traffic if depart >= _WARM_UP_S)


def _plan(network: Network, vehicle: Vehicle) -> Tour:
    return network.tour(vehicle.model.vclass, vehicle.route_seed, vehicle.plan_s)


def _traffic(network: Network, dice: random.Random) -> Iterator[tuple[float, str]]:
    depart = 0.0
    while depart < _END_S:
        start, end = (network.random_edge("passenger", dice).getID() for _ in range(2))
        line = (
            f'<trip id="other-{depart:.1f}" type="other" depart="{depart:.1f}" departLane="best"'
            f" from={quoteattr(start)} to={quoteattr(end)}/>"
        )
        yield depart, line
        depart += max(0.2, dice.expovariate(1 / _TRAFFIC_EVERY_S))


def _drive(vehicle: Vehicle, tour: Tour) -> Iterator[str]:
    lane = tour.home_lane.rsplit("_", 1)[1]
    yield (
        f'<vehicle id="{vehicle.slug}" type="type-{vehicle.slug}" depart="{_WARM_UP_S}" departLane="{lane}"'
        f' departPos="{tour.home_pos}" departSpeed="0" arrivalPos="{tour.home_pos + 1:.1f}">'
    )
    yield f"<route edges={quoteattr(' '.join(tour.edges))}/>"
    for stop_lane, position, seconds in (*tour.stops, (tour.home_lane, tour.home_pos, 3)):
        yield (
            f'<stop lane={quoteattr(stop_lane)} startPos="{position - 1.5:.1f}" endPos="{position:.1f}"'
            f' duration="{seconds}"/>'
        )
    yield "</vehicle>"


def _run(network: Network, fleet: tuple[Vehicle, ...], folder: Path) -> None:
    options = {
        "net-file": network.path,
        "route-files": folder / _ROUTE_FILE,
        "seed": SEED,
        "end": _END_S,
        "step-length": STEP_S,
        "fcd-output": folder / _FCD_FILE,
        "fcd-output.geo": "true",
        "fcd-output.attributes": "x,y,speed,angle",
        "device.fcd.period": 1,
        "device.fcd.explicit": ",".join(vehicle.slug for vehicle in fleet),
        "battery-output": folder / _BATTERY_FILE,
        "battery-output.precision": 4,
        "precision": 4,
        "precision.geo": 7,
        "time-to-teleport": 150,
        "time-to-teleport.remove": "true",
        "device.rerouting.probability": 0.5,
        "no-step-log": "true",
        "no-warnings": "true",
    }
    command = [str(sumo_home() / "bin" / "sumo")]
    command += [part for key, value in options.items() for part in (f"--{key}", str(value))]
    subprocess.run(
        command, check=True, env={**os.environ, "SUMO_HOME": str(sumo_home())}, stdout=subprocess.DEVNULL
    )


def _read(folder: Path) -> dict[str, list[Sample]]:
    energy: dict[tuple[str, float], float] = {}
    for time, item in _vehicles(folder / _BATTERY_FILE):
        net_wh = float(item["totalEnergyConsumed"]) - float(item["totalEnergyRegenerated"])
        energy[item["id"], time] = net_wh
    samples: dict[str, list[Sample]] = {}
    for time, item in _vehicles(folder / _FCD_FILE):
        sample = Sample(
            lon=float(item["x"]),
            lat=float(item["y"]),
            speed_ms=float(item["speed"]),
            angle=float(item["angle"]),
            energy_wh=energy.get((item["id"], time), 0.0),
        )
        samples.setdefault(item["id"], []).append(sample)
    return samples


def _vehicles(path: Path) -> Iterator[tuple[float, dict[str, str]]]:
    for _, element in ElementTree.iterparse(path):
        if element.tag == "timestep":
            for item in element.iter("vehicle"):
                yield float(element.attrib["time"]), dict(item.attrib)
            element.clear()
