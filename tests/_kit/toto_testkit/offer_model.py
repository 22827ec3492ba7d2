"""Several gateway processes that offer events to one another, and a network that the test moves."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from toto_gateway.events.offer_exchange import OfferExchange
from toto_gateway.events.offers import Outgoing
from toto_gateway.events.relay_losses import Loss
from toto_gateway.events.relay_messages import Offer, decode, encode

LONG_SECONDS = 10.0


class Mood(Enum):
    """What a gateway process does with an offer."""

    NOBODY = "it has no worker"
    TAKES = "it has a worker"
    LATE = "its worker goes before the event comes"


@dataclass
class Gateway:
    """A gateway process without workers: it says it has one, and takes what it is given."""

    number: int
    model: "OfferModel"
    mood: Mood = Mood.NOBODY
    taken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exchange = OfferExchange(
            self.gateway_id,
            self,
            clock=lambda: self.model.now,
            report=lambda loss, name: self.model.lost.append((loss, name)),
        )

    @property
    def gateway_id(self) -> bytes:
        return b"g%d" % self.number

    def has_subscriber(self, name: str) -> bool:
        return self.mood is not Mood.NOBODY

    def take_one(self, name: str, payload: bytes) -> bool:
        if self.mood is not Mood.TAKES:
            return False
        self.taken.append(payload.decode())
        return True


class OfferModel:
    """What was sent waits until the test delivers or loses it."""

    def __init__(self, gateways: int) -> None:
        self.now = 1000.0
        self.gateways = [Gateway(number, self) for number in range(gateways)]
        self.on_the_way: list[tuple[Gateway, bytes, bool]] = []
        self.lost: list[tuple[Loss, str]] = []
        self.offered: list[str] = []

    @property
    def taken(self) -> Counter[str]:
        """How often each event was taken."""
        return Counter(label for gateway in self.gateways for label in gateway.taken)

    def offer(self, gateway: int, name: str = "e", size: int = 0) -> str:
        """Let a process offer an event, and return the label by which it is known here."""
        label = f"{name} {len(self.offered)}".ljust(size)
        self.offered.append(label)
        self._send(gateway, self.gateways[gateway].exchange.offer(name, label.encode()))
        return label

    def deliver(self, index: int) -> None:
        """Let one message arrive, whichever was sent before it."""
        if self.on_the_way:
            gateway, frame, is_offer = self.on_the_way.pop(index % len(self.on_the_way))
            message = decode(frame, is_to_everyone=is_offer)
            self._send(gateway.number, gateway.exchange.receive(message))

    def lose(self, index: int) -> None:
        """Lose one message."""
        if self.on_the_way:
            del self.on_the_way[index % len(self.on_the_way)]

    def deliver_all(self, indexes: list[int]) -> None:
        """Let everything arrive, and the answers; the indexes choose the order."""
        for step in range(10_000):
            if not self.on_the_way:
                return
            self.deliver(indexes[step % len(indexes)] if indexes else 0)
        raise AssertionError("messages go round in circles")

    def advance(self, seconds: float) -> None:
        """Let time pass, then do what is due."""
        self.now += seconds
        for gateway in self.gateways:
            self._send(gateway.number, gateway.exchange.run_due())

    def settle(self, indexes: list[int], seconds: float = LONG_SECONDS) -> None:
        """Let everything arrive, and time pass from one thing that is due to the next.

        Without a number, until nothing is due any more.
        """
        end_at = self.now + seconds
        while True:
            self.deliver_all(indexes)
            due = [gateway.exchange.next_due for gateway in self.gateways]
            next_due = min((due_at for due_at in due if due_at is not None), default=end_at)
            if next_due >= end_at:
                break
            self.advance(max(0.0, next_due - self.now))
        assert seconds < LONG_SECONDS or due == [None] * len(due), "something is always due"
        self.advance(max(0.0, end_at - self.now))
        self.deliver_all(indexes)

    def _send(self, sender: int, outgoing: list[Outgoing]) -> None:
        for gateway_id, message in outgoing:
            is_offer = isinstance(message, Offer)
            assert is_offer == (gateway_id is None)
            for gateway in self.gateways:
                is_meant = gateway_id is None or gateway.gateway_id == gateway_id
                if is_meant and gateway.number != sender:
                    self.on_the_way.append((gateway, encode(message), is_offer))
