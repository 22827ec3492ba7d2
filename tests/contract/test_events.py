"""Events between the workers of a cluster (section 9)."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import InBackground, MakeCluster
from toto_testkit.waiting import poll_until
from toto_testkit.written_app import WrittenApp, assert_refused

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

WORKERS = 3


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three workers and two gateway processes, whose workers have handlers from the start."""
    with Cluster(
        tmp_path_factory.mktemp("events"),
        workers=WORKERS,
        options={
            "threads": 4,
            "processes": 2,
            "request_timeout": 10.0,
            "event_init_module": "toto_test_app.on_events",
        },
    ) as cluster:
        wait_until_all_hear(cluster, cluster.directory / "probe")
        yield cluster


def send(cluster: Cluster, name: str, args: Any = None, **parameters: Any) -> None:
    answer = cluster.call("events.send", {"name": name, "args": args, **parameters})
    assert answer.status == 200, answer


def wait_until_all_hear(cluster: Cluster, path: Path) -> None:
    """Send probes until every worker that lives has noted one."""

    def is_heard() -> bool:
        args = {"path": str(path), "note": "probe"}
        # The first calls may reach a gateway process that no worker has found yet.
        answer = cluster.call("events.send", {"name": "record", "args": args})
        living, heard = cluster.worker_pids(), {int(pid) for pid, _ in lines(path)}
        return answer.status == 200 and len(living) == cluster.workers and living <= heard

    poll_until(is_heard, 20.0, "all workers hear")


def lines(path: Path) -> list[tuple[str, str]]:
    if not path.exists():
        return []
    pairs = (line.split(" ", 1) for line in path.read_text().splitlines())
    return [(pid, note) for pid, note in pairs]


def wait_for_lines(path: Path, count: int) -> list[tuple[str, str]]:
    poll_until(lambda: len(lines(path)) >= count, message=f"{count} lines")
    return lines(path)


def wake(cluster: Cluster, answer: "Future[Any]", name: str, args: Any = None) -> Any:
    """Send until the call is answered: nobody can see from outside when it has subscribed."""

    def is_answered() -> bool:
        send(cluster, name, args)
        return answer.done()

    poll_until(is_answered, message=f"{name} wakes the call")
    return answer.result().result


def pass_barrier(cluster: Cluster, path: Path) -> None:
    """Return when every worker has taken in all events that were sent before."""
    send(cluster, "record.loop", {"path": str(path), "note": "barrier"})
    wait_for_lines(path, WORKERS)


@pytest.mark.parametrize("on_loop", [True, False])
def test_a_long_poll_is_woken_by_another_method(
    serving: Cluster, in_background: InBackground, on_loop: bool
) -> None:
    """Its handler answers with what was sent, from the loop or from a thread."""
    name = f"woken.{on_loop}"
    polled = in_background(serving.call, "events.wait", {"name": name, "on_loop": on_loop})

    result = wake(serving, polled, name, {"text": "hello", "numbers": [1, 2.5, None]})

    assert result["args"] == {"text": "hello", "numbers": [1, 2.5, None]}


def test_many_long_polls_are_woken_by_one_event(
    serving: Cluster, in_background: InBackground, tmp_path: Path
) -> None:
    """All of them, in all workers."""
    polls = [
        in_background(
            serving.call, "events.wait", {"name": "herd", "started": str(tmp_path / f"{n}")}
        )
        for n in range(30)
    ]
    poll_until(lambda: all((tmp_path / f"{n}").exists() for n in range(30)), message="all wait")
    pass_barrier(serving, tmp_path / "barrier")

    send(serving, "herd", "now")

    results = [poll.result().result for poll in polls]
    assert [result["args"] for result in results] == ["now"] * 30
    assert len({result["pid"] for result in results}) == WORKERS


