"""Runs calls on workers: carries out what the scheduler decides and feeds it the news."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable
from random import Random

from toto._core.failure import Failure
from toto._wire.call_state import CallEvent, CallState
from toto._wire.codec import ProtocolError
from toto._wire.constants import BODY_CHUNK_BYTES, Policy
from toto._wire.messages import (
    Announce,
    Ask,
    AskPart,
    Bounce,
    Busy,
    Bye,
    Call,
    Cancel,
    Closing,
    Credit,
    Decline,
    Grant,
    Item,
    Message,
    Part,
    Publish,
    Push,
    Ready,
    Result,
    Subscribe,
    Want,
    Withdraw,
)
from toto_gateway.dispatch.counters import DispatchCounters
from toto_gateway.dispatch.deadlines import Deadlines
from toto_gateway.dispatch.event_bus import CheckLink, EventBus, SendToWorker
from toto_gateway.dispatch.instructions import DeclineSlot, Instruction, SendCall, WantSlots
from toto_gateway.dispatch.link import Link
from toto_gateway.dispatch.links import LinkListener, Links
from toto_gateway.dispatch.liveness import Death
from toto_gateway.dispatch.nested import NestedCalls, NestingPool
from toto_gateway.dispatch.pending import CallRequest, PendingCall, ReplySink
from toto_gateway.dispatch.scheduler import Scheduler
from toto_gateway.dispatch.wants import WantsTimer
from toto_gateway.dispatch.workers import WorkerView

__all__ = ["DispatchClient"]

_log = logging.getLogger("toto.dispatch")

UNSERVED_CHECK_SECONDS = 0.1


class DispatchClient:
    """Runs calls on the workers that have dialled this gateway process.

    Args:
        make_links: makes the connections to workers; is given this client as their listener.
        make_nested: makes what runs the calls that methods make; is given this client as its pool.
        make_events: makes what passes events on; is given the way to the workers.
        loop: the running event loop; its clock is the clock of all deadlines.
        queue_max: calls that may wait for a worker; 0 = 128 and 4 per slot.
        random: chooses among idle workers; a test gives its own to repeat a run.
    """

    def __init__(
        self,
        make_links: Callable[[LinkListener], Links],
        make_nested: Callable[[NestingPool], NestedCalls],
        make_events: Callable[[SendToWorker, CheckLink], EventBus],
        *,
        loop: asyncio.AbstractEventLoop,
        queue_max: int,
        random: Random | None = None,
    ) -> None:
        self._loop = loop
        self.counters = DispatchCounters()
        self._scheduler = Scheduler(
            queue_max=queue_max,
            random=random or Random(),  # noqa: S311  # spreads load, guards nothing
            now=loop.time(),
        )
        self._call_ids = itertools.count(1)
        self._deadlines = Deadlines(loop, self._on_deadline)
        self._wants = WantsTimer(
            loop,
            waiting=lambda: self._scheduler.waiting,
            tell=lambda: self._apply(self._scheduler.wants()),
        )
        self._unserved_timer: asyncio.TimerHandle | None = None
        self._links = make_links(self)
        self._nested = make_nested(self)
        self._events = make_events(
            self._links.send, lambda link: loop.call_soon(self._links.check, link)
        )

    # -- for the pipeline

    def open(self) -> None:
        """Bind the socket for workers.

        Raises:
            zmq.ZMQError: when the endpoint cannot be bound.
        """
        self._links.open()
        self._events.start()

    def policy_of(self, method: str) -> int:
        """Return what a method needs of its caller's session; 0 when no worker announced it."""
        return self._scheduler.workers.policy_of(method)

    def submit(self, request: CallRequest, sink: ReplySink) -> PendingCall:
        """Start a call. Its answer, or the failure it ends with, goes to ``sink``."""
        now = self._loop.time()
        seconds = request.timeout_seconds
        own_seconds = self._scheduler.workers.timeout_of(request.method)
        if own_seconds:
            is_bounded = request.parent is not None
            seconds = min(seconds, own_seconds) if is_bounded else own_seconds
        number = next(self._call_ids)
        call = PendingCall(number, request, sink, arrived_at=now, deadline=now + seconds)
        self._apply(self._scheduler.submit(call, now))
        if not call.is_ended:
            self._deadlines.add(call)
            if call.state is CallState.QUEUED:
                self._watch_unserved()
        return call

    def abandon(self, call: PendingCall) -> None:
        """The answer is not wanted any more; does nothing to a call that has ended."""
        self._end(call)

    def credit(self, call: PendingCall, size: int) -> None:
        """So many streamed bytes of the call have reached the client."""
        if call.worker is not None and not call.is_ended:
            self._links.send(call.worker.link, Credit(call.call_id, call.attempt, size))

    def remaining_seconds(self, call: PendingCall) -> float | None:
        """Return what is left of a call's time; None for a stream, which has no limit."""
        if call.state is CallState.STREAMING:
            return None
        return max(0.0, call.deadline - self._loop.time())

    def send(self, link: Link, message: Message, payload: bytes) -> bool:
        """Send something to a worker; False when it cannot be reached."""
        return self._links.send(link, message, payload)

    @property
    def worker_count(self) -> int:
        """Live workers."""
        return len(self._scheduler.workers)

    @property
    def bad_frames(self) -> int:
        """Undecodable or forbidden messages seen since the start."""
        return self._links.bad_frames

    def close(self) -> None:
        """End all calls and close the socket; may be called twice."""
        self._nested.close()
        self._links.close()
        self._deadlines.close()
        if self._unserved_timer is not None:
            self._unserved_timer.cancel()

    def wind_up(self) -> None:
        """Have the workers end the calls that merely wait for events."""
        for worker in self._scheduler.workers:
            self._links.send(worker.link, Closing())

    async def close_events(self) -> None:
        """End the connections that events take; after ``close``, and may be called twice."""
        await self._events.close()

    # -- carrying out decisions

    def _apply(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, SendCall):
                self._send_call(instruction)
            elif isinstance(instruction, DeclineSlot):
                self._links.send(instruction.worker.link, Decline(instruction.ticket))
            elif isinstance(instruction, WantSlots):
                self._links.send(instruction.worker.link, Want(instruction.lane, instruction.count))
            else:
                self._end(instruction.call, instruction.failure)
        self._wants.changed(self.worker_count)

    def _send_call(self, instruction: SendCall) -> None:
        call, link = instruction.call, instruction.worker.link
        body = call.request.body
        message = Call(
            call=call.call_id,
            attempt=call.attempt,
            method=call.request.method,
            lane=call.lane,
            deadline_milliseconds=max(0, int((call.deadline - self._loop.time()) * 1000)),
            ticket=instruction.ticket,
            size=len(body),
            request=call.request.info,
            is_extra=call.is_extra,
            lender=call.lender.call_id if call.lender else 0,
        )
        if not self._links.send(link, message, body[:BODY_CHUNK_BYTES]):
            # Nothing of it has left this process, so it is safe to give it to somebody else.
            call.advance(CallEvent.BOUNCE)
            self._scheduler.drain(instruction.worker)
            self._scheduler.bounce(call)
            self._loop.call_soon(self._links.check, link)
            return
        part = Part(call.call_id, call.attempt)
        for start in range(BODY_CHUNK_BYTES, len(body), BODY_CHUNK_BYTES):
            self._links.send(link, part, body[start : start + BODY_CHUNK_BYTES])

    def _end(self, call: PendingCall, failure: Failure | None = None) -> None:
        """End a call from this side; the worker that has it is told to stop."""
        if call.is_ended:  # a moment ago, by the end of the call whose method made it
            return
        call.advance(CallEvent.ABANDON)
        self._nested.parent_ended(call)
        self._deadlines.remove(call)
        worker = self._scheduler.abandon(call)
        call.drop_body()
        if worker is not None:
            cancel = Cancel(call.call_id, call.attempt, is_client_gone=failure is None)
            self._links.send(worker.link, cancel)
        if failure is not None:
            call.sink.on_failure(failure)

    def _on_deadline(self, call: PendingCall) -> None:
        self._end(call, Failure.deadline())

    # -- news from workers

    def on_link(self, link: Link) -> None:
        """A worker introduced itself; it gets calls once it has reported free slots."""
        self._scheduler.hello(link)

    def on_message(self, link: Link, message: Message, payload: bytes) -> None:
        """Take in what a worker says."""
        worker = self._scheduler.workers.get(link)
        match message:
            case Result():
                self._on_result(worker, message, payload)
            case Item() | Push():
                self._on_item(worker, message, payload)
            case Ready() | Busy():
                self._scheduler.report(worker, message.slots)
                self._apply(self._scheduler.fill(worker))
            case Grant():
                self._apply(self._scheduler.granted(worker, message.lane, message.ticket))
            case Bounce():
                self._on_bounce(worker, message)
            case Bye():
                self._events.drain(link)
                self._scheduler.drain(worker)
            case Subscribe() | Publish():
                self._events.on_message(link, message, payload)
            case Ask() | AskPart() | Withdraw():
                self._nested.on_message(worker, message, payload)
            case _:
                raise ProtocolError("a message that only gateways send")

    def on_announce(self, message: Announce, payload: bytes) -> None:
        """Pass an outside program's event on."""
        self._events.publish(message, payload)

    def on_stale(self, message: Message) -> None:
        """Count a message of a connection that is gone."""
        self.counters.late_replies += 1

    def on_lost(self, link: Link, death: Death, *, is_expected: bool) -> None:
        """Fail the calls that were with the worker, at once."""
        self._events.forget(link)
        calls = self._scheduler.lost(self._scheduler.workers.get(link), self._loop.time())
        open_calls = [call for call in calls if not call.is_ended]
        if not is_expected or open_calls:
            self.counters.workers_lost += 1
            _log.error(
                "worker %d on %s lost (%s) with %d calls under way",
                link.hello.pid,
                link.hello.host,
                death,
                len(open_calls),
            )
        failure = Failure.worker_lost(exit_signal=death.exit_signal, exit_code=death.exit_code)
        for call in open_calls:
            self._end_lost(call, failure)
        for call in calls:
            self._lend(call)
        self._apply(self._scheduler.offer())
        self._watch_unserved()

    def _end_lost(self, call: PendingCall, failure: Failure) -> None:
        if call.is_ended:  # by the end of the call whose method made it
            return
        self._nested.parent_ended(call)
        call.losses += 1
        is_idempotent = self.policy_of(call.request.method) & Policy.IDEMPOTENT
        if call.state is CallState.SENT and call.losses == 1 and is_idempotent:
            # Once: a call that kills its workers must not go through the whole pool.
            call.advance(CallEvent.RETRY)
            self._scheduler.retry(call)
            return
        call.advance(CallEvent.LOST)
        self._deadlines.remove(call)
        call.sink.on_failure(failure)

    def _lend(self, ended: PendingCall) -> None:
        """A call is off its worker: another one may run in the place that it had."""
        for above in ended.callers():
            if above.borrower is None and above.waiting_below:
                self._apply(self._scheduler.lend(above))

    def _on_result(self, worker: WorkerView, message: Result, payload: bytes) -> None:
        call = _call_of(worker, message.call, message.attempt)
        if call is None or call.is_ended:
            self.counters.late_replies += 1
        else:
            event = CallEvent.RESULT if message.final else CallEvent.CHUNK
            if self._advance(call, event):
                if message.final:
                    self._deadlines.remove(call)
                    self._nested.parent_ended(call)
                call.sink.on_chunk(message.head, payload, code=message.code, final=message.final)
        if not message.final:
            return
        if call is not None:
            self._scheduler.release(call, message.run_microseconds)
            self._lend(call)
        if message.slots is not None:
            self._scheduler.report(worker, message.slots)
        if message.ticket and call is not None:
            self._apply(self._scheduler.granted(worker, call.lane, message.ticket))
        self._apply(self._scheduler.fill(worker))

    def _on_item(self, worker: WorkerView, message: Item | Push, payload: bytes) -> None:
        call = _call_of(worker, message.call, message.attempt)
        if call is None or call.is_ended:
            self.counters.late_replies += 1
            return
        if isinstance(message, Push):
            if not call.request.info.is_socket:
                raise ProtocolError("a message to a client that has no WebSocket")
            call.sink.on_push(payload, more=message.more)
            return
        if call.state is not CallState.STREAMING:
            # A stream that has begun is bounded by the client's patience, not by the deadline.
            self._deadlines.remove(call)
        if self._advance(call, CallEvent.ITEM):
            call.sink.on_item(message.head, payload, more=message.more, key=message.key)

    def _advance(self, call: PendingCall, event: CallEvent) -> bool:
        """Move the call on; one whose worker answers out of order ends, and it alone."""
        try:
            call.advance(event)
        except ProtocolError as error:
            _log.error("the answer to %s is out of order: %s", call.request.method, error)
            self._end(call, Failure.server_error(call.request.info.request_id))
            return False
        return True

    def _on_bounce(self, worker: WorkerView, message: Bounce) -> None:
        call = _call_of(worker, message.call, message.attempt)
        if call is not None:
            if not call.is_ended:
                call.advance(CallEvent.BOUNCE)
            self._scheduler.bounce(call)
        self._scheduler.report(worker, message.slots, after_bounce=True)
        if call is not None:
            self._lend(call)
        self._apply(self._scheduler.offer())
        self._watch_unserved()

    # -- calls that nobody serves

    def _watch_unserved(self) -> None:
        if self._unserved_timer is None and self._scheduler.has_unserved:
            self._unserved_timer = self._loop.call_later(
                UNSERVED_CHECK_SECONDS, self._check_unserved
            )

    def _check_unserved(self) -> None:
        self._unserved_timer = None
        self._apply(self._scheduler.unserved(self._loop.time()))
        self._watch_unserved()


def _call_of(worker: WorkerView, call_id: int, attempt: int) -> PendingCall | None:
    """Return the call a reply belongs to; None for a stale or invented one."""
    call = worker.calls.get(call_id)
    return call if call is not None and call.attempt == attempt else None
