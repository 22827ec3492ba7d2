"""A history of events that does what a test says, and a recorder that writes there."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from toto._core.event_history import HistoryPage, NewEvent
from toto._core.stores.store import StoreUnavailable
from toto_gateway.events.recorder import EventRecorder
from toto_testkit.jumping_loop import pass_time, run_jumping

BEGAN = "events are passed on without being recorded: "
ENDED = "events are recorded again"
"""What the log says."""

LATE_SECONDS = 30.0
RETRY_SECONDS = 20.0
BLOCKED_SECONDS_MAX = 15.0


class ListHistory:
    """A history in a list. A cursor is an index there; what is marked has no payload.

    ``mood`` is what its next calls do: they work, find the store ``away``, are a mistake that
    ``breaks``, or are done and ``lost`` on the way back. ``moods`` has those of single calls, by
    their numbers; there, ``silent`` is one more.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[str, bytes | None]] = []
        self.batches: list[int] = []
        self.mark_calls: list[list[str]] = []
        self.mood = "works"
        self.moods: dict[int, str] = {}
        self.calls = 0
        self.closed = 0
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        """Let calls hang from now on."""
        self._free.clear()

    def let_go(self) -> None:
        """Let calls go on."""
        self._free.set()

    def append(self, events: Sequence[NewEvent]) -> list[str]:
        self._begin()
        first = len(self.entries)
        self.batches.append(len(events))
        self.entries += events
        self._end()
        return [str(first + number) for number in range(len(events))]

    def mark_gap(self, names: Sequence[str]) -> None:
        self._begin()
        self.mark_calls.append(list(names))
        self.entries += [(name, None) for name in names]
        self._end()

    def read(self, name: str, since: str, count_max: int) -> HistoryPage:
        raise NotImplementedError

    def latest(self, name: str) -> str:
        raise NotImplementedError

    def close(self) -> None:
        self.closed += 1

    def _begin(self) -> None:
        mood = self.moods.get(self.calls + 1)
        if mood == "silent":
            self.hold()
        self.calls += 1
        self._free.wait(BLOCKED_SECONDS_MAX)
        mood = mood or self.mood
        if mood == "away":
            raise StoreUnavailable
        if mood == "breaks":
            raise RuntimeError("a mistake")

    def _end(self) -> None:
        if self.mood == "lost":
            raise StoreUnavailable


class PassedOn(NamedTuple):
    """An event that a recorder has passed on."""

    name: str
    payload: bytes
    cursor: str
    place: int
    """How many entries the history had at that time."""


class Recording:
    """A recorder on a jumping loop, and what it has passed on."""

    def __init__(self) -> None:
        self.history = ListHistory()
        self.passed_on: list[PassedOn] = []
        self.count = 0
        self.recorder = EventRecorder(
            self.history,
            loop=asyncio.get_running_loop(),
            timeout_seconds=LATE_SECONDS,
            retry_seconds=RETRY_SECONDS,
        )

    def record(self, name: str = "e", *more: str) -> None:
        """Record an event; as soon as it is passed on, record one of each further name."""
        payload = b"%d" % self.count
        self.count += 1

        def then(cursor: str) -> None:
            place = len(self.history.entries)
            self.passed_on.append(PassedOn(name, payload, cursor, place))
            for each in more:
                self.record(each)

        self.recorder.record(name, payload, then)

    @property
    def cursors(self) -> list[str]:
        """Of all that was passed on."""
        return [each.cursor for each in self.passed_on]

    async def settle(self) -> None:
        """Wait until all has been passed on."""
        await self.until(lambda: len(self.passed_on) == self.count)

    async def until(self, predicate: Callable[[], object]) -> None:
        """Wait for something that the recorder's thread does."""
        while not predicate():
            await asyncio.sleep(0.001)

    async def late(self) -> None:
        """Let the time of a batch be over."""
        await pass_time(LATE_SECONDS)

    async def retry(self) -> None:
        """Let the next attempt begin."""
        await pass_time(RETRY_SECONDS)

    async def retry_until(self, predicate: Callable[[], object]) -> None:
        """Make one attempt after the other, each to its end; the history must not hang."""
        while not predicate():
            await self.retry()
            # Time that passes on while a slow thread works would have the attempt given up.
            await self.until(lambda: self.recorder._job is None)
            await asyncio.sleep(0.001)


def run_recording(scenario: Callable[[Recording], Awaitable[None]]) -> None:
    """Run a scenario on a jumping loop, and close the recorder at its end."""

    async def closed_at_the_end() -> None:
        recording = Recording()
        try:
            await scenario(recording)
        finally:
            recording.history.let_go()
            await recording.recorder.close()

    run_jumping(closed_at_the_end())