@pytest.mark.parametrize("name", ["record", "record.loop", "record.coroutine"])
def test_a_broadcast_reaches_every_worker_once(serving: Cluster, tmp_path: Path, name: str) -> None:
    """A handler in a thread, on the loop, or a coroutine function; the sender's too."""
    path = tmp_path / "notes"

    send(serving, name, {"path": str(path), "note": "to all"})
    noted = wait_for_lines(path, WORKERS)
    pass_barrier(serving, tmp_path / "barrier")

    assert noted == lines(path)
    assert {note for _, note in noted} == {"to all"}
    assert {int(pid) for pid, _ in noted} == serving.worker_pids()


def test_an_event_for_one_reaches_the_workers_in_turn(serving: Cluster, tmp_path: Path) -> None:
    """Thirty of one sender are ten for each of three workers."""
    path = tmp_path / "notes"

    send(serving, "record", {"path": str(path)}, count=30, broadcast=False)
    noted = wait_for_lines(path, 30)
    pass_barrier(serving, tmp_path / "barrier")

    assert noted == lines(path)
    assert sorted(int(note) for _, note in noted) == list(range(30))
    assert set(Counter(pid for pid, _ in noted).values()) == {10}


@pytest.mark.parametrize("name", ["record", "record.loop"])
def test_events_of_one_sender_stay_in_order(serving: Cluster, tmp_path: Path, name: str) -> None:
    """Each worker handles them in the order in which they were sent."""
    path = tmp_path / "notes"

    send(serving, name, {"path": str(path)}, count=200)

    noted = wait_for_lines(path, 200 * WORKERS)
    for pid in serving.worker_pids():
        assert [int(note) for each, note in noted if int(each) == pid] == list(range(200))


@pytest.mark.parametrize(("persist", "expected"), [(False, ["1"]), (True, ["1", "2", "3"])])
def test_a_handler_is_called_once_unless_it_persists(
    serving: Cluster, in_background: InBackground, tmp_path: Path, persist: bool, expected: Any
) -> None:
    """A persistent one is called until its request has ended."""
    name, path = f"noted.{persist}", tmp_path / "notes"
    call = in_background(
        serving.call, "events.note", {"name": name, "path": str(path), "persist": persist}
    )

    def is_noted() -> bool:
        send(serving, name, 1)
        return path.exists()

    poll_until(is_noted, message="the first event is noted")
    pass_barrier(serving, tmp_path / "before")
    path.write_text("1\n")
    send(serving, name, 2)
    send(serving, name, 3)
    pass_barrier(serving, tmp_path / "behind")
    noted = path.read_text().split()
    wake(serving, call, f"{name}.end")
    send(serving, name, 4)
    pass_barrier(serving, tmp_path / "after")

    assert noted == expected
    assert path.read_text().split() == expected


@pytest.mark.parametrize("deregister", [True, False])
def test_no_handler_is_called_once_its_call_has_been_answered(
    serving: Cluster, tmp_path: Path, deregister: bool
) -> None:
    """With ``deregister_on_finish`` and without."""
    name, fired = f"answered.{deregister}", tmp_path / "fired"
    parameters = {"name": name, "fired": str(fired), "deregister": deregister}

    answer = serving.call("events.wait", {**parameters, "answers_at_once": True})
    send(serving, name)
    pass_barrier(serving, tmp_path / "barrier")

    assert answer.result == "before any event"
    assert not fired.exists()


def test_no_handler_is_called_once_the_client_has_left(serving: Cluster, tmp_path: Path) -> None:
    """The event that comes then wakes nobody."""
    fired, closed, started = tmp_path / "fired", tmp_path / "closed", tmp_path / "started"
    parameters = {
        "name": "left",
        "fired": str(fired),
        "closed": str(closed),
        "started": str(started),
    }
    body = json.dumps({"method": "events.wait", "parameters": parameters}).encode()
    with serving.connect() as connection:
        connection.request("POST", "/", {"Content-Type": "application/json"}, body)
        poll_until(started.exists, message="the call waits")
    poll_until(closed.exists, message="the worker learns that the client has left")

    send(serving, "left")
    pass_barrier(serving, tmp_path / "barrier")

    assert not fired.exists()


