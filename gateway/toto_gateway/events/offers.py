"""Events that look for one worker in other gateway processes: their state, and nothing of I/O.

An event is offered to all gateway processes. Those with a worker for it claim it; of them it is
handed to the one whose turn it is. Only who gives it back says that it is still to be had, so it
never has two takers: when the answer is lost, so may be the event.
"""

import heapq
import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from toto_gateway.events.relay_losses import Loss
from toto_gateway.events.relay_messages import Hand, Offer, RelayMessage

__all__ = ["Offers", "Outgoing", "TakeHere"]

GATHER_SECONDS = 0.002
"""After the first claim others are waited for, or the nearest gateway process would get all."""
KEPT_SECONDS = 1.0
"""What was not taken by then is dropped."""
AGAIN_SECONDS = (0.05, 0.15, 0.45)
"""Pauses before it is offered again: a worker may be restarting, an offer may have been lost."""
COUNT_MAX = 10_000
BYTES_MAX = 16 * 1024 * 1024
CLAIMS_MAX = 256
"""Of one offer."""
TURNS_MAX = 10_000
"""Pairs of event and gateway process whose last turn is remembered."""

TakeHere = Callable[[str, bytes], bool]
"""Gives an event to a worker of this process; False when there is none."""


class Outgoing(NamedTuple):
    """A message to be sent."""

    gateway_id: bytes | None
    """Whom it is for; None for everyone."""
    message: RelayMessage


@dataclass(slots=True)
class _Kept:
    """An event on offer: nobody has claimed it, claims are gathered, or it has been handed out."""

    name: str
    payload: bytes
    expires_at: float
    due_at: float = 0.0
    offered: int = 0
    attempts: int = 0
    claimers: dict[bytes, None] = field(default_factory=dict)
    holder: bytes | None = None


class Offers:
    """The events that this gateway process has on offer.

    Args:
        gateway_id: of this process.
        take_here: asked before an event is offered again, and before it is dropped.
        clock: returns seconds of any epoch.
        report: is told what is lost, and the name of the event.
    """

    def __init__(
        self,
        gateway_id: bytes,
        take_here: TakeHere,
        *,
        clock: Callable[[], float],
        report: Callable[[Loss, str], None],
    ) -> None:
        self._gateway_id = gateway_id
        self._take_here = take_here
        self._clock = clock
        self._report = report
        self._numbers = itertools.count(1)
        self._kept: dict[int, _Kept] = {}
        self._handed: dict[int, None] = {}
        """In the order in which they were handed out."""
        self._bytes = 0
        self._due: list[tuple[float, int]] = []
        """A heap; what is not the time of its event any more is passed over."""
        self._turns = _Turns()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def next_due(self) -> float | None:
        """When ``run_due`` has something to do, by the clock; None for never."""
        while self._due and not self._is_current(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def add(self, name: str, payload: bytes) -> list[Outgoing]:
        """Offer an event; it is dropped when there is no room for it."""
        if not self._make_room(len(payload)):
            self._report(Loss.NO_ROOM, name)
            return []
        number = next(self._numbers)
        kept = _Kept(name, payload, self._clock() + KEPT_SECONDS)
        self._kept[number] = kept
        self._bytes += len(payload)
        return [self._offer(number, kept)]

    def on_claim(self, gateway_id: bytes, number: int) -> None:
        """Take in that another process has a worker for it."""
        kept = self._kept.get(number)
        if kept is None or len(kept.claimers) >= CLAIMS_MAX:
            return
        is_first = not kept.claimers and kept.holder is None
        kept.claimers[gateway_id] = None
        if is_first:
            self._schedule(number, kept, GATHER_SECONDS)

    def on_back(self, gateway_id: bytes, number: int, attempt: int) -> list[Outgoing]:
        """Take in that the process it was handed to had no worker for it any more."""
        kept = self._kept.get(number)
        if kept is None:  # it was taken for accepted
            self._report(Loss.NOT_TAKEN, "")
            return []
        if kept.holder != gateway_id or kept.attempts != attempt:
            return []
        kept.holder = None
        self._handed.pop(number, None)
        if kept.claimers:
            return [self._hand(number, kept)]
        self._schedule(number, kept, self._pause(kept))
        return []

    def run_due(self) -> list[Outgoing]:
        """Do what is due."""
        outgoing: list[Outgoing] = []
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            due_at, number = heapq.heappop(self._due)
            if self._is_current(due_at, number):
                outgoing += self._run(number, self._kept[number], now)
        return outgoing

    def close(self) -> None:
        """Drop everything that nobody has."""
        for number, kept in list(self._kept.items()):
            if kept.holder is None:
                self._report(Loss.NOT_TAKEN, kept.name)
            self._forget(number)

    # -- inside

    def _run(self, number: int, kept: _Kept, now: float) -> list[Outgoing]:
        if kept.holder is not None:  # who does not give it back has taken it
            self._forget(number)
        elif kept.claimers:
            return [self._hand(number, kept)]
        elif self._take_here(kept.name, kept.payload):
            self._forget(number)
        elif now < kept.expires_at:
            return [self._offer(number, kept)]
        else:
            self._report(Loss.NOT_TAKEN, kept.name)
            self._forget(number)
        return []

    def _offer(self, number: int, kept: _Kept) -> Outgoing:
        kept.offered += 1
        self._schedule(number, kept, self._pause(kept))
        return Outgoing(None, Offer(self._gateway_id, number, kept.name))

    def _hand(self, number: int, kept: _Kept) -> Outgoing:
        chosen = self._turns.take(kept.name, kept.claimers)
        del kept.claimers[chosen]
        kept.holder = chosen
        kept.attempts += 1
        self._handed[number] = None
        self._schedule(number, kept, KEPT_SECONDS)
        hand = Hand(self._gateway_id, number, kept.attempts, kept.name, kept.payload)
        return Outgoing(chosen, hand)

    def _pause(self, kept: _Kept) -> float:
        """Return the seconds until it is offered again; often enough means: not any more."""
        pauses = AGAIN_SECONDS[kept.offered - 1 :]
        return pauses[0] if pauses else KEPT_SECONDS

    def _schedule(self, number: int, kept: _Kept, seconds: float) -> None:
        kept.due_at = min(self._clock() + seconds, kept.expires_at)
        heapq.heappush(self._due, (kept.due_at, number))

    def _is_current(self, due_at: float, number: int) -> bool:
        kept = self._kept.get(number)
        return kept is not None and kept.due_at == due_at

    def _make_room(self, size: int) -> bool:
        def has_room() -> bool:
            return len(self._kept) < COUNT_MAX and self._bytes + size <= BYTES_MAX

        # What has been handed out is nearly always taken: nobody says so, to save a message.
        while not has_room() and self._handed:
            self._forget(next(iter(self._handed)))
        return has_room()

    def _forget(self, number: int) -> None:
        self._bytes -= len(self._kept.pop(number).payload)
        self._handed.pop(number, None)


class _Turns:
    """Who was chosen when, for each event; what was longest ago is forgotten first."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._last: dict[tuple[str, bytes], int] = {}

    def take(self, name: str, gateway_ids: Collection[bytes]) -> bytes:
        """Return the one that was chosen least recently, which has been chosen now."""
        chosen = min(gateway_ids, key=lambda gateway_id: self._last.get((name, gateway_id), 0))
        self._last.pop((name, chosen), None)
        self._last[name, chosen] = next(self._numbers)
        if len(self._last) > TURNS_MAX:
            del self._last[next(iter(self._last))]
        return chosen
