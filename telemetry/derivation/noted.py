"""What this process has touched already in this stretch of wall clock, and committed."""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
_REMEMBERED = 200_000


class Noted(Generic[Key]):
    def __init__(self) -> None:
        self.slot = 0
        self.now: set[Key] = set()
        self.ever: set[Key] = set()

    def fresh(self, slot: int, keys: set[Key]) -> set[Key]:
        """Those that were not touched in the stretch that is due then."""
        return keys - self.now if slot == self.slot else keys

    def remember(self, slot: int, keys: Iterable[Key]) -> None:
        if slot > self.slot:
            self.now, self.slot = set(), slot
        if len(self.ever) > _REMEMBERED:
            self.ever = set()
        if slot == self.slot:
            self.now.update(keys)
        self.ever.update(keys)
