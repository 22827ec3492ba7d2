"""Events for long-polls and streams that go on where they were (sections 6 and 9)."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import InBackground, MakeCluster
from toto_testkit.http import RawConnection
from toto_testkit.redis_server import remove_keys, running_redis
from toto_testkit.stores import own_name
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

EVENT_STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two gateway processes that keep ten events of each name."""
    directory = tmp_path_factory.mktemp("recording")
    with ExitStack() as stack:
        if request.param == "redis":
            url, prefix = stack.enter_context(running_redis()), f"{own_name()}:"
            stack.callback(remove_keys, url, prefix)
            store = {"redis_url": url, "redis_prefix": prefix}
        else:
            store = {"sqlite_path": str(directory / "events.db")}
        options = {"processes": 2, "request_timeout": 10.0, "event_history": 10, **store}
        yield stack.enter_context(Cluster(directory, workers=2, options=options))


def send(cluster: Cluster, name: str, args: Any) -> None:
    assert cluster.call("events.send", {"name": name, "args": args}).status == 200


def send_many(cluster: Cluster, name: str, count: int) -> list[Any]:
    """Send events from one worker, which keeps their order; return their arguments."""
    cluster.call("events.send", {"name": name, "args": {}, "count": count})
    return [{"note": str(number)} for number in range(count)]


def poll(cluster: Cluster, name: str, since: str | None = None, **parameters: Any) -> Any:
    return cluster.call("events.poll", {"name": name, "since": since, **parameters}).result


def start_of(cluster: Cluster, name: str) -> str:
    """Return the cursor behind which the next event of a name comes."""
    cursor = poll(cluster, name, timeout_seconds=0.01)["cursor"]
    assert isinstance(cursor, str)
    return cursor


def settle(cluster: Cluster, name: str, since: str, count: int) -> Any:
    """Return a page once that many events have been recorded; sending does not wait for that."""
    pages: list[Any] = []

    def is_complete() -> bool:
        pages.append(poll(cluster, name, since))
        return len(pages[-1]["events"]) >= count

    poll_until(is_complete, message=f"{count} events of {name}")
    return pages[-1]


def read_events(connection: RawConnection, count: int) -> list[tuple[str, Any]]:
    """Return id and data of so many server-sent events."""
    events, name = [], ""
    for line in connection.lines():
        if line.startswith(b"id: "):
            name = line[4:].strip().decode()
        if line.startswith(b"data: "):
            events.append((name, json.loads(line[6:])["result"]))
        if len(events) == count:
            break
    return events


def follow(cluster: Cluster, target: str, last: str = "") -> RawConnection:
    """Open an event stream."""
    connection = cluster.connect(timeout_seconds=15.0)
    headers = {**EVENT_STREAM, **({"Last-Event-ID": last} if last else {})}
    connection.request("GET", target, headers)
    head = connection.read_head()
    assert head.status == 200
    assert head.content_type == "text/event-stream"
    return connection


def test_nothing_is_lost_between_two_polls(recording: Cluster) -> None:
    """What was sent while nobody polled is in the next page."""
    start = start_of(recording, "chat")
    sent = send_many(recording, "chat", 3)
    first = settle(recording, "chat", start, 3)
    send(recording, "chat", "one more")
    second = settle(recording, "chat", first["cursor"], 1)

    assert first["events"] == sent
    assert second["events"] == ["one more"]
    assert not first["has_gap"]
    assert not second["has_gap"]


def test_a_poll_that_waits_is_woken(
    recording: Cluster, in_background: InBackground, tmp_path: Path
) -> None:
    """With the cursor of what has woken it."""
    start = start_of(recording, "woken")
    started = tmp_path / "started"
    waiting = in_background(poll, recording, "woken", start, started=str(started))
    poll_until(started.exists, message="the poll waits")

    send(recording, "woken", "now")
    page = waiting.result()

    assert page["events"] == ["now"]
    assert poll(recording, "woken", start)["events"] == ["now"]
    assert poll(recording, "woken", page["cursor"], timeout_seconds=0.01)["events"] == []


def test_a_page_has_a_limit_and_the_next_one_goes_on(recording: Cluster) -> None:
    """By the cursor."""
    start = start_of(recording, "many")
    sent = send_many(recording, "many", 9)
    settle(recording, "many", start, 9)

    seen, cursor = [], start
    for _ in range(3):
        page = poll(recording, "many", cursor, count_max=3)
        seen.append(page["events"])
        cursor = page["cursor"]

    assert seen == [sent[0:3], sent[3:6], sent[6:9]]


