"""A worker's capacity, shared by several gateways. Values in, actions out; no I/O, no clock.

Rules: a freed slot goes to a call already here, else to the gateway that has wanted one longest
(kept for it by a ticket), else it is announced to all. A call that is not known to be quick is
announced as BUSY before it starts, because user code may hold the GIL and silence us. Calls that
find no free slot wait here only behind quick ones; otherwise they go back to their gateway.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from toto._wire.constants import LANES, Lane
from toto._wire.messages import Slots

__all__ = [
    "Action",
    "AnnounceSlots",
    "BounceCall",
    "GrantSlot",
    "SlotCall",
    "SlotTable",
    "StartCall",
]

GRANT_SECONDS = 0.05
"""A granted slot that its gateway neither uses nor declines is free again after this time."""
COARSE_CAPACITY = 8
"""From this capacity on, an announcement is worth its message only when much has changed."""

L = TypeVar("L")


@dataclass(slots=True, eq=False)
class SlotCall(Generic[L]):
    """A call as far as slots are concerned."""

    link: L
    lane: int
    method: str
    ticket: int = 0
    is_fast: bool = False
    is_extra: bool = False
    """It runs beside the slots: a call that holds one waits for it."""
    is_borrowing: bool = False
    """It does so in the slot of another call of this worker, the lender."""
    lender: "SlotCall[L] | None" = None
    """That call, unless it has ended by now."""
    borrower: "SlotCall[L] | None" = None
    """The call that runs in its slot."""
    is_done: bool = False
    """It has ended, and its borrower has not: a thread cannot be stopped."""
    is_nested: bool = False
    """A method waits for it, which may be one that runs here: it waits behind nobody."""


@dataclass(frozen=True, slots=True)
class StartCall(Generic[L]):
    """Run the call now."""

    call: SlotCall[L]


@dataclass(frozen=True, slots=True)
class BounceCall(Generic[L]):
    """Hand the call back to its gateway."""

    call: SlotCall[L]


@dataclass(frozen=True, slots=True)
class AnnounceSlots(Generic[L]):
    """Tell the gateway the current numbers, as READY or as BUSY."""

    link: L
    is_busy: bool


@dataclass(frozen=True, slots=True)
class GrantSlot(Generic[L]):
    """Tell the gateway that a slot is kept for it."""

    link: L
    lane: int
    ticket: int


Action = StartCall[L] | BounceCall[L] | AnnounceSlots[L] | GrantSlot[L]


@dataclass(slots=True)
class _Peer:
    received: list[int] = field(default_factory=lambda: [0, 0])
    told: list[int] = field(default_factory=lambda: [0, 0])


@dataclass(slots=True)
class _Ticket(Generic[L]):
    link: L
    lane: int
    expires_at: float


class SlotTable(Generic[L]):
    """Slots by lane, the calls that hold or await them, and the gateways that want them.

    Args:
        threads: calls that may run in threads at once.
        loop_slots: calls that may run on the event loop at once.
        is_fast: whether calls of a method are known to be quick.
    """

    def __init__(self, *, threads: int, loop_slots: int, is_fast: Callable[[str], bool]) -> None:
        self.capacity = (threads, loop_slots)
        self.is_draining = False
        self._is_fast = is_fast
        self._peers: dict[L, _Peer] = {}
        self._running: tuple[set[SlotCall[L]], set[SlotCall[L]]] = (set(), set())
        self._quick = [0, 0]
        """How many of those that run are quick: thousands may be parked, so none are looked at."""
        self._extras: set[SlotCall[L]] = set()
        self._queues: tuple[deque[SlotCall[L]], deque[SlotCall[L]]] = (deque(), deque())
        self._tickets: dict[int, _Ticket[L]] = {}
        self._last_ticket = 0
        self._wants: tuple[dict[L, int], dict[L, int]] = ({}, {})

    # -- what is so

    def free(self, lane: int) -> int:
        """Slots that nobody holds, and that no call here waits for."""
        kept = sum(1 for ticket in self._tickets.values() if ticket.lane == lane)
        return self.capacity[lane] - len(self._running[lane]) - kept

    @property
    def is_idle(self) -> bool:
        """No call runs or waits."""
        return not any(self._running) and not any(self._queues) and not self._extras

    def report(self, link: L) -> Slots:
        """Return what to tell a gateway, and remember that it was told."""
        peer = self._peers[link]
        free = [0 if self.is_draining else self.free(lane) for lane in LANES]
        peer.told = free
        return Slots(
            free[Lane.THREAD],
            free[Lane.LOOP],
            peer.received[Lane.THREAD],
            peer.received[Lane.LOOP],
        )

    @property
    def next_expiry(self) -> float | None:
        """When the oldest grant runs out."""
        return min((ticket.expires_at for ticket in self._tickets.values()), default=None)

    # -- gateways

    def link_up(self, link: L) -> Iterator[Action[L]]:
        """A gateway is there: tell it what is free."""
        self._peers[link] = _Peer()
        yield AnnounceSlots(link, is_busy=False)

    def link_down(self, link: L, now: float) -> Iterator[Action[L]]:
        """A gateway is gone, and with it what it wanted, held and had waiting here."""
        self._peers.pop(link, None)
        self._tickets = {n: t for n, t in self._tickets.items() if t.link is not link}
        for lane in LANES:
            self._wants[lane].pop(link, None)
            queue = self._queues[lane]
            for call in [call for call in queue if call.link is link]:
                queue.remove(call)
            yield from self._use_free(lane, now)

    def want(self, link: L, lane: int, count: int, now: float) -> Iterator[Action[L]]:
        """A gateway has calls waiting for this worker (or, with 0, no more)."""
        wants = self._wants[lane]
        if count <= 0:
            wants.pop(link, None)
        elif link in self._peers:
            wants[link] = count
            yield from self._use_free(lane, now)

    def decline(self, link: L, ticket: int, now: float) -> Iterator[Action[L]]:
        """A gateway does not need the slot kept for it."""
        kept = self._tickets.get(ticket)
        if kept is not None and kept.link is link:
            del self._tickets[ticket]
            yield from self._use_free(kept.lane, now)

    def expire(self, now: float) -> Iterator[Action[L]]:
        """Take back slots whose gateways have not answered."""
        for number, ticket in list(self._tickets.items()):
            if ticket.expires_at <= now:
                del self._tickets[number]
                yield from self._use_free(ticket.lane, now)

    def drain(self) -> Iterator[Action[L]]:
        """Take no more calls, and hand back those that wait."""
        self.is_draining = True
        self._tickets.clear()
        for lane in LANES:
            self._wants[lane].clear()
            yield from self._bounce_queue(lane)

    # -- calls

    def arrive(self, call: SlotCall[L]) -> Iterator[Action[L]]:
        """A call came in: it starts, waits behind quick ones, or goes back."""
        if call.is_extra and (not call.is_borrowing or _can_lend(call.lender)):
            # Even while draining: a call that runs waits for it, here or elsewhere.
            self._extras.add(call)
            if call.lender is not None:
                call.lender.borrower = call
            yield StartCall(call)
            return
        lane = call.lane
        call.is_fast = self._is_fast(call.method)
        kept = self._tickets.pop(call.ticket, None) if call.ticket else None
        if not call.ticket and not call.is_extra:
            # A slot of a ticket was never reported free, nor is one needed beside them: such a call
            # is counted on neither side.
            self._peers[call.link].received[lane] += 1
        if self.is_draining:
            yield BounceCall(call)
        elif (kept is not None and kept.lane == lane) or self.free(lane) > 0:
            yield from self._start(call)
        elif self._take_ticket(call):
            # A GRANT crossed this call. Bouncing it off a slot that is kept for its own gateway
            # can go on for ever, when two gateways do so in step.
            yield from self._start(call)
        elif self._is_quick_lane(lane) and not call.is_nested:
            self._queues[lane].append(call)
        else:
            yield BounceCall(call)

    def withdraw(self, call: SlotCall[L]) -> bool:
        """Drop a call that has not started; False when it has."""
        queue = self._queues[call.lane]
        if call in queue:
            queue.remove(call)
            return True
        return False

    def finish(self, call: SlotCall[L], now: float) -> tuple[int, list[Action[L]]]:
        """Free a call's slot; return a ticket for its own gateway (or 0), and what else to do."""
        actions = list(self._end(call, now))
        for action in actions:
            if isinstance(action, GrantSlot) and action.link is call.link:
                # Its result is about to be sent there: the ticket rides on that message.
                actions.remove(action)
                return action.ticket, actions
        return 0, [a for a in actions if not _is_told_by_result(a, call.link)]

    # -- inside

    def _end(self, call: SlotCall[L], now: float) -> Iterator[Action[L]]:
        if call.borrower is not None:
            call.is_done = True
            return
        if call in self._extras:
            self._extras.discard(call)
            lender, call.lender = call.lender, None
            if lender is not None:
                lender.borrower = None
                if lender.is_done:
                    yield from self._end(lender, now)
            return
        if call in self._running[call.lane]:
            self._running[call.lane].discard(call)
            self._quick[call.lane] -= call.is_fast
        yield from self._use_free(call.lane, now)

    def _start(self, call: SlotCall[L]) -> Iterator[Action[L]]:
        self._running[call.lane].add(call)
        self._quick[call.lane] += call.is_fast
        if not call.is_fast:
            yield from self._announce(call.lane, is_busy=True, but=call.link)
            if not self._is_quick_lane(call.lane):
                yield from self._bounce_queue(call.lane)
        yield StartCall(call)

    def _take_ticket(self, call: SlotCall[L]) -> bool:
        for number, ticket in self._tickets.items():
            if ticket.link is call.link and ticket.lane == call.lane:
                del self._tickets[number]
                return True
        return False

    def _bounce_queue(self, lane: int) -> Iterator[Action[L]]:
        queue = self._queues[lane]
        while queue:
            yield BounceCall(queue.popleft())

    def _is_quick_lane(self, lane: int) -> bool:
        return self._quick[lane] > 0

    def _use_free(self, lane: int, now: float) -> Iterator[Action[L]]:
        queue = self._queues[lane]
        while queue and self.free(lane) > 0:
            yield from self._start(queue.popleft())
        wants = self._wants[lane]
        while wants and self.free(lane) > 0 and not self.is_draining:
            link = next(iter(wants))
            count = wants.pop(link) - 1
            if count:
                wants[link] = count
            self._last_ticket += 1
            self._tickets[self._last_ticket] = _Ticket(link, lane, now + GRANT_SECONDS)
            yield GrantSlot(link, lane, self._last_ticket)
        yield from self._announce(lane, is_busy=False)

    def _announce(self, lane: int, *, is_busy: bool, but: L | None = None) -> Iterator[Action[L]]:
        free = self.free(lane)
        coarse = self.capacity[lane] // COARSE_CAPACITY
        for link, peer in self._peers.items():
            told = peer.told[lane]
            if link is but or told == free:
                continue
            if abs(told - free) >= coarse or (told == 0) != (free == 0):
                yield AnnounceSlots(link, is_busy)


def _can_lend(lender: SlotCall[L] | None) -> bool:
    """Tell whether the call in whose slot another one shall run still holds it for itself.

    It may have ended while that call was on its way, which then is one like any other.
    """
    return lender is not None and lender.borrower is None and not lender.is_done


def _is_told_by_result(action: Action[L], link: L) -> bool:
    return isinstance(action, AnnounceSlots) and action.link is link
