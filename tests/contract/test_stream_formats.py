"""Generators as streams: NDJSON, events, msgpack, and how each tells an error (section 6)."""

import json
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.formats import MSGPACK, json_lines, msgpack_values, server_sent_events
from toto_testkit.http import Response

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

EVENTS = {"Accept": "text/event-stream"}
METHODS = ["streams.numbers", "streams.numbers_async"]


def stream(cluster: Cluster, accept: str | None = None, **parameters: Any) -> Response:
    """Call the generator ``numbers`` and read its whole answer."""
    headers = {} if accept is None else {"Accept": accept}
    return cluster.call("streams.numbers", parameters, headers=headers)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/x-ndjson", "application/json", "text/html, */*;q=0.8"]
)
def test_ndjson_is_the_default(cluster: Cluster, method: str, accept: str | None) -> None:
    """One line for each item and a last line that tells the end."""
    headers = {} if accept is None else {"Accept": accept}

    response = cluster.call(method, {"count": 3}, headers=headers)

    assert response.status == 200
    assert response.content_type == "application/x-ndjson"
    assert response.is_chunked
    assert json_lines(response.body) == [{"result": 0}, {"result": 1}, {"result": 2}, {"end": True}]
    assert response.body.endswith(b"\n")


def test_a_stream_without_items_has_only_its_end(cluster: Cluster) -> None:
    """A generator that yields nothing is still a stream."""
    response = stream(cluster, count=0)

    assert response.content_type == "application/x-ndjson"
    assert json_lines(response.body) == [{"end": True}]


def test_a_get_can_stream(cluster: Cluster) -> None:
    """A browser's EventSource and a plain curl send a GET."""
    response = cluster.get("/streams/numbers?count=2")

    assert json_lines(response.body) == [{"result": 0}, {"result": 1}, {"end": True}]


@pytest.mark.parametrize("accept", ["text/event-stream", "text/event-stream, */*;q=0.1"])
def test_events_by_accept(cluster: Cluster, accept: str) -> None:
    """Server-sent events carry the same objects as NDJSON lines, and a rising id."""
    response = stream(cluster, accept, count=3)

    assert response.status == 200
    assert response.content_type == "text/event-stream"
    events = server_sent_events(response.body)
    assert [json.loads(event["data"]) for event in events] == [
        {"result": 0},
        {"result": 1},
        {"result": 2},
        {"end": True},
    ]
    ids = [int(event["id"]) for event in events if "id" in event]
    assert len(ids) >= 3
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_msgpack_requests_get_msgpack_maps(cluster: Cluster) -> None:
    """The stream of a msgpack request is a row of msgpack maps."""
    body = {"method": "streams.numbers", "parameters": {"count": 2}}

    response = cluster.post(body, body_format=MSGPACK)

    assert response.content_type == "application/msgpack"
    assert msgpack_values(response.body) == [{"result": 0}, {"result": 1}, {"end": True}]


def test_items_leave_as_they_are_produced(cluster: Cluster, tmp_path: Path) -> None:
    """The first item is there while the generator still waits for its second."""
    release = tmp_path / "release"

    with cluster.connect() as connection:
        connection.request("GET", f"/streams/gated?release={release}")
        assert connection.read_head().status == 200
        lines = connection.lines()
        first = json.loads(next(lines))
        release.touch()
        rest = [json.loads(line) for line in lines]

    assert first == {"result": "first"}
    assert rest == [{"result": "second"}, {"end": True}]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("headers", [{}, EVENTS])
def test_an_error_before_the_first_item_is_an_ordinary_answer(
    cluster: Cluster, method: str, headers: dict[str, str]
) -> None:
    """Nothing has been sent, so the envelope can still be the whole answer."""
    response = cluster.call(method, {"count": 3, "fail_at": 0, "code": 4242}, headers=headers)

    assert response.status == 200
    assert response.content_type == "application/json"
    assert response.json() == {"error": {"code": 4242, "value": "stopped"}}


@pytest.mark.parametrize("method", METHODS)
def test_an_error_after_the_first_item_is_the_last_line(cluster: Cluster, method: str) -> None:
    """The items before it stand, and no end is told."""
    response = cluster.call(method, {"count": 9, "fail_at": 2, "code": 4242})

    assert response.status == 200
    assert json_lines(response.body) == [
        {"result": 0},
        {"result": 1},
        {"error": {"code": 4242, "value": "stopped"}},
    ]


def test_an_unexpected_error_in_a_stream_is_a_fixed_text(cluster: Cluster) -> None:
    """The last line says no more than an ordinary error would."""
    response = stream(cluster, count=9, fail_at=1)

    last = json_lines(response.body)[-1]
    assert last["error"]["code"] == 1000
    assert last["error"]["value"].startswith("Internal server error")
    assert b"a secret of the server" not in response.body


def test_an_error_after_the_first_item_is_the_last_event(cluster: Cluster) -> None:
    """An event stream tells the error as its last event."""
    response = stream(cluster, "text/event-stream", count=9, fail_at=1, code=4242)

    events = server_sent_events(response.body)
    assert [json.loads(event["data"]) for event in events] == [
        {"result": 0},
        {"error": {"code": 4242, "value": "stopped"}},
    ]


def test_an_error_after_the_first_item_is_the_last_map(cluster: Cluster) -> None:
    """A msgpack stream tells the error as its last map."""
    parameters = {"count": 9, "fail_at": 1, "code": 4242}

    response = cluster.post(
        {"method": "streams.numbers", "parameters": parameters}, body_format=MSGPACK
    )

    assert msgpack_values(response.body) == [
        {"result": 0},
        {"error": {"code": 4242, "value": "stopped"}},
    ]


def test_a_long_stream_is_whole_and_in_order(cluster: Cluster) -> None:
    """Twenty thousand items arrive once each, in the order of the generator."""
    response = stream(cluster, count=20_000)

    lines = response.body.split(b"\n")
    assert json_lines(response.body)[:-1] == [{"result": number} for number in range(20_000)]
    assert json.loads(lines[-2]) == {"end": True}
