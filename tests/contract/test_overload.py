"""More calls than the cluster takes, and calls nobody can serve: 1103 and 1104 (section 3)."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import Gate, InBackground, MakeCluster
from toto_testkit.http import Response
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

CALLS = 30


def assert_shed(response: Response, status: int, code: int) -> None:
    """Check an error of the system that a client should try again, and when."""
    assert response.status == status
    assert response.error["code"] == code
    assert response.error["retryable"] is True
    assert response.error["request_id"] == response.headers["x-request-id"]
    assert int(response.headers["retry-after"]) >= 1


def hold_all(cluster: Cluster, gate: Gate, in_background: InBackground) -> list[Future[Response]]:
    """Send more calls than fit, one of which already runs; wait until one was refused."""
    futures = [in_background(cluster.call, "gate", gate.parameters("first"))]
    gate.wait_started("first")
    for number in range(CALLS):
        futures.append(in_background(cluster.call, "gate", gate.parameters(str(number))))
    poll_until(lambda: sum(future.done() for future in futures) >= CALLS // 2)
    return futures


def test_calls_beyond_the_queue_are_shed(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """What exceeds the queue is refused at once with 429; what was accepted is served."""
    cluster = make_cluster(workers=1, queue_max=2)
    futures = hold_all(cluster, gate, in_background)
    refused = [future.result() for future in futures if future.done()]
    gate.open()
    answers = [future.result() for future in futures]
    served = [answer for answer in answers if answer.status == 200]

    for response in refused:
        assert_shed(response, 429, 1103)
    assert len(served) >= 2
    assert {answer.status for answer in answers} == {200, 429}


def test_the_cluster_recovers_from_overload(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """As soon as the queue has room the next call is accepted."""
    cluster = make_cluster(workers=1, queue_max=2)
    futures = hold_all(cluster, gate, in_background)
    gate.open()
    for future in futures:
        future.result()

    assert cluster.call("echo", 1).result == 1


def test_a_full_queue_does_not_hide_errors_or_probes(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """What needs no worker is answered while every call is shed."""
    cluster = make_cluster(workers=1, queue_max=2)
    hold_all(cluster, gate, in_background)

    assert cluster.call("nosuch", {}).error["code"] == 1001
    assert cluster.get("/livez").status == 200


def test_members_of_a_batch_are_shed_one_by_one(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """A batch larger than the queue has one entry per key: a result or 1103."""
    cluster = make_cluster(workers=1, queue_max=2)
    in_background(cluster.call, "gate", gate.parameters("first"))
    gate.wait_started("first")
    keys = {f"k{number}" for number in range(CALLS)}

    pending = in_background(cluster.batch, {key: member("whoami") for key in keys})
    gate.open()
    entries: dict[str, Any] = pending.result()

    assert set(entries) == keys
    codes = {entry["error"]["code"] for entry in entries.values() if "error" in entry}
    assert codes <= {1103}


def test_without_a_worker_there_is_an_answer(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """A gateway nobody has dialled yet answers 503 and tells when to come again."""
    address = f"ipc://{tmp_path}/workers.sock"
    cluster = make_cluster(workers=0, worker_address=address, ready_path="/livez")

    assert_shed(cluster.call("echo", {}), 503, 1104)
    assert_shed(cluster.get("/echo"), 503, 1104)
    assert cluster.get("/readyz").status == 503


def test_without_a_worker_a_batch_is_answered(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """Every member of a batch has its own 1104."""
    address = f"ipc://{tmp_path}/workers.sock"
    cluster = make_cluster(workers=0, worker_address=address, ready_path="/livez")

    entries = cluster.batch({"a": member("echo"), "b": member("echo")})

    assert {key: entry["error"]["code"] for key, entry in entries.items()} == {"a": 1104, "b": 1104}
