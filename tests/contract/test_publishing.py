"""Events from programs outside a cluster (section 9): by ``publish`` and by ``toto-publish``."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from toto._core.event_publisher import EventPublisher, PublishError, publish
from toto._core.siblings import process_endpoint
from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import InBackground, MakeCluster
from toto_testkit.ports import free_port, holders, is_listening
from toto_testkit.processes import clean_environment, command_path, run_to_end
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

WORKERS = 2
PROCESSES = 2
COMMAND = command_path("toto-publish")
OPTIONS: dict[str, Any] = {
    "threads": 4,
    "processes": PROCESSES,
    "request_timeout": 10.0,
    "event_init_module": "toto_test_app.on_events",
}


@dataclass(frozen=True)
class Serving:
    """A cluster, and where its gateway processes listen for workers."""

    cluster: Cluster
    endpoints: tuple[str, ...]

    @property
    def address(self) -> str:
        """All of them, as a program is told."""
        return ",".join(self.endpoints)


def free_ports_in_a_row() -> int:
    """Return the first of as many free ports as there are gateway processes."""
    return poll_until(lambda: _first_of_row(free_port()))


def _first_of_row(port: int) -> int:
    return 0 if any(is_listening(port + n) for n in range(PROCESSES)) else port


def endpoints_of(address: str) -> tuple[str, ...]:
    return tuple(process_endpoint(address, n) for n in range(PROCESSES))


@pytest.fixture(scope="module", params=["ipc", "tcp"])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """Two workers and two gateway processes, whose workers have handlers from the start."""
    directory = tmp_path_factory.mktemp("publishing")
    address = f"ipc://{directory}/gateway.sock"
    if request.param == "tcp":
        address = f"tcp://127.0.0.1:{free_ports_in_a_row()}"
    options = {**OPTIONS, "worker_address": address}
    with Cluster(directory, workers=WORKERS, options=options) as cluster:
        made = Serving(cluster, endpoints_of(address))
        wait_until_all_hear(made, directory)
        yield made


def wait_until_all_hear(serving: Serving, directory: Path) -> None:
    """Send probes by every gateway process until every worker has noted one of each."""
    for number, endpoint in enumerate(serving.endpoints):
        path = directory / f"probe-{number}"

        def is_heard(endpoint: str = endpoint, path: Path = path) -> bool:
            publish(endpoint, "record", {"path": str(path), "note": "probe"})
            living, heard = serving.cluster.worker_pids(), {int(pid) for pid, _ in lines(path)}
            return len(living) == WORKERS and living <= heard

        poll_until(is_heard, 20.0, "all workers hear")


def lines(path: Path) -> list[tuple[str, str]]:
    """Return worker and note of every line that the handlers have written."""
    if not path.exists():
        return []
    parts = (line.partition(" ") for line in path.read_text().splitlines())
    return [(pid, note) for pid, _, note in parts]


def wait_for_lines(path: Path, count: int) -> list[tuple[str, str]]:
    poll_until(lambda: len(lines(path)) >= count, message=f"{count} lines")
    return lines(path)


def pass_barrier(serving: Serving, path: Path) -> None:
    """Return when every worker has taken in what every gateway process had confirmed before."""
    for endpoint in serving.endpoints:
        publish(endpoint, "record.loop", {"path": str(path), "note": "barrier"})
    wait_for_lines(path, WORKERS * PROCESSES)


def wake(answer: "Future[Any]", send: Any) -> Any:
    """Send until the call is answered: nobody can see from outside when it has subscribed."""

    def is_answered() -> bool:
        send()
        return answer.done()

    poll_until(is_answered, message="the call is answered")
    return answer.result().result


def run_command(*arguments: str) -> None:
    ended = run_to_end([COMMAND, *arguments])
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_long_poll_is_woken_from_outside(serving: Serving, in_background: InBackground) -> None:
    """It answers with what was published."""
    polled = in_background(serving.cluster.call, "events.wait", {"name": "outside"})

    result = wake(polled, lambda: publish(serving.address, "outside", {"n": [1, 2.5, None]}))

    assert result["args"] == {"n": [1, 2.5, None]}


def test_a_long_poll_is_woken_by_the_command(serving: Serving, in_background: InBackground) -> None:
    """With the arguments in JSON."""
    polled = in_background(serving.cluster.call, "events.wait", {"name": "shell"})

    result = wake(polled, lambda: run_command(serving.address, "shell", '{"n": [1, 2.5, null]}'))

    assert result["args"] == {"n": [1, 2.5, None]}


@pytest.mark.parametrize("process", range(PROCESSES))
def test_an_event_reaches_every_worker_once(serving: Serving, tmp_path: Path, process: int) -> None:
    """By whichever gateway process it comes."""
    path, endpoint = tmp_path / "notes", serving.endpoints[process]

    publish(endpoint, "record", {"path": str(path), "note": "published"})
    run_command(endpoint, "record", f'{{"path": "{path}", "note": "by command"}}')
    wait_for_lines(path, 2 * WORKERS)
    pass_barrier(serving, tmp_path / "barrier")

    pids = [str(pid) for pid in serving.cluster.worker_pids()]
    expected = [(pid, note) for pid in pids for note in ("by command", "published")]
    assert sorted(lines(path)) == sorted(expected)


def test_an_event_for_one_reaches_one(serving: Serving, tmp_path: Path) -> None:
    """Ten of one program are five for each of two workers, in turn."""
    path = tmp_path / "notes"

    with EventPublisher(serving.endpoints[0]) as publisher:
        for number in range(10):
            publisher.send("record", {"path": str(path), "note": f"{number}"}, broadcast=False)
    wait_for_lines(path, 10)
    pass_barrier(serving, tmp_path / "barrier")

    noted = lines(path)
    assert sorted(int(note) for _, note in noted) == list(range(10))
    assert set(Counter(pid for pid, _ in noted).values()) == {5}


@pytest.mark.parametrize("options", [["--one"], []])
def test_the_command_sends_every_line(serving: Serving, tmp_path: Path, options: list[str]) -> None:
    """To one worker each with ``--one``; to all of them without, in order."""
    path, source = tmp_path / "notes", tmp_path / "lines"
    source.write_text("".join(f'{{"path": "{path}", "note": "{n}"}}\n' for n in range(20)))

    with source.open() as stream:
        arguments = [COMMAND, serving.address, "record.loop", "--stdin", *options]
        ended = subprocess.run(arguments, stdin=stream, env=clean_environment(), check=False)
    pass_barrier(serving, tmp_path / "barrier")

    assert ended.returncode == 0
    if options:
        assert sorted(int(note) for _, note in lines(path)) == list(range(20))
    else:
        assert {int(pid) for pid, _ in lines(path)} == serving.cluster.worker_pids()
        for pid in serving.cluster.worker_pids():
            assert [int(note) for each, note in lines(path) if int(each) == pid] == list(range(20))


def test_a_program_with_both_addresses_goes_on_when_one_gateway_is_killed(
    tmp_path: Path, make_cluster: MakeCluster
) -> None:
    """Every worker gets every event once; an event is sent again only after an error said so."""
    port = free_ports_in_a_row()
    address = f"tcp://127.0.0.1:{port}"
    cluster = make_cluster(workers=WORKERS, **{**OPTIONS, "worker_address": address})
    serving = Serving(cluster, endpoints_of(address))
    wait_until_all_hear(serving, tmp_path)
    path, errors = tmp_path / "notes", []

    with EventPublisher(serving.endpoints, timeout_seconds=10.0) as publisher:
        for number in range(40):
            args = {"path": str(path), "note": f"{number}"}
            if number == 20:
                wait_for_lines(path, 20 * WORKERS)
                kill_first_gateway(cluster, port)
            try:
                publisher.send("record.loop", args)
            except PublishError as error:
                errors.append(error.may_be_delivered)
                publisher.send("record.loop", args)
    noted = wait_for_lines(path, 40 * WORKERS)
    publish(serving.endpoints[1], "record.loop", {"path": str(tmp_path / "end"), "note": "x"})
    wait_for_lines(tmp_path / "end", WORKERS)

    assert noted == lines(path)
    assert errors in ([], [True])
    for pid in cluster.worker_pids():
        assert [int(note) for each, note in noted if int(each) == pid] == list(range(40))


def kill_first_gateway(cluster: Cluster, port: int) -> None:
    """Kill the process that listens for workers at the port."""
    (pid,) = holders(port, cluster.gateway_pids())
    os.kill(pid, signal.SIGKILL)
    poll_until(lambda: pid not in cluster.gateway_pids(), message="the gateway process is gone")
