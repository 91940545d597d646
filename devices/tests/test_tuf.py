"""TUF as a car sees it: the real updater of python-tuf against our server, and what an attacker may try in between."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from tuf.api import exceptions
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp
from tuf.ngclient import FetcherInterface, Updater

from devices import tufdocuments, tufrepository
from devices.models import ModelRelease, TufMetadata
from devices.releases import Facts, add_release
from devices.signatures import public_text, sign
from devices.tufrepository import UnacceptableError
from fleet.audit import SYSTEM
from fleet.models import AuditEntry, Fleet, Role
from tests.world import Car, make_car, make_person

OLD, NEW = b"weights 1" * 1000, b"weights 2" * 2000
Change = Callable[[bytes], bytes]


class Wire(FetcherInterface):
    """What is between a car and the server. `changes`: the end of a path to what an attacker makes of its content."""

    def __init__(self, car: Car, live: bool = False) -> None:
        self.token, self.live = car.token, live
        self.changes: dict[str, Change] = {}
        self.seen: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        headers = {"authorization": f"Bearer {self.token}"}
        if self.live:
            answer = urllib3.request("GET", url, headers=headers)
            status, body = answer.status, answer.data
        else:
            reply: Any = Client(headers=headers).get(urlsplit(url).path)
            status, body = (
                reply.status_code,
                b"".join(reply.streaming_content) if reply.streaming else reply.content,
            )
        if status >= 400:
            raise exceptions.DownloadHTTPError("refused", status)
        name = urlsplit(url).path.rpartition("/")[2]
        self.seen[name] = body
        for end, change in self.changes.items():
            body = change(body) if name.endswith(end) else body
        yield body


class Releaser:
    """Who holds the offline keys: works with the commands, in a folder of its own."""

    def __init__(self, folder: Path, settings: Any) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("root", "targets", "online"):
            self.make_key(name)
        settings.TUF_ONLINE_KEYS = [str(folder / "online")]
        self.model_key = Ed25519PrivateKey.generate()
        settings.MODEL_PUBLIC_KEYS = [public_text(self.model_key.public_key())]
        keys = [f"--{name}={folder / name}.pub" for name in ("root", "targets", "online")]
        self.run("root", *keys, f"--sign={folder / 'root'}")

    def make_key(self, name: str) -> None:
        call_command("tuf_sign", "key", str(self.folder / name), stdout=StringIO())

    def run(self, act: str, *options: str) -> None:
        call_command("tuf_sign", act, f"--dir={self.folder}", *options, stdout=StringIO())

    def targets(self, *options: str, key: str = "targets") -> None:
        self.run("targets", *options, f"--sign={self.folder / key}")

    def document(self, name: str) -> Any:
        return json.loads((self.folder / name).read_bytes())

    def list_release(self, version: str, content: bytes) -> None:
        file = self.folder / version
        file.write_bytes(content)
        self.targets("--add", "detector", version, str(file))

    def release(self, version: str, content: bytes, number: int, fleet: Fleet | None) -> ModelRelease:
        """The release and the targets that list it, in one act."""
        self.list_release(version, content)
        signature = sign(self.model_key, hashlib.sha256(content).digest())
        targets = self.document(f"{number}.targets.json")
        facts = Facts("detector", version, signature, fleet=fleet, targets=targets)
        return add_release(SYSTEM, facts, ContentFile(content))

    def forge(self, signed: "Snapshot | Timestamp") -> bytes:
        """What a thief of the server's key can sign."""
        metadata: Metadata[Any] = Metadata(signed)
        metadata.sign(tufdocuments.private_key(self.folder / "online"))
        return metadata.to_bytes()


@pytest.fixture
def car(db: None) -> Car:
    return make_car("north", "van-1")


