"""What hypothesis draws: readings as cars give them, with sensors that come, go and fail."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from edge.protocol.signals import BY_NAME, Signal
from edge.protocol.tests.drives import Readings


def examples(count: int) -> settings:
    """So many, however slow the machine is."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def values_of(signal: Signal) -> st.SearchStrategy[float]:
    return st.floats(signal.low, signal.high, allow_nan=False)


BROKEN = st.sampled_from([None, float("nan"), float("inf"), -1e300])


@st.composite
def drives(draw: st.DrawFn, longest: int = 12) -> list[Readings]:
    """Each record changes a few signals of the one before, a little or a lot; any may fail."""
    names = draw(st.lists(st.sampled_from(sorted(BY_NAME)), min_size=1, max_size=6, unique=True))
    readings: Readings = {}
    drive: list[Readings] = []
    for _ in range(draw(st.integers(2, longest))):
        for name in draw(st.lists(st.sampled_from(names), max_size=4)):
            signal, before = BY_NAME[name], readings.get(name)
            near = (before or 0.0) + draw(st.floats(-6, 6))
            readings[name] = draw(
                st.one_of(values_of(signal), BROKEN, st.just(min(signal.high, max(signal.low, near))))
            )
            if draw(st.integers(0, 9)) == 0:
                del readings[name]
        drive.append(dict(readings))
    return drive
