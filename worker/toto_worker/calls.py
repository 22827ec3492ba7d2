"""The calls of a worker between the sockets and the executor. Runs in the transport thread."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from toto._core.siblings import sibling_endpoint
from toto._core.timing import FAST_MAX_MICROSECONDS, MethodTimes
from toto._wire.codec import ProtocolError, decode
from toto._wire.constants import BODY_CHUNK_BYTES
from toto._wire.messages import (
    Bounce,
    Busy,
    Call,
    Cancel,
    Closing,
    Credit,
    Decline,
    Drain,
    Event,
    Grant,
    Head,
    Item,
    Message,
    Missed,
    Part,
    Ping,
    Push,
    Ready,
    Refuse,
    Reply,
    Result,
    Want,
    Welcome,
)
from toto_worker.asks import AskTable
from toto_worker.call import WorkerCall
from toto_worker.event_desk import EventDesk
from toto_worker.ports import LinkPort, LinkState
from toto_worker.slots import (
    Action,
    AnnounceSlots,
    BounceCall,
    GrantSlot,
    SlotCall,
    SlotTable,
)
from toto_worker.window import CreditWindow

__all__ = ["CallDesk"]

_log = logging.getLogger("toto.transport")


class CallDesk:
    """Takes in messages of gateways, keeps the calls, and sends their answers.

    Args:
        slots: the capacity of this worker.
        times: run times by method; decides which methods are quick.
        loop: the event loop of the methods' coroutines.
        on_start: has a call run elsewhere.
        clock: the time in seconds; grants expire by it.
    """

    def __init__(
        self,
        slots: SlotTable[LinkPort],
        times: MethodTimes,
        *,
        loop: asyncio.AbstractEventLoop,
        on_start: Callable[[WorkerCall], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._slots = slots
        self._times = times
        self._loop = loop
        self._on_start = on_start
        self._calls: dict[SlotCall[LinkPort], WorkerCall] = {}
        self._started: set[SlotCall[LinkPort]] = set()
        self._siblings: dict[str, tuple[str, ...]] = {}
        self.asks = AskTable()
        self.events = EventDesk()

    # -- from gateways

    def on_frames(self, link: LinkPort, frames: list[bytes]) -> None:
        """Take in one message; a bad one is logged and dropped."""
        try:
            epoch, message = decode(frames[0])
            self._on_message(link, epoch, message, frames[1] if len(frames) > 1 else b"")
        except ProtocolError as error:
            _log.warning("bad message from the gateway at %s: %s", link.endpoint, error)

    def _on_message(self, link: LinkPort, epoch: int, message: Message, payload: bytes) -> None:
        if isinstance(message, Welcome | Refuse):
            self._on_handshake(link, epoch, message)
            return
        if epoch != link.epoch or not link.is_live:
            return
        match message:
            case Call():
                self._on_call(link, message, payload)
            case Part() | Cancel() | Credit():
                call = _find(link, message.call, message.attempt)
                if call is not None:
                    self._on_call_news(call, message, payload)
            case Want() | Decline() | Drain() | Closing():
                self._on_link_news(link, message)
            case Reply():
                self.asks.on_reply(link, message, payload)
            case Event() | Missed():
                self.events.on_message(link, message, payload)
            case Ping():
                pass
            case _:
                raise ProtocolError("a message that only workers send")

    def _on_call_news(
        self, call: WorkerCall, message: Part | Cancel | Credit, payload: bytes
    ) -> None:
        if isinstance(message, Credit):
            call.window.add(message.size)
        elif isinstance(message, Cancel):
            self._cancel(call, is_client_gone=message.is_client_gone)
        else:
            call.add_part(payload)
            if call.is_complete and call.slot in self._started:
                self._on_start(call)

    def _on_link_news(self, link: LinkPort, message: Want | Decline | Drain | Closing) -> None:
        now = self._clock()
        if isinstance(message, Want):
            self._perform(self._slots.want(link, message.lane, message.calls, now))
        elif isinstance(message, Decline):
            self._perform(self._slots.decline(link, message.ticket, now))
        elif isinstance(message, Closing):
            self.wind_up(link)
        else:
            link.state = LinkState.DRAINED

    def _on_handshake(self, link: LinkPort, epoch: int, message: Welcome | Refuse) -> None:
        if isinstance(message, Refuse):
            _log.error("the gateway at %s refuses this worker: %s", link.endpoint, message.reason)
            link.state = LinkState.REFUSED
            return
        if link.is_live and link.epoch == epoch:
            return
        if link.is_live:
            # A HELLO was repeated, and the gateway began anew: the last WELCOME counts.
            self.link_down(link)
        link.epoch = epoch
        link.window_bytes = message.window_bytes
        link.state = LinkState.LIVE
        self._siblings[link.endpoint] = message.addresses
        _log.info("connected to the gateway at %s", link.endpoint)
        self.events.link_up(link, has_history=message.has_history)
        self._perform(self._slots.link_up(link))

    def _on_call(self, link: LinkPort, message: Call, payload: bytes) -> None:
        window = CreditWindow(link.window_bytes, self._loop)
        call = WorkerCall(link, link.epoch, message, payload, window)
        lender = link.calls.get(message.lender) if message.lender else None
        slot = SlotCall(
            link,
            message.lane,
            message.method,
            message.ticket,
            is_extra=message.is_extra,
            is_nested=message.request.is_nested,
            is_borrowing=message.lender != 0,
            lender=None if lender is None else lender.slot,
        )
        call.slot = slot
        self._calls[slot] = call
        link.calls[message.call] = call
        self._perform(self._slots.arrive(slot))

    def _cancel(self, call: WorkerCall, *, is_client_gone: bool) -> None:
        slot = call.slot
        call.cancel(is_client_gone=is_client_gone)
        if slot is None:
            return
        if self._slots.withdraw(slot):
            self._forget(call)
            self._send(call, self._result(call, slots_too=True, microseconds=0))
        elif not call.is_complete:
            # It holds a slot but its body will never be complete: nothing runs, so it ends here.
            self.finish(call, 0, None, b"", 0)

    # -- connections

    def link_down(self, link: LinkPort) -> None:
        """The gateway is gone: nobody waits for its calls any more."""
        self.cancel_link(link)
        self.asks.link_down(link)
        self.events.link_down(link)
        link.calls.clear()
        self._perform(self._slots.link_down(link, self._clock()))

    def wind_up(self, link: LinkPort) -> None:
        """Have the calls of a gateway end that merely wait for events."""
        for call in list(link.calls.values()):
            call.wind_up()

    def cancel_link(self, link: LinkPort) -> None:
        """Cancel all calls of a gateway."""
        for call in list(link.calls.values()):
            self._cancel(call, is_client_gone=True)

    def take_new_siblings(self, link: LinkPort) -> list[str]:
        """Return the endpoints that this gateway's WELCOME named, once."""
        addresses = self._siblings.pop(link.endpoint, ())
        return [sibling_endpoint(address, dialled=link.endpoint) for address in addresses]

    def announce_all(self, links: Iterable[LinkPort]) -> None:
        """Tell every gateway the current slots."""
        for link in links:
            link.send(Ready(self._slots.report(link)))

    def expire_grants(self, now: float) -> None:
        """Take back slots that were granted and not used."""
        expiry = self._slots.next_expiry
        if expiry is not None and expiry <= now:
            self._perform(self._slots.expire(now))

    def drain(self) -> None:
        """Hand back what has not started, and take nothing new."""
        self._perform(self._slots.drain())

    # -- from the executor (posted to this thread)

    def answer(self, call: WorkerCall, code: int, head: Head | None, payload: bytes) -> None:
        """Send a call's answer while its method still runs, so its slot stays taken."""
        self._send_result(call, self._result(call, code, head), payload)
        self.asks.call_ended(call)

    def finish(
        self, call: WorkerCall, code: int, head: Head | None, payload: bytes, microseconds: int
    ) -> None:
        """Free the call's slot and send its answer, with the news of the slot in one message."""
        ticket, actions = self._free(call, microseconds)
        message = self._result(
            call, code, head, ticket=ticket, slots_too=True, microseconds=microseconds
        )
        self._send_result(call, message, payload)
        self._perform(actions)

    def release(self, call: WorkerCall, microseconds: int) -> None:
        """Free the slot of a call whose answer has been sent before."""
        ticket, actions = self._free(call, microseconds)
        link = call.link
        if link.is_live and link.epoch == call.epoch:
            if ticket:
                link.send(Grant(call.message.lane, ticket))
            link.send(Ready(self._slots.report(link)))
        self._perform(actions)

    def piece(self, call: WorkerCall, message: Item | Push, payload: bytes) -> None:
        """Send a piece of a stream, or of a message beside the answer."""
        self._send(call, message, payload)

    # -- inside

    def _free(self, call: WorkerCall, microseconds: int) -> tuple[int, list[Action[LinkPort]]]:
        if microseconds and not call.is_cancelled:
            self._times.of(call.message.method).add(microseconds)
        self._forget(call)
        if call.slot is None:
            return 0, []
        ticket, actions = self._slots.finish(call.slot, self._clock())
        link = call.link
        if link.is_live and link.epoch != call.epoch:
            # The call's result is stale on the new connection; the news of the slot is not.
            if ticket:
                link.send(Grant(call.message.lane, ticket))
            link.send(Ready(self._slots.report(link)))
            return 0, actions
        return ticket, actions

    def _forget(self, call: WorkerCall) -> None:
        if call.link.calls.get(call.message.call) is call:
            del call.link.calls[call.message.call]
        if call.slot is not None:
            self._calls.pop(call.slot, None)
            self._started.discard(call.slot)
        self.asks.call_ended(call)

    def _result(
        self,
        call: WorkerCall,
        code: int = 0,
        head: Head | None = None,
        *,
        ticket: int = 0,
        slots_too: bool = False,
        microseconds: int = FAST_MAX_MICROSECONDS + 1,
    ) -> Result:
        # A method that goes on after its answer counts as slow: its slot is not free yet.
        link = call.link
        is_current = link.is_live and link.epoch == call.epoch
        slots = self._slots.report(link) if slots_too and is_current else None
        message = call.message
        return Result(message.call, message.attempt, True, code, head, slots, ticket, microseconds)

    def _send_result(self, call: WorkerCall, message: Result, payload: bytes) -> None:
        if call.is_cancelled:
            self._send(call, message._replace(head=None))
            return
        if len(payload) > BODY_CHUNK_BYTES:
            last = (len(payload) - 1) // BODY_CHUNK_BYTES * BODY_CHUNK_BYTES
            part = message._replace(final=False, slots=None, ticket=0)
            for start in range(0, last, BODY_CHUNK_BYTES):
                self._send(call, part, payload[start : start + BODY_CHUNK_BYTES])
                part = part._replace(head=None)
            message, payload = message._replace(head=None), payload[last:]
        self._send(call, message, payload)

    def _send(self, call: WorkerCall, message: Message, payload: bytes = b"") -> None:
        # The epoch names the connection the call came over; over another one its answer is stale.
        if call.link.is_live and call.link.epoch == call.epoch:
            call.link.send(message, payload)

    def _perform(self, actions: Iterable[Action[LinkPort]]) -> None:
        for action in actions:
            if isinstance(action, AnnounceSlots):
                slots = self._slots.report(action.link)
                action.link.send(Busy(slots) if action.is_busy else Ready(slots))
            elif isinstance(action, GrantSlot):
                action.link.send(Grant(action.lane, action.ticket))
            elif isinstance(action, BounceCall):
                call = self._calls[action.call]
                self._forget(call)
                message = call.message
                slots = self._slots.report(call.link)
                self._send(call, Bounce(message.call, message.attempt, slots))
            else:
                call = self._calls[action.call]
                self._started.add(action.call)
                if call.is_complete:
                    self._on_start(call)


def _find(link: LinkPort, call_id: int, attempt: int) -> WorkerCall | None:
    call = link.calls.get(call_id)
    return call if call is not None and call.message.attempt == attempt else None
