"""Bodies that come compressed, whatever is in them."""

import zlib

from rest_framework import exceptions


class Refused(exceptions.APIException):
    """The request as a whole is refused, with the status that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason[:1].upper() + reason[1:])
        self.status_code = status
        self.reason = reason


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo the Content-Encoding, never beyond `limit` bytes. Raises Refused."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in {"gzip", "x-gzip"}:
        raise Refused(415, f"Content-Encoding {name[:40]}: send gzip, or the body as it is")
    plain = b""
    while body or not plain:  # a gzip body may have several members
        unpacker = zlib.decompressobj(wbits=31)
        try:
            plain += unpacker.decompress(body, limit + 1 - len(plain))
        except zlib.error as error:
            raise Refused(400, f"the body is not valid gzip: {error}") from error
        if len(plain) > limit:
            raise Refused(413, f"more than {limit} bytes after unpacking")
        if not unpacker.eof:
            raise Refused(400, "the gzip body is cut off")
        body = unpacker.unused_data
        if not (body or plain):
            break
    return plain
