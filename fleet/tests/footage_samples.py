"""Beginnings of files as cameras and others write them, and whole files made of them."""

MP4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41"
MOV = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm"
MKV = b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x88matroska"
AVI = b"RIFF\x24\0\0\0AVI LIST"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0"
MPEG_TS = (b"\x47" + b"\0" * 187) * 3
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0"
HTML = b"<!doctype html><script>alert(1)</script>"
EXE = b"MZ\x90\0\x03\0\0\0"
WAV = b"RIFF\x24\0\0\0WAVEfmt "


def footage(size: int, head: bytes = MP4) -> bytes:
    """`size` bytes, no two blocks alike, so that bytes in the wrong place show."""
    body = b"".join(number.to_bytes(8, "big") for number in range(size // 8 + 1))
    return (head + body)[:size]