@pytest.fixture
def releaser(car: Car, tmp_path: Path, settings: Any) -> Releaser:
    """With version 1 of everything published for the fleet."""
    found = Releaser(tmp_path / "offline", settings)
    fleet = car.vehicle.fleet
    assert tufrepository.publish(SYSTEM, fleet, [found.document("1.root.json")]) == ["1.root.json"]
    found.release("v1", OLD, 1, fleet)
    return found


@pytest.fixture
def wire(car: Car) -> Wire:
    return Wire(car)


def updater(folder: Path, wire: Wire, releaser: Releaser, base: str = "http://testserver") -> Updater:
    """A car's, which pinned the first root when it was built."""
    address = f"{base}/api/v1/models/tuf/north"
    (folder / "files").mkdir(parents=True, exist_ok=True)
    pinned = (releaser.folder / "1.root.json").read_bytes()
    return Updater(
        str(folder),
        f"{address}/metadata/",
        str(folder / "files"),
        f"{address}/targets/",
        wire,
        bootstrap=pinned,
    )


def fetched(update: Updater, path: str) -> bytes:
    info = update.get_targetinfo(path)
    assert info is not None
    return Path(update.download_target(info)).read_bytes()


@pytest.mark.django_db(transaction=True)
def test_a_car_over_a_real_connection(releaser: Releaser, car: Car, tmp_path: Path, live_server: Any) -> None:
    wire = Wire(car, live=True)
    told = Client(headers={"authorization": f"Bearer {car.token}"}).get("/api/v1/models").json()["models"][0]
    assert (told["tuf"], told["target"]) == ("/api/v1/models/tuf/north", "detector/v1")
    assert fetched(updater(tmp_path / "car", wire, releaser, live_server.url), told["target"]) == OLD
    releaser.release("v2", NEW, 2, car.vehicle.fleet)
    again = updater(tmp_path / "car", wire, releaser, live_server.url)
    assert fetched(again, "detector/v2") == NEW and again.get_targetinfo("detector/v3") is None
    refused = Wire(make_car("south"), live=True)
    with pytest.raises(exceptions.DownloadHTTPError):
        updater(tmp_path / "other", refused, releaser, live_server.url).refresh()


