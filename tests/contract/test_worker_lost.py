"""A worker that dies in the middle of calls: 1105, and nothing else suffers (section 3)."""

import json
import os
import signal
import time
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import Gate, InBackground, MakeCluster
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

NOTICED_WITHIN_SECONDS = 0.5  # promised: 0.1; machines that run tests are busy


def kill(cluster: Cluster, pid: int) -> None:
    """Kill one worker of the cluster, never anything else."""
    assert pid in cluster.worker_pids()
    os.kill(pid, signal.SIGKILL)


def assert_lost(error: dict[str, Any]) -> None:
    """Check the error of a call whose worker was killed while it ran."""
    assert error["code"] == 1105
    assert error["outcome"] == "unknown"
    assert isinstance(error["retryable"], bool)
    assert error["request_id"]
    assert error["signal"] == "SIGKILL"


def test_a_killed_worker_is_answered_at_once(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """The client gets 502 soon after the kill, not when the call would have timed out."""
    cluster = make_cluster(workers=2)
    pending = in_background(cluster.call, "gate", gate.parameters())
    pid = gate.wait_started()

    kill(cluster, pid)
    killed_at = time.monotonic()
    response = pending.result()

    assert time.monotonic() - killed_at < NOTICED_WITHIN_SECONDS
    assert response.status == 502
    assert_lost(response.error)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_next_call_works_after_a_kill(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate, workers: int
) -> None:
    """The pool is whole again soon, and was never closed while another worker lived."""
    cluster = make_cluster(workers=workers)
    pending = in_background(cluster.call, "gate", gate.parameters())
    pid = gate.wait_started()

    kill(cluster, pid)
    pending.result()
    poll_until(lambda: cluster.call("echo", {"a": 1}).status == 200, message="calls work again")

    assert pid not in cluster.wait_for_workers(workers)
    assert cluster.call("echo", {"a": 1}).result == {"a": 1}


def test_with_another_worker_not_one_call_fails(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """Calls sent right after the kill go to the worker that is left."""
    cluster = make_cluster(workers=2)
    pending = in_background(cluster.call, "gate", gate.parameters())
    pid = gate.wait_started()

    kill(cluster, pid)
    results = [cluster.call("echo", number).json() for number in range(50)]
    pending.result()

    assert results == [{"result": number} for number in range(50)]


def test_a_worker_that_ends_itself_is_noticed(make_cluster: MakeCluster) -> None:
    """A method that ends its process costs its own client an error, and nobody else anything."""
    cluster = make_cluster(workers=2)

    response = cluster.call("vanish", {"code": 7})

    assert response.status == 502
    assert response.error["code"] == 1105
    assert response.error["outcome"] == "unknown"
    assert cluster.call("echo", 1).result == 1
    cluster.wait_for_workers(2)


def test_calls_that_had_not_started_are_not_lost(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """Calls waiting behind a killed one are served later, or answered as not started."""
    cluster = make_cluster(workers=1)
    running = in_background(cluster.call, "gate", gate.parameters())
    pid = gate.wait_started()
    waiting = [in_background(cluster.call, "echo", number) for number in range(10)]

    kill(cluster, pid)
    answers = [future.result() for future in waiting]

    assert_lost(running.result().error)
    for number, answer in enumerate(answers):
        if answer.status == 200:
            assert answer.json() == {"result": number}
        else:
            assert answer.status in {502, 503}
            assert answer.error["retryable"] is True
            assert answer.error.get("outcome", "not_started") == "not_started"


def test_a_killed_worker_costs_a_batch_one_member(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """The member whose worker died has 1105, the others have results, and the status is 200."""
    cluster = make_cluster(workers=2)
    members = {"lost": {"method": "gate", "parameters": gate.parameters()}}
    members |= {f"k{number}": member("echo", number=number) for number in range(10)}

    pending = in_background(cluster.batch, members)
    kill(cluster, gate.wait_started())
    entries = pending.result()

    assert_lost(entries.pop("lost")["error"])
    assert entries == {f"k{number}": {"result": {"number": number}} for number in range(10)}


def test_a_stream_whose_worker_dies_ends_with_an_error(make_cluster: MakeCluster) -> None:
    """After the first items the loss of the worker is the last line."""
    cluster = make_cluster(workers=1)
    pid = cluster.call("whoami", {}).result
    closed = str(cluster.directory / "closed")

    with cluster.connect() as connection:
        connection.request("GET", f"/streams/endless?closed={closed}")
        assert connection.read_head().status == 200
        lines = connection.lines()
        first = next(lines)
        kill(cluster, pid)
        *_, last = lines

    assert json.loads(first) == {"result": 0}
    assert json.loads(last)["error"]["code"] == 1105
