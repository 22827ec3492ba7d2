"""When the workers are told what waits."""

import asyncio
from collections.abc import Callable

__all__ = ["WantsTimer"]

AT_ONCE_WORKERS = 16
PAUSE_SECONDS = 0.005
"""Telling a hundred workers what waits costs 90 us: in larger pools not at every turn."""


class WantsTimer:
    """Has it told once for all that changed in a turn of the event loop, or in a short pause.

    Args:
        loop: the running event loop.
        waiting: how many calls wait.
        tell: tells the workers.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        waiting: Callable[[], int],
        tell: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._waiting = waiting
        self._tell = tell
        self._is_scheduled = False
        self._was_told = False

    def changed(self, worker_count: int) -> None:
        """Something has moved; that nothing waits any more is told, too."""
        if self._is_scheduled or not (self._was_told or self._waiting()):
            return
        self._is_scheduled = True
        if worker_count <= AT_ONCE_WORKERS:
            self._loop.call_soon(self._run)
        else:
            self._loop.call_later(PAUSE_SECONDS, self._run)

    def _run(self) -> None:
        self._was_told = self._waiting() > 0
        self._tell()
        self._is_scheduled = False