class TestAttacks:
    """Somebody between the car and the server, or with the server's key."""

    @pytest.fixture
    def folder(self, tmp_path: Path, wire: Wire, releaser: Releaser, car: Car) -> Path:
        """A car that has seen version 2 of everything; the wire remembers version 1."""
        folder = tmp_path / "car"
        updater(folder, wire, releaser).refresh()
        self.first = dict(wire.seen)
        releaser.release("v2", NEW, 2, car.vehicle.fleet)
        updater(folder, wire, releaser).refresh()
        self.second = dict(wire.seen)
        return folder

    def test_an_old_timestamp(self, folder: Path, wire: Wire, releaser: Releaser) -> None:
        wire.changes["timestamp.json"] = lambda body: self.first["timestamp.json"]
        with pytest.raises(exceptions.BadVersionNumberError):
            updater(folder, wire, releaser).refresh()

    def test_an_old_snapshot_with_the_servers_key(self, folder: Path, wire: Wire, releaser: Releaser) -> None:
        stolen = Timestamp(version=99, expires=_tomorrow(), snapshot_meta=MetaFile(1))
        wire.changes["timestamp.json"] = lambda body: releaser.forge(stolen)
        with pytest.raises(exceptions.BadVersionNumberError):
            updater(folder, wire, releaser).refresh()

    def test_old_targets_with_the_servers_key(self, folder: Path, wire: Wire, releaser: Releaser) -> None:
        stolen = Timestamp(version=99, expires=_tomorrow(), snapshot_meta=MetaFile(3))
        snapshot = Snapshot(version=3, expires=_tomorrow(), meta={"targets.json": MetaFile(1)})
        wire.changes["timestamp.json"] = lambda body: releaser.forge(stolen)
        served = TufMetadata.objects.get(role="snapshot", version=2)
        served.pk, served.version = None, 3
        served.save()
        wire.changes["3.snapshot.json"] = lambda body: releaser.forge(snapshot)
        with pytest.raises(exceptions.BadVersionNumberError):
            updater(folder, wire, releaser).refresh()

    def test_frozen(self, folder: Path, wire: Wire, releaser: Releaser) -> None:
        wire.changes["timestamp.json"] = lambda body: self.second["timestamp.json"]
        with time_machine.travel(timezone.now() + timedelta(days=2)):
            tufrepository.refresh(timezone.now())
            with pytest.raises(exceptions.ExpiredMetadataError):
                updater(folder, wire, releaser).refresh()
            wire.changes.clear()
            updater(folder, wire, releaser).refresh()

    @pytest.mark.parametrize(
        ("file", "old"), [("2.snapshot.json", "1.snapshot.json"), ("2.targets.json", "1.targets.json")]
    )
    def test_mixed(
        self, folder: Path, wire: Wire, releaser: Releaser, tmp_path: Path, file: str, old: str
    ) -> None:
        wire.changes[file] = lambda body: self.first[old]
        with pytest.raises(exceptions.RepositoryError):
            updater(tmp_path / "new car", wire, releaser).refresh()

    @pytest.mark.parametrize("file", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
    def test_a_longer_life(
        self, folder: Path, wire: Wire, releaser: Releaser, tmp_path: Path, file: str
    ) -> None:
        wire.changes[file] = lambda body: re.sub(rb'("expires": ?")20', rb"\g<1>21", body)
        with pytest.raises(exceptions.RepositoryError):
            updater(tmp_path / "new car", wire, releaser).refresh()
        assert wire.seen[file] != wire.changes[file](wire.seen[file])

    def test_another_file(self, folder: Path, wire: Wire, releaser: Releaser) -> None:
        for wrong in (OLD, NEW[:-1], NEW[:-1] + b"!", NEW + b"!"):
            wire.changes[".v2"] = lambda body, wrong=wrong: wrong  # type: ignore[misc]
            with pytest.raises((exceptions.RepositoryError, exceptions.DownloadError)):
                fetched(updater(folder, wire, releaser), "detector/v2")
        assert not list((folder / "files").iterdir())

    def test_targets_of_a_thief_of_the_servers_key(
        self, folder: Path, wire: Wire, releaser: Releaser
    ) -> None:
        """What the server's key is worth alone: it can withhold for as long as root allows, never add a file."""
        forged = Metadata.from_bytes(self.second["2.targets.json"])
        forged.signed.version = 3
        forged.sign(tufdocuments.private_key(releaser.folder / "online"))
        body = forged.to_bytes()
        for role, text in (("targets", body), ("snapshot", b"{}")):
            TufMetadata.objects.create(
                repository_id=TufMetadata.objects.first().repository_id,  # type: ignore[union-attr]
                role=role, version=3, body=text.decode(), expires_at=_tomorrow(),
            )  # fmt: skip
        snapshot = releaser.forge(
            Snapshot(version=3, expires=_tomorrow(), meta={"targets.json": MetaFile(3)})
        )
        stolen = Timestamp(version=99, expires=_tomorrow(), snapshot_meta=MetaFile(3))
        wire.changes = {
            "timestamp.json": lambda _: releaser.forge(stolen),
            "3.snapshot.json": lambda _: snapshot,
        }
        with pytest.raises(exceptions.UnsignedMetadataError):
            updater(folder, wire, releaser).refresh()


def _tomorrow() -> Any:
    return (timezone.now() + timedelta(days=1)).replace(microsecond=0)


class TestPublishing:
    def test_root_rotation_reaches_cars_that_slept(
        self, releaser: Releaser, car: Car, wire: Wire, tmp_path: Path, settings: Any
    ) -> None:
        fleet, folder = car.vehicle.fleet, releaser.folder
        for name in ("root-2", "targets-2", "online-2"):
            releaser.make_key(name)
        keys = [
            f"--root={folder}/root-2.pub",
            f"--targets={folder}/targets-2.pub",
            f"--online={folder}/online-2.pub",
        ]
        releaser.run("root", *keys, f"--sign={folder}/root-2")
        settings.TUF_ONLINE_KEYS = [f"{folder}/online", f"{folder}/online-2"]
        with pytest.raises(UnacceptableError, match="keys before"):
            tufrepository.publish(SYSTEM, fleet, [releaser.document("2.root.json")])
        call_command(
            "tuf_sign", "cosign", f"{folder}/2.root.json", f"--sign={folder}/root", stdout=StringIO()
        )
        with pytest.raises(UnacceptableError, match="keys that this root names"):
            tufrepository.publish(SYSTEM, fleet, [releaser.document("2.root.json")])
        releaser.targets(key="targets-2")
        both = [releaser.document("2.root.json"), releaser.document("2.targets.json")]
        assert tufrepository.publish(SYSTEM, fleet, both) == ["2.root.json", "2.targets.json"]
        settings.TUF_ONLINE_KEYS = [f"{folder}/online-2"]
        tufrepository.refresh(timezone.now())
        assert fetched(updater(tmp_path / "car", wire, releaser), "detector/v1") == OLD
        assert json.loads((tmp_path / "car" / "root.json").read_bytes())["signed"]["version"] == 2

    def test_what_is_not_taken_in(self, releaser: Releaser, car: Car, settings: Any) -> None:
        fleet, folder = car.vehicle.fleet, releaser.folder
        before = TufMetadata.objects.count()

        def refused(reason: str, *documents: Any) -> None:
            with pytest.raises(UnacceptableError, match=reason):
                tufrepository.publish(SYSTEM, fleet, list(documents))
            assert TufMetadata.objects.count() == before

        refused("no TUF metadata", {"signed": {}})
        refused("signed by the server", json.loads(TufMetadata.objects.get(role="timestamp", version=1).body))
        (folder / "lanes").write_bytes(b"lanes")
        releaser.targets("--add", "lanes", "1", str(folder / "lanes"))
        refused("lanes/1 is no release here", releaser.document("2.targets.json"))
        releaser.targets("--remove", "lanes/1", key="online")
        refused("signed by 0/1 keys", releaser.document("3.targets.json"))
        (folder / "v1").write_bytes(NEW)
        releaser.targets("--add", "detector", "v1", str(folder / "v1"))
        refused("another file than the release", releaser.document("4.targets.json"))
        other = make_car("south").vehicle.fleet
        with pytest.raises(UnacceptableError, match="no root yet"):
            tufrepository.publish(SYSTEM, other, [releaser.document("1.targets.json")])
        for wrong in ("root", "targets"):
            releaser.run("root", f"--online={folder / wrong}.pub", f"--sign={folder / 'root'}")
            settings.TUF_ONLINE_KEYS = [str(folder / wrong)]
            refused("must not speak for root or targets", releaser.document("2.root.json"))
            (folder / "2.root.json").unlink()
        settings.TUF_ONLINE_KEYS = [str(folder / "none")]
        releaser.run("root", f"--sign={folder / 'root'}")
        refused("holds no key", releaser.document("2.root.json"))

    def test_again_changes_nothing_and_older_is_refused(self, releaser: Releaser, car: Car) -> None:
        fleet = car.vehicle.fleet
        assert tufrepository.publish(SYSTEM, fleet, [releaser.document("1.targets.json")]) == []
        releaser.release("v2", NEW, 2, fleet)
        with pytest.raises(UnacceptableError, match="Version 2 is published"):
            tufrepository.publish(SYSTEM, fleet, [releaser.document("1.targets.json")])
        assert AuditEntry.objects.filter(action="tuf.published").count() == 3

    def test_a_release_whose_targets_are_wrong_is_not_there(self, releaser: Releaser, car: Car) -> None:
        signature = sign(releaser.model_key, hashlib.sha256(NEW).digest())
        (releaser.folder / "v9").write_bytes(NEW)
        releaser.targets("--add", "detector", "v9", str(releaser.folder / "v9"), key="online")
        boss = Client()
        boss.force_login(
            make_person("boss@example.com", "north", Role.OWNER),
            backend="django.contrib.auth.backends.ModelBackend",
        )
        from django.core.files.uploadedfile import SimpleUploadedFile

        def upload(targets: str) -> Any:
            file = SimpleUploadedFile("m.onnx", NEW)
            body = {
                "name": "detector",
                "version": "v9",
                "file": file,
                "signature": signature,
                "targets": targets,
            }
            return boss.post("/api/v1/models", body)

        refused = upload((releaser.folder / "2.targets.json").read_text())
        assert refused.status_code == 400 and refused.json()["errors"][0]["field"] == "targets"
        assert not ModelRelease.objects.filter(version="v9").exists()
        (releaser.folder / "2.targets.json").unlink()
        releaser.targets("--add", "detector", "v9", str(releaser.folder / "v9"))
        assert upload((releaser.folder / "2.targets.json").read_text()).status_code == 201
        roles = boss.get("/api/v1/models/tuf/north/metadata").json()["roles"]
        assert [(row["role"], row["version"]) for row in roles] == [
            ("root", 1), ("targets", 2), ("snapshot", 2), ("timestamp", 2),
        ]  # fmt: skip

    def test_releases_for_all_have_a_repository_of_their_own(self, releaser: Releaser, car: Car) -> None:
        client = Client(headers={"authorization": f"Bearer {car.token}"})
        assert client.get("/api/v1/models/tuf/metadata/timestamp.json").status_code == 404
        root = json.dumps(releaser.document("1.root.json"))
        path = releaser.folder / "sent.json"
        path.write_text(root)
        call_command("tuf_publish", str(path), stdout=StringIO())
        with pytest.raises(CommandError, match="is no release here"):
            call_command("tuf_publish", str(releaser.folder / "1.targets.json"), stdout=StringIO())
        assert client.get("/api/v1/models/tuf/metadata/1.root.json").status_code == 200
        for name in (
            "2.root.json",
            "root.json",
            "1.root",
            "1.x.json",
            "x.root.json",
            "9" * 30 + ".root.json",
        ):
            assert client.get(f"/api/v1/models/tuf/metadata/{name}").status_code == 404

    def test_refreshed_before_it_ends_and_not_piled_up(self, releaser: Releaser, car: Car) -> None:
        began = timezone.now()
        with time_machine.travel(began) as clock:
            for _ in range(16):
                clock.shift(timedelta(hours=12))
                assert tufrepository.refresh(timezone.now()) == 1
                newest = {row.role: row for row in tufrepository.newest_of(car.vehicle.fleet)}
                assert newest["timestamp"].expires_at > timezone.now() + timedelta(hours=23)
                assert newest["snapshot"].expires_at > timezone.now() + timedelta(days=2)
        assert TufMetadata.objects.filter(role="timestamp").count() == 10
        assert newest["snapshot"].version < 6

    def test_a_device_gets_the_files_it_is_offered(self, releaser: Releaser, car: Car) -> None:
        sha256 = hashlib.sha256(OLD).hexdigest()
        path = f"/api/v1/models/tuf/north/targets/detector/{sha256}.v1"
        client = Client(headers={"authorization": f"Bearer {car.token}"})
        part: Any = client.get(path, headers={"range": "bytes=0-8"})
        assert part.status_code == 206 and b"".join(part.streaming_content) == b"weights 1"
        other = Client(headers={"authorization": f"Bearer {make_car('south').token}"})
        assert other.get(path).status_code == 404 and Client().get(path).status_code == 401
        assert client.get(path.replace("/north", "")).status_code == 404
        ModelRelease.objects.update(compatibility={"hardware": "orin"})
        assert client.get(path).status_code == 404
