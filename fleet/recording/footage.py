"""Footage in storage: durable files, what kind of file it is, and files that no row knows."""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage

from fleet.models import Piece, Video

VIDEOS, PIECES = "footage", "uploads"
HEAD_BYTES = 512
_BLOCK = 1024 * 1024
_STILL_WRITTEN = timedelta(hours=6)


class DurableStorage(FileSystemStorage):
    """Local files that survive a power cut once `save` has returned."""

    def _save(self, name: str, content: Any) -> str:
        saved: str = super()._save(name, content)  # type: ignore[misc]
        path = Path(self.path(saved))
        for place in (path, *path.parents[: len(Path(saved).parts)]):
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return saved


_ISO_NOT_VIDEO = (b"heic", b"heix", b"heim", b"mif1", b"msf1", b"avif", b"avis", b"M4A ", b"M4B ", b"crx ")
_KINDS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("video/quicktime", lambda head: head[4:12] == b"ftypqt  "),
    ("video/mp4", lambda head: head[4:8] == b"ftyp" and head[8:12] not in _ISO_NOT_VIDEO),
    ("video/quicktime", lambda head: head[4:8] in {b"moov", b"mdat", b"wide"} and head[:1] == b"\0"),
    ("video/webm", lambda head: head[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in head[:64]),
    ("video/x-matroska", lambda head: head[:4] == b"\x1a\x45\xdf\xa3" and b"matroska" in head[:64]),
    ("video/x-msvideo", lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI "),
    ("image/jpeg", lambda head: head[:3] == b"\xff\xd8\xff"),
    ("video/mp2t", lambda head: len(head) > 376 and head[0] == head[188] == head[376] == 0x47),
)


def sniffed(head: bytes) -> str | None:
    """The media type of footage that begins like this (HEAD_BYTES are enough); None: not footage."""
    return next((kind for kind, matches in _KINDS if matches(head)), None)


SUFFIXES = {
    "video/mp4": ".mp4", "video/quicktime": ".mov", "video/webm": ".webm", "video/x-matroska": ".mkv",
    "video/x-msvideo": ".avi", "image/jpeg": ".jpg", "video/mp2t": ".ts",
}  # fmt: skip


class Hashed(RawIOBase):
    """Some files as one, hashed and counted while they are read."""

    def __init__(self, files: Iterable[BinaryIO]) -> None:
        self._files = iter(files)
        self._current: BinaryIO | None = next(self._files, None)
        self._hash = hashlib.sha256()
        self.size = 0
        self.head = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._current is not None:
            block = self._current.read(len(buffer))
            if block:
                buffer[: len(block)] = block
                self._hash.update(block)
                self.size += len(block)
                if len(self.head) < HEAD_BYTES:
                    self.head += block[: HEAD_BYTES - len(self.head)]
                return len(block)
            self._current = next(self._files, None)
        return 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def save(name: str, content: Any) -> str:
    return default_storage.save(name, _Stream(content))


class _Stream(File):  # type: ignore[type-arg]
    """Read once, in blocks, whatever can be read."""

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        assert self.file is not None
        while block := self.file.read(chunk_size or _BLOCK):
            yield block


def opened(names: Iterable[str]) -> Iterator[BinaryIO]:
    """One open file at a time."""
    for name in names:
        with default_storage.open(name, "rb") as file:
            yield file  # type: ignore[misc]


def new_name(folder: str, *parts: Any, suffix: str = "") -> str:
    """Of a file that cannot be there yet: no two writers ever share one."""
    return "/".join((folder, *map(str, parts), uuid.uuid4().hex + suffix))


def delete(names: Iterable[str]) -> None:
    for name in names:
        default_storage.delete(name)


def sweep_orphans(now: datetime) -> int:
    """Delete files without a row: left by a crash between the two. Answers how many."""
    return sum(
        sweep_folder(
            folder,
            lambda names, rows=model._default_manager: set(  # type: ignore[misc]
                rows.filter(stored_as__in=names).values_list("stored_as", flat=True)
            ),
            now,
        )
        for folder, model in ((VIDEOS, Video), (PIECES, Piece))
    )


def sweep_folder(folder: str, known: Callable[[set[str]], set[str]], now: datetime) -> int:
    """Delete the files below `folder` that `known` does not keep, but for young ones: their row may be on its way."""
    found = 0
    for names in _folders(folder):
        old = {name for name in names if now - _written(name, now) > _STILL_WRITTEN}
        orphans = old - known(old) if old else set()
        delete(orphans)
        found += len(orphans)
    return found


def _written(name: str, now: datetime) -> datetime:
    try:
        return default_storage.get_modified_time(name)
    except FileNotFoundError:  # deleted a moment ago
        return now


def _folders(folder: str) -> Iterator[list[str]]:
    """The names in each folder below this one."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    yield [f"{folder}/{name}" for name in files]
    for name in folders:
        yield from _folders(f"{folder}/{name}")
