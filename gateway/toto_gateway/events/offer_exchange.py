"""Both sides of the offers of events for one worker: one's own, and those of others. No I/O."""

from collections.abc import Callable
from typing import Protocol

from toto_gateway.events.offers import Offers, Outgoing
from toto_gateway.events.relay_losses import Loss
from toto_gateway.events.relay_messages import Back, Claim, Hand, Offer, RelayMessage

__all__ = ["OfferExchange", "Takers"]


class Takers(Protocol):
    """The workers of this gateway process."""

    def has_subscriber(self, name: str) -> bool:
        """Tell whether one of them would take the event."""

    def take_one(self, name: str, payload: bytes) -> bool:
        """Give it to exactly one of them; False when there is none any more."""


class OfferExchange:
    """Says what to send for what has come, and for the time that has passed.

    Args:
        gateway_id: of this process.
        takers: the workers of this process.
        clock: returns seconds of any epoch.
        report: is told what is lost, and the name of the event.
    """

    def __init__(
        self,
        gateway_id: bytes,
        takers: Takers,
        *,
        clock: Callable[[], float],
        report: Callable[[Loss, str], None],
    ) -> None:
        self._gateway_id = gateway_id
        self._takers = takers
        self._is_closing = False
        self._own = Offers(gateway_id, self._take, clock=clock, report=report)

    @property
    def next_due(self) -> float | None:
        """When ``run_due`` has something to do, by the clock; None for never."""
        return self._own.next_due

    def offer(self, name: str, payload: bytes) -> list[Outgoing]:
        """Offer an event that found no worker here."""
        return self._own.add(name, payload)

    def receive(self, message: RelayMessage) -> list[Outgoing]:
        """Take in what another gateway process says; what is no part of an offer is ignored."""
        match message:
            case Offer(sender, number, name):
                if not self._is_closing and self._takers.has_subscriber(name):
                    return [Outgoing(sender, Claim(self._gateway_id, number))]
            case Claim(sender, number):
                self._own.on_claim(sender, number)
            case Hand(sender, number, attempt, name, payload):
                if not self._take(name, payload):
                    return [Outgoing(sender, Back(self._gateway_id, number, attempt))]
            case Back(sender, number, attempt):
                return self._own.on_back(sender, number, attempt)
        return []

    def run_due(self) -> list[Outgoing]:
        """Do what is due."""
        return self._own.run_due()

    def stop_taking(self) -> None:
        """Take nothing more; what others hand over goes back to them."""
        self._is_closing = True

    def close(self) -> None:
        """Drop what is on offer."""
        self._own.close()

    def _take(self, name: str, payload: bytes) -> bool:
        return not self._is_closing and self._takers.take_one(name, payload)
