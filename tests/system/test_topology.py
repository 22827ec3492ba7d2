"""Several gateway processes, and workers started apart."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from toto_testkit.cluster import (
    PIDS_VARIABLE,
    TEST_APP_DIRECTORY,
    TEST_METHODS,
    Cluster,
    member,
)
from toto_testkit.fixtures import Gate, InBackground, MakeCluster
from toto_testkit.http import fetch_status
from toto_testkit.ports import free_port
from toto_testkit.process_tree import descendant_pids
from toto_testkit.processes import Command, command_path, run_to_end
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture(params=["ipc", "tcp", "tcp over IPv6"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address for workers: a socket file, or a port of the loopback address."""
    if request.param == "ipc":
        return f"ipc://{tmp_path}/workers.sock"
    host = "[::1]" if request.param == "tcp over IPv6" else "127.0.0.1"
    return f"tcp://{host}:{free_port()}"


@pytest.fixture
def external_worker(tmp_path: Path, address: str) -> Iterator[Command]:
    """A ``toto-worker`` that dials the address; the test starts it."""
    pids = tmp_path / "external-pids"
    pids.mkdir()
    command = Command(
        [
            command_path("toto-worker"),
            *("--methods", TEST_METHODS),
            *("--app-dir", str(TEST_APP_DIRECTORY)),
            *("--connect", address),
        ],
        output_path=tmp_path / "worker.log",
        environment={PIDS_VARIABLE: str(pids)},
    )
    yield command
    command.stop()


def wait_until_ready(cluster: Cluster) -> None:
    """Wait until a worker has announced itself to the gateway."""
    poll_until(lambda: fetch_status(f"{cluster.url}/readyz") == 200, 15.0, "a worker is known")


def test_several_gateway_processes_share_the_workers(make_cluster: MakeCluster) -> None:
    """Whichever process a client reaches, it reaches every worker."""
    cluster = make_cluster(workers=2, arguments=("--processes", "2"))
    workers = cluster.wait_for_workers(2)
    members = {f"s{number}": member("sleep", seconds=0.1) for number in range(4)}
    members |= {f"w{number}": member("whoami") for number in range(20)}

    batches = [cluster.batch(members) for _ in range(10)]

    seen = {entry["result"] for batch in batches for key, entry in batch.items() if key[0] == "w"}
    assert len(cluster.gateway_pids()) == 2
    assert seen == workers


def test_calls_survive_the_loss_of_one_gateway_process(make_cluster: MakeCluster) -> None:
    """New connections reach the other process, or the one that replaces it."""
    cluster = make_cluster(workers=2, arguments=("--processes", "2"))
    victim = min(cluster.gateway_pids())

    os.kill(victim, signal.SIGKILL)
    poll_until(lambda: victim not in cluster.gateway_pids())
    results = [cluster.call("echo", number).result for number in range(20)]

    assert results == list(range(20))
    poll_until(lambda: len(cluster.gateway_pids()) == 2, message="it is replaced")


def test_a_worker_started_apart_serves(
    make_cluster: MakeCluster, external_worker: Command, address: str
) -> None:
    """The gateway is ready as soon as a worker dials in, and serves calls and batches with it."""
    cluster = make_cluster(workers=0, worker_address=address, ready_path="/livez")

    external_worker.start()
    wait_until_ready(cluster)

    pid = cluster.call("whoami", {}).result
    assert pid in {external_worker.pid, *descendant_pids(external_worker.pid)}
    assert cluster.batch({"a": member("echo", a=1)}) == {"a": {"result": {"a": 1}}}
    assert cluster.get("/streams/numbers?count=2").body.count(b"\n") == 3


def test_a_worker_may_be_started_first(
    make_cluster: MakeCluster, external_worker: Command, address: str
) -> None:
    """A worker dials until a gateway is there."""
    external_worker.start()
    cluster = make_cluster(workers=0, worker_address=address, ready_path="/livez")

    wait_until_ready(cluster)

    assert cluster.call("echo", 1).result == 1


def test_a_worker_finds_a_gateway_that_was_started_again(
    make_cluster: MakeCluster, external_worker: Command, address: str
) -> None:
    """A worker outlives its gateway and serves the next one at the same address."""
    first = make_cluster(workers=0, worker_address=address, ready_path="/livez")
    external_worker.start()
    wait_until_ready(first)
    first.command.stop()

    second = make_cluster(workers=0, worker_address=address, ready_path="/livez")
    wait_until_ready(second)

    assert second.call("echo", 2).result == 2


def test_a_worker_that_is_stopped_finishes_its_call(
    make_cluster: MakeCluster,
    external_worker: Command,
    address: str,
    in_background: InBackground,
    gate: Gate,
) -> None:
    """SIGTERM drains a worker: the running call gets its result, later ones get 1104."""
    cluster = make_cluster(workers=0, worker_address=address, ready_path="/livez")
    external_worker.start()
    wait_until_ready(cluster)
    pending = in_background(cluster.call, "gate", gate.parameters())
    pid = gate.wait_started()

    external_worker.send_signal(signal.SIGTERM)
    gate.open()

    assert pending.result().json() == {"result": pid}
    assert external_worker.wait() == 0
    poll_until(lambda: cluster.call("echo", {}).status == 503, message="no worker is left")
    assert cluster.call("echo", {}).error["code"] == 1104


def test_the_loss_of_an_external_worker_is_noticed(
    make_cluster: MakeCluster,
    external_worker: Command,
    address: str,
    in_background: InBackground,
    gate: Gate,
) -> None:
    """A worker killed in a call costs that call 1105, whoever had started it."""
    cluster = make_cluster(workers=0, worker_address=address, ready_path="/livez")
    external_worker.start()
    wait_until_ready(cluster)
    pending = in_background(cluster.call, "gate", gate.parameters())
    pid = gate.wait_started()
    assert pid in {external_worker.pid, *descendant_pids(external_worker.pid)}

    os.kill(pid, signal.SIGKILL)

    assert pending.result().status == 502
    assert pending.result().error["code"] == 1105
    assert pending.result().error["outcome"] == "unknown"


def test_local_and_external_workers_share_the_calls(
    make_cluster: MakeCluster, external_worker: Command, address: str
) -> None:
    """A cluster may have workers of its own and others that dial in."""
    cluster = make_cluster(workers=1, worker_address=address)
    external_worker.start()
    # Slow ones: a quick method may be sent ahead to whichever worker is known to be free first.
    members = {f"w{number}": member("whoami", seconds=0.1) for number in range(4)}

    def both_answer() -> bool:
        pids = {entry["result"] for entry in cluster.batch(members).values()}
        return bool(pids & local) and bool(pids - local)

    local = cluster.wait_for_workers(1)
    poll_until(both_answer, message="members of one batch run on workers of both kinds")


def test_two_gateways_do_not_share_a_socket_file(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """The second would take the first one's workers away; it ends with one clear sentence."""
    address = f"ipc://{tmp_path}/workers.sock"
    first = make_cluster(workers=1, worker_address=address)
    command = [command_path("toto-gateway"), f"--port={free_port()}"]

    second = run_to_end([*command, f"--worker-address={address}"], directory=tmp_path)

    assert second.returncode == 3
    assert f"cannot listen for workers on {address}: Address already in use" in second.stderr
    assert first.call("echo", 1).result == 1
