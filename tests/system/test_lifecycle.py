"""Processes that start, end, die and are replaced."""

import os
import signal
import time

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import Gate, InBackground, MakeCluster
from toto_testkit.http import ConnectionEnded, fetch_status
from toto_testkit.ports import holders, is_listening
from toto_testkit.process_tree import descendant_pids, is_alive
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def is_draining(cluster: Cluster) -> bool:
    """Tell whether the gateway has stopped to say that it takes calls."""
    return fetch_status(f"{cluster.url}/readyz") != 200


def stop_and_watch(cluster: Cluster, number: signal.Signals) -> int:
    """Send the signal and return the exit code; no process of the cluster may be left."""
    family = descendant_pids(cluster.pid)
    cluster.command.send_signal(number)
    code = cluster.command.wait()
    poll_until(lambda: not any(is_alive(pid) for pid in family), message="all processes end")
    return code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_cluster_ends_at_once(make_cluster: MakeCluster, number: signal.Signals) -> None:
    """Either signal ends every process, with code 0."""
    cluster = make_cluster(workers=2)
    started_at = time.monotonic()

    code = stop_and_watch(cluster, number)

    assert code == 0
    assert time.monotonic() - started_at < 5.0
    assert not is_listening(cluster.port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_call_in_flight_is_finished(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate, number: signal.Signals
) -> None:
    """A signal stops new calls; one that runs gets its result, and the code is 0."""
    cluster = make_cluster(workers=2)
    pending = in_background(cluster.call, "gate", gate.parameters())
    pid = gate.wait_started()

    cluster.command.send_signal(number)
    poll_until(lambda: is_draining(cluster), message="the gateway drains")
    gate.open()

    assert pending.result().json() == {"result": pid}
    assert cluster.command.wait() == 0


def test_a_stream_in_flight_is_finished(make_cluster: MakeCluster, gate: Gate) -> None:
    """A stream that had begun reaches its end while the cluster drains."""
    cluster = make_cluster(workers=1)
    release = gate.parameters()["release"]

    with cluster.connect() as connection:
        connection.request("GET", f"/streams/gated?release={release}")
        connection.read_head()
        lines = connection.lines()
        received = [next(lines)]
        cluster.command.send_signal(signal.SIGTERM)
        poll_until(lambda: is_draining(cluster), message="the gateway drains")
        gate.open()
        received += lines

    assert [line.replace(b" ", b"") for line in received] == [
        b'{"result":"first"}',
        b'{"result":"second"}',
        b'{"end":true}',
    ]
    assert cluster.command.wait() == 0


def test_a_new_call_while_draining_is_refused(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """On a connection from before the signal a call gets 1104 or the end of the connection."""
    cluster = make_cluster(workers=2)
    with cluster.connect() as connection:
        connection.request("GET", "/echo?a=1")
        connection.read_response("GET")
        pending = in_background(cluster.call, "gate", gate.parameters())
        gate.wait_started()
        cluster.command.send_signal(signal.SIGTERM)
        poll_until(lambda: is_draining(cluster), message="the gateway drains")

        try:
            connection.request("GET", "/echo?a=2")
            response = connection.read_response("GET")
        except (ConnectionEnded, OSError):
            response = None
        gate.open()

    if response is not None:
        assert response.status == 503
        assert response.error["code"] == 1104
        assert int(response.headers["retry-after"]) >= 1
    assert pending.result().status == 200


def test_a_second_signal_ends_the_wait(
    make_cluster: MakeCluster, in_background: InBackground, gate: Gate
) -> None:
    """Who presses Ctrl-C twice does not wait for a call that hangs."""
    cluster = make_cluster(workers=1, request_timeout=60.0)
    pending = in_background(cluster.call, "gate", gate.parameters())
    gate.wait_started()
    family = descendant_pids(cluster.pid)

    cluster.command.send_signal(signal.SIGINT)
    poll_until(lambda: is_draining(cluster), message="the gateway drains")
    cluster.command.send_signal(signal.SIGINT)
    cluster.command.wait(5.0)

    poll_until(lambda: not any(is_alive(pid) for pid in family), message="all processes end")
    assert isinstance(pending.exception(), ConnectionEnded | OSError) or (
        pending.result().status in {502, 503}
    )


def test_the_port_can_be_used_again_at_once(make_cluster: MakeCluster) -> None:
    """A cluster that has served and ended leaves its port to the next one."""
    first = make_cluster(workers=1)
    assert first.call("echo", 1).result == 1
    assert stop_and_watch(first, signal.SIGTERM) == 0

    second = make_cluster(workers=1, port=first.port)

    assert second.call("echo", 2).result == 2


def test_a_killed_worker_is_replaced(make_cluster: MakeCluster) -> None:
    """The pool has its size again without anyone asking."""
    cluster = make_cluster(workers=2)
    victims = cluster.wait_for_workers(2)

    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    poll_until(lambda: not victims & cluster.worker_pids())

    assert len(cluster.wait_for_workers(2)) == 2
    poll_until(lambda: cluster.call("echo", 1).status == 200, message="calls work again")


def test_a_killed_gateway_process_is_replaced(make_cluster: MakeCluster) -> None:
    """Clients can connect again soon, and the workers are the same as before."""
    cluster = make_cluster(workers=2)
    workers = cluster.wait_for_workers(2)
    (victim,) = cluster.gateway_pids()

    os.kill(victim, signal.SIGKILL)
    poll_until(lambda: victim not in cluster.gateway_pids())
    poll_until(lambda: fetch_status(f"{cluster.url}/readyz") == 200, message="ready again")

    assert cluster.call("whoami", {}).result in workers
    assert cluster.worker_pids() == workers


def test_no_process_outlives_a_killed_supervisor(make_cluster: MakeCluster) -> None:
    """When the first process is killed its children end by themselves."""
    cluster = make_cluster(workers=2)
    family = descendant_pids(cluster.pid)
    assert len(family) >= 3

    cluster.command.send_signal(signal.SIGKILL)
    cluster.command.wait()

    poll_until(lambda: not any(is_alive(pid) for pid in family), 8.0, "the children end")


def test_workers_do_not_hold_the_client_port(cluster: Cluster) -> None:
    """A worker, and whatever user code starts from it, inherits no listening socket."""
    assert holders(cluster.port, cluster.worker_pids()) == set()
