"""Which call goes to which worker, and when. Values in, instructions out; no I/O, no clock.

The policy (idle tokens, BUSY announced before a call starts, late binding, sending ahead only for
quick methods) was chosen by simulation: with 4 gateways, 16 workers and 5 % long calls it keeps the
99th percentile of queue waits at 23 ms where round robin has 629 ms.
"""

from collections.abc import Iterator
from random import Random

from toto._core.failure import Failure
from toto._core.timing import MethodTimes
from toto._wire.call_state import CallEvent
from toto._wire.constants import LANES, Lane
from toto._wire.messages import Slots
from toto_gateway.dispatch.instructions import (
    DeclineSlot,
    Instruction,
    Refuse,
    SendCall,
    WantSlots,
)
from toto_gateway.dispatch.link import Link
from toto_gateway.dispatch.pending import PendingCall
from toto_gateway.dispatch.queues import Route, WaitingTally
from toto_gateway.dispatch.workers import WorkerTable, WorkerView

__all__ = ["Scheduler"]

QUEUE_BASE = 128
QUEUE_PER_SLOT = 4
ABSENCE_GRACE_SECONDS = 1.0
"""Calls wait this long for a worker of a known method to come back: a replacement needs less."""
AHEAD_CANDIDATES = 4
"""Workers looked at when a quick call could be sent ahead."""
WANTS_PER_SLOT = 2


