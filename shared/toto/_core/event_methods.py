"""What a handler can do with events; its part of ``TotoHandler``."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from toto.exceptions import TotoException

if TYPE_CHECKING:
    from toto._core.event_subscription import EventPage, EventSubscription, SlowConsumer
    from toto._core.ports import ResponsePort

__all__ = ["EventMethods"]


class EventMethods:
    """The handlers and subscriptions of one call. All are forgotten when the call ends."""

    _event_signatures: dict[Any, None]
    _subscriptions: "dict[EventSubscription, None]"
    _is_winding_up: bool
    _response: "ResponsePort"

    def register_event_handler(
        self,
        event_name: str,
        handler: Callable[[Any], Any],
        run_on_main_loop: bool = True,
        deregister_on_finish: bool = False,
    ) -> Any:
        """Have a function called with an event's arguments, once, while this call is open.

        Args:
            event_name: what ``EventManager.instance().send`` names.
            handler: called as ``handler(args)``; it is not called once this call has ended.
            run_on_main_loop: run it on the worker's event loop; False runs it in a thread.
            deregister_on_finish: accepted for Toto's sake. A call's handlers are forgotten when it
                ends, in any case.

        Returns:
            A signature for ``deregister_event_handler``.
        """
        from toto.events import EventManager  # most workers know no events

        signature = EventManager.instance().register_handler(
            event_name, handler, run_on_main_loop=run_on_main_loop, request_handler=self
        )
        # Without being asked to, too: it cannot be called any more then, and holds the request.
        self._event_signatures[signature] = None
        return signature

    def deregister_event_handler(self, sig: Any) -> None:
        """Forget a function that ``register_event_handler`` returned ``sig`` for; a second time
        does nothing."""
        from toto.events import EventManager

        EventManager.instance().remove_handler(sig)
        self._event_signatures.pop(sig, None)

    def subscribe(
        self,
        event_name: str,
        since: str | None = None,
        slow_consumer: "SlowConsumer" = "block",
        queue_max: int = 100,
    ) -> "EventSubscription":
        """Return all events of a name from now on, for ``async for`` in an async generator.

        Each has ``args``, ``cursor`` and ``has_gap``. They end when the gateway stops, and with
        the call at the latest.

        Args:
            event_name: what ``EventManager.instance().send`` names.
            since: the cursor of the last event that the client knows: begin behind it, with what
                the gateways keep (option ``event_history``). None begins with the next event.
            slow_consumer: what happens when more than ``queue_max`` events wait for a slow client:
                ``"block"`` keeps them, in the history if there is one and otherwise up to 8 MiB in
                memory; ``"drop_oldest"`` leaves out the oldest, and the next one has ``has_gap``;
                ``"close"`` ends the call with error 1103.
            queue_max: events that may wait, 1 and more.

        Raises:
            RuntimeError: this is no coroutine or async generator, or the call has been answered.
        """
        from toto.events import EventManager

        return EventManager.instance().subscribe(
            event_name, since, slow_consumer, queue_max, request_handler=self
        )

    def _adopt_subscription(self, subscription: "EventSubscription") -> None:
        """End a subscription with this call. ``EventManager.subscribe`` calls it."""
        if self._response.has_ended:
            subscription.close()
            raise RuntimeError("this call has been answered: it cannot wait for events")
        if not self._subscriptions and not self._is_winding_up:
            loop = asyncio.get_running_loop()
            self._response.on_wind_up(partial(_call_soon, loop, self._wind_up))
        if self._is_winding_up:
            subscription.close_soon()
        open_ones = {each: None for each in self._subscriptions if not each.is_closed}
        self._subscriptions = {**open_ones, subscription: None}

    async def next_events(
        self,
        event_name: str,
        since: str | None = None,
        count_max: int = 100,
        timeout_seconds: float | None = None,
    ) -> "EventPage":
        """Wait for events: the whole of a long-poll. It costs no thread.

        With a history (option ``event_history``) nothing is lost between two polls: the client
        sends back the ``cursor`` of the last page as ``since``.

        Args:
            event_name: what ``EventManager.instance().send`` names.
            since: the cursor of the page before; None waits for what comes from now on.
            count_max: the most events of the page.
            timeout_seconds: after this time without an event the page is empty; None leaves it to
                the call's own time limit, which ends it with error 1106.

        Returns:
            A page with ``events``, ``cursor`` and ``has_gap``: True when events behind ``since``
            are not kept any more. It is empty when the gateway stops.
        """
        subscription = self.subscribe(event_name, since, queue_max=count_max)
        try:
            with contextlib.suppress(TotoException):  # events come all the same
                await subscription.find_place()
            async with asyncio.timeout(timeout_seconds):
                return await subscription.next_page(count_max)
        except TimeoutError:
            return subscription.page_at_hand(count_max)
        finally:
            self._end_subscription(subscription)

    def on_finish(self) -> None:
        """The call has ended: forget its event handlers. The worker calls it."""
        for signature in list(self._event_signatures):
            self.deregister_event_handler(signature)
        for subscription in list(self._subscriptions):
            self._end_subscription(subscription)

    def _end_subscription(self, subscription: "EventSubscription") -> None:
        subscription.close()
        self._subscriptions.pop(subscription, None)

    def _wind_up(self) -> None:
        self._is_winding_up = True
        for subscription in list(self._subscriptions):
            subscription.close()


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has been closed
        loop.call_soon_threadsafe(function)
