"""`python -m edge`: what an engineer runs in the car or at a desk. docs/edge.md explains the options."""

import argparse
import hashlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge import fleet
from edge.columns import DriveError, instant, parse_option
from edge.console import Console, summary
from edge.door import AddressError, Door
from edge.drive import Choice, Drive
from edge.logger import Logger, Plan
from edge.protocol import catalogue
from edge.protocol.encoder import KEYFRAME_EVERY
from edge.sender import Pack
from edge.spool import Spool, SpoolError

DONE: Final = 0
UNUSABLE: Final = 2
WAITING: Final = 3
DENIED: Final = 4
REJECTED: Final = 5
FLUSH_S: Final = 3.0
_TICK_S: Final = 0.25


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    console = Console()
    root = logging.getLogger("edge")
    root.setLevel(logging.INFO)
    root.addHandler(console)
    try:
        if options.command == "fleet":
            return fleet.run(options.config)
        return _run(_prepared(options), console)
    except (DriveError, SpoolError, AddressError, fleet.ConfigError) as error:
        console.say(f"edge: {error}")
        return UNUSABLE
    finally:
        root.removeHandler(console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edge", description="Convoy's software in the car.")
    commands = parser.add_subparsers(dest="command", required=True)
    many = commands.add_parser("fleet", help="run many loggers in one process")
    many.add_argument("--config", type=Path, required=True, metavar="FILE.json")
    one = commands.add_parser("logger", help="send a recorded drive", formatter_class=_Help)
    _add_source(one.add_argument_group("the drive"))
    _add_server(one.add_argument_group("the server"))
    _add_pace(one.add_argument_group("the pace"))
    return parser


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in {None, False} else super()._get_help_string(action)


def _add_source(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--source", type=Path, required=True, metavar="FILE.csv[.gz]")
    group.add_argument("--vehicle", metavar="ID", help="which vehicle, in a file that holds many")
    group.add_argument(
        "--map",
        action="append",
        default=None,
        metavar="COLUMN=FIELD",
        help="such as speed_ms=speed*3.6; repeatable",
    )
    group.add_argument("--extra", action="store_true", help="also send the numbers no signal is known for")
    group.add_argument("--start", metavar="ISO", help="when a drive without a date began")
    group.add_argument("--limit", type=int, metavar="ROWS", help="stop after that many")
    group.add_argument("--again", action="store_true", help="from the beginning, whatever was sent before")


def _add_server(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--url", required=True)
    group.add_argument("--token", help="better in CONVOY_TOKEN: others see the arguments of a process")
    group.add_argument("--vin", default="", help="the vehicle, where the token does not say it")
    group.add_argument("--catalogue", choices=catalogue.names(), default=catalogue.DEFAULT)
    group.add_argument("--keyframe-every", type=int, default=KEYFRAME_EVERY, metavar="N")
    group.add_argument("--batch", type=int, default=50, metavar="N", help="records in one post at most")
    group.add_argument("--linger", type=float, metavar="S", help="wait for a full batch (2 s, live 0.25 s)")
    group.add_argument("--gzip", action="store_true", help="compress what is posted")
    group.add_argument(
        "--spool", type=Path, metavar="FILE", help="where unsent records wait; one per vehicle"
    )
    group.add_argument("--spool-limit", type=float, metavar="MB", help="pause reading when so much waits")
    group.add_argument(
        "--spool-sync", choices=["FULL", "NORMAL"], default="FULL", help="FULL survives power cuts"
    )


def _add_pace(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="times real time; 0 is as fast as it goes"
    )
    group.add_argument(
        "--live", action="store_true", help="stamp with the present, not with the recorded time"
    )
    group.add_argument("--loop", action="store_true", help="drive it again and again; implies --live")


def _prepared(options: argparse.Namespace) -> Logger:
    token = options.token or os.environ.get("CONVOY_TOKEN", "")
    if not token:
        raise AddressError("no token: set CONVOY_TOKEN or give --token")
    if options.batch < 1 or options.keyframe_every < 1 or options.speed < 0:
        raise DriveError("--batch and --keyframe-every must be at least 1, --speed not below 0")
    door = Door(options.url, token, compress=options.gzip)
    choice = Choice(
        tuple(parse_option(text) for text in options.map or ()),
        options.vehicle,
        _start(options.start),
        options.extra,
    )
    drive = Drive(options.source, choice)
    spool = Spool(
        options.spool or _default_spool(options.url, options.vin or token),
        synchronous=options.spool_sync,
        limit_bytes=int(options.spool_limit * 1e6) if options.spool_limit else None,
    )
    source = f"{options.source.resolve()}#{options.vehicle or ''}"
    if options.again:
        spool.forget(source)
    return Logger(drive, spool, door, _plan(options, source))


def _plan(options: argparse.Namespace, source: str) -> Plan:
    live = options.live or options.loop
    linger = options.linger if options.linger is not None else (0.25 if live else 2.0)
    return Plan(
        vin=options.vin,
        speed=options.speed,
        live=live,
        loop=options.loop,
        catalogue=options.catalogue,
        keyframe_every=options.keyframe_every,
        pack=Pack(options.batch, linger),
        limit=options.limit,
        source=source,
    )


def _start(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        start = instant(text)
    except ValueError:
        raise DriveError(f"--start {text!r} is no ISO 8601 time") from None
    if start > time.time():
        raise DriveError(f"--start {text} is in the future")
    return start


def _default_spool(url: str, vehicle: str) -> Path:
    """One per vehicle and server: records must never go out under another vehicle's token."""
    name = hashlib.sha256(f"{url}\n{vehicle}".encode()).hexdigest()[:12]
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return state / "convoy" / f"spool-{name}.sqlite3"


def _run(logger: Logger, console: Console) -> int:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    _greet(logger, console)
    logger.start()
    while not logger.join(_TICK_S):
        console.progress(logger)
        if stopped.is_set():
            console.say("stopping: a few seconds for what is still to be sent")
            logger.stop(FLUSH_S)
            logger.join(FLUSH_S + _TICK_S)
            break
        # At full speed the reader waits for the sender, and the sender for a person: nobody would ever end.
        if logger.sender.denied and not (logger.reading and logger.plan.speed):
            logger.stop(0)
            break
    console.conclude(summary(logger))
    code = _exit_code(logger)
    logger.close()
    return code


def _greet(logger: Logger, console: Console) -> None:
    console.say(f"{logger.drive.path.name} ({logger.drive.layout.name}) → {logger.spool.path}")
    if logger.left_over:
        console.say(f"{logger.left_over:,} records of an earlier run go first")
    if logger.place.done and not logger.plan.loop:
        console.say("this drive was read to its end before; --again starts over")
    elif logger.place.row >= 0:
        console.say(f"goes on after row {logger.place.row:,} of lap {logger.place.lap + 1}")


def _exit_code(logger: Logger) -> int:
    if logger.failure or logger.sender.failure:
        return UNUSABLE
    if logger.sender.denied:
        return DENIED
    if logger.spool.waiting:
        return WAITING
    return REJECTED if logger.sender.tally.rejected else DONE


if __name__ == "__main__":
    sys.exit(main())
