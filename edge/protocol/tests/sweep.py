"""How much each predictor leaves out, per signal, on the recorded drives.

Run as `python -m edge.protocol.tests.sweep`; the table in docs/adr/0002-default-catalogue.md is its output.
"""

from collections import defaultdict
from dataclasses import replace

from edge.protocol.catalogue import Rule, load
from edge.protocol.predictor import PREDICTORS
from edge.protocol.signals import BY_NAME
from edge.protocol.tests.drives import Drive, real_drives

ALPHAS = (77, 128, 179, 205, 230, 256)


def sends(rule: Rule, drive: Drive, name: str) -> tuple[int, int]:
    """Readings of one signal in a drive, and how many of them must be sent (without keyframes)."""
    signal = BY_NAME[name]
    state, readings, sent = None, 0, 0
    for reading in drive.readings:
        value = reading.get(name)
        if value is None or not signal.low <= value <= signal.high:
            state = None
            continue
        readings += 1
        if state is None or not rule.within(value, state):
            sent += 1
            state = rule.moved(state, rule.quantise(value))
    return readings, sent


def table(catalogue: str) -> list[str]:
    rules = {BY_NAME[name].number: name for name in BY_NAME}
    totals: dict[tuple[str, str], list[list[int]]] = defaultdict(lambda: [[0, 0] for _ in ALPHAS])
    for drive in real_drives():
        for number, rule in load(catalogue).rules.items():
            name = rules[number]
            if not any(reading.get(name) is not None for reading in drive.readings):
                continue
            for place, alpha in enumerate(ALPHAS):
                tried = replace(rule, predictor=PREDICTORS["smooth"], alpha=alpha)
                readings, sent = sends(tried, drive, name)
                for source in (drive.source, "all"):
                    totals[name, source][place][0] += readings
                    totals[name, source][place][1] += sent
    lines = ["| signal | drives | readings | " + " | ".join(f"{a}/256" for a in ALPHAS) + " | best |"]
    lines.append("| --- | --- | ---: |" + " ---: |" * len(ALPHAS) + " --- |")
    for name in BY_NAME:
        sources = sorted(s for n, s in totals if n == name and s != "all")
        for source in (*sources, "all") if len(sources) > 1 else sources:
            lines.append(_line(name, source, totals[name, source]))
    return lines


def _line(name: str, source: str, counts: list[list[int]]) -> str:
    omitted = [100 * (readings - sent) / readings for readings, sent in counts]
    best = max(omitted)
    winner = (
        "last" if omitted[-1] >= best else f"{ALPHAS[omitted.index(best)]}/256, +{best - omitted[-1]:.2f}"
    )
    cells = " | ".join(f"{share:.2f}" for share in omitted)
    return f"| {name} | {source} | {counts[0][0]:,} | {cells} | {winner} |"


if __name__ == "__main__":
    for catalogue in ("standard-1", "tight-1"):
        print(f"\n{catalogue}\n")
        print("\n".join(table(catalogue)))
