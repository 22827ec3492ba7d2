"""Relays events between the gateway processes of a cluster, over Redis pub/sub.

At most once: what Redis does not take or deliver is lost between gateway processes, and nobody
waits for it. Whoever can publish in this Redis is trusted, as with the sessions there.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Protocol

from toto._core.stores.redis_url import redis_target
from toto._core.stores.settings import StoreSettings
from toto._wire.codec import ProtocolError
from toto_gateway.events.offer_exchange import OfferExchange, Takers
from toto_gateway.events.offers import Outgoing
from toto_gateway.events.relay_connection import RedisNodes
from toto_gateway.events.relay_health import RelayHealth
from toto_gateway.events.relay_link import Pauses, RelayLink, Work
from toto_gateway.events.relay_losses import Loss, LossLog
from toto_gateway.events.relay_messages import (
    Channels,
    Pulse,
    RelayedEvent,
    RelayMessage,
    decode,
    encode,
)
from toto_gateway.events.relay_outbox import Outbox, Publication
from toto_gateway.events.relay_publisher import RelayPublisher
from toto_gateway.events.relay_reader import RelayReader
from toto_gateway.events.relay_timing import RelayTiming

__all__ = ["EventRelay", "RelayListener"]

_log = logging.getLogger("toto.events")

_DEFAULT_TIMING = RelayTiming()


class RelayListener(Takers, Protocol):
    """The workers of this gateway process, for the events of others."""

    def on_relayed(self, event: RelayedEvent) -> None:
        """Pass on what another gateway process got; never called with an event of one's own."""


class EventRelay:
    """The way to all other gateway processes, and from them.

    Args:
        settings: where Redis is, and what the channels' names begin with.
        gateway_id: names this process among all.
        listener: gets what others relay.
        timing: how patient it is with Redis.
        clock: returns seconds of any epoch.
        random: spreads the attempts to connect.

    Raises:
        SettingsError: ``redis_url`` cannot be used.
    """

    def __init__(
        self,
        settings: StoreSettings,
        gateway_id: bytes,
        listener: RelayListener,
        *,
        timing: RelayTiming = _DEFAULT_TIMING,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        target = redis_target(settings)
        self._gateway_id = gateway_id
        self._listener = listener
        self._clock = clock
        self._flush_seconds = timing.flush_seconds
        self._channels = Channels(settings.redis_prefix, target.database)
        self._losses = LossLog(clock)
        self._exchange = OfferExchange(
            gateway_id,
            listener,
            clock=clock,
            report=lambda loss, name: self._losses.add(loss, example=name),
        )
        self._publisher = RelayPublisher(
            Outbox(clock, self._losses),
            pulse=Publication(self._channels.of(gateway_id), encode(Pulse(gateway_id))),
            losses=self._losses,
            silence_seconds=timing.silence_seconds,
        )
        reader = RelayReader(
            self._channels, gateway_id, self._on_frame, silence_seconds=timing.silence_seconds
        )
        health = RelayHealth(str(target), self._losses)
        random = random or Random()  # noqa: S311  # spreads load, guards nothing

        def link(name: str, work: Work) -> RelayLink:
            nodes = RedisNodes(settings, timing.command_seconds, random)
            pauses = Pauses(timing, random)
            return RelayLink(name, work, nodes=nodes, health=health, pauses=pauses, clock=clock)

        self._sending = link("events to Redis", self._publisher.work)
        self._reading = link("events from Redis", reader.work)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def is_up(self) -> bool:
        """True while Redis takes events and delivers them."""
        return self._sending.is_up and self._reading.is_up

    @property
    def losses(self) -> Mapping[Loss, int]:
        """What has been lost since the start."""
        return self._losses.counts

    def start(self) -> None:
        """Connect; returns at once. Needs the running loop."""
        if self._is_closed:
            return
        self._loop = asyncio.get_running_loop()
        self._reading.start()
        self._sending.start()
        self._set_timer()

    def broadcast(self, event: RelayedEvent) -> None:
        """Give an event to all other gateway processes; does not wait."""
        if not self._is_closed:
            self._send(None, event)

    def offer(self, name: str, payload: bytes) -> None:
        """Give an event to one worker of one of them; does not wait."""
        if not self._is_closed:
            self._send_all(self._exchange.offer(name, payload))
            self._set_timer()

    async def close(self) -> None:
        """Send what waits if that is quickly done, and end all connections; may be called twice."""
        self._is_closed = True
        self._exchange.stop_taking()
        if self._sending.is_up:
            await self._publisher.flush(self._flush_seconds)
        self._exchange.close()
        self._set_timer()
        await self._reading.close()
        await self._sending.close()
        self._losses.tell_rest()

    # -- what comes

    def _on_frame(self, frame: bytes, is_to_everyone: bool) -> None:
        try:
            message = decode(frame, is_to_everyone=is_to_everyone)
        except ProtocolError as error:
            self._losses.add(Loss.UNREADABLE, example=str(error))
            return
        if message[0] == self._gateway_id:
            return
        try:
            self._on_message(message)
        except Exception:  # noqa: BLE001  # the edge: the connection must live on
            _log.exception("an event of another gateway process could not be passed on")

    def _on_message(self, message: RelayMessage) -> None:
        if not isinstance(message, RelayedEvent):
            try:
                self._send_all(self._exchange.receive(message))
            finally:
                self._set_timer()
        elif not self._is_closed:
            self._listener.on_relayed(message)

    # -- what goes

    def _send_all(self, outgoing: Iterable[Outgoing]) -> None:
        for gateway_id, message in outgoing:
            self._send(gateway_id, message)

    def _send(self, gateway_id: bytes | None, message: RelayMessage) -> None:
        channels = self._channels
        channel = channels.everyone if gateway_id is None else channels.of(gateway_id)
        self._publisher.put(Publication(channel, encode(message)))

    # -- time

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_at = self._exchange.next_due
        if self._loop is not None and due_at is not None:
            self._timer = self._loop.call_later(max(0.0, due_at - self._clock()), self._run_due)

    def _run_due(self) -> None:
        self._timer = None
        try:
            self._send_all(self._exchange.run_due())
        finally:
            self._set_timer()
