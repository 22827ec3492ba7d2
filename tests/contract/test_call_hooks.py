"""The functions that run before and after each method, and around a whole batch."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture(scope="module")
def noting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose calls leave notes."""
    directory = tmp_path_factory.mktemp("noting")
    with Cluster(
        directory,
        options={
            "database": "none",
            "startup_function": "toto_test_app.hooks.set_hooks",
            "threads": 2,
            "request_timeout": 5.0,
        },
        environment={"TEST_APP_NOTES": str(directory / "notes")},
    ) as started:
        yield started


def notes_of(cluster: Cluster, request_id: str, count: int) -> list[list[Any]]:
    """Return the notes of one request, once there are so many."""
    path = cluster.directory / "notes"

    def found() -> list[list[Any]]:
        lines = path.read_text().splitlines() if path.exists() else []
        return [note for note in map(json.loads, lines) if note[3] == request_id]

    poll_until(lambda: len(found()) >= count, 5.0, f"{count} notes")
    return found()


def call(cluster: Cluster, method: str, parameters: Any, request_id: str) -> Any:
    return cluster.call(method, parameters, {"X-Request-Id": request_id}).json()


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        pytest.param("echo", {}, id="function"),
        pytest.param("kinds.coroutine", {}, id="coroutine"),
        pytest.param("kinds.later", {}, id="asynchronous"),
        pytest.param("fail", {}, id="failing"),
        pytest.param("fail", {"code": 5, "value": "v"}, id="failing-as-meant"),
        pytest.param("handler_facts", {}, id="facts"),
    ],
)
def test_both_run_once_for_a_call(noting: Cluster, method: str, parameters: dict[str, Any]) -> None:
    """With one transaction id, the method's name first, and the answer settled at the end."""
    request_id = uuid.uuid4().hex

    call(noting, method, parameters, request_id)

    first, last = notes_of(noting, request_id, 2)
    assert first[:2] == ["before", method]
    assert last[:2] == ["after", None]
    assert first[2] == last[2] == str(uuid.UUID(first[2]))
    assert last[4] is True


def test_a_stream_is_one_call(noting: Cluster) -> None:
    """The second function runs when the last item has been given."""
    request_id = uuid.uuid4().hex

    noting.call("streams.numbers", {"count": 3}, {"X-Request-Id": request_id})

    assert [note[0] for note in notes_of(noting, request_id, 2)] == ["before", "after"]


def test_a_batch_is_wrapped_by_notes_of_its_own(noting: Cluster) -> None:
    """Each member has its pair; the pair of ``<batch>`` is around them all."""
    request_id = uuid.uuid4().hex

    noting.batch(
        {"a": member("echo", n=1), "b": member("kinds.coroutine"), "c": member("nosuch")},
        headers={"X-Request-Id": request_id},
    )

    notes = notes_of(noting, request_id, 6)
    assert notes[0][:2] == ["before", "<batch>"]
    assert notes[-1][:2] == ["after", None]
    assert notes[0][2] == notes[-1][2]
    members = {note[1]: note[4] for note in notes[1:-1] if note[0] == "before"}
    assert members == {"echo": "a", "kinds.coroutine": "b"}
    assert len({note[2] for note in notes}) == 3


def test_a_hook_that_fails_does_not_touch_the_call(noting: Cluster) -> None:
    """What it raises is in the log."""
    request_id = uuid.uuid4().hex

    answer = call(noting, "nothing", {}, request_id)

    assert answer == {"result": None}
    notes_of(noting, request_id, 2)
    assert "a hook of nothing failed" in noting.output()


def test_calls_that_methods_make_have_their_own_pair(noting: Cluster) -> None:
    """Under the request id of the caller."""
    request_id = uuid.uuid4().hex

    call(noting, "calls.ask", {"method": "echo"}, request_id)

    notes = notes_of(noting, request_id, 4)
    assert [note[:2] for note in notes] == [
        ["before", "calls.ask"],
        ["before", "echo"],
        ["after", None],
        ["after", None],
    ]


def test_a_call_that_never_runs_has_no_notes(noting: Cluster) -> None:
    """An unknown method is refused before there is a handler."""
    request_id = uuid.uuid4().hex

    call(noting, "nosuch", {}, request_id)
    call(noting, "echo", {}, f"{request_id}-end")

    notes_of(noting, f"{request_id}-end", 2)
    assert notes_of(noting, request_id, 0) == []
