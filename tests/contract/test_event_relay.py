"""Events between gateways that share no workers: over Redis (section 9)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import PIDS_VARIABLE, TEST_APP_DIRECTORY, TEST_METHODS, Cluster
from toto_testkit.fixtures import InBackground, MakeCluster
from toto_testkit.processes import MAY_COMPILE, Command, command_path
from toto_testkit.redis_server import OwnRedis
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

HOSTS = 2
WORKERS = 2


@pytest.fixture(scope="module")
def redis_server() -> Iterator[OwnRedis]:
    """A Redis that tests may stop."""
    with OwnRedis() as server:
        yield server


@pytest.fixture(scope="module")
def hosts(
    redis_server: OwnRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Cluster]]:
    """Two clusters as on two hosts, with a Redis between them."""
    options = {
        "database": "none",
        "redis_url": redis_server.url,
        "processes": 2,
        "request_timeout": 10.0,
        "event_init_module": "toto_test_app.on_events",
    }
    made = [
        Cluster(tmp_path_factory.mktemp(f"host-{number}"), workers=WORKERS, options=options)
        for number in range(HOSTS)
    ]
    with made[0], made[1]:
        wait_until_all_hear(made, made[0].directory / "probe")
        yield made


def send(cluster: Cluster, name: str, args: Any, **parameters: Any) -> None:
    answer = cluster.call("events.send", {"name": name, "args": args, **parameters})
    assert answer.status == 200, answer


def lines(path: Path) -> list[tuple[int, str]]:
    """Return worker and note of every line that the handlers have written."""
    if not path.exists():
        return []
    pairs = (line.split(" ", 1) for line in path.read_text().splitlines())
    return [(int(pid), note) for pid, note in pairs]


def wait_until_all_hear(hosts: list[Cluster], path: Path) -> None:
    """Send probes from both hosts until all workers of both have noted one of each."""

    def is_heard() -> bool:
        for number, host in enumerate(hosts):
            send(host, "record", {"path": f"{path}.{number}", "note": "probe"})
        return all(
            {pid for pid, _ in lines(Path(f"{path}.{number}"))} >= workers_of(hosts)
            for number in range(HOSTS)
        )

    poll_until(is_heard, 30.0, "all workers hear both hosts")


def workers_of(hosts: list[Cluster]) -> set[int]:
    return {pid for host in hosts for pid in host.wait_for_workers(WORKERS)}


def wait_for_lines(path: Path, count: int) -> list[tuple[int, str]]:
    poll_until(lambda: len(lines(path)) >= count, message=f"{count} lines")
    return lines(path)


def pass_barrier(hosts: list[Cluster], sender: Cluster, path: Path) -> None:
    """Return when every worker has taken in all that this host has sent before."""
    send(sender, "record", {"path": str(path), "note": "barrier"})
    wait_for_lines(path, HOSTS * WORKERS)


@pytest.mark.parametrize("sender", range(HOSTS))
def test_a_broadcast_reaches_every_worker_of_every_host_once(
    hosts: list[Cluster], tmp_path: Path, sender: int
) -> None:
    """Whichever host it comes from; in the order of sending."""
    path = tmp_path / "notes"

    send(hosts[sender], "record", {"path": str(path)}, count=20)
    noted = wait_for_lines(path, 20 * HOSTS * WORKERS)
    pass_barrier(hosts, hosts[sender], tmp_path / "barrier")

    assert len(lines(path)) == len(noted)
    for pid in workers_of(hosts):
        assert [int(note) for each, note in noted if each == pid] == list(range(20))


def test_a_long_poll_is_woken_from_another_host(
    hosts: list[Cluster], in_background: InBackground
) -> None:
    """By the method that sends there."""
    waiting = in_background(hosts[0].call, "events.wait", {"name": "across"})

    def is_answered() -> bool:
        send(hosts[1], "across", "hello")
        return waiting.done()

    poll_until(is_answered, message="the poll is woken")
    assert waiting.result().result["args"] == "hello"


def test_an_event_for_one_stays_on_its_host_if_somebody_waits_there(
    hosts: list[Cluster], tmp_path: Path
) -> None:
    """Each of them reaches one worker."""
    path = tmp_path / "notes"

    send(hosts[0], "record", {"path": str(path)}, count=20, broadcast=False)
    noted = wait_for_lines(path, 20)
    pass_barrier(hosts, hosts[0], tmp_path / "barrier")

    assert lines(path) == noted
    assert {pid for pid, _ in noted} == hosts[0].worker_pids()


def test_an_event_for_one_goes_to_another_host_if_nobody_waits_here(
    hosts: list[Cluster], in_background: InBackground, tmp_path: Path
) -> None:
    """Exactly one of those who wait there gets it."""
    started = [tmp_path / str(number) for number in range(4)]
    waiting = [
        in_background(
            hosts[0].call,
            "events.wait",
            {"name": "one", "started": str(path), "fired": str(tmp_path / "fired")},
        )
        for path in started
    ]
    poll_until(lambda: all(path.exists() for path in started), message="all wait")

    def is_answered() -> bool:
        send(hosts[1], "one", "yours", broadcast=False)
        return all(each.done() for each in waiting)

    poll_until(is_answered, message="each worker that waits has had its turn")
    answers = [each.result().result for each in waiting]

    # A worker calls all its handlers of the name for one event.
    assert {answer["args"] for answer in answers} == {"yours"}
    assert max(Counter((tmp_path / "fired").read_text().split()).values()) <= 4


def test_a_worker_of_both_hosts_gets_each_event_once(
    make_cluster: MakeCluster, redis_server: OwnRedis, tmp_path: Path
) -> None:
    """What the worker of one host sends comes to it from there, and relayed from the other."""
    addresses = [f"ipc://{tmp_path}/gateway-{number}.sock" for number in range(HOSTS)]
    options: dict[str, Any] = {
        "workers": 0,
        "ready_path": "/livez",
        "database": "none",
        "redis_url": redis_server.url,
        "redis_prefix": "both:",
    }
    hosts = [
        make_cluster(arguments=("--worker-address", address), **options) for address in addresses
    ]
    of_both = make_worker(hosts[0], ",".join(addresses), tmp_path / "of_both.log")
    of_second = make_worker(hosts[0], addresses[1], tmp_path / "of_second.log")
    path, probe = tmp_path / "notes", tmp_path / "probe"
    with of_both, of_second:
        poll_until(lambda: is_heard_by_two(hosts, probe), 20.0, "both workers hear both hosts")
        for number in range(60):
            send(hosts[1], "record", {"path": str(path), "note": str(number)})
        wait_for_lines(path, 2 * 60)
        for number, host in enumerate(hosts):
            barrier = tmp_path / f"barrier-{number}"
            send(host, "record", {"path": str(barrier), "note": "barrier"})
            wait_for_lines(barrier, 2)

    assert set(Counter(lines(path)).values()) == {1}
    assert len(lines(path)) == 2 * 60


def is_heard_by_two(hosts: list[Cluster], path: Path) -> bool:
    """Send a probe from each host; tell whether two workers have noted one of each."""
    for number, host in enumerate(hosts):
        if host.get("/readyz").status != 200:
            return False
        send(host, "record", {"path": f"{path}.{number}", "note": "probe"})
    return all(
        len({pid for pid, _ in lines(Path(f"{path}.{number}"))}) == 2 for number in range(HOSTS)
    )


def make_worker(host: Cluster, connect: str, output_path: Path) -> Command:
    return Command(
        [
            command_path("toto-worker"),
            *("--methods", TEST_METHODS, "--app-dir", str(TEST_APP_DIRECTORY)),
            *("--connect", connect, "--database", "none"),
            *("--event-init-module", "toto_test_app.on_events"),
        ],
        output_path=output_path,
        environment={PIDS_VARIABLE: str(host.pids_directory), **MAY_COMPILE},
    )


def test_events_go_on_inside_a_host_without_redis(
    hosts: list[Cluster], redis_server: OwnRedis, tmp_path: Path
) -> None:
    """And between hosts again when it answers again; nothing comes twice."""
    path = tmp_path / "notes"
    redis_server.pause()
    try:
        send(hosts[0], "record", {"path": str(path), "note": "alone"})
        noted = wait_for_lines(path, WORKERS)
    finally:
        redis_server.resume()
    wait_until_all_hear(hosts, tmp_path / "again")

    assert {pid for pid, _ in noted} == hosts[0].worker_pids()
    assert set(Counter(lines(path)).values()) == {1}
