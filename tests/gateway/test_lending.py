"""Slots whose methods wait for other calls: lent to those, and to no more than that."""

from typing import Any, cast

from toto._core.failure import Failure
from toto_testkit.dispatch_model import Cluster, ModelWorker, Outcome
from toto_worker.call import WorkerCall


def only_call(worker: ModelWorker, name: str) -> WorkerCall:
    """Return the running call of that name."""
    (call,) = [c for c in worker.running if c.body().decode() == name]
    return call


def nested(cluster: Cluster, caller: WorkerCall, method: str = "slow") -> Outcome:
    """Have a running call's method call another one, and deliver all."""
    outcome = cluster.submit_nested(caller, method)
    assert outcome is not None
    cluster.deliver_all()
    return outcome


def make_known_as_quick(cluster: Cluster, method: str) -> None:
    """Run a method often enough for everybody to know that it is quick."""
    for _ in range(30):
        cluster.submit(0, method, in_batch=False, timeout=30)
        cluster.settle()


def one_slot() -> tuple[Cluster, ModelWorker]:
    cluster = Cluster(gateways=1, workers=1, threads=1, seed=1)
    cluster.deliver_all()
    return cluster, cluster.workers[0]


def test_the_slot_of_a_method_that_waits_is_lent_to_what_it_waits_for() -> None:
    """The only slot is taken, and the call runs beside it."""
    cluster, worker = one_slot()
    cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()

    nested(cluster, only_call(worker, "slow-0"))

    assert worker.started == ["slow-0", "slow-1"]
    assert only_call(worker, "slow-1").message.is_extra
    cluster.settle()


def test_a_slot_is_lent_to_one_call_at_a_time() -> None:
    """The next one follows when the first has ended; meanwhile others keep their turn."""
    cluster, worker = one_slot()
    cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    caller = only_call(worker, "slow-0")
    for _ in range(3):
        nested(cluster, caller)
    assert worker.started == ["slow-0", "slow-1"]

    worker.finish(only_call(worker, "slow-1"), 50_000)
    cluster.deliver_all()

    assert worker.started == ["slow-0", "slow-1", "slow-2"]
    cluster.settle()


def test_coroutines_are_lent_as_many_places_as_they_ask_for() -> None:
    """They cost little, and may all have to run for one of them to end."""
    cluster, worker = one_slot()
    cluster.submit(0, "async", in_batch=False, timeout=30)
    cluster.submit(0, "async", in_batch=False, timeout=30)
    cluster.deliver_all()

    caller = only_call(worker, "async-0")
    for _ in range(5):
        nested(cluster, caller, "async")

    assert len(worker.running) == 7
    cluster.settle()


def test_a_coroutine_lends_no_thread() -> None:
    """It holds none: what it calls waits for a slot, so that no worker runs two at once."""
    cluster, worker = one_slot()
    cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.submit(0, "async", in_batch=False, timeout=30)
    cluster.deliver_all()

    nested(cluster, only_call(worker, "async-1"))
    assert worker.started == ["slow-0", "async-1"]

    worker.finish(only_call(worker, "slow-0"), 50_000)
    cluster.deliver_all()
    assert worker.started == ["slow-0", "async-1", "slow-2"]
    cluster.settle()


def test_a_thread_is_lent_through_a_coroutine() -> None:
    """Two levels down: the thread waits for the coroutine, and that for a thread's call."""
    cluster, worker = one_slot()
    cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    nested(cluster, only_call(worker, "slow-0"), "async")

    nested(cluster, only_call(worker, "async-1"))

    assert worker.started == ["slow-0", "async-1", "slow-2"]
    cluster.settle()


def test_a_full_queue_does_not_stop_what_has_begun() -> None:
    """What a running method waits for needs no place in the queue."""
    cluster, worker = one_slot()
    for _ in range(1 + 128 + 4):
        cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    refused = cluster.submit(0, "slow", in_batch=False, timeout=30)
    assert refused.endings == [Failure.overloaded()]

    outcome = nested(cluster, only_call(worker, "slow-0"))

    assert worker.started == ["slow-0", outcome.name]
    cluster.settle()


def test_an_idle_worker_goes_before_a_slot_that_is_lent() -> None:
    """Another processor is better than the same one."""
    cluster = Cluster(gateways=1, workers=2, threads=1, seed=1)
    cluster.deliver_all()
    cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    (busy,) = [worker for worker in cluster.workers if worker.running]
    (idle,) = [worker for worker in cluster.workers if not worker.running]

    nested(cluster, only_call(busy, "slow-0"))

    assert idle.started == ["slow-1"]
    assert not only_call(idle, "slow-1").message.is_extra
    cluster.settle()


