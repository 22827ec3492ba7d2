"""What an answer looks like: results, errors of methods, request ids (section 3)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

HIDDEN_TEXT = "a secret of the server"  # what the method `fail` raises


@pytest.fixture(scope="module")
def debug_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for developers: clients see the texts of errors."""
    options = {"debug": True}
    with Cluster(tmp_path_factory.mktemp("debug"), workers=1, options=options) as started:
        yield started


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_a_method_that_returns_none_answers_null(cluster: Cluster, body_format: Format) -> None:
    """There is always an envelope, so every client can parse the answer."""
    response = cluster.post({"method": "nothing", "parameters": {}}, body_format=body_format)

    assert response.status == 200
    assert response.content_type == body_format.content_type
    assert body_format.loads(response.body) == {"result": None}


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
@pytest.mark.parametrize("value", ["a text", 5, None, {"fields": ["a", "b"]}, [1, {"b": 2}]])
def test_a_toto_exception_reaches_the_client(
    cluster: Cluster, body_format: Format, value: Any
) -> None:
    """Code and value arrive as the method raised them, in the request's format, with status 200."""
    body = {"method": "fail", "parameters": {"code": 4242, "value": value}}

    response = cluster.post(body, body_format=body_format)

    assert response.status == 200
    assert response.content_type == body_format.content_type
    assert body_format.loads(response.body) == {"error": {"code": 4242, "value": value}}


def test_any_other_exception_is_a_fixed_text(cluster: Cluster) -> None:
    """The client learns the request id and nothing about the error."""
    response = cluster.call("fail", {}, headers={"x-request-id": "other-exception-1"})

    assert response.status == 200
    assert response.error["code"] == 1000
    assert response.error["value"].startswith("Internal server error")
    assert "other-exception-1" in json.dumps(response.error)
    assert HIDDEN_TEXT.encode() not in response.body
    assert b"Traceback" not in response.body


def test_any_other_exception_is_in_the_log(cluster: Cluster) -> None:
    """The traceback goes to the log, together with the id of the request."""
    text = "only the log shows this"

    cluster.call("fail", {"text": text}, headers={"x-request-id": "logged-exception-1"})

    poll_until(lambda: text in cluster.output(), message="the error is logged")
    lines = cluster.output().splitlines()
    assert any("logged-exception-1" in line for line in lines)
    assert "ValueError" in cluster.output()


def test_debug_shows_the_text_of_the_error(debug_cluster: Cluster) -> None:
    """With ``debug`` the value is the exception's text, still without a traceback."""
    response = debug_cluster.call("fail", {})

    assert response.status == 200
    assert response.error["code"] == 1000
    assert response.error["value"] == "a secret of the server"
    assert b"Traceback" not in response.body


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_a_result_no_format_can_carry_is_an_error(cluster: Cluster, body_format: Format) -> None:
    """An object of a class of the method's own answers 1000 instead of half an envelope."""
    response = cluster.post({"method": "unserialisable", "parameters": {}}, body_format=body_format)

    assert response.status == 200
    assert body_format.loads(response.body)["error"]["code"] == 1000


@pytest.mark.parametrize(
    "request_id", ["abc", "a" * 128, "!~-_.:/=+#{}", "0af7651916cd43dd8448eb211c80319c"]
)
def test_a_request_id_is_echoed(cluster: Cluster, request_id: str) -> None:
    """The client's own id comes back, and is what the method sees."""
    response = cluster.call("handler_facts", {}, headers={"x-request-id": request_id})

    assert response.headers["x-request-id"] == request_id
    assert response.result["request_id"] == request_id


@pytest.mark.parametrize(
    "request_id",
    [
        pytest.param("a" * 129, id="too-long"),
        pytest.param("a b", id="blank"),
        pytest.param("a\tb", id="tab"),
        pytest.param("caf\xe9", id="not-ascii"),
        pytest.param("", id="empty"),
    ],
)
def test_a_bad_request_id_is_replaced(cluster: Cluster, request_id: str) -> None:
    """An id that would spoil a log line is not used; the request itself is served."""
    response = cluster.call("handler_facts", {}, headers={"x-request-id": request_id})

    made = response.headers["x-request-id"]
    assert made != request_id
    assert re.fullmatch(r"[!-~]{1,128}", made)
    assert response.result["request_id"] == made


def test_a_missing_request_id_is_made(cluster: Cluster) -> None:
    """Every answer has an id of its own."""
    ids = {cluster.call("echo", {}).headers["x-request-id"] for _ in range(5)}

    assert len(ids) == 5
    assert all(re.fullmatch(r"[!-~]{1,128}", one) for one in ids)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/fail", b"{}"),
        ("/nosuch", b"{}"),
        ("/", b"no json"),
        ("/", b'{"batch": {}}'),
        ("/streams/numbers", b'{"count": 1}'),
        ("/raw/page", b"{}"),
        ("/raw/parts", b"{}"),
    ],
)
def test_every_kind_of_answer_has_the_request_id(
    cluster: Cluster, target: str, body: bytes
) -> None:
    """Errors, batches, streams and raw answers carry it as results do."""
    response = cluster.send("POST", target, {"x-request-id": "every-kind-1"}, body)

    assert response.headers["x-request-id"] == "every-kind-1"
