"""The records of a trip as a track, and as files that other programs read: GPX, KML, GeoJSON."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import orjson

from fleet.journeys.movement import Motion, Path, Sample, motion_of
from fleet.journeys.tripfinder import TripSettings
from fleet.models import Trip
from fleet.privacy.gate import Shade
from telemetry.derivation import samples
from telemetry.derivation.samples import Wanted
from telemetry.frames import from_us, to_us

RECORDS = 200_000
"""Of one trip: more than two days at 1 Hz."""
POINTS = 3_000
"""Of a track on a page."""
HALT_S = 30.0
TYPES = {
    "gpx": "application/gpx+xml",
    "kml": "application/vnd.google-earth.kml+xml",
    "geojson": "application/geo+json",
}


def read(trip: Trip) -> list[Sample]:
    """Empty when its records are no longer kept."""
    wanted = Wanted(trip.vehicle_id, to_us(trip.started_at) - 1, to_us(trip.ended_at))
    found = samples.read([wanted], RECORDS)[trip.vehicle_id].samples
    vehicle = trip.vehicle_id
    shade = Shade.over([(vehicle, trip.started_at, trip.ended_at)])
    if not shade:
        return found
    return [
        one._replace(latitude_deg=None, longitude_deg=None)
        if shade.meets(vehicle, from_us(one.time_us))
        else one
        for one in found
    ]


def placed(found: Iterable[Sample]) -> list[Sample]:
    """Those at a plausible place: what the distance along positions counts."""
    path, kept = Path(), []
    for sample in found:
        before = path.last
        path.add(sample)
        if sample.placed and path.last is not before:
            kept.append(sample)
    return kept


def picture(trip: Trip) -> dict[str, Any]:
    """For the trip's page. Points: Unix time, latitude, longitude, km/h, charge in percent, kW; null is not known."""
    found = read(trip)
    step = -(-len(found) // POINTS) if found else 1
    fixes = {sample.time_us for sample in placed(found)}
    thin = [sample for place, sample in enumerate(found) if place % step == 0 or place == len(found) - 1]
    return {
        "records": len(found),
        "points": [_point(sample, sample.time_us in fixes) for sample in thin],
        "halts": list(_halts(found)),
    }


def _point(sample: Sample, at: bool) -> list[float | None]:
    return [
        sample.time_us / 1e6,
        sample.latitude_deg if at else None,
        sample.longitude_deg if at else None,
        None if sample.speed_mps is None else round(sample.speed_mps * 3.6, 1),
        sample.battery_percent,
        None if sample.power_w is None else round(sample.power_w / 1000, 2),
    ]


def _halts(found: Sequence[Sample]) -> Iterable[list[float]]:
    """Where it stood for a while within the trip: from when, for how many seconds."""
    since: int | None = None
    last: int | None = None
    path = None
    for sample in found:
        motion = motion_of(sample, path, TripSettings().moving_mps)
        if sample.placed:
            path = (sample.time_us, sample.latitude_deg or 0.0, sample.longitude_deg or 0.0)
        if motion is Motion.STANDING:
            since, last = since or sample.time_us, sample.time_us
        elif motion is Motion.MOVING:
            if since and last and last - since >= HALT_S * 1e6:
                yield [since / 1e6, (last - since) / 1e6]
            since = last = None


def file(trip: Trip, kind: str) -> bytes:
    """`kind`: gpx, kml or geojson. A track without places is a file without points."""
    points = placed(read(trip))
    name = f"{trip.vehicle.name}, {trip.started_at:%Y-%m-%d %H:%M} UTC"
    return {"gpx": _gpx, "kml": _kml, "geojson": _geojson}[kind](trip, name, points)


def _gpx(trip: Trip, name: str, points: Sequence[Sample]) -> bytes:
    """GPX 1.1; speed is no part of it."""
    rows = "".join(
        f'<trkpt lat="{p.latitude_deg:.7f}" lon="{p.longitude_deg:.7f}"><time>{_iso(p)}</time></trkpt>\n'
        for p in points
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gpx version="1.1" creator="Convoy" xmlns="http://www.topografix.com/GPX/1/1">\n'
        f"<trk><name>{escape(name)}</name><trkseg>\n{rows}</trkseg></trk>\n</gpx>\n"
    ).encode()


def _kml(trip: Trip, name: str, points: Sequence[Sample]) -> bytes:
    """KML 2.2 with a gx:Track, so that it can be replayed."""
    whens = "".join(f"<when>{_iso(p)}</when>\n" for p in points)
    places = "".join(f"<gx:coord>{p.longitude_deg:.7f} {p.latitude_deg:.7f} 0</gx:coord>\n" for p in points)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">\n'
        f"<Document><Placemark><name>{escape(name)}</name><gx:Track>\n{whens}{places}</gx:Track></Placemark>"
        "</Document>\n</kml>\n"
    ).encode()


def _geojson(trip: Trip, name: str, points: Sequence[Sample]) -> bytes:
    """RFC 7946; a line needs two positions, so that fewer make no geometry."""
    line = [[p.longitude_deg, p.latitude_deg] for p in points]
    return orjson.dumps(
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": line} if len(line) > 1 else None,
            "properties": {
                "name": name,
                "vehicle": trip.vehicle.slug,
                "started_at": trip.started_at,
                "ended_at": trip.ended_at,
                "distance_m": trip.distance_m,
                "times": [_iso(p) for p in points],
                "speed_m_s": [p.speed_mps for p in points],
            },
        }
    )


def _iso(sample: Sample) -> str:
    moment = datetime.fromtimestamp(sample.time_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{sample.time_us % 1_000_000 // 1000:03d}Z"
