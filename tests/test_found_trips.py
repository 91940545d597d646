"""Trips found in recorded drives, against the recordings' own boundaries: a file is a trip, but for those said here."""

import pytest

from edge.drive import Choice, Drive, Row
from edge.tests.test_recordings import data_folder
from fleet.journeys.movement import Sample, by_speed_m
from fleet.journeys.tripfinder import TripSettings, find_trips

NONE = {"idle1.csv.gz", "idle3.csv.gz"}
"""The engine idles; the car stands."""
SPLIT = {"B08.csv.gz": 2, "live1.csv.gz": 2}
"""These stood for more than three minutes on the way."""


def sample_of(row: Row) -> Sample:
    told = row.readings.get
    speed, ignition = told("speed"), told("ignition")
    return Sample(
        round(row.time * 1e6),
        None if speed is None else speed / 3.6,
        None if ignition is None else ignition > 0,
        told("latitude"),
        told("longitude"),
    )


@pytest.mark.parametrize("name", ["bmw_i3", "rsk_twizy", "ndsbr", "envirocar", "carobd", "ved"])
def test_one_trip_a_recording(name: str) -> None:
    files = sorted((data_folder() / name).glob("*.csv.gz"))
    for file in files[:4] if name == "bmw_i3" else files:  # 10 Hz: a quarter of a million rows
        samples = sorted(map(sample_of, Drive(file, Choice()).rows()), key=lambda sample: sample.time_us)
        trips = find_trips(samples, TripSettings())
        assert len(trips) == SPLIT.get(file.name, 0 if file.name in NONE else 1), file.name
        driven = by_speed_m(samples, 600_000_000) or 0.0
        assert sum(trip.distance.metres for trip in trips) == pytest.approx(driven, rel=0.015, abs=20), (
            file.name
        )
