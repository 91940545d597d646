"""The in-memory channel layer for one process, made safe for senders in other threads."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from channels.layers import InMemoryChannelLayer

_PATIENCE_S = 2.0


class LoopBoundInMemoryLayer(InMemoryChannelLayer):
    """Sends from any thread run on the loop that receives.

    The plain layer fills the receiver's queue without waking its loop, so that a message from a Celery
    thread waits for the loop's next timer: up to a second.
    """

    _home: asyncio.AbstractEventLoop | None = None

    def __init__(self, **options: Any) -> None:
        # A process subscribes once per fleet and stays subscribed for as long as it runs, not for a day.
        super().__init__(**{"group_expiry": 100 * 365 * 86_400, **options})

    async def _on_home(self, call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        here = asyncio.get_running_loop()
        if self._home is None or self._home is here or self._home.is_closed():
            return await call(*args)

        done: Future[Any] = Future()

        def settle(task: asyncio.Task[Any]) -> None:
            if not done.cancelled():
                error = asyncio.CancelledError() if task.cancelled() else task.exception()
                done.set_exception(error) if error else done.set_result(task.result())

        def start() -> None:
            # Made here and not by the sender: a loop that ends before it gets this far leaves nothing behind.
            asyncio.ensure_future(call(*args)).add_done_callback(settle)

        self._home.call_soon_threadsafe(start)
        # That loop may just be ending, and then nobody answers.
        return await asyncio.wait_for(asyncio.wrap_future(done), _PATIENCE_S)

    async def receive(self, channel: str) -> dict[str, Any]:
        self._home = asyncio.get_running_loop()
        message: dict[str, Any] = await super().receive(channel)
        return message

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self._on_home(super().send, channel, message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._on_home(super().group_send, group, message)
