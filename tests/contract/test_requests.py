"""Every way to hand parameters to a method (contract, section 2)."""

from typing import Any
from urllib.parse import quote

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, JSON, MSGPACK, Format, Upload, multipart

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

FORMATS = [
    pytest.param(JSON, id="json"),
    pytest.param(MSGPACK, id="msgpack"),
    pytest.param(BSON, id="bson"),
]


@pytest.mark.parametrize("body_format", FORMATS)
def test_a_call_is_answered_in_the_format_of_its_body(
    cluster: Cluster, body_format: Format
) -> None:
    """The envelope comes back in the format and with the content type of the request."""
    parameters = {"text": "grün", "number": 7, "list": [1.5, None, True], "deep": {"er": {}}}

    response = cluster.post({"method": "echo", "parameters": parameters}, body_format=body_format)

    assert response.status == 200
    assert response.content_type == body_format.content_type
    assert body_format.loads(response.body) == {
        "result": {"text": "grün", "number": 7, "list": [1.5, None, True], "deep": {"er": {}}}
    }


@pytest.mark.parametrize("body_format", FORMATS)
def test_without_parameters_the_whole_body_is_the_parameters(
    cluster: Cluster, body_format: Format
) -> None:
    """A body without the key ``parameters`` is handed to the method as it is."""
    response = cluster.post({"method": "echo", "user": "ada"}, body_format=body_format)

    assert body_format.loads(response.body) == {"result": {"method": "echo", "user": "ada"}}


@pytest.mark.parametrize("body_format", FORMATS)
def test_the_url_names_the_method(cluster: Cluster, body_format: Format) -> None:
    """A method of the URL needs none in the body, and its parameters are found the same way."""
    named = cluster.post({"parameters": {"a": 1}}, "/echo", body_format=body_format)
    whole = cluster.post({"a": 1}, "/echo", body_format=body_format)

    assert body_format.loads(named.body) == {"result": {"a": 1}}
    assert body_format.loads(whole.body) == {"result": {"a": 1}}


def test_a_path_in_the_url_names_a_method_of_a_package(cluster: Cluster) -> None:
    """The URL text/count is the method text.count."""
    response = cluster.post({"text": "to be or not"}, "/text/count")

    assert response.result == 4


@pytest.mark.parametrize("parameters", [{}, [], [1, [2]], "text", 5, 1.5, True, None])
def test_the_value_of_parameters_may_be_anything(cluster: Cluster, parameters: Any) -> None:
    """Whatever ``parameters`` holds reaches the method, not only objects."""
    response = cluster.post({"method": "echo", "parameters": parameters})

    assert response.json() == {"result": parameters}


def test_binary_values_travel_by_msgpack(cluster: Cluster) -> None:
    """Bytes and integers beyond 63 bits survive both ways."""
    parameters = {"bytes": b"\x00\xff", "large": 2**64 - 1, "small": -(2**63)}

    response = cluster.post({"method": "echo", "parameters": parameters}, body_format=MSGPACK)

    assert MSGPACK.loads(response.body) == {
        "result": {"bytes": b"\x00\xff", "large": 18446744073709551615, "small": -(2**63)}
    }


def test_a_body_without_content_type_is_json(cluster: Cluster) -> None:
    """JSON is what a client means that says nothing."""
    body = b'{"method": "echo", "parameters": {"a": 1}}'

    response = cluster.send("POST", "/", {}, body)

    assert response.content_type == "application/json"
    assert response.json() == {"result": {"a": 1}}


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"],
)
def test_a_content_type_is_read_without_case_and_parameters(
    cluster: Cluster, content_type: str
) -> None:
    """Only the media type itself decides about the format."""
    response = cluster.post(
        {"method": "echo", "parameters": 1}, headers={"Content-Type": content_type}
    )

    assert response.json() == {"result": 1}


