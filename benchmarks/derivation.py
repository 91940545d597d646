"""What following from stored records costs: a car's year anew, and one record that comes late in it.

    python -m benchmarks.derivation              # a year; about three minutes, needs 1 GB of disk
    python -m benchmarks.derivation --days 30

A child process with the environment of the product stores one recorded drive through the real door and drain, repeats
its rows by INSERT ... SELECT for every day until today, and lets one worker derive all of it, each consumer timed. Then
single records come through the door: at the end, and on days further and further back.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from benchmarks.machine import Machine
from tests.environment import PYTHON, ROOT, clean_environment

DAYS, RECORDS, TIMES = 365, 1_400, 15
"""Of the history; of each day, a second apart; that every kind of single record comes."""
HOUR = 6
"""When each day's drive begins, UTC; the last day is yesterday."""
BACK = (0, 1, 30, 180, 364)
"""Days before the last one."""
_COPY = """
INSERT INTO telemetry_data ({names}, time, sequence)
SELECT {names}, time + n * interval '1 day', sequence + n * %(each)s
FROM telemetry_data CROSS JOIN generate_series(1, %(last)s) n WHERE vehicle_id = %(vehicle)s
"""


def measure(servers: Machine, days: int = DAYS) -> dict[str, Any]:
    env = clean_environment(
        DATABASE_URL=servers.database("derivation"),
        DATA_DIR=str(servers.folder),
        TELEMETRY_RETENTION_MONTHS="0",
    )
    child = [PYTHON, "-m", "benchmarks.derivation", "--child", "--days", str(days)]
    done = subprocess.run(child, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def markdown(found: dict[str, Any]) -> str:
    lines = [
        "### Derivation", "",
        f"{found['days']} days of {RECORDS:,} records of one car, by one worker.", "",
        "| all of it anew | seconds | records/s |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {took:.1f} | {found['records'] / took:,.0f} |" for name, took in found["anew"].items()),
        "",
        "| one record | drained, ms | derived, ms | summed up, ms |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {name} | {' | '.join(f'{statistics.median(cell):.0f}' for cell in zip(*taken, strict=True))} |"
            for name, taken in found["single"].items()
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def _child(days: int) -> dict[str, Any]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from telemetry.derivation import derive, driving_anew

    call_command("migrate", verbosity=0, interactive=False)
    # A worker rests as long as it worked, so that drains find room; here nobody else wants any.
    derive._REST_MOST_S = derive._BREATH_S = 0.0
    car = _history(days)
    driving_anew.take_up()
    anew = _anew(car, days)
    places = {"at the end": 0, **{f"late, {back} days back": back for back in BACK if back < days}}
    single = {name: _single(car, days, name, back) for name, back in places.items()}
    return {"days": days, "records": days * RECORDS, "anew": anew, "single": single}


def _begin(days: int) -> datetime:
    return datetime.now(UTC).replace(hour=HOUR, minute=0, second=0, microsecond=0) - timedelta(days=days)


def _history(days: int) -> Any:
    from django.db import connection

    from telemetry import partitions
    from tests.deliveries import deliver, drain_all
    from tests.demo_drives import recorded
    from tests.world import make_car

    begin = _begin(days)
    partitions.ensure({(day.year, day.month) for day in (begin + timedelta(days=n) for n in range(days + 2))})
    car = make_car("bench", "car")
    messages = recorded(car, RECORDS, begin.timestamp())
    for place in range(0, RECORDS, 500):
        deliver(car, messages[place : place + 500])
        drain_all()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'telemetry_data'"
        )
        names = ", ".join(name for (name,) in cursor.fetchall() if name not in {"time", "sequence", "id"})
        numbers = {"each": RECORDS, "last": days - 1, "vehicle": car.vehicle.pk}
        cursor.execute(_COPY.format(names=names), numbers)
        cursor.execute("VACUUM ANALYZE")
    return car


def _anew(car: Any, days: int) -> dict[str, float]:
    from telemetry.derivation import derive
    from telemetry.derivation.touched import PACED
    from telemetry.frames import to_us

    took: dict[str, float] = defaultdict(float)
    usual = derive.CONSUMERS, derive.BACKLOGS
    derive.CONSUMERS = tuple(_timed(one, took) for one in usual[0])  # type: ignore[misc]
    derive.BACKLOGS = tuple(_timed(one, took) for one in usual[1])  # type: ignore[misc]
    opens = _begin(days)
    PACED.widen([(car.vehicle.pk, to_us(opens), to_us(opens + timedelta(days=days)))], at_once=True)
    began = time.perf_counter()
    _derive_all(car)
    total = time.perf_counter() - began
    derive.CONSUMERS, derive.BACKLOGS = usual  # type: ignore[misc]
    began = time.perf_counter()
    _sum_up()
    return {**took, "derived, all together": total, "summed up": time.perf_counter() - began}


def _timed(consume: Callable[..., Any], took: dict[str, float]) -> Callable[..., Any]:
    name = consume.__module__.rpartition(".")[2]

    def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        answer = consume(*arguments)
        took[name] += time.perf_counter() - began
        return answer

    return timed


def _derive_all(car: Any) -> None:
    from django.conf import settings

    from telemetry.derivation.derive import derive, waiting
    from telemetry.derivation.touched import PACED

    shard = car.vehicle.pk % settings.DRAIN_SHARDS
    while shard in waiting(PACED):
        derive(shard, lane=PACED)


def _sum_up() -> None:
    from django.utils import timezone

    from fleet.aggregation import rollups

    soon = timezone.now() + timedelta(hours=1)  # what is summed up now and then is due too
    while rollups.keep_up(soon):
        pass


def _single(car: Any, days: int, name: str, back: int) -> list[tuple[float, float, float]]:
    """Milliseconds of drain, derivation and sums, for each of some records."""
    at = _begin(days) + timedelta(days=days - 1 - back, seconds=RECORDS / 2)
    if name == "at the end":
        at = _begin(days) + timedelta(days=days - 1, seconds=RECORDS + 1)
    return [_one(car, at + timedelta(seconds=n + 0.5)) for n in range(TIMES)]


def _one(car: Any, at: datetime) -> tuple[float, float, float]:
    from telemetry.models import Paced
    from tests.deliveries import deliver, drain_all
    from tests.drives import encode

    values = {"speed": 40.0, "ignition": 1.0, "latitude": 52.52, "longitude": 13.4}
    stream = time.time_ns() % (1 << 40)
    deliver(car, encode(car.vin, [(at.timestamp(), values)], stream))
    moments = [time.perf_counter()]
    drain_all()
    moments.append(time.perf_counter())
    Paced.objects.update(due_us=0)
    _derive_all(car)
    moments.append(time.perf_counter())
    _sum_up()
    moments.append(time.perf_counter())
    drained, derived, summed = (1000 * (b - a) for a, b in pairwise(moments))
    return drained, derived, summed


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.derivation", description="What follows from records."
    )
    parser.add_argument("--days", type=int, default=DAYS, help="of history")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_child(options.days)))
        return
    with Machine() as servers:
        print(markdown(measure(servers, options.days)))


if __name__ == "__main__":
    main()
