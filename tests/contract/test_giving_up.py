"""What becomes of a call that the gateway gives up."""

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import Gate, MakeCluster

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def test_half_a_result_is_never_sent(make_cluster: MakeCluster) -> None:
    """A method that stops at ``handler.cancelled`` learns of the deadline when the client has."""
    cluster = make_cluster(workers=1, request_timeout=0.5)

    answers = [cluster.call("until_cancelled") for _ in range(4)]

    assert [answer.status for answer in answers] == [504] * 4
    assert {answer.error["code"] for answer in answers} == {1106}
    assert cluster.call("echo", 1).result == 1


def test_the_deadline_is_not_the_client_leaving(make_cluster: MakeCluster, gate: Gate) -> None:
    """``on_connection_close`` is for clients that left; this one waits and gets its 504."""
    cluster = make_cluster(workers=1, request_timeout=0.2)

    answer = cluster.call("gate", gate.parameters())
    gate.open()

    assert answer.status == 504
    assert cluster.call("echo", 1).result == 1
    assert not gate.is_closed()


def test_a_client_that_asks_first_is_refused_first(cluster: Cluster) -> None:
    """``Expect: 100-continue`` with too long a body gets 413 and no invitation to send it."""
    with cluster.connect() as connection:
        connection.request(
            "POST", "/echo", {"Content-Length": str(2**30), "Expect": "100-continue"}
        )
        answer = connection.read_to_end()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":1101' in answer
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(("parts", "status"), [(100, 200), (101, 400)])
def test_a_multipart_body_has_at_most_a_hundred_parts(
    cluster: Cluster, parts: int, status: int
) -> None:
    """The hundredth part is read, one more is refused."""
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}

    answer = cluster.send("POST", "/echo", headers, part * parts + b"--b--\r\n")

    assert answer.status == status
    if status == 200:
        assert answer.result["arguments"] == {"a": ["1"] * 100}
    else:
        assert answer.error["code"] == 1100
