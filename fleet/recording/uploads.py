"""Footage coming in: whole files, or pieces of an upload that can be resumed. Many may write; the database decides.

Every piece is a file of its own with a name nobody else has; it counts when one conditional UPDATE moves the upload's
offset over it. The piece that completes an upload moves the offset in the transaction that adds the video, after all
pieces were joined, hashed and looked at: a video is whole, or it is not there.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from fleet.models import Fleet, Piece, Scenario, Upload, Video
from fleet.recording import footage
from fleet.recording.scenarios import WithdrawnError, drop_upload, locked


class RefusedError(Exception):
    """Not footage, or not what was announced: never taken, however often it comes."""


class TooLargeError(Exception):
    """Over a limit; the text says which."""


class MovedError(Exception):
    """The upload is at another offset."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The upload is at offset {offset}: go on from there.")
        self.offset = offset


@dataclass(frozen=True)
class Told:
    """What a device says about a file before or beside it."""

    camera: str
    filename: str = ""
    sha256: str = ""


def check_size(scenario: Scenario, size: int) -> None:
    """Against the limit of a file and, uploads under way included, of the fleet. Call it in a transaction."""
    limits = settings.FOOTAGE
    if limits.file_bytes and size > limits.file_bytes:
        raise TooLargeError(f"{size} bytes: a file may have {limits.file_bytes}.")
    if not limits.fleet_bytes:
        return
    list(Fleet.objects.select_for_update(no_key=True).filter(pk=scenario.fleet_id))
    kept = Video.objects.filter(scenario__fleet=scenario.fleet_id).aggregate(total=Sum("size_bytes"))["total"]
    coming = Upload.objects.filter(scenario__fleet=scenario.fleet_id, completed_at=None)
    announced = coming.aggregate(total=Sum("length"))["total"]
    if (kept or 0) + (announced or 0) + size > limits.fleet_bytes:
        raise TooLargeError(
            f"The footage of a fleet may have {limits.fleet_bytes} bytes: delete some, or ask for more."
        )


def begin(scenario: Scenario, told: Told, length: int, told_metadata: str, now: datetime) -> Upload:
    with transaction.atomic():
        if locked(scenario) is None:
            raise WithdrawnError
        check_size(scenario, length)
        return Upload.objects.create(
            scenario=scenario,
            camera=told.camera,
            filename=told.filename,
            told_sha256=told.sha256,
            told_metadata=told_metadata,
            length=length,
            expires_at=now + settings.FOOTAGE.upload_lives,
        )


def append(upload: Upload, offset: int, content: BinaryIO, now: datetime) -> int:
    """Keep these bytes; the new offset is durable when this returns.

    Raises MovedError, TooLargeError, RefusedError (the upload is gone then), WithdrawnError.
    """
    if offset != upload.offset:
        raise MovedError(upload.offset)
    reading = footage.Hashed([content])
    name = footage.save(footage.new_name(footage.PIECES, upload.uid), reading)
    kept = False
    try:
        end = offset + reading.size
        if end > upload.length:
            raise TooLargeError(f"{end} bytes: {upload.length} were announced.")
        if reading.size == 0:
            return offset
        if offset == 0 and reading.size >= footage.HEAD_BYTES:
            _check_kind(upload, reading.head)
        piece = Piece(upload=upload, start=offset, size_bytes=reading.size, stored_as=name)
        if end == upload.length:
            try:
                _complete(upload, piece, now)
            except FileNotFoundError:  # another request has completed it meanwhile
                raise _moved(upload) from None
        else:
            with transaction.atomic():
                _move(upload, piece, now)
            kept = True
    finally:
        if not kept:
            footage.delete([name])
    return end


def _move(upload: Upload, piece: Piece, now: datetime, **values: Any) -> None:
    """The one place that decides between writers."""
    here = Upload.objects.filter(pk=upload.pk, offset=piece.start)
    end = piece.start + piece.size_bytes
    if not here.update(offset=end, expires_at=now + settings.FOOTAGE.upload_lives, **values):
        raise _moved(upload)
    if not values:
        piece.save()


def _moved(upload: Upload) -> Exception:
    offset = Upload.objects.filter(pk=upload.pk).values_list("offset", flat=True).first()
    return WithdrawnError() if offset is None else MovedError(offset)


def _complete(upload: Upload, last: Piece, now: datetime) -> None:
    names = [*upload.pieces.values_list("stored_as", flat=True), last.stored_as]
    reading = footage.Hashed(footage.opened(names))
    told = Told(upload.camera, upload.filename, upload.told_sha256)
    stored_as = _store(upload.scenario, reading)
    kept = False
    try:
        if reading.size != upload.length:  # another request was quicker and has tidied up
            raise _moved(upload)
        content_type = _check_kind(upload, reading.head)
        _check_hash(upload, told, reading.sha256)
        with transaction.atomic():
            if locked(upload.scenario) is None:
                raise WithdrawnError
            _move(upload, last, now, completed_at=now)
            _, kept = _add(upload.scenario, told, (stored_as, content_type, reading))
            upload.pieces.all().delete()
            transaction.on_commit(partial(footage.delete, names[:-1]), robust=True)
    finally:
        if not kept:
            footage.delete([stored_as])


def receive_whole(scenario: Scenario, told: Told, content: BinaryIO, size: int) -> tuple[Video, bool]:
    """A file that came in one request. The same file of the same camera again is the same video."""
    with transaction.atomic():
        check_size(scenario, size)
    reading = footage.Hashed([content])
    stored_as = _store(scenario, reading)
    kept = False
    try:
        content_type = _check_kind(None, reading.head)
        _check_hash(None, told, reading.sha256)
        with transaction.atomic():
            if locked(scenario) is None:
                raise WithdrawnError
            video, kept = _add(scenario, told, (stored_as, content_type, reading))
        return video, kept
    finally:
        if not kept:
            footage.delete([stored_as])


def _store(scenario: Scenario, reading: footage.Hashed) -> str:
    return footage.save(footage.new_name(footage.VIDEOS, scenario.fleet_id, scenario.uid), reading)


def _add(scenario: Scenario, told: Told, stored: tuple[str, str, footage.Hashed]) -> tuple[Video, bool]:
    stored_as, content_type, reading = stored
    return Video.objects.get_or_create(
        scenario=scenario,
        camera=told.camera,
        sha256=reading.sha256,
        defaults={
            "filename": told.filename,
            "stored_as": stored_as,
            "content_type": content_type,
            "size_bytes": reading.size,
        },
    )


def _check_kind(upload: Upload | None, head: bytes) -> str:
    kind = footage.sniffed(head)
    if kind is None:
        if upload:
            drop_upload(upload)
        raise RefusedError(
            "This is no footage, whatever its name: MP4, MOV, WebM, MKV, AVI, MPEG-TS and JPEG are."
        )
    return kind


def _check_hash(upload: Upload | None, told: Told, found: str) -> None:
    if told.sha256 and told.sha256 != found:
        if upload:
            drop_upload(upload)
        raise RefusedError(f"SHA-256 of what arrived is {found}, announced was {told.sha256}: send it again.")
