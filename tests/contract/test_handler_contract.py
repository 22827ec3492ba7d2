"""What methods raise and respond with, however they were called (sections 1, 3, 6 and 7)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, JSON, MSGPACK, json_lines, msgpack_values
from toto_testkit.http import Response
from toto_testkit.speaking import Way, every_single_way, every_way, speaking_options
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

TEXT = "grüße 漢字 \U0001f600 \x00\x1f \u2028 </script>"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, every format, and a database."""
    directory = tmp_path_factory.mktemp("handler")
    options = speaking_options(str(directory / "toto.db"))
    with Cluster(directory, options=options) as started:
        yield started


# -- errors


@every_way
@pytest.mark.parametrize("method", ["contract.raises", "contract.raises_async"])
@pytest.mark.parametrize(
    ("code", "value"),
    [
        (4242, "text"),
        (0, None),
        (-1, {"nested": [1, {"two": None}]}),
        (1004, []),
        (2**31, False),
        (7, "\U0001f600"),
    ],
)
def test_a_toto_exception_carries_any_value(
    cluster: Cluster, way: Way, method: str, code: int, value: Any
) -> None:
    """Code and value reach the client as they are, with status 200."""
    parameters = {"kind": "toto", "code": code, "value": value}

    answer = way.call(cluster, method, parameters)

    assert answer.response.status == 200
    assert answer.error == {"code": code, "value": value}


@every_way
def test_an_own_kind_of_toto_exception_is_one(cluster: Cluster, way: Way) -> None:
    """A subclass is told like its base class."""
    parameters = {"kind": "special", "code": 5, "value": [1]}

    assert way.call(cluster, "contract.raises", parameters).error == {"code": 5, "value": [1]}


@every_way
@pytest.mark.parametrize("method", ["contract.raises", "contract.raises_async"])
@pytest.mark.parametrize("kind", ["coded", "lookup", "timeout", "exit", "unprintable", "stop"])
def test_other_exceptions_are_a_fixed_text(
    cluster: Cluster, way: Way, method: str, kind: str
) -> None:
    """The client learns the request id and nothing else; the worker lives on."""
    headers = {"x-request-id": f"other-{kind}"}

    answer = way.call(cluster, method, {"kind": kind}, headers)

    assert answer.error["code"] == 1000
    assert answer.error["value"] == f"Internal server error (other-{kind})"
    assert b"secret" not in answer.response.body
    assert way.call(cluster, "echo", {"a": 1}).result == {"a": 1}


@every_way
def test_a_value_that_cannot_be_told(cluster: Cluster, way: Way) -> None:
    """An error whose value is not serialisable still is an error."""
    error = way.call(cluster, "contract.raises", {"kind": "unfit"}).error

    assert error["code"] in {1000, 4242}
    assert "object at 0x" not in str(error)


@every_way
def test_error_info_is_what_clients_get(cluster: Cluster, way: Way) -> None:
    """``handler.error_info`` makes the object without sending it."""
    toto = {"kind": "toto", "code": 4242, "value": {"why": 1}}
    headers = {"x-request-id": "info-1"}

    told = way.call(cluster, "contract.error_info", toto).result
    other = way.call(cluster, "contract.error_info", {"kind": "lookup"}, headers).result

    assert told == {"code": 4242, "value": {"why": 1}}
    assert other == {"code": 1000, "value": "Internal server error (info-1)"}


# -- kinds of invoke


@every_way
@pytest.mark.parametrize(
    "kind", ["plain", "coroutine", "tornado_coroutine", "later", "later_at_once"]
)
def test_every_kind_of_function_answers(cluster: Cluster, way: Way, kind: str) -> None:
    """What a function is makes no difference to its result."""
    assert way.call(cluster, f"kinds.{kind}", {"a": 1}).result == [kind, {"a": 1}]


@every_way
@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_every_kind_of_generator_streams(cluster: Cluster, way: Way, kind: str) -> None:
    """Items come one by one in the format of the request; in a batch they are a list."""
    if way.is_batch:
        assert way.call(cluster, f"kinds.{kind}", {"a": 1}).result == [kind, {"a": 1}]
        return
    call = {"method": f"kinds.{kind}", "parameters": {"a": 1}}

    response = cluster.post(call, body_format=way.body_format)

    assert _stream(response, way) == [{"result": kind}, {"result": {"a": 1}}, {"end": True}]


@every_way
@pytest.mark.parametrize("count", [0, 2])
def test_a_generator_that_raises(cluster: Cluster, way: Way, count: int) -> None:
    """Before the first item it is an ordinary error; after it, the last thing of the stream."""
    parameters = {"kind": "toto", "code": 4242, "value": "stop", "count": count}
    error = {"code": 4242, "value": "stop"}
    if way.is_batch or not count:
        assert way.call(cluster, "contract.raises_generator", parameters).error == error
        return
    call = {"method": "contract.raises_generator", "parameters": parameters}

    response = cluster.post(call, body_format=way.body_format)

    assert _stream(response, way) == [{"result": 0}, {"result": 1}, {"error": error}]