def test_a_form_gives_lists_of_strings(cluster: Cluster) -> None:
    """An urlencoded body is a dictionary whose every value is a list."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    response = cluster.send("POST", "/echo", headers, b"a=1&b=2&b=gr%C3%BCn+3")

    assert response.content_type == "application/json"
    assert response.json() == {"result": {"a": ["1"], "b": ["2", "grün 3"]}}


def test_multipart_gives_arguments_and_files(cluster: Cluster) -> None:
    """Fields are lists by name; files carry their name, content type and bytes."""
    headers, body = multipart(
        [("a", "1"), ("b", "2"), ("b", "grün")],
        [
            Upload("file", "one.bin", "application/octet-stream", b"\x00\r\n--\xff"),
            Upload("file", "two.txt", "text/plain", b"two"),
            Upload("other", "empty.txt", "text/plain", b""),
        ],
    )

    response = cluster.send("POST", "/upload", headers, body)

    assert response.result == {
        "keys": ["arguments", "files"],
        "arguments": {"a": ["1"], "b": ["2", "grün"]},
        "files": {
            "file": [
                {
                    "filename": "one.bin",
                    "content_type": "application/octet-stream",
                    "body": "000d0a2d2dff",
                },
                {"filename": "two.txt", "content_type": "text/plain", "body": "74776f"},
            ],
            "other": [{"filename": "empty.txt", "content_type": "text/plain", "body": ""}],
        },
    }


def test_multipart_without_files_has_both_keys(cluster: Cluster) -> None:
    """A method can rely on ``arguments`` and ``files`` being there."""
    headers, body = multipart([("a", "1")], [])

    response = cluster.send("POST", "/upload", headers, body)

    assert response.result == {
        "keys": ["arguments", "files"],
        "arguments": {"a": ["1"]},
        "files": {},
    }


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", {}),
        ("?a=1", {"a": "1"}),
        ("?a=1&b=2&b=3", {"a": "1", "b": ["2", "3"]}),
        ("?a=x+y&b=x%20y&c=%26", {"a": "x y", "b": "x y", "c": "&"}),
        (f"?name={quote('Zoë')}", {"name": "Zoë"}),
    ],
)
def test_a_query_gives_strings_and_lists_of_strings(
    cluster: Cluster, query: str, parameters: dict[str, Any]
) -> None:
    """A name given once is a string, a repeated one a list of strings."""
    response = cluster.get(f"/echo{query}")

    assert response.status == 200
    assert response.content_type == "application/json"
    assert response.json() == {"result": parameters}


@pytest.mark.parametrize(
    ("target", "body", "result"),
    [
        ("http://127.0.0.1/echo", b'{"a": 1}', {"a": 1}),
        ("HTTPS://gw.example:8443/text/count?x=/y", b'{"text": "to be"}', 2),
        ("http://[::1]:80", b'{"method": "echo", "parameters": 5}', 5),
        ("http://gw.example/", b'{"method": "echo", "parameters": 5}', 5),
    ],
)
def test_a_target_may_begin_with_scheme_and_host(
    cluster: Cluster, target: str, body: bytes, result: Any
) -> None:
    """A server must accept the absolute form that clients send to proxies (RFC 9112, 3.2.2)."""
    with cluster.connect() as connection:
        connection.request("POST", target, {"Content-Type": "application/json"}, body)

        assert connection.read_response().json() == {"result": result}


@pytest.mark.parametrize("target", ["http://gw.example/echo?a=1", "http://gw.example/echo"])
def test_a_query_of_the_absolute_form_gives_parameters(cluster: Cluster, target: str) -> None:
    """The query is what is behind the question mark, in either form."""
    with cluster.connect() as connection:
        connection.request("GET", target)

        expected = {"a": "1"} if "?" in target else {}
        assert connection.read_response("GET").json() == {"result": expected}


def test_a_large_body_arrives_whole(cluster: Cluster) -> None:
    """A mebibyte of text comes back as it was sent."""
    text = "0123456789abcdef" * 65_536

    response = cluster.call("echo", {"text": text})

    assert response.result == {"text": text}


def test_a_chunked_upload_is_read(cluster: Cluster) -> None:
    """A body may come in chunks instead of with a length."""
    with cluster.connect() as connection:
        connection.request("POST", "/echo", {"Transfer-Encoding": "chunked"})
        connection.send(b'9\r\n{"paramet\r\n')
        connection.send(b'a\r\ners": [1]}\r\n0\r\n\r\n')

        assert connection.read_response().json() == {"result": [1]}
