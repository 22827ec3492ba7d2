"""Bodies that do not decode, have a wrong shape or go too deep: 1100, and life goes on."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.http import Response

DEPTH = 5000
JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def still_serving(cluster: Cluster) -> Iterator[None]:
    """After each bad request the same processes answer a good one."""
    before = cluster.worker_pids() | cluster.gateway_pids()
    yield
    assert cluster.call("echo", {"a": 1}).result == {"a": 1}
    assert cluster.worker_pids() | cluster.gateway_pids() == before


pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def assert_malformed(response: Response, body_format: Format = JSON) -> None:
    """Check the contract's error for a body that cannot be used."""
    assert response.status == 400
    error = body_format.loads(response.body)["error"]
    assert error["code"] == 1100
    assert isinstance(error["value"], str)
    assert error["retryable"] is False
    assert error["request_id"] == response.headers["x-request-id"]
    assert b"Traceback" not in response.body


@pytest.mark.parametrize("target", ["/", "/echo"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="open"),
        pytest.param(b"}", id="closed"),
        pytest.param(b"nonsense", id="word"),
        pytest.param(b'{"method": "echo"', id="cut"),
        pytest.param(b'{"method": "echo"}}', id="one-too-many"),
        pytest.param(b'{"method": "echo"} {"method": "echo"}', id="two-values"),
        pytest.param(b"{'method': 'echo'}", id="single-quotes"),
        pytest.param(b'{"method": "echo",}', id="comma"),
        pytest.param(b'{"parameters": "\xff\xfe"}', id="not-utf-8"),
        pytest.param(b'{"parameters": "\x00"}', id="control-character"),
        pytest.param('{"method": "echo"}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'{"method": "echo", "parameters": NaN}', id="nan"),
        pytest.param(b'{"method": "echo", "parameters": [Infinity]}', id="infinity"),
        pytest.param(b'{"method": "echo", "parameters": {"a": -Infinity}}', id="minus-infinity"),
        pytest.param(b'{"method": "echo", "parameters": 01}', id="leading-zero"),
    ],
)
def test_malformed_json_is_refused(cluster: Cluster, target: str, body: bytes) -> None:
    """What is no JSON answers 400, wherever the method's name stands."""
    assert_malformed(cluster.send("POST", target, JSON_TYPE, body))


@pytest.mark.parametrize("body", [b"[]", b'["echo"]', b'"echo"', b"5", b"1.5", b"true", b"null"])
def test_a_body_that_is_no_object_is_refused(cluster: Cluster, body: bytes) -> None:
    """Only an object has a method, parameters or a batch."""
    assert_malformed(cluster.send("POST", "/", JSON_TYPE, body))


@pytest.mark.parametrize("method", [5, 1.5, True, ["echo"], {"name": "echo"}])
def test_a_method_that_is_no_text_is_refused(cluster: Cluster, method: Any) -> None:
    """The name of a method is a string."""
    assert_malformed(cluster.post({"method": method, "parameters": {}}))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            b'{"method":"echo","parameters":' + b"[" * DEPTH + b"]" * DEPTH + b"}", id="lists"
        ),
        pytest.param(
            b'{"method":"echo","parameters":' + b'{"a":' * DEPTH + b"1" + b"}" * DEPTH + b"}",
            id="objects",
        ),
        pytest.param(b"[" * DEPTH + b"]" * DEPTH, id="whole-body"),
        pytest.param(b"[" * DEPTH, id="unclosed"),
        pytest.param(
            b'{"batch":{"k":{"method":"echo","parameters":' + b"[" * DEPTH + b"]" * DEPTH + b"}}}",
            id="batch",
        ),
    ],
)
def test_json_that_goes_too_deep_is_refused(cluster: Cluster, body: bytes) -> None:
    """Five thousand levels break neither the gateway nor a worker."""
    assert_malformed(cluster.send("POST", "/", JSON_TYPE, body))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xc1", id="never-used-byte"),
        pytest.param(MSGPACK.dumps({"method": "echo"})[:-1], id="cut"),
        pytest.param(MSGPACK.dumps({"method": "echo"}) + b"\x00", id="one-too-many"),
        pytest.param(MSGPACK.dumps([1]), id="list"),
        pytest.param(MSGPACK.dumps({"method": 5}), id="method-number"),
        pytest.param(MSGPACK.dumps({"method": b"echo"}), id="method-bytes"),
        pytest.param(b"\x81\xa6method\xa4ec\xff\xfe", id="not-utf-8"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="four-billion-items"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="four-billion-pairs"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="four-billion-bytes"),
        pytest.param(
            b"\x82\xa6method\xa4echo\xaaparameters" + b"\x91" * DEPTH + b"\xc0", id="too-deep"
        ),
    ],
)
def test_malformed_msgpack_is_refused(cluster: Cluster, body: bytes) -> None:
    """What is no msgpack map of a call answers 400, in msgpack."""
    response = cluster.send("POST", "/", {"Content-Type": "application/msgpack"}, body)

    assert_malformed(response, MSGPACK)


