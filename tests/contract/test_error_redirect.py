"""Errors that send the client elsewhere: ``@error_redirect`` (section 7)."""

from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.formats import BSON, JSON, MSGPACK, Format
from toto_testkit.http import Response

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def assert_redirects(response: Response, url: str) -> None:
    """Check that an answer sends the client to this address and says nothing else."""
    assert response.status == 302
    assert response.headers["location"] == url
    assert response.body == b""


@pytest.mark.parametrize(
    ("parameters", "url"),
    [
        ({"code": 404}, "/lost?a=1&b=2"),
        ({"code": 1004}, "https://login.example/"),
        ({"code": 410}, "/gone"),
        ({"code_text": "410"}, "/gone"),
        ({"status_code": 404}, "/lost?a=1&b=2"),
        ({"status_code": "410"}, "/gone"),
    ],
)
def test_an_error_has_its_address(cluster: Cluster, parameters: Any, url: str) -> None:
    """By its code or its ``status_code``, whether the map names it as a number or a text."""
    assert_redirects(cluster.call("styles.redirect", parameters), url)


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_requests_of_every_format_are_redirected(cluster: Cluster, body_format: Format) -> None:
    """The answer is in none of them."""
    body = {"method": "styles.redirect", "parameters": {"code": 404}}

    assert_redirects(cluster.post(body, "/", None, body_format), "/lost?a=1&b=2")


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_pages_are_redirected(cluster: Cluster, verb: str) -> None:
    """A link that leads to a failing method leads on."""
    assert_redirects(cluster.send(verb, "/styles/redirect?code=404"), "/lost?a=1&b=2")


@pytest.mark.parametrize(
    ("parameters", "code"), [({"code": 7}, 7), ({"status_code": 500}, 1000), ({"code": 40}, 40)]
)
def test_other_errors_are_answered_as_ever(cluster: Cluster, parameters: Any, code: int) -> None:
    """Without a default."""
    response = cluster.call("styles.redirect", parameters)

    assert response.status == 200
    assert response.error["code"] == code
    assert "location" not in response.headers


def test_results_are_not_touched(cluster: Cluster) -> None:
    """The decorator is about errors."""
    assert cluster.call("styles.redirect", {"a": 1}).json() == {"result": {"a": 1}}


def test_a_default_is_for_all_other_errors(cluster: Cluster) -> None:
    """Before one line of a stream has gone, and although the caller asked for a script."""
    assert_redirects(cluster.get("/styles/redirect_default?code=7"), "/oops")
    assert_redirects(cluster.get("/styles/redirect_default?code=404"), "/lost")
    assert_redirects(cluster.get("/styles/redirect_default?jsonp=f"), "/oops")


def test_a_stream_that_has_begun_cannot_lead_elsewhere(cluster: Cluster) -> None:
    """Its last line is the error."""
    response = cluster.get("/styles/redirect_default?after=1")

    assert response.status == 200
    assert response.body.splitlines()[-1] == b'{"error":{"code":7,"value":"refused"}}'


def test_a_member_of_a_batch_has_an_ordinary_error(cluster: Cluster) -> None:
    """One of many cannot send the client away."""
    answers = cluster.batch(
        {
            "a": member("styles.redirect", code=404),
            "b": member("styles.redirect_default"),
            "c": member("styles.redirect", a=1),
        }
    )

    assert answers == {
        "a": {"error": {"code": 404, "value": "refused"}},
        "b": {"error": {"code": 7, "value": "refused"}},
        "c": {"result": {"a": 1}},
    }


@pytest.mark.parametrize(
    ("verb", "target", "content_type", "body"),
    [
        ("POST", "/styles/redirect_default", "application/json", b'{"a": '),
        ("POST", "/styles/redirect_default", "application/x-www-form-urlencoded", b"a=%FF"),
        ("POST", "/styles/redirect_default", "multipart/form-data; boundary=x", b"no parts"),
        ("GET", "/styles/redirect_default?a=%FF", "", None),
    ],
)
def test_a_malformed_request_is_told(
    cluster: Cluster, verb: str, target: str, content_type: str, body: bytes | None
) -> None:
    """That is the client's error and none of the method's."""
    headers = {"Content-Type": content_type} if content_type else {}

    response = cluster.send(verb, target, headers, body)

    assert response.status == 400
    assert response.error["code"] == 1100
    assert "location" not in response.headers


@pytest.mark.parametrize(
    "parameters",
    [
        {"code_text": "404\r\nx-evil: 1"},
        {"code_text": "410\n"},
        {"status_code": "404\r\nx-evil: 1"},
        {"to": "/a\r\nx-evil: 1"},
        {"to": "/a\nx-evil: 1"},
        {"to": "/a\u2028"},
        {"to": "/a\x00"},
    ],
)
def test_what_a_client_sends_cannot_become_a_header(cluster: Cluster, parameters: Any) -> None:
    """Neither through the code of an error nor through an address of the method's."""
    response = cluster.call("styles.redirect", parameters)

    assert response.status == 200
    assert response.error["code"] == 1000
    assert not {"location", "x-evil"} & response.headers.keys()
