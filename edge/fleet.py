"""Many loggers in one process, for the demonstration: recorded drives as a fleet that is out right now."""

import json
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Final

from edge.columns import DriveError
from edge.door import AddressError, Door
from edge.drive import Drive
from edge.logger import Logger, Plan
from edge.sender import Pack
from edge.spool import Spool, SpoolError

log = logging.getLogger("edge")

STOP_WITHIN_S: Final = 1.5
REPORT_EVERY_S: Final = 60.0
_LIVE_LINGER_S: Final = 0.25
_PARENT_CHECK_S: Final = 1.0


class ConfigError(Exception):
    """The fleet's configuration cannot be used."""


def run(config_path: Path) -> int:
    """Runs until SIGTERM or SIGINT."""
    parent = os.getppid()
    config = _read(config_path)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    loggers: list[Logger] = []
    for entry in config["loggers"]:
        try:
            loggers.append(_logger(config_path.parent, config, entry))
        except (DriveError, SpoolError, AddressError, KeyError) as error:
            log.error("%s is left out: %s", entry.get("vin") or entry.get("source"), error)
    if not loggers:
        raise ConfigError(f"{config_path} has no logger that can run")
    for logger in loggers:
        logger.start()
        stopped.wait(1 / len(loggers))  # their beats spread over the second, and so does their work
    log.info("%d vehicles report to %s", len(loggers), config["url"])
    _watch(loggers, stopped, parent if config.get("with_parent") else None)
    _stop(loggers)
    log.info("stopped: %s", _summary(loggers))
    return 0


def _watch(loggers: list[Logger], stopped: threading.Event, parent: int | None) -> None:
    """Until the signal, or until the parent is gone: killed, it could not send one."""
    next_report = time.monotonic() + REPORT_EVERY_S
    while not stopped.wait(_PARENT_CHECK_S if parent else REPORT_EVERY_S):
        if parent and os.getppid() != parent:
            log.warning("the process that started this fleet is gone")
            return
        if time.monotonic() >= next_report:
            next_report = time.monotonic() + REPORT_EVERY_S
            log.info("%s", _summary(loggers))


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict) or not config.get("url") or not isinstance(config.get("loggers"), list):
        raise ConfigError(f'{path} must be {{"url": …, "loggers": [{{"source": …, "token": …}}, …]}}')
    return config


def _logger(folder: Path, config: dict[str, Any], entry: dict[str, Any]) -> Logger:
    """Paths in the configuration are relative to it."""
    drive = Drive(folder / entry["source"])
    vin = str(entry.get("vin", ""))
    door = Door(config["url"], entry["token"])
    spool_folder = folder / config.get("spool", "spool")
    name = vin or Path(entry["source"]).name.split(".")[0]
    spool = Spool(
        spool_folder / f"{name}.sqlite3",
        synchronous=config.get("synchronous", "FULL"),
        limit_bytes=config.get("spool_limit_bytes"),
    )
    plan = Plan(
        vin=vin,
        speed=float(config.get("speed", 1)),
        live=True,
        loop=True,
        pack=Pack(linger_s=float(config.get("linger", _LIVE_LINGER_S))),
        offset_s=float(entry.get("start_offset_s", 0)),
        source=drive.path.name,
    )
    return Logger(drive, spool, door, plan)


def _stop(loggers: list[Logger]) -> None:
    """All at once, so that a dozen take no longer than one."""
    deadline = time.monotonic() + STOP_WITHIN_S
    stopping = [threading.Thread(target=logger.stop, args=(STOP_WITHIN_S / 2,)) for logger in loggers]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join(max(0.0, deadline - time.monotonic()))
    for logger in loggers:
        logger.join(max(0.0, deadline - time.monotonic()))
        logger.close()


def _summary(loggers: list[Logger]) -> str:
    tallies = [logger.sender.tally for logger in loggers]
    silent = sum(bool(logger.sender.trouble) for logger in loggers)
    signals = sum(logger.read.signals for logger in loggers)
    omitted = sum(logger.read.omitted for logger in loggers)
    text = (
        f"{sum(tally.acknowledged for tally in tallies):,} records acknowledged, "
        f"{sum(logger.spool.waiting for logger in loggers):,} waiting, "
        f"{100 * omitted / signals if signals else 0:.1f} % of values omitted"
    )
    return f"{text}, {silent} vehicles cannot get through" if silent else text
