"""Make the sample drives and the street map anew: python -m edge.drives.generate --out DIR [--streets FILE].

A tool for developers: it needs eclipse-sumo and pyproj, which nothing else in the product does.
"""

import argparse
import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

from edge.drives.network import Network
from edge.drives.signals import COLUMNS, rows, text
from edge.drives.simulate import simulate
from edge.drives.vehicles import FLEET, Vehicle

_ATTRIBUTION = "© OpenStreetMap contributors"
_LICENCE = "Open Database License (ODbL) 1.0, https://opendatacommons.org/licenses/odbl/1-0/"


def write_drives(network: Network, out: Path) -> None:
    """All drives and their manifest. The same versions of the tools give the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        samples = simulate(network, FLEET, Path(folder))
    convergence = network.convergence()
    manifest = []
    for vehicle in FLEET:
        drive = rows(vehicle, samples[vehicle.slug], convergence)
        _write_csv(out / f"{vehicle.slug}.csv.gz", drive)
        manifest.append(_entry(vehicle, drive))
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _write_csv(path: Path, drive: list[dict[str, float]]) -> None:
    lines = [",".join(COLUMNS), *(text(row) for row in drive)]
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode("ascii"))


def _entry(vehicle: Vehicle, drive: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "file": f"{vehicle.slug}.csv.gz",
        "vehicle": vehicle.slug,
        "name": vehicle.name,
        "plate": vehicle.plate,
        "vin": vehicle.vin,
        "model": vehicle.model.name,
        "model_year": vehicle.year,
        "style": vehicle.style.name,
        "rows": len(drive),
        "duration_s": int(drive[-1]["t_s"]),
        "distance_km": round(drive[-1]["odometer"] - drive[0]["odometer"], 2),
    }


def write_streets(network: Network, path: Path) -> None:
    """One feature per road class, the widest roads first, small enough to send to a browser as it is."""
    features = [
        {
            "type": "Feature",
            "properties": {"class": name},
            "geometry": {"type": "MultiLineString", "coordinates": lines},
        }
        for name, lines in network.streets().items()
    ]
    collection = {
        "type": "FeatureCollection",
        "attribution": _ATTRIBUTION,
        "licence": _LICENCE,
        "features": features,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    body = json.dumps(collection, separators=(",", ":"), ensure_ascii=False)
    path.write_text(body + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate the sample drives and the street map.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the drives and their manifest")
    parser.add_argument("--streets", type=Path, help="file for the street map (GeoJSON)")
    options = parser.parse_args()
    network = Network()
    write_drives(network, options.out)
    if options.streets:
        write_streets(network, options.streets)


if __name__ == "__main__":
    main()
