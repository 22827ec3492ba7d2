"""Random histories of calls and deaths: every call ends once, no slot and no reply is lost."""

from collections import Counter
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from toto._core.failure import Failure
from toto._wire.constants import Lane
from toto_gateway.dispatch.scheduler import Scheduler
from toto_testkit.dispatch_model import NO_LIMIT_SECONDS, Cluster, ModelWorker, Outcome

METHODS = st.sampled_from(["quick", "quick", "slow", "async", "again"])


class DispatchMachine(RuleBasedStateMachine):
    """One to three gateways share one to three workers."""

    @initialize(
        gateways=st.integers(1, 3),
        workers=st.integers(1, 3),
        threads=st.integers(1, 2),
        seed=st.integers(0, 1000),
    )
    def start(self, gateways: int, workers: int, threads: int, seed: int) -> None:
        self.cluster = Cluster(gateways=gateways, workers=workers, threads=threads, seed=seed)
        self.killed: list[ModelWorker] = []

    @rule(
        method=METHODS, gateway=st.integers(0, 2), in_batch=st.booleans(), count=st.integers(1, 6)
    )
    def submit(self, method: str, gateway: int, in_batch: bool, count: int) -> None:
        for _ in range(count):
            number = gateway % len(self.cluster.gateways)
            self.cluster.submit(number, method, in_batch=in_batch, timeout=NO_LIMIT_SECONDS)

    @rule(data=st.data())
    def deliver_some(self, data: st.DataObject) -> None:
        busy = [c for c in self.cluster.channels if c.to_worker or c.far_end.outgoing]
        if busy:
            channel = data.draw(st.sampled_from(busy))
            if channel.to_worker and (not channel.far_end.outgoing or data.draw(st.booleans())):
                channel.deliver_to_worker()
            else:
                channel.deliver_to_gateway()

    @rule()
    def deliver_all(self) -> None:
        self.cluster.deliver_all()

    @rule()
    def run_loop(self) -> None:
        self.cluster.loop.run_ready()

    @rule(data=st.data())
    def finish_one(self, data: st.DataObject) -> None:
        running = self.cluster.finishable()
        if running:
            worker, call = data.draw(st.sampled_from(running))
            is_quick = call.message.method == "quick"
            worker.finish(call, 50 if is_quick else 50_000)

    @rule(data=st.data(), method=METHODS)
    def method_calls(self, data: st.DataObject, method: str) -> None:
        running = [call for w in self.cluster.workers for call in w.running]
        if running:
            self.cluster.submit_nested(data.draw(st.sampled_from(running)), method)

    @rule(data=st.data())
    def client_leaves(self, data: st.DataObject) -> None:
        open_calls = self.cluster.unended()
        if open_calls:
            outcome = data.draw(st.sampled_from(open_calls))
            outcome.is_abandoned = True
            for gateway in self.cluster.gateways:
                if _has_call(cast(Any, gateway.client)._scheduler, outcome):
                    gateway.client.abandon(cast(Any, outcome.call))

    @precondition(lambda self: len(self.cluster.workers) > 1)
    @rule(data=st.data())
    def worker_dies(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.cluster.workers))
        if worker.slots.is_draining or self._taking() > 1:
            self.cluster.kill(worker)
            self.killed.append(worker)

    @precondition(lambda self: len(self.cluster.workers) > 1)
    @rule(data=st.data())
    def worker_drains(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.cluster.workers))
        if self._taking() > 1:
            self.cluster.drain(worker)

    def _taking(self) -> int:
        return sum(not worker.slots.is_draining for worker in self.cluster.workers)

    @precondition(lambda self: len(self.cluster.workers) < 4)
    @rule(threads=st.integers(1, 2))
    def worker_joins(self, threads: int) -> None:
        self.cluster.add_worker(threads)

    @rule(milliseconds=st.sampled_from([10, 60, 1100]))
    def time_passes(self, milliseconds: int) -> None:
        self.cluster.loop.advance(milliseconds / 1000)
        for worker in self.cluster.workers:
            worker.desk.expire_grants(self.cluster.loop.time())

    @invariant()
    def every_call_ends_at_most_once(self) -> None:
        for outcome in getattr(self, "cluster", _NO_CLUSTER).outcomes:
            assert len(outcome.endings) <= (0 if outcome.is_abandoned else 1), outcome.name

    @invariant()
    def every_answer_is_the_calls_own(self) -> None:
        for outcome in getattr(self, "cluster", _NO_CLUSTER).outcomes:
            for ending in outcome.endings:
                if not isinstance(ending, Failure):
                    assert ending == b"answer to " + outcome.name.encode()

    @invariant()
    def no_call_starts_twice_that_may_not(self) -> None:
        cluster = getattr(self, "cluster", _NO_CLUSTER)
        started = [
            name for w in [*cluster.workers, *getattr(self, "killed", [])] for name in w.started
        ]
        counts = Counter(started)
        assert all(n <= (2 if name.startswith("again") else 1) for name, n in counts.items())

    @invariant()
    def no_worker_runs_more_than_its_slots(self) -> None:
        for worker in getattr(self, "cluster", _NO_CLUSTER).workers:
            running = [c for c in worker.running if not c.message.is_extra]
            threads = [c for c in running if c.message.lane == Lane.THREAD]
            assert len(threads) <= worker.threads
            assert len(running) - len(threads) <= 2
            assert worker.slots.free(Lane.THREAD) >= 0
            threads = [c for c in worker.running if c.message.lane == Lane.THREAD]
            working = [c for c in threads if c.slot is None or c.slot.borrower is None]
            assert len(working) <= worker.threads

    @invariant()
    def a_thread_beside_the_slots_has_a_lender_of_its_own(self) -> None:
        calls = [o.call for o in getattr(self, "cluster", _NO_CLUSTER).outcomes]
        lent = [c for c in calls if c is not None and c.is_extra and c.lane == Lane.THREAD]
        lenders = [call.lender for call in lent if call.lender is not None]
        assert len({id(lender) for lender in lenders}) == len(lenders)
        for call in lent:
            if call.lender is None:
                continue  # that one has ended, and a thread cannot be stopped
            assert call.lender in list(call.callers())
            assert call.lender.lane == Lane.THREAD
            assert call.lender.worker is call.worker
            assert call.lender.borrower is call

    def teardown(self) -> None:
        """Left alone, all calls end and every slot is seen free by every gateway again."""
        cluster = getattr(self, "cluster", None)
        if cluster is None:
            return
        cluster.settle()
        cluster.loop.advance(0.06)
        for worker in cluster.workers:
            worker.desk.expire_grants(cluster.loop.time())
            worker.desk.announce_all(
                [cast(Any, c.far_end) for c in cluster.channels if c.worker is worker]
            )
        cluster.deliver_all()
        for channel in cluster.channels:
            if channel.worker.slots.is_draining:
                continue
            view = cast(Any, channel.gateway.client)._scheduler.workers.get(channel.link)
            assert channel.worker.slots.is_idle
            assert view.available(Lane.THREAD) == channel.worker.threads
            assert view.available(Lane.LOOP) == 2
            assert not view.calls
            assert view.fast == [0, 0]
            assert view.slow == [0, 0]
            assert cast(Any, channel.gateway.client)._scheduler.waiting == 0


class _NoCluster:
    outcomes: tuple[Outcome, ...] = ()
    workers: tuple[ModelWorker, ...] = ()


_NO_CLUSTER = _NoCluster()


def _has_call(scheduler: Scheduler, outcome: Outcome) -> bool:
    call = outcome.call
    if call is None:
        return False
    waiting = [c for route in cast(Any, scheduler)._routes for c in route]
    return call in waiting or any(call in w.calls.values() for w in scheduler.workers)


TestDispatch = DispatchMachine.TestCase
TestDispatch.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking these takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
