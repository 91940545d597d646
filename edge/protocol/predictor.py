"""How a receiver guesses a signal that was left out. Integers only, so every language agrees bit for bit.

A predictor keeps one integer per signal, in steps of the signal's resolution. Adding one: a class
with these members and a line in PREDICTORS.
"""

from typing import Final, Protocol


class Predictor(Protocol):
    """State in, state out; `alpha` is the smoothing factor in 256ths, from the catalogue."""

    follows: bool
    """The state is always the step last sent; saves the hot path two calls per signal."""

    def start(self, value: int) -> int: ...
    def predict(self, state: int) -> int: ...
    def update(self, state: int, value: int, alpha: int) -> int: ...


class LastValue:
    """The signal stays where it was last sent."""

    follows = True

    def start(self, value: int) -> int:
        return value

    def predict(self, state: int) -> int:
        return state

    def update(self, state: int, value: int, alpha: int) -> int:
        return value


class ExponentialSmoothing:
    """The state moves by alpha of the way to each value sent; an omission leaves it where it is.

    The shift rounds half up and is arithmetic (towards minus infinity), in Python and in C++20 alike.
    """

    follows = False

    def start(self, value: int) -> int:
        return value

    def predict(self, state: int) -> int:
        return state

    def update(self, state: int, value: int, alpha: int) -> int:
        return state + ((alpha * (value - state) + 128) >> 8)


PREDICTORS: Final[dict[str, Predictor]] = {"last": LastValue(), "smooth": ExponentialSmoothing()}
