"""Calls that wait for a worker: oldest first, single calls and batch members in turn. No I/O."""

from collections import deque
from collections.abc import Iterator

from toto_gateway.dispatch.pending import PendingCall
from toto_gateway.dispatch.workers import WorkerGroup

__all__ = ["Route", "WaitingTally"]


ENDED_CALLS_KEPT = 64


class _Waiting:
    """An arrival-ordered queue. Calls that ended while they waited are dropped at the head."""

    __slots__ = ("_calls", "count")

    def __init__(self) -> None:
        self._calls: deque[PendingCall] = deque()
        self.count = 0

    def abandon(self) -> None:
        """Count out a call that has ended; it leaves at the head, or when there are many such."""
        self.count -= 1
        if len(self._calls) > 2 * self.count + ENDED_CALLS_KEPT:
            self._calls = deque(self)

    def __iter__(self) -> Iterator[PendingCall]:
        return (call for call in self._calls if not call.is_ended)

    def put(self, call: PendingCall) -> None:
        """Add a call; one that came back from a worker keeps its place in the order of arrival."""
        self.count += 1
        if not self._calls or self._calls[-1].order < call.order:
            self._calls.append(call)
            return
        for position, other in enumerate(self._calls):
            if other.order > call.order:
                self._calls.insert(position, call)
                return

    def head(self) -> PendingCall | None:
        """Return the oldest call that still waits."""
        while self._calls:
            if not self._calls[0].is_ended:
                return self._calls[0]
            self._calls.popleft()
        return None

    def remove(self, call: PendingCall) -> None:
        """Remove a call from wherever it stands."""
        self.count -= 1
        self._calls.remove(call)

    def pop(self) -> PendingCall:
        """Remove and return the head; ``head`` must have returned it."""
        self.count -= 1
        return self._calls.popleft()


class WaitingTally:
    """How many calls wait in all routes together."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0


class Route:
    """The waiting calls of all methods that run in one lane of the same workers."""

    __slots__ = (
        "_batch",
        "_batch_turn",
        "_single",
        "_tally",
        "batch_running",
        "empty_since",
        "groups",
        "lane",
    )

    def __init__(
        self, lane: int, groups: list[WorkerGroup], tally: WaitingTally, *, empty_since: float
    ) -> None:
        self._tally = tally
        self.lane = lane
        self.groups = groups
        self.empty_since = empty_since
        """When the last worker was lost; means something only while there are no groups."""
        self._single = _Waiting()
        self._batch = _Waiting()
        self._batch_turn = False
        self.batch_running = 0

    def __iter__(self) -> Iterator[PendingCall]:
        yield from self._single
        yield from self._batch

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return self._single.count + self._batch.count

    @property
    def slots(self) -> int:
        """Slots of all live workers of the route, busy or not."""
        return sum(w.capacity[self.lane] for group in self.groups for w in group.workers.values())

    def put(self, call: PendingCall) -> None:
        """Add a call to its class."""
        call.is_waiting = True
        self._tally.calls += 1
        (self._batch if call.request.in_batch else self._single).put(call)

    def abandon(self, call: PendingCall) -> None:
        """Count out a call that ended while it waited; it leaves when it gets to the head."""
        if call.is_waiting:
            call.is_waiting = False
            self._tally.calls -= 1
            (self._batch if call.request.in_batch else self._single).abandon()

    def remove(self, call: PendingCall) -> None:
        """Take out a call that need not wait for its turn."""
        call.is_waiting = False
        self._tally.calls -= 1
        (self._batch if call.request.in_batch else self._single).remove(call)

    def peek(self) -> PendingCall | None:
        """Return the call to run next.

        Single calls and batch members alternate while both wait, and batch members get no more
        than half of the slots then: a batch of a hundred must not hold up everybody else.
        """
        single, member = self._single.head(), self._batch.head()
        if single is None or member is None:
            return single or member
        if self.batch_running >= max(1, self.slots // 2):
            return single
        return member if self._batch_turn else single

    def take(self, call: PendingCall) -> None:
        """Remove the call that ``peek`` returned."""
        call.is_waiting = False
        self._tally.calls -= 1
        if call.request.in_batch:
            self._batch.pop()
        else:
            self._single.pop()
        self._batch_turn = not call.request.in_batch
