"""Calls run at the same time, on workers, in threads and on loops."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import InBackground, MakeCluster

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def seconds(work: Callable[[], Any]) -> float:
    """Return how long the work takes."""
    started_at = time.monotonic()
    work()
    return time.monotonic() - started_at


def call_together(
    cluster: Cluster, in_background: InBackground, method: str, count: int, pause: float
) -> None:
    """Send calls at the same time, over a connection each, and check every result."""
    futures = [in_background(cluster.call, method, {"seconds": pause}) for _ in range(count)]
    assert [future.result().result for future in futures] == [pause] * count


def test_a_batch_uses_every_worker(make_cluster: MakeCluster) -> None:
    """Twenty members of 100 ms on four workers take 0.5 s at best and 2 s one by one."""
    cluster = make_cluster(workers=4)
    members = {f"k{number}": member("sleep", seconds=0.1) for number in range(20)}

    assert seconds(lambda: cluster.batch(members)) < 1.5


def test_single_calls_use_every_worker(
    make_cluster: MakeCluster, in_background: InBackground
) -> None:
    """Eight calls of 250 ms on four workers take 0.5 s at best and 2 s one by one."""
    cluster = make_cluster(workers=4)

    assert seconds(lambda: call_together(cluster, in_background, "sleep", 8, 0.25)) < 1.5


def test_calls_use_every_thread_of_a_worker(
    make_cluster: MakeCluster, in_background: InBackground
) -> None:
    """Four calls of 500 ms in four threads take 0.5 s at best and 2 s one by one."""
    cluster = make_cluster(workers=1, threads=4)

    assert seconds(lambda: call_together(cluster, in_background, "sleep", 4, 0.5)) < 1.5


def test_coroutines_need_no_threads(make_cluster: MakeCluster, in_background: InBackground) -> None:
    """Twenty coroutines of 250 ms in one worker take 0.25 s at best and 5 s one by one."""
    cluster = make_cluster(workers=1)

    assert seconds(lambda: call_together(cluster, in_background, "wait", 20, 0.25)) < 1.5


def test_a_busy_thread_does_not_hold_up_coroutines(
    make_cluster: MakeCluster, in_background: InBackground
) -> None:
    """While a worker's only thread sleeps, its loop goes on."""
    cluster = make_cluster(workers=1)
    sleeper = in_background(cluster.call, "sleep", {"seconds": 1.5})

    taken = seconds(lambda: call_together(cluster, in_background, "wait", 3, 0.1))

    assert taken < 1.0
    assert sleeper.result().result == 1.5


def test_many_clients_get_their_own_answers(cluster: Cluster, in_background: InBackground) -> None:
    """Of five hundred calls over twenty connections none gets another's answer."""

    def call_many(client: int) -> list[Any]:
        with cluster.connect() as connection:
            answers = []
            for number in range(25):
                connection.request("GET", f"/echo?client={client}&number={number}")
                answers.append(connection.read_response("GET").result)
            return answers

    futures = [in_background(call_many, client) for client in range(20)]

    for client, future in enumerate(futures):
        assert future.result() == [
            {"client": str(client), "number": str(number)} for number in range(25)
        ]