def deep_bson() -> bytes:
    """Write a call whose parameters are nested; the library itself refuses such a depth."""
    value = b"\x05\x00\x00\x00\x00"
    for _ in range(DEPTH):
        value = bson_document(b"\x03a\x00" + value)
    return bson_document(b"\x02method\x00\x05\x00\x00\x00echo\x00\x03parameters\x00" + value)


def bson_document(elements: bytes) -> bytes:
    return struct.pack("<i", len(elements) + 5) + elements + b"\x00"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x05\x00\x00\x00", id="cut"),
        pytest.param(
            b"\xff\xff\xff\x7f" + BSON.dumps({"method": "echo"})[4:], id="length-too-large"
        ),
        pytest.param(
            b"\x06\x00\x00\x00" + BSON.dumps({"method": "echo"})[4:], id="length-too-small"
        ),
        pytest.param(BSON.dumps({"method": "echo"}) + b"\x00", id="one-too-many"),
        pytest.param(BSON.dumps({"method": 5}), id="method-number"),
        pytest.param(deep_bson(), id="too-deep"),
    ],
)
def test_malformed_bson_is_refused(cluster: Cluster, body: bytes) -> None:
    """A document whose length lies, or that is no call, answers 400, in BSON."""
    response = cluster.send("POST", "/", {"Content-Type": "application/bson"}, body)

    assert_malformed(response, BSON)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=", b"--\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"no boundary at all"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"'),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--\r\n",
        ),
    ],
)
def test_malformed_multipart_is_refused(cluster: Cluster, content_type: str, body: bytes) -> None:
    """A body without boundary, or parts without names, answers 400."""
    assert_malformed(cluster.send("POST", "/echo", {"Content-Type": content_type}, body))


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63)])
def test_integers_of_64_bits_are_exact(cluster: Cluster, number: int) -> None:
    """Integers a worker can hold come back to the last digit."""
    assert cluster.call("echo", {"number": number}).body.endswith(b"%d}}" % number)


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("digits", [400, 5000, 60_000])
def test_huge_integers_are_never_lost(cluster: Cluster, digits: int, sign: str) -> None:
    """An integer beyond every number format is refused, or comes back as it was."""
    text = sign + "9" * digits
    body = f'{{"method": "echo", "parameters": {{"number": {text}}}}}'.encode()

    response = cluster.send("POST", "/", JSON_TYPE, body)

    if response.status == 200:
        assert text.encode() in response.body
    else:
        assert_malformed(response)


@pytest.mark.parametrize("number", [2**64, 10**20 + 1, 10**30 + 1, -(2**63) - 1])
def test_integers_beyond_64_bits_keep_their_size(cluster: Cluster, number: int) -> None:
    """What JSON libraries may round to a double is refused, exact, or rounded like that."""
    response = cluster.call("echo", {"number": number})

    if response.status == 200:
        assert response.result["number"] in {number, float(number)}
    else:
        assert_malformed(response)


def test_a_duplicate_key_has_one_meaning(cluster: Cluster) -> None:
    """Gateway and worker agree on which of two values counts, or the body is refused."""
    bodies = [
        b'{"method": "fail", "method": "echo", "parameters": {"a": 1}, "parameters": {"a": 2}}',
        b'{"method": "echo", "parameters": {"a": 1, "a": 2}}',
    ]

    for body in bodies:
        response = cluster.send("POST", "/", JSON_TYPE, body)
        if response.status == 200:
            assert response.json() == {"result": {"a": 2}}
        else:
            assert_malformed(response)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(rb'{"method": "echo", "parameters": "\ud800"}', id="lone-surrogate"),
        pytest.param(b'{"method": "echo", "parameters": "\\u0000"}', id="nul"),
        pytest.param(b'{"method": "echo", "parameters": 1e400}', id="large-exponent"),
        pytest.param(b'\xef\xbb\xbf{"method": "echo", "parameters": 1}', id="byte-order-mark"),
        pytest.param(b'{"method": "echo", "parameters": ' + b" " * 100_000 + b"1}", id="blanks"),
        pytest.param(
            json.dumps({"method": "echo", "parameters": [{}] * 100_000}).encode(), id="many-nodes"
        ),
    ],
)
def test_odd_json_has_an_ordinary_answer(cluster: Cluster, body: bytes) -> None:
    """Where decoders differ the client gets a result or 1100, never an internal error."""
    response = cluster.send("POST", "/", JSON_TYPE, body)

    if response.status == 200:
        assert "result" in response.json()
    else:
        assert_malformed(response)