def test_what_a_quick_method_waits_for_is_not_sent_behind_it() -> None:
    """A call sent ahead would wait for the very one that waits for it."""
    cluster, worker = one_slot()
    make_known_as_quick(cluster, "quick")
    cluster.submit(0, "quick", in_batch=False, timeout=30)
    cluster.deliver_all()
    caller = worker.running[0]

    outcome = nested(cluster, caller, "quick")

    assert [call.body().decode() for call in worker.running] == [
        caller.body().decode(),
        outcome.name,
    ]
    cluster.settle()


def test_quick_methods_that_wait_for_each_other_on_two_workers_go_on() -> None:
    """Each call crosses another gateway's on the wire and finds its slot taken."""
    cluster = Cluster(gateways=2, workers=2, threads=1, seed=3)
    cluster.deliver_all()
    make_known_as_quick(cluster, "quick")
    first, second = cluster.workers
    # Both gateways see both workers idle, and send without hearing of each other.
    for gateway in (0, 1):
        cluster.submit(gateway, "quick", in_batch=False, timeout=30)
    cluster.deliver_all()
    callers = [*first.running, *second.running]

    children = [cluster.submit_nested(call, "quick") for call in callers]
    cluster.deliver_all()

    running = [call.body().decode() for worker in cluster.workers for call in worker.running]
    for child in children:
        assert child is not None
        assert child.name in running
    cluster.settle()


def leave(cluster: Cluster, outcome: Outcome) -> None:
    """The client of a call goes away, and its method sees that at once."""
    outcome.is_abandoned = True
    assert outcome.call is not None
    cluster.gateways[0].client.abandon(outcome.call)
    cluster.deliver_all()


def test_a_slot_is_free_when_what_runs_in_it_has_ended_too() -> None:
    """A thread cannot be stopped: its caller may leave before it, and the slot stays taken."""
    cluster, worker = one_slot()
    first = cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    nested(cluster, only_call(worker, "slow-0"))
    leave(cluster, first)
    worker.finish(only_call(worker, "slow-0"), 50_000)

    for _ in range(3):
        cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    assert worker.started == ["slow-0", "slow-1"]

    worker.finish(only_call(worker, "slow-1"), 50_000)
    cluster.deliver_all()
    assert worker.started == ["slow-0", "slow-1", "slow-2"]
    cluster.settle()


def test_a_chain_of_calls_that_were_left_keeps_one_slot() -> None:
    """The innermost still runs; the slot is free when it has ended."""
    cluster, worker = one_slot()
    first = cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    nested(cluster, only_call(worker, "slow-0"))
    nested(cluster, only_call(worker, "slow-1"))
    leave(cluster, first)
    for name in ("slow-0", "slow-1"):
        worker.finish(only_call(worker, name), 50_000)
    cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    assert worker.started == ["slow-0", "slow-1", "slow-2"]

    worker.finish(only_call(worker, "slow-2"), 50_000)
    cluster.deliver_all()

    assert worker.started[3:] == ["slow-3"]
    cluster.settle()


def test_a_place_is_not_lent_while_what_was_left_in_it_runs() -> None:
    """The caller goes on before the innermost call has ended, and may call again."""
    cluster, worker = one_slot()
    cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    second = nested(cluster, only_call(worker, "slow-0"))
    nested(cluster, only_call(worker, "slow-1"))
    leave(cluster, second)
    worker.finish(only_call(worker, "slow-1"), 50_000)
    cluster.deliver_all()

    nested(cluster, only_call(worker, "slow-0"))
    assert worker.started == ["slow-0", "slow-1", "slow-2"]

    worker.finish(only_call(worker, "slow-2"), 50_000)
    cluster.deliver_all()
    assert worker.started == ["slow-0", "slow-1", "slow-2", "slow-3"]
    cluster.settle()


def test_nothing_is_left_when_the_caller_s_worker_dies() -> None:
    """What it waited for is given up, and its slots are counted right afterwards."""
    cluster = Cluster(gateways=1, workers=2, threads=1, seed=1)
    cluster.deliver_all()
    for _ in range(2):
        cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    dying, living = cluster.workers
    outcome = nested(cluster, dying.running[0])

    cluster.kill(dying)
    cluster.settle()

    assert outcome.is_abandoned
    (channel,) = cluster.channels
    view = cast(Any, channel.gateway.client)._scheduler.workers.get(channel.link)
    assert view.calls == {}
    assert living.slots.is_idle


def test_a_method_that_is_run_again_starts_its_calls_anew() -> None:
    """What the lost run had asked for is given up."""
    cluster = Cluster(gateways=1, workers=2, threads=1, seed=1)
    cluster.deliver_all()
    cluster.submit(0, "again", in_batch=False, timeout=30)
    cluster.deliver_all()
    (worker,) = [each for each in cluster.workers if each.running]
    outcome = nested(cluster, worker.running[0])

    cluster.kill(worker)
    cluster.settle()

    assert outcome.is_abandoned
    assert cluster.workers[0].started == ["slow-1", "again-0"]
