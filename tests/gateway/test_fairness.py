"""Order and fairness of waiting calls, with the real scheduler and no sockets."""

from typing import Any, cast

from toto._wire.constants import Lane
from toto_testkit.dispatch_model import Cluster


def running_names(cluster: Cluster) -> list[str]:
    """Return what runs now, in the order it was started."""
    return [call.body().decode() for worker in cluster.workers for call in worker.running]


def started(cluster: Cluster) -> list[str]:
    """Return what was started so far on the only worker."""
    return cluster.workers[0].started


def finish_all_running(cluster: Cluster) -> None:
    """Let every running call end, slowly enough to count as slow."""
    for worker in cluster.workers:
        for call in list(worker.running):
            worker.finish(call, 50_000)
    cluster.deliver_all()


def test_calls_start_in_the_order_they_came() -> None:
    """First come, first served, when all are of one kind."""
    cluster = Cluster(gateways=1, workers=1, threads=1, seed=1)
    cluster.deliver_all()
    for _ in range(6):
        cluster.submit(0, "slow", in_batch=False, timeout=30)
    for _ in range(6):
        cluster.deliver_all()
        finish_all_running(cluster)

    assert started(cluster) == [f"slow-{n}" for n in range(6)]


def test_single_calls_do_not_wait_for_a_batch() -> None:
    """While both wait they take turns, and members hold half of the slots at most."""
    cluster = Cluster(gateways=1, workers=2, threads=2, seed=1)
    cluster.deliver_all()
    for _ in range(20):
        cluster.submit(0, "slow", in_batch=True, timeout=30)
    cluster.deliver_all()
    assert len(running_names(cluster)) == 4  # nobody else waits: the batch may have all slots
    for _ in range(10):
        cluster.submit(0, "slow", in_batch=False, timeout=30)

    finish_all_running(cluster)
    finish_all_running(cluster)

    numbers = [int(name.split("-")[1]) for name in running_names(cluster)]
    assert len([number for number in numbers if number < 20]) <= 2
    cluster.settle()


def test_gateways_that_wait_get_slots_in_turn() -> None:
    """A gateway with fifty waiting calls does not keep another one's five waiting."""
    cluster = Cluster(gateways=2, workers=1, threads=1, seed=1)
    cluster.deliver_all()
    for _ in range(50):
        cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()
    for _ in range(5):
        cluster.submit(1, "slow", in_batch=False, timeout=30)
    for _ in range(16):
        cluster.deliver_all()
        finish_all_running(cluster)

    second = [name for name in started(cluster) if int(name.split("-")[1]) >= 50]
    assert len(second) == 5
    cluster.settle()


def test_a_quick_method_is_sent_ahead_and_a_slow_one_is_not() -> None:
    """The window beyond the slots opens once a method is known to be quick."""
    cluster = Cluster(gateways=1, workers=1, threads=1, seed=1)
    cluster.deliver_all()
    for _ in range(10):
        cluster.submit(0, "quick", in_batch=False, timeout=30)
        cluster.deliver_all()
        cluster.workers[0].finish(cluster.workers[0].running[0], 50)
        cluster.deliver_all()
    for _ in range(3):
        cluster.submit(0, "quick", in_batch=False, timeout=30)
        cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()

    view = next(iter(cast(Any, cluster.gateways[0].client)._scheduler.workers))
    assert view.fast[Lane.THREAD] >= 1
    assert view.slow[Lane.THREAD] <= 1
    cluster.settle()


def test_a_slow_call_is_not_sent_behind_another() -> None:
    """It stays at the gateway, where a worker that gets free can have it."""
    cluster = Cluster(gateways=1, workers=1, threads=1, seed=1)
    cluster.deliver_all()
    for _ in range(5):
        cluster.submit(0, "slow", in_batch=False, timeout=30)
    cluster.deliver_all()

    scheduler = cast(Any, cluster.gateways[0].client)._scheduler
    assert scheduler.waiting == 4
    cluster.settle()
