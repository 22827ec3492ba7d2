"""Methods whose result is the body itself: ``@raw_response`` (section 7)."""

from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.http import ConnectionEnded

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("bytes", b"\x00\xff"),
        ("text", b"caf\xc3\xa9"),
        ("view", b"view"),
        ("nothing", b""),
        ("empty", b""),
    ],
)
def test_what_a_method_returns_is_the_body(cluster: Cluster, kind: str, body: bytes) -> None:
    """Bytes as they are, text in UTF-8, and nothing for None; the length is known."""
    response = cluster.get(f"/styles/raw?kind={kind}")

    assert response.status == 200
    assert response.body == body
    assert response.headers["content-length"] == str(len(body))
    assert response.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_the_format_of_the_request_does_not_matter(cluster: Cluster, body_format: Format) -> None:
    """A raw body is in none of them."""
    body = {"method": "styles.raw", "parameters": {"kind": "bytes", "type": "image/png"}}

    response = cluster.post(body, "/", None, body_format)

    assert (response.content_type, response.body) == ("image/png", b"\x00\xff")


def test_the_method_sets_the_content_type(cluster: Cluster) -> None:
    """With its parameters, and beside a status and headers."""
    parameters = {"kind": "text", "type": "text/html; charset=utf-8", "status": 201}

    response = cluster.call("styles.raw", parameters)

    assert response.status == 201
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["x-method"] == "raw"
    assert response.body == "caf\u00e9".encode()


@pytest.mark.parametrize("kind", ["raw_coroutine", "raw_later"])
def test_methods_of_other_kinds(cluster: Cluster, kind: str) -> None:
    """A coroutine, and a method that answers later by ``handler.respond``."""
    response = cluster.call(f"styles.{kind}")

    assert response.status == 200
    assert (response.content_type, response.body) == ("text/css", b"p { color: red }")


@pytest.mark.parametrize(
    ("kind", "name"), [("number", "int"), ("object", "dict"), ("list", "list")]
)
def test_values_that_are_no_body(cluster: Cluster, kind: str, name: str) -> None:
    """The error names the type; whatever content type was set, it is an ordinary one."""
    response = cluster.call("styles.raw", {"kind": kind, "type": "image/png"})

    assert response.status == 200
    assert response.content_type == "application/json"
    assert response.error["code"] == 1000
    assert response.error["value"].endswith(f"a raw response: $: {name}")


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_errors_are_documents(cluster: Cluster, body_format: Format) -> None:
    """In the format of the request."""
    body = {"method": "styles.raw", "parameters": {"code": 4242, "type": "image/png"}}

    response = cluster.post(body, "/", None, body_format)

    assert response.content_type == body_format.content_type
    assert body_format.loads(response.body) == {"error": {"code": 4242, "value": "refused"}}


@pytest.mark.parametrize("value", ["text/html\r\nx-evil: 1", "text/html\nx: 1", "\u2028"])
def test_a_content_type_cannot_smuggle_headers(cluster: Cluster, value: str) -> None:
    """The method fails instead."""
    response = cluster.call("styles.raw", {"kind": "text", "type": value})

    assert response.error["code"] == 1000
    assert "x-evil" not in response.headers


@pytest.mark.parametrize(
    ("target", "content_type", "length"),
    [
        ("/styles/raw?kind=bytes&type=image/png", "image/png", "0"),
        ("/styles/raw_coroutine", "text/css", "0"),
        ("/styles/raw_stream", "text/csv", None),
    ],
)
def test_head_has_no_body(
    cluster: Cluster, target: str, content_type: str, length: str | None
) -> None:
    """The headers are those the method has set; the connection serves the next request."""
    with cluster.connect() as connection:
        connection.request("HEAD", target)
        head = connection.read_response("HEAD")
        connection.request("GET", "/echo?a=1")
        after = connection.read_response("GET")

    assert head.status == 200
    assert head.content_type == content_type
    assert head.headers.get("content-length") in (length, None)
    assert head.body == b""
    assert after.json() == {"result": {"a": "1"}}


# -- generators


@pytest.mark.parametrize(
    ("method", "body"),
    [("raw_stream", "a,b\n\u00e9,2\n".encode()), ("raw_stream_async", b"a,b\n1,2\n")],
)
def test_a_generators_items_are_one_body(cluster: Cluster, method: str, body: bytes) -> None:
    """Of unknown length, and of the content type that the method has set."""
    response = cluster.get(f"/styles/{method}")

    assert response.status == 200
    assert response.content_type == "text/csv"
    assert response.is_chunked
    assert response.body == body


def test_items_leave_as_they_come(cluster: Cluster, tmp_path: Path) -> None:
    """The first is there while the method still waits to give its second."""
    release = tmp_path / "release"

    with cluster.connect() as connection:
        connection.request("GET", f"/styles/raw_stream?release={release}")
        assert connection.read_head().content_type == "text/csv"
        first = connection.read_chunk()
        release.touch()
        rest = b"".join(connection.chunks())

    assert first == b"a,b\n"
    assert rest == "\u00e9,2\n".encode()


def test_a_generator_without_items_is_an_empty_body(cluster: Cluster) -> None:
    """Its content type is still the method's."""
    response = cluster.get("/styles/raw_stream?fails=empty")

    assert response.status == 200
    assert response.content_type == "text/csv"
    assert response.body == b""


def test_an_error_before_the_first_item_is_a_document(cluster: Cluster) -> None:
    """Nothing has been sent yet."""
    response = cluster.get("/styles/raw_stream?fails=first")

    assert response.content_type == "application/json"
    assert response.json() == {"error": {"code": 4242, "value": "stopped"}}


@pytest.mark.parametrize("fails", ["later", "type"])
def test_an_error_after_the_first_item_breaks_the_body_off(cluster: Cluster, fails: str) -> None:
    """The missing final chunk is the only sign that raw bytes leave room for."""
    with cluster.connect() as connection:
        connection.request("GET", f"/styles/raw_stream?fails={fails}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"a,b\n"
        with pytest.raises((ConnectionEnded, ConnectionResetError)):
            connection.read_chunk()


# -- batches


@pytest.mark.parametrize("method", ["raw", "raw_coroutine", "raw_stream"])
def test_a_batch_has_no_place_for_a_raw_body(cluster: Cluster, method: str) -> None:
    """The member is an error; its errors are ordinary ones."""
    text = "A raw response cannot be part of a batch."
    parameters: dict[str, Any] = {"kind": "bytes"}

    answers = cluster.batch(
        {
            "raw": {"method": f"styles.{method}", "parameters": parameters},
            "other": member("echo", a=1),
            "fails": member("styles.raw", code=4242),
        }
    )

    assert answers == {
        "raw": {"error": {"code": 1000, "value": text}},
        "other": {"result": {"a": 1}},
        "fails": {"error": {"code": 4242, "value": "refused"}},
    }
