"""Log lines: the access log, the request id in both commands, JSON for machines."""

import json

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import Gate, InBackground, MakeCluster
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


def lines_with(cluster: Cluster, text: str) -> list[str]:
    """Return the log lines that contain the text."""
    return [line for line in cluster.output().splitlines() if text in line]


def test_the_access_log_has_a_line_for_each_call(make_cluster: MakeCluster) -> None:
    """Verb, path without the query, status, time, client, and the request's id."""
    cluster = make_cluster(workers=1, access_log=True)

    cluster.get("/echo?secret=1", {"X-Request-Id": "first"})
    cluster.get("/no/such", {"X-Request-Id": "second"})

    poll_until(lambda: len(lines_with(cluster, "toto.access")) == 2)
    first, second = lines_with(cluster, "toto.access")
    assert "GET /echo 200" in first
    assert "127.0.0.1" in first
    assert first.endswith("request_id=first")
    assert "GET /no/such 200" in second
    assert "secret" not in cluster.output()


def test_the_access_log_tells_that_a_client_left(
    make_cluster: MakeCluster, gate: Gate, in_background: InBackground
) -> None:
    """Status 499 stands for an answer that nobody waited for."""
    cluster = make_cluster(workers=1, access_log=True)
    body = json.dumps({"method": "gate", "parameters": gate.parameters()}).encode()

    with cluster.connect() as connection:
        connection.request("POST", "/", {}, body)
        gate.wait_started()
    poll_until(lambda: lines_with(cluster, "POST / 499"))
    gate.open()


def test_there_is_no_access_log_unless_asked_for(make_cluster: MakeCluster) -> None:
    """By default a call that goes well leaves no line."""
    cluster = make_cluster(workers=1)

    cluster.get("/echo?a=1")

    assert lines_with(cluster, "toto.access") == []


def test_a_methods_failure_is_logged_with_the_request(make_cluster: MakeCluster) -> None:
    """The worker's line and its traceback are found by the id the client was given."""
    cluster = make_cluster(workers=1)

    answer = cluster.call("fail", {}, {"X-Request-Id": "find-me"})

    assert answer.error["code"] == 1000
    poll_until(lambda: lines_with(cluster, "request_id=find-me"))
    assert "worker-0" in lines_with(cluster, "request_id=find-me")[0]


def test_json_lines_are_json(make_cluster: MakeCluster) -> None:
    """Every line of both commands is one object, a traceback included."""
    cluster = make_cluster(workers=1, log_format="json")

    cluster.call("fail", {}, {"X-Request-Id": "find-me"})

    poll_until(lambda: lines_with(cluster, "find-me"))
    records = [json.loads(line) for line in cluster.output().splitlines()]
    failure = next(record for record in records if record.get("request_id") == "find-me")
    assert failure["level"] == "error"
    assert failure["process"] == "worker-0"
    assert "Traceback" in failure["exception"]
    assert {"ts", "level", "process", "pid", "logger", "message"} <= set(records[0])