@every_way
def test_an_item_that_is_not_serialisable_ends_the_stream(cluster: Cluster, way: Way) -> None:
    """The items before it stand, and the error names the place in the item."""
    parameters = {"names": ["text", "set", "zero"]}
    if way.is_batch:
        error = way.call(cluster, "contract.item_values", parameters).error
    else:
        call = {"method": "contract.item_values", "parameters": parameters}
        response = cluster.post(call, body_format=way.body_format)
        first, last = _stream(response, way)
        error = last["error"]
        assert first == {"result": TEXT}

    assert error["code"] == 1000
    assert "a[0].b" in error["value"]
    assert "set" in error["value"]


# -- respond


@every_way
@pytest.mark.parametrize("place", ["here", "thread", "timer", "callback", "later"])
def test_an_answer_may_come_from_anywhere(cluster: Cluster, way: Way, place: str) -> None:
    """From the function, a thread, a timer, the next turn of the loop and a later one."""
    answer = way.call(cluster, "contract.responds", {"place": place, "value": [1]})

    assert answer.result == {"first": [1]}


@every_way
@pytest.mark.parametrize("place", ["here", "thread", "timer", "callback", "later"])
def test_an_error_may_come_from_anywhere(cluster: Cluster, way: Way, place: str) -> None:
    """``respond(error=...)`` tells a TotoException, and hides any other exception."""
    toto = {"place": place, "kind": "toto", "code": 4242, "value": {"a": 1}}

    told = way.call(cluster, "contract.responds", toto)
    hidden = way.call(cluster, "contract.responds", {"place": place, "kind": "lookup"})

    assert told.error == {"code": 4242, "value": {"a": 1}}
    assert hidden.error["code"] == 1000
    assert hidden.error["value"].startswith("Internal server error")


@every_way
@pytest.mark.parametrize("place", ["here", "thread", "later"])
def test_a_second_answer_is_ignored(cluster: Cluster, way: Way, place: str) -> None:
    """The first one counts, the log tells of the others at level debug, nothing breaks."""
    request_id = f"twice-{way.name}-{place}"
    parameters = {"place": place, "value": 1, "twice": True}

    answer = way.call(cluster, "contract.responds", parameters, {"x-request-id": request_id})

    assert answer.result == {"first": 1}

    def told() -> list[str]:
        lines = cluster.output().splitlines()
        return [line for line in lines if request_id in line and " DEBUG " in line]

    poll_until(told, 5.0, "the second answer is told in the log")


@every_way
@pytest.mark.parametrize("method", ["contract.responds_plain", "contract.responds_async"])
def test_what_is_returned_after_an_answer_is_dropped(
    cluster: Cluster, way: Way, method: str
) -> None:
    """``respond`` in a plain function or a coroutine is the answer; ``allow_async`` is ignored."""
    assert way.call(cluster, method, {"value": {"a": 1}}).result == {"a": 1}


@every_single_way
def test_toto_s_inner_argument_is_ignored(cluster: Cluster, way: Way) -> None:
    """``batch_results`` is taken by the handler, and nothing is made of it."""
    parameters = {"value": 1, "more": {"batch_results": {"a": 2}}}

    assert way.call(cluster, "contract.responds_plain", parameters).result == 1


@every_way
def test_an_answer_of_nothing_is_null(cluster: Cluster, way: Way) -> None:
    """``respond()`` and a function without a return have the result None."""
    assert way.call(cluster, "contract.responds_nothing").result is None
    assert way.call(cluster, "nothing").result is None


def test_an_answer_after_the_client_left_is_ignored(cluster: Cluster, tmp_path: Path) -> None:
    """The method hears nothing of it, and the log only at level debug."""
    ended = tmp_path / "ended"
    parameters = {"started": str(tmp_path / "started"), "ended": str(ended)}
    body = JSON.dumps({"method": "contract.late", "parameters": parameters})
    with cluster.connect() as connection:
        connection.request("POST", "/", {"x-request-id": "too-late-1"}, body)
        poll_until((tmp_path / "started").exists)

    poll_until(ended.exists)
    # What the late answer could have done lies before the answers to these.
    assert [cluster.call("echo", {"n": n}).result for n in range(8)] == [{"n": n} for n in range(8)]

    assert ended.read_text() == "ignored"
    lines = [line for line in cluster.output().splitlines() if "too-late-1" in line]
    assert not [line for line in lines if " ERROR " in line or " WARN" in line]


def _stream(response: Response, way: Way) -> list[Any]:
    if way.body_format is JSON:
        assert response.content_type == "application/x-ndjson"
        return json_lines(response.body)
    assert response.content_type == way.body_format.content_type
    if way.body_format is MSGPACK:
        return msgpack_values(response.body)
    return _documents(response.body)


def _documents(body: bytes) -> list[Any]:
    documents = []
    while body:
        size = int.from_bytes(body[:4], "little")
        documents.append(BSON.loads(body[:size]))
        body = body[size:]
    return documents
