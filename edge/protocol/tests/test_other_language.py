"""An edge in C++, written from docs/protocol.md alone, and ours write the same bytes."""

import csv
import io
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.protocol import catalogue, vectors
from edge.protocol.checks import check
from edge.protocol.encoder import Encoder
from edge.protocol.reconstructor import Reconstructor
from edge.protocol.telemetry_pb2 import Telemetry
from edge.protocol.tests.drives import Drive, generated_drive, real_drives
from edge.protocol.tests.test_round_trip import assert_faithful

VIN = "WVWZZZ1KZAW000123"
STREAM = 2**62 + 12345


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no C++ compiler here")
        pytest.skip("no C++ compiler here")
    program = tmp_path_factory.mktemp("edge") / "edge"
    source = Path(__file__).with_name("edge.cpp")
    options = ["-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"]
    subprocess.run([compiler, *options, "-o", program, source], check=True)
    return program


def run(edge: Path, rows: Sequence[Mapping[str, object]], settings: Sequence[object]) -> list[bytes]:
    """The records that the other edge makes of these rows."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    arguments = [str(edge), *map(str, settings)]
    content = subprocess.run(
        arguments, input=text.getvalue().encode(), stdout=subprocess.PIPE, check=True
    ).stdout
    return list(_split(content))


def _split(content: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(content):
        (size,) = struct.unpack_from("<I", content, place)
        yield content[place + 4 : place + 4 + size]
        place += 4 + size


def assert_same(edge: Path, drive: Drive, name: str, keyframe_every: int) -> int:
    """Byte by byte; then what a server makes of them, value by value."""
    moments = list(zip(drive.times, drive.readings, strict=True))
    rows = [{"t_s": repr(time)} | {n: repr(v) for n, v in r.items() if v is not None} for time, r in moments]
    theirs = run(edge, rows, (VIN, STREAM, name, keyframe_every))
    ours = Encoder(VIN, catalogue.load(name), keyframe_every, STREAM)
    receiver = Reconstructor()
    assert len(theirs) == len(moments)
    for (time, readings), content in zip(moments, theirs, strict=True):
        assert content == ours.encode(time, readings).SerializeToString(deterministic=True)
        message = Telemetry.FromString(content)
        check(message, VIN, STREAM, time)
        assert_faithful(readings, message, receiver.apply(message), ours.catalogue)
        assert receiver.state == ours.state
    return len(theirs)


@pytest.mark.parametrize("name", catalogue.names())
def test_generated_drives(edge: Path, name: str) -> None:
    for seed in range(5):
        assert_same(edge, generated_drive(seed), name, keyframe_every=30 + seed)


def test_recorded_drives(edge: Path) -> None:
    records = 0
    for place, drive in enumerate(real_drives(every_s=2.0)):
        records += assert_same(edge, drive, catalogue.names()[place % 3], keyframe_every=100)
    assert records > 10_000


@pytest.mark.parametrize(
    "stream", json.loads(vectors.FILE.read_text("utf-8"))["streams"], ids=lambda s: s["name"]
)
def test_golden_vectors(edge: Path, stream: dict[str, Any]) -> None:
    rows = []
    for step in stream["steps"]:
        given = step["given"]
        row = {"t_s": given["timestamp"], "keyframe_requested": int(given.get("keyframe_requested", False))}
        row |= given["readings"]
        row |= {f"extra.{name}": value for name, value in given.get("extra", {}).items()}
        row |= {f"label.{name}": word for name, word in given.get("labels", {}).items()}
        rows.append(row)
    settings = (stream["vin"], stream["stream_id"], stream["catalogue"], stream["keyframe_every"])
    assert [content.hex() for content in run(edge, rows, settings)] == [s["hex"] for s in stream["steps"]]