def test_a_member_of_a_batch_may_wait(serving: Cluster, in_background: InBackground) -> None:
    """It answers its own key."""
    members = {
        "a": {"method": "events.wait", "parameters": {"name": "batch"}},
        "b": {"method": "echo", "parameters": 5},
    }
    answer = in_background(serving.batch, members)

    def is_answered() -> bool:
        send(serving, "batch", "x")
        return answer.done()

    poll_until(is_answered, message="the batch is answered")
    assert answer.result()["a"]["result"]["args"] == "x"
    assert answer.result()["b"] == {"result": 5}


def test_a_handler_that_fails_hurts_nobody(serving: Cluster, tmp_path: Path) -> None:
    """The log has its traceback; it is called again for the next event, and others are too."""
    workers = serving.worker_pids()

    for _ in range(2):
        send(serving, "fails")
    poll_until(
        lambda: serving.output().count("ValueError: this handler never works") == 2 * WORKERS,
        message="all have failed twice",
    )
    pass_barrier(serving, tmp_path / "barrier")

    assert serving.worker_pids() == workers
    assert "a handler of the event 'fails' failed" in serving.output()


@pytest.mark.parametrize(
    ("name", "args", "told"),
    [
        pytest.param("", None, "1 to 128 characters", id="no name"),
        pytest.param("n" * 129, None, "1 to 128 characters", id="long name"),
        pytest.param("n", "x" * 524_288, "524288 bytes", id="long arguments"),
    ],
)
def test_what_cannot_be_sent_is_the_sender_s_error(
    serving: Cluster, name: str, args: Any, told: str
) -> None:
    """The method gets the exception, and the log has it."""
    answer = serving.call("events.send", {"name": name, "args": args})

    assert answer.error["code"] == 1000
    assert told in serving.output()


def test_the_longest_arguments_arrive(serving: Cluster, in_background: InBackground) -> None:
    """512 KiB of msgpack: 5 bytes tell the length of the text."""
    polled = in_background(serving.call, "events.wait", {"name": "long"})

    result = wake(serving, polled, "long", "x" * 524_283)

    assert result["args"] == "x" * 524_283


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "has no function invoke", id="no invoke"),
        pytest.param("async def invoke(manager): ...", "must be a plain function", id="coroutine"),
        pytest.param("import no_such_module", "No module named 'no_such_module'", id="import"),
        pytest.param(
            "def invoke(manager):\n    manager.send('x', 1)", "only a worker that serves", id="send"
        ),
    ],
)
def test_an_init_module_that_fails_ends_the_command(tmp_path: Path, text: str, told: str) -> None:
    """Exit code 3, a sentence and the application's traceback."""
    app = WrittenApp(tmp_path)
    app.write("on_events.py", text)

    ended = app.run(*app.gateway_arguments("--event-init-module", "on_events"))

    assert ended.returncode == 3, ended.stderr
    assert told in ended.stderr
    assert "toto-worker: error: " in ended.stderr


def test_an_init_module_must_be_a_name(tmp_path: Path) -> None:
    """Another text is refused before anything starts."""
    app = WrittenApp(tmp_path)

    ended = app.run(*app.gateway_arguments("--event-init-module", "on events"))

    assert_refused(ended, 2, "event_init_module must be a module name", "'on events'")


def test_events_survive_the_loss_of_a_gateway_and_of_a_worker(
    tmp_path: Path, make_cluster: MakeCluster
) -> None:
    """All workers say again what they wait for, and the one that took the place of another too."""
    cluster = make_cluster(
        workers=2, processes=2, event_init_module="toto_test_app.on_events", threads=2
    )
    wait_until_all_hear(cluster, tmp_path / "before")

    for number, pid in enumerate([*sorted(cluster.gateway_pids()), min(cluster.worker_pids())]):
        os.kill(pid, signal.SIGKILL)
        wait_until_all_hear(cluster, tmp_path / f"after-{number}")
        path = tmp_path / f"for-one-{number}"
        for note in range(4):
            send(cluster, "record", {"path": str(path), "note": f"{note}"}, broadcast=False)
        assert sorted(note for _, note in wait_for_lines(path, 4)) == ["0", "1", "2", "3"]
