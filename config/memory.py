"""Garbage collection for processes that make many short-lived values and hardly a cycle."""

import gc

_YOUNG = 50_000


def settle() -> None:
    """Call when everything is imported: what exists now is never looked at again, and young values rarely.

    A drain makes some twenty objects per record; with the default threshold a fifth of its time went into
    looking through them for cycles that are not there.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