def test_what_is_not_kept_any_more_is_a_gap(recording: Cluster) -> None:
    """The client gets the rest, and is told."""
    start = start_of(recording, "long")
    send(recording, "long", 0)
    cursor = settle(recording, "long", start, 1)["cursor"]
    sent = send_many(recording, "long", 15)
    poll_until(
        lambda: poll(recording, "long", cursor)["events"][-1:] == sent[-1:],
        message="all are recorded",
    )

    page = poll(recording, "long", cursor)

    assert page["events"] == sent[5:]
    assert page["has_gap"]


@pytest.mark.parametrize("since", ["garbage", "999999999999999999-7", "-1", "é", "x" * 1000])
def test_a_cursor_that_nobody_gave_is_a_gap(recording: Cluster, since: str) -> None:
    """And no error: the client begins anew by the cursor it gets."""
    page = poll(recording, "unknown", since, timeout_seconds=5.0)

    assert page["has_gap"]
    assert page["events"] == []


def test_an_event_source_comes_back_and_goes_on(recording: Cluster, tmp_path: Path) -> None:
    """By the id of the last event it has seen; the method is ``resumable``."""
    target = f"/events/follow?name=source&started={tmp_path / 'started'}"
    with follow(recording, target) as connection:
        poll_until((tmp_path / "started").exists, message="the stream has begun")
        send(recording, "source", 0)
        begun, first = read_events(connection, 2)
    sent = send_many(recording, "source", 2)

    with follow(recording, target, last=first[0]) as connection:
        back, *rest = read_events(connection, 3)

    assert begun[0] == begun[1]["begins"]
    assert first[0] == first[1]["cursor"]
    assert (first[1]["args"], first[1]["has_gap"]) == (0, False)
    assert back[0] == first[0]
    assert [(event["args"], event["has_gap"]) for _, event in rest] == [
        (args, False) for args in sent
    ]


def test_every_stream_gets_every_event_once(recording: Cluster, tmp_path: Path) -> None:
    """In order, whichever gateway process and worker serve it."""
    streams = [
        follow(recording, f"/events/follow?name=all&since=0&started={tmp_path / str(number)}")
        for number in range(6)
    ]
    try:
        for number in range(6):
            poll_until((tmp_path / str(number)).exists, message="the streams have begun")
        sent = send_many(recording, "all", 8)
        seen = [read_events(each, 9)[1:] for each in streams]
    finally:
        for each in streams:
            each.close()

    assert [[event["args"] for _, event in events] for events in seen] == [sent] * 6


def test_without_a_history_a_cursor_is_a_gap(cluster: Cluster) -> None:
    """Nobody can tell what was missed, so that is said; polls work as ever."""
    page = poll(cluster, "plain", "17-0")
    nothing = poll(cluster, "plain", timeout_seconds=0.01)

    assert page == {"events": [], "cursor": "", "has_gap": True}
    assert nothing == {"events": [], "cursor": "", "has_gap": False}


def test_a_poll_costs_no_thread(
    cluster: Cluster, in_background: InBackground, tmp_path: Path
) -> None:
    """Workers of one thread hold many polls and still run calls."""
    polls = [
        in_background(poll, cluster, "parked", started=str(tmp_path / f"{n}")) for n in range(40)
    ]
    poll_until(
        lambda: all((tmp_path / f"{n}").exists() for n in range(40)), message="all polls wait"
    )

    answer = cluster.call("echo", {"x": 1}).result
    send(cluster, "parked", "go")

    assert answer == {"x": 1}
    assert [each.result()["events"] for each in polls] == [["go"]] * 40


def test_a_gateway_that_stops_ends_what_merely_waits(
    make_cluster: MakeCluster, in_background: InBackground, tmp_path: Path
) -> None:
    """Polls get an empty page and streams their end, long before the graceful timeout."""
    cluster = make_cluster(workers=1, graceful_timeout=30.0)
    started, began = tmp_path / "started", time.monotonic()
    waiting = in_background(poll, cluster, "never", started=str(started))
    with follow(cluster, f"/events/follow?name=never&started={started}.2") as connection:
        poll_until(started.exists, message="the poll waits")
        poll_until(Path(f"{started}.2").exists, message="the stream waits")
        os.kill(cluster.pid, signal.SIGTERM)
        rest = b"\n".join(connection.lines())
    cluster.command.process.wait(20)

    assert waiting.result() == {"events": [], "cursor": "", "has_gap": False}
    assert rest.rstrip().endswith(b'event: end\ndata: {"end":true}')
    assert time.monotonic() - began < 15
    assert cluster.command.process.returncode == 0


def test_a_call_that_has_been_answered_waits_for_no_events(recording: Cluster) -> None:
    """Its subscription would never end; however it is asked for, the method is told."""
    assert recording.call("events.answered", {}).result == "answered"

    def told() -> Any:
        return recording.call("events.answered", {"tell": True}).result

    poll_until(lambda: len(told()) == 2, message="it was told")
    texts = poll_until(told)
    assert all("has been answered" in text for text in texts)
