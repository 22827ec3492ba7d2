"""Answers the method writes itself, by ``respond_raw`` (section 6)."""

from pathlib import Path

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.http import ConnectionEnded

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def test_a_raw_answer_is_sent_as_it_is(cluster: Cluster) -> None:
    """Bytes and content type are the method's, and the length is known."""
    response = cluster.get("/raw/page")

    assert response.status == 200
    assert response.content_type == "text/html"
    assert response.headers["content-length"] == "9"
    assert response.body == b"<p>\x00\xff</p>"


def test_a_raw_answer_in_parts_is_chunked(cluster: Cluster) -> None:
    """With ``finish=False`` the parts are one body of unknown length."""
    response = cluster.get("/raw/parts")

    assert response.status == 200
    assert response.content_type == "text/plain"
    assert response.is_chunked
    assert response.body == b"one two three"


def test_parts_leave_as_they_are_written(cluster: Cluster, tmp_path: Path) -> None:
    """The first part is there while the method still waits to write its second."""
    release = tmp_path / "release"

    with cluster.connect() as connection:
        connection.request("GET", f"/raw/parts?release={release}")
        assert connection.read_head().content_type == "text/plain"
        first = connection.read_chunk()
        release.touch()
        rest = b"".join(connection.chunks())

    assert first == b"one "
    assert rest == b"two three"


def test_an_error_before_the_first_part_is_an_ordinary_answer(cluster: Cluster) -> None:
    """Nothing has been sent, so the client gets an envelope."""
    response = cluster.call("raw.broken", {"after": False})

    assert response.status == 200
    assert response.content_type == "application/json"
    assert response.json() == {"error": {"code": 4242, "value": "stopped"}}


def test_an_error_after_the_first_part_breaks_the_body_off(cluster: Cluster) -> None:
    """The missing final chunk is the only sign raw bytes leave room for."""
    body = b'{"method": "raw.broken", "parameters": {"after": true}}'

    with cluster.connect() as connection:
        connection.request("POST", "/", {}, body)
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"one "
        with pytest.raises((ConnectionEnded, ConnectionResetError)):
            connection.read_chunk()