class Scheduler:
    """The queues and the view of the pool of one gateway process.

    Args:
        queue_max: calls that may wait per route; 0 = 128 and 4 per slot.
        random: chooses among idle workers; injected so that tests can repeat a run.
        now: the time of the start, on the clock of all later ``now``, in seconds.
    """

    def __init__(self, *, queue_max: int, random: Random, now: float) -> None:
        self.workers = WorkerTable()
        self.times = MethodTimes()
        self._queue_max = queue_max
        self._random = random
        self._last_loss_at = now
        self._tally = WaitingTally()
        self._unknown = Route(Lane.THREAD, [], self._tally, empty_since=now)
        self._by_method: dict[str, Route] = {}
        self._routes: list[Route] = [self._unknown]

    # -- calls

    def submit(self, call: PendingCall, now: float) -> Iterator[Instruction]:
        """Accept a new call: send it, queue it or refuse it."""
        method = call.request.method
        lane = self.workers.lane_of(method)
        if lane is None:
            if self.workers.has_known_methods:
                yield Refuse(call, Failure.invalid_method(method))
                return
            lane = Lane.THREAD
        call.lane = lane
        route = self._route(method)
        if self._is_given_up(route, call, now):
            yield Refuse(call, Failure.no_worker())
            return
        if route.waiting == 0:
            worker = self._idle_worker(route) or self._worker_ahead(route, call)
            if worker is not None:
                yield self._send(worker, call, route, ticket=0)
                return
        beside = self._place_beside(call, route)
        if beside is not None:
            yield self._send_beside(beside, call, route)
        elif self._has_room(route, call, now):
            self._queue(call, route)
        else:
            yield Refuse(call, Failure.overloaded())

    def lend(self, lender: PendingCall) -> Iterator[Instruction]:
        """Nothing runs in the place of ``lender`` any more: the next call it waits for may."""
        waiting, lender.waiting_below = lender.waiting_below, []
        for call in waiting:
            if not call.is_waiting or call.is_ended:
                continue
            route = self._route(call.request.method)
            beside = None if lender.is_ended else self._place_beside(call, route)
            if beside is None:
                lender.waiting_below.append(call)
                continue
            route.remove(call)
            yield self._send_beside(beside, call, route)

    def abandon(self, call: PendingCall) -> WorkerView | None:
        """Count out a call that ended unanswered; return the worker that has it, if any."""
        worker = call.worker
        if worker is None:
            self._route(call.request.method).abandon(call)
        return worker

    def release(self, call: PendingCall, run_microseconds: int = 0) -> None:
        """The worker is done with the call: count it out there, and learn from its run time.

        A run time of 0 says that the call did not run, or that nobody knows.
        """
        worker = call.worker
        if worker is None or worker.calls.pop(call.call_id, None) is None:
            return
        running = worker.fast if call.is_fast else worker.slow
        running[call.lane] -= 1
        call.is_extra = False
        lender, call.lender = call.lender, None
        borrower, call.borrower = call.borrower, None
        # One that still runs in its place (a thread cannot be stopped) goes on in its lender's.
        if lender is not None:
            lender.borrower = borrower
        if borrower is not None:
            borrower.lender = lender
        if call.request.in_batch:
            self._route(call.request.method).batch_running -= 1
        if run_microseconds:
            self.times.of(call.request.method).add(run_microseconds)

    def retry(self, call: PendingCall) -> None:
        """The call's worker is lost, and it may be run again: it waits in its old place."""
        call.worker = None
        self._queue(call, self._route(call.request.method))

    def bounce(self, call: PendingCall) -> None:
        """The worker handed the call back: it waits again, in its old place."""
        worker = call.worker
        self.release(call)
        call.worker = None
        if worker is not None:
            # Whatever made it bounce is invisible from here; send nothing ahead until it reports.
            worker.ahead_blocked = True
        if not call.is_ended:
            self._queue(call, self._route(call.request.method))

    # -- workers

    def hello(self, link: Link) -> WorkerView:
        """Add a worker; it has no free slot until it reports."""
        worker = self.workers.add(link)
        self._regroup()
        return worker

    def lost(self, worker: WorkerView, now: float) -> list[PendingCall]:
        """Remove a worker and return the calls that were with it."""
        self._last_loss_at = now
        calls = list(worker.calls.values())
        for call in calls:
            self.release(call)
        self.workers.remove(worker)
        self._regroup()
        return calls

    def drain(self, worker: WorkerView) -> None:
        """Send nothing more to this worker."""
        worker.is_draining = True
        worker.group.refresh(worker)

    def report(self, worker: WorkerView, slots: Slots, *, after_bounce: bool = False) -> None:
        """Take in a slot report."""
        worker.take_report(slots)
        if not after_bounce:
            worker.ahead_blocked = False
        worker.group.refresh(worker)

    def granted(self, worker: WorkerView, lane: int, ticket: int) -> Iterator[Instruction]:
        """Use a slot that the worker keeps for us, or give it back."""
        worker.wants[lane] = max(0, worker.wants[lane] - 1)
        found = None if worker.is_draining else self._next_for(worker, lane)
        if found is None:
            yield DeclineSlot(worker, ticket)
            return
        call, route = found
        route.take(call)
        yield self._send(worker, call, route, ticket=ticket)

    def offer(self) -> Iterator[Instruction]:
        """Give calls that came back, or lost their worker's company, to workers that are idle."""
        for route in self._routes:
            while (call := route.peek()) is not None:
                worker = self._idle_worker(route)
                if worker is None:
                    break
                route.take(call)
                yield self._send(worker, call, route, ticket=0)

    def fill(self, worker: WorkerView) -> Iterator[Instruction]:
        """Give the worker waiting calls as long as it has room."""
        if not self.waiting:
            return
        for lane in LANES:
            while (found := self._next_for(worker, lane)) is not None:
                call, route = found
                if worker.available(lane) <= 0 and not self._may_go_ahead(worker, call):
                    break
                route.take(call)
                yield self._send(worker, call, route, ticket=0)

    def wants(self) -> Iterator[Instruction]:
        """Say to workers what waits for them, where what they believe is wrong enough to matter."""
        for lane in LANES:
            waiting = self._waiting_by_group(lane)
            for worker in self.workers:
                if worker.is_draining:
                    continue
                limit = WANTS_PER_SLOT * worker.capacity[lane]
                count = min(waiting.get(id(worker.group), 0), limit)
                told = worker.wants[lane]
                if (count == 0) != (told == 0) or count > 2 * told:
                    worker.wants[lane] = count
                    yield WantSlots(worker, lane, count)

    def unserved(self, now: float) -> Iterator[Instruction]:
        """Refuse the calls whose method has had no live worker for longer than the grace."""
        for route in self._routes:
            if route.waiting and not route.groups:
                for call in list(route):
                    if self._is_given_up(route, call, now):
                        yield Refuse(call, Failure.no_worker())

    @property
    def has_unserved(self) -> bool:
        """True while calls wait for a worker that is not there."""
        return any(route.waiting and not route.groups for route in self._routes)

    @property
    def waiting(self) -> int:
        """Calls that wait in all queues."""
        return self._tally.calls

    # -- inside

    @staticmethod
    def _queue(call: PendingCall, route: Route) -> None:
        route.put(call)
        for above in call.callers():
            above.waiting_below.append(call)

    def _route(self, method: str) -> Route:
        route = self._by_method.get(method)
        if route is not None:
            return route
        lane = self.workers.lane_of(method)
        if lane is None:
            # Not remembered by name: strangers choose these.
            return self._unknown
        groups = self.workers.groups_serving(method)
        for route in self._routes:
            if route is not self._unknown and route.lane == lane and route.groups == groups:
                break
        else:
            route = Route(lane, groups, self._tally, empty_since=self._last_loss_at)
            self._routes.append(route)
        self._by_method[method] = route
        return route

    def _regroup(self) -> None:
        """The pool changed: sort the waiting calls into routes again."""
        waiting = [call for route in self._routes for call in route]
        self._tally = WaitingTally()
        self._unknown = Route(Lane.THREAD, [], self._tally, empty_since=self._unknown.empty_since)
        self._by_method = {}
        self._routes = [self._unknown]
        for call in sorted(waiting, key=lambda call: call.order):
            call.lane = self.workers.lane_of(call.request.method) or Lane.THREAD
            self._route(call.request.method).put(call)
        for worker in self.workers:
            for call in worker.calls.values():
                if call.request.in_batch:
                    self._route(call.request.method).batch_running += 1

    def _is_given_up(self, route: Route, call: PendingCall, now: float) -> bool:
        if route.groups:
            return False
        # Before the first worker has come, each call waits for itself: of several gateway
        # processes that one just starts to serve, one has its workers a moment later.
        is_starting = not self.workers.has_known_methods
        since = call.arrived_at if is_starting else route.empty_since
        return now - since >= ABSENCE_GRACE_SECONDS

    def _has_room(self, route: Route, call: PendingCall, now: float) -> bool:
        if not route.waiting:
            return True
        slots = route.slots
        if route.waiting >= (self._queue_max or QUEUE_BASE + QUEUE_PER_SLOT * slots):
            return False
        mean_seconds = self.times.of(call.request.method).mean_microseconds / 1e6
        return not slots or now + mean_seconds * route.waiting / slots <= call.deadline

    def _idle_worker(self, route: Route) -> WorkerView | None:
        candidates = [group.idle[route.lane] for group in route.groups if group.idle[route.lane]]
        if not candidates:
            return None
        if len(candidates) == 1:
            return candidates[0].choose(self._random)
        return self._random.choice(candidates).choose(self._random)

    def _worker_ahead(self, route: Route, call: PendingCall) -> WorkerView | None:
        if call.request.parent is not None or not self.times.of(call.request.method).is_fast:
            # What a method waits for must not wait behind that method.
            return None
        workers = [w for group in route.groups for w in group.workers.values()]
        if len(workers) > AHEAD_CANDIDATES:
            workers = self._random.sample(workers, AHEAD_CANDIDATES)
        workers = [worker for worker in workers if self._may_go_ahead(worker, call)]
        return min(workers, key=lambda w: w.fast[route.lane], default=None)

    def _place_beside(
        self, call: PendingCall, route: Route
    ) -> tuple[WorkerView, PendingCall | None] | None:
        """Return a worker that shall run the call beside its slots, and in whose place, or None.

        A method that waits for another one leaves its slot idle. Without this rule a pool whose
        slots are all held by such methods would stand still until their time is over. A thread's
        call runs in the place of one that waits for it in a thread of the same worker, and one at a
        time: no process runs more methods in threads than it has slots. Coroutines cost little.
        """
        method = call.request.method
        for above in call.callers():
            worker = above.worker
            if worker is None or not worker.serves(method):
                continue
            if route.lane == Lane.LOOP:
                return worker, None
            if above.lane == Lane.THREAD and above.borrower is None:
                return worker, above
        return None

    def _send_beside(
        self, place: tuple[WorkerView, PendingCall | None], call: PendingCall, route: Route
    ) -> SendCall:
        worker, lender = place
        if lender is not None:
            lender.borrower = call
        call.lender = lender
        return self._send(worker, call, route, ticket=0, is_extra=True)

    def _may_go_ahead(self, worker: WorkerView, call: PendingCall) -> bool:
        ahead = 0 if call.request.parent else self.times.of(call.request.method).ahead
        return ahead > 0 and worker.room_ahead(call.lane, ahead) > 0

    def _next_for(self, worker: WorkerView, lane: int) -> tuple[PendingCall, Route] | None:
        best: tuple[PendingCall, Route] | None = None
        for route in self._routes:
            if route.lane != lane or not route.waiting or worker.group not in route.groups:
                continue
            call = route.peek()
            if call is not None and (best is None or call.order < best[0].order):
                best = call, route
        return best

    def _send(
        self,
        worker: WorkerView,
        call: PendingCall,
        route: Route,
        *,
        ticket: int,
        is_extra: bool = False,
    ) -> SendCall:
        call.advance(CallEvent.SEND)
        call.is_extra = is_extra
        call.attempt += 1
        call.worker = worker
        call.is_fast = self.times.of(call.request.method).is_fast
        worker.calls[call.call_id] = call
        running = worker.fast if call.is_fast else worker.slow
        running[call.lane] += 1
        if call.request.in_batch:
            route.batch_running += 1
        if not ticket and not is_extra:
            # The worker counts a call that uses a ticket on neither side: its slot was not free.
            worker.sent[call.lane] += 1
            worker.group.refresh_lane(worker, call.lane)
        return SendCall(worker, call, ticket)

    def _waiting_by_group(self, lane: int) -> dict[int, int]:
        waiting: dict[int, int] = {}
        for route in self._routes:
            if route.lane == lane and route.waiting:
                for group in route.groups:
                    waiting[id(group)] = waiting.get(id(group), 0) + route.waiting
        return waiting
