"""What a logger says to the person who started it: one rewriting line on a terminal, else plain lines."""

import logging
import sys
import time
from typing import Final, TextIO

from edge.logger import Logger

_PLAIN_EVERY_S: Final = 5.0
_CLEAR: Final = "\r\x1b[K"


class Console(logging.Handler):
    """Also a log handler, so that a message does not land in the middle of the progress line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._rewrites = self._stream.isatty()
        self._next_plain = time.monotonic() + _PLAIN_EVERY_S
        self._last_plain = ""
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage() if record.levelno == logging.INFO else self.format(record)
        self.say(text)

    def say(self, text: str) -> None:
        self._stream.write(f"{_CLEAR if self._rewrites else ''}{text}\n")
        self._stream.flush()

    def conclude(self, text: str) -> None:
        """The result, on standard output, where a script can have it."""
        if self._rewrites:
            self._stream.write(_CLEAR)
            self._stream.flush()
        print(text, flush=True)

    def progress(self, logger: Logger) -> None:
        if self._rewrites:
            self._stream.write(f"{_CLEAR}{progress_line(logger)}")
            self._stream.flush()
        elif time.monotonic() >= self._next_plain:
            self._next_plain = time.monotonic() + _PLAIN_EVERY_S
            line = progress_line(logger)
            if line != self._last_plain:
                self.say(line)
            self._last_plain = line


def progress_line(logger: Logger) -> str:
    tally = logger.sender.tally
    line = (
        f"read {logger.read.records:,} · acknowledged {tally.acknowledged:,} · "
        f"waiting {logger.spool.waiting:,} · omitted {logger.read.omitted_percent:.1f} %"
    )
    return f"{line} · {logger.sender.trouble}" if logger.sender.trouble else line


def summary(logger: Logger) -> str:
    tally, read = logger.sender.tally, logger.read
    per_record = tally.bytes / tally.sent if tally.sent else 0.0
    lines = [
        f"records       {read.records:,} read, {tally.acknowledged:,} acknowledged "
        f"({tally.repeated:,} of them known before), {tally.rejected:,} rejected",
        f"omitted       {read.omitted_percent:.1f} % of {read.signals:,} values",
        f"bytes         {per_record:.1f} per record, {tally.bytes:,} in {tally.posts:,} posts, "
        f"{tally.retries:,} retries",
    ]
    dirt = logger.drive.dirt.describe()
    if read.in_future:
        dirt = ", ".join(filter(None, [dirt, f"{read.in_future:,} rows in the future"]))
    if dirt:
        lines.append(f"left out      {dirt}")
    waiting = logger.spool.waiting
    if waiting:
        lines.append(f"not sent yet  {waiting:,} records stay in {logger.spool.path} and go first next time")
    return "\n".join(lines)
