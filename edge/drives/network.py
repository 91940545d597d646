"""The Berlin street network that comes with SUMO: where one can drive, round tours, and the streets as a map."""

import importlib
import random
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

Point = tuple[float, float]
Edge = Any  # sumolib has no types

_NET = Path("tools/game/DRT/osm.net.xml")
_MAIN_CLASSES = ("motorway", "trunk", "primary", "secondary", "tertiary", "unclassified", "residential")
_MIN_STOP_EDGE_M = 35.0
_MIN_LEG_M = 450.0
_TRIES = 120
_TRAFFIC_FACTOR = 0.62  # what lights, queues and bends leave of the free-flow speed


def sumo_home() -> Path:
    return Path(importlib.import_module("sumo").SUMO_HOME)


@dataclass(frozen=True)
class Tour:
    """A round trip: the edges to drive, and where to wait on the way (edge id, metres along it, seconds)."""

    edges: tuple[str, ...]
    home_lane: str
    home_pos: float
    stops: tuple[tuple[str, float, int], ...]


class Network:
    def __init__(self) -> None:
        self.path = sumo_home() / _NET
        tools = str(sumo_home() / "tools")
        if tools not in sys.path:
            sys.path.append(tools)
        self.net = importlib.import_module("sumolib").net.readNet(str(self.path))
        self._circulation: dict[str, list[Edge]] = {}

    def circulation(self, vclass: str) -> list[Edge]:
        """The edges from which all the others can be reached and which can be reached from all the others."""
        if vclass not in self._circulation:
            edges = [edge for edge in self.net.getEdges() if edge.allows(vclass)]
            ahead = {edge.getID(): [to.getID() for to in edge.getAllowedOutgoing(vclass)] for edge in edges}
            back: dict[str, list[str]] = {name: [] for name in ahead}
            for name, others in ahead.items():
                for other in others:
                    back[other].append(name)
            parts = (_reach(edge.getID(), ahead) & _reach(edge.getID(), back) for edge in edges[::40])
            largest = max(parts, key=len)
            self._circulation[vclass] = [edge for edge in edges if edge.getID() in largest]
        return self._circulation[vclass]

    def random_edge(self, vclass: str, dice: random.Random) -> Edge:
        edges = self.circulation(vclass)
        return dice.choices(edges, weights=[edge.getLength() for edge in edges])[0]

    def tour(self, vclass: str, seed: int, plan_s: int) -> Tour:
        """A round trip that should take about plan_s seconds and never turns on the spot."""
        dice = random.Random(seed)
        while True:
            tour = self._try_tour(vclass, dice, plan_s)
            if tour is not None:
                return tour

    def _try_tour(self, vclass: str, dice: random.Random, plan_s: int) -> Tour | None:
        home = self._stop_edge("passenger", dice)
        edges, stops, clock = [home], [], 20.0
        for _ in range(_TRIES):
            target = self._stop_edge(vclass, dice)
            leg, way_back = self._leg(edges[-1], target, vclass), self._leg(target, home, vclass)
            if leg is None or way_back is None or _length(leg) < _MIN_LEG_M:
                continue
            if clock + _seconds(leg) + _seconds(way_back) > plan_s:
                break
            edges += leg[1:]
            wait = dice.randint(20, 60)
            clock += _seconds(leg) + wait
            stops.append((_lane(target, vclass), round(target.getLength() * dice.uniform(0.5, 0.8), 1), wait))
        else:
            return None
        closing = self._leg(edges[-1], home, vclass)
        if closing is None or len(stops) < 4:
            return None
        edges += closing[1:]
        names = tuple(edge.getID() for edge in edges)
        return Tour(names, _lane(home, vclass), round(home.getLength() * 0.6, 1), tuple(stops))

    def _stop_edge(self, vclass: str, dice: random.Random) -> Edge:
        while True:
            edge = self.random_edge(vclass, dice)
            if edge.getLength() >= _MIN_STOP_EDGE_M and _road_class(edge) not in ("primary", "secondary"):
                return edge

    def _leg(self, start: Edge, end: Edge, vclass: str) -> list[Edge] | None:
        path, _ = self.net.getOptimalPath(start, end, fastest=True, vClass=vclass)
        if path is None or len(path) < 2:
            return None
        turns = any(a.getFromNode() == b.getToNode() for a, b in pairwise(path))
        return None if turns else list(path)

    def streets(self) -> dict[str, list[list[Point]]]:
        """Every drivable street, once, as lines of (lon, lat) by road class."""
        classes: dict[str, set[tuple[Point, Point]]] = {}
        for edge in self.net.getEdges():
            if edge.allows("passenger") or edge.allows("delivery"):
                points = [self._lonlat(point) for point in edge.getRawShape()]
                pairs = {(min(a, b), max(a, b)) for a, b in pairwise(points) if a != b}
                classes.setdefault(_road_class(edge), set()).update(pairs)
        rank = {name: place for place, name in enumerate(_MAIN_CLASSES)}
        ordered = sorted(classes, key=lambda name: (rank.get(name, len(rank)), name))
        return {name: chain(classes[name]) for name in ordered}

    def _lonlat(self, point: Point) -> Point:
        lon, lat = self.net.convertXY2LonLat(*point)
        return round(lon, 5), round(lat, 5)

    def convergence(self) -> float:
        """Degrees by which grid north of the network lies clockwise of true north."""
        x_min, y_min, x_max, y_max = self.net.getBBoxXY()[0] + self.net.getBBoxXY()[1]
        lon, lat = self.net.convertXY2LonLat((x_min + x_max) / 2, (y_min + y_max) / 2)
        return float(self.net.getGeoProj().get_factors(lon, lat).meridian_convergence)


def chain(segments: set[tuple[Point, Point]]) -> list[list[Point]]:
    """Join two-point segments into lines that are as long as they can be; each segment is used once."""
    links: dict[Point, set[Point]] = {}
    for a, b in segments:
        links.setdefault(a, set()).add(b)
        links.setdefault(b, set()).add(a)
    lines = []
    crossings = sorted(point for point in links if len(links[point]) != 2)
    for start in (*crossings, *sorted(links)):  # open lines first, then the rings that are left
        while links[start]:
            line = [start]
            while links[line[-1]]:
                here, there = line[-1], min(links[line[-1]])
                links[here].discard(there)
                links[there].discard(here)
                line.append(there)
            lines.append(line)
    return lines


def _reach(start: str, links: dict[str, list[str]]) -> set[str]:
    seen, todo = {start}, [start]
    while todo:
        fresh = [name for name in links[todo.pop()] if name not in seen]
        seen.update(fresh)
        todo += fresh
    return seen


def _road_class(edge: Edge) -> str:
    name = str(edge.getType()).split("|")[0].removeprefix("highway.").removesuffix("_link")
    return "service" if name == "track" else name


def _lane(edge: Edge, vclass: str) -> str:
    return next(str(lane.getID()) for lane in edge.getLanes() if lane.allows(vclass))


def _length(edges: list[Edge]) -> float:
    return float(sum(edge.getLength() for edge in edges[1:]))


def _seconds(edges: list[Edge]) -> float:
    return float(sum(edge.getLength() / edge.getSpeed() for edge in edges[1:])) / _TRAFFIC_FACTOR
