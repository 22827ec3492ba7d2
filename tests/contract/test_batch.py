"""Many calls in one request (contract, section 4)."""

import time
from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import InBackground, MakeCluster
from toto_testkit.formats import BSON, JSON, MSGPACK, Format

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.mark.parametrize("body_format", [JSON, MSGPACK, BSON])
def test_a_batch_has_one_entry_for_each_key(cluster: Cluster, body_format: Format) -> None:
    """Results and errors stand side by side, in the format of the request, with status 200."""
    batch = {
        "good": member("echo", a=1),
        "none": member("nothing"),
        "toto": member("fail", code=4242, value={"why": "asked"}),
        "unknown": member("no.such"),
        "päckage": member("text.count", text="to be"),
    }

    response = cluster.post({"batch": batch}, body_format=body_format)

    assert response.status == 200
    assert response.content_type == body_format.content_type
    assert body_format.loads(response.body) == {
        "batch": {
            "good": {"result": {"a": 1}},
            "none": {"result": None},
            "toto": {"error": {"code": 4242, "value": {"why": "asked"}}},
            "unknown": {"error": {"code": 1001, "value": "Cannot call 'no.such'."}},
            "päckage": {"result": 2},
        }
    }


def test_an_empty_batch_has_an_empty_answer(cluster: Cluster) -> None:
    """No members, no entries, no error."""
    response = cluster.post({"batch": {}})

    assert response.status == 200
    assert response.json() == {"batch": {}}


def test_members_run_in_parallel(cluster: Cluster) -> None:
    """Six members of 0.3 s on two workers with four threads take no 1.8 s."""
    members = {f"k{number}": member("sleep", seconds=0.3) for number in range(6)}
    started_at = time.monotonic()

    entries = cluster.batch(members)

    assert time.monotonic() - started_at < 1.2
    assert entries == {f"k{number}": {"result": 0.3} for number in range(6)}


def test_members_are_spread_over_the_workers(cluster: Cluster) -> None:
    """A batch is not one worker's job."""
    members: dict[str, Any] = {f"s{number}": member("sleep", seconds=0.2) for number in range(8)}
    members |= {f"w{number}": member("whoami") for number in range(40)}

    entries = cluster.batch(members)

    pids = {entry["result"] for key, entry in entries.items() if key.startswith("w")}
    assert pids == cluster.worker_pids()


def test_each_member_has_its_own_answer(cluster: Cluster) -> None:
    """A hundred members of different pace never swap their results."""
    members = {f"k{number}": member("echo", number=number) for number in range(50)}
    members |= {f"s{number}": member("wait", seconds=number / 1000) for number in range(50)}

    entries = cluster.batch(members)

    assert len(entries) == 100
    assert all(entries[f"k{number}"] == {"result": {"number": number}} for number in range(50))
    assert all(entries[f"s{number}"] == {"result": number / 1000} for number in range(50))


def test_an_unexpected_error_fails_one_member(cluster: Cluster) -> None:
    """The fixed text and the other results stand in one answer."""
    entries = cluster.batch({"bad": member("fail"), "good": member("echo", a=1)})

    assert entries["bad"]["error"]["code"] == 1000
    assert entries["bad"]["error"]["value"].startswith("Internal server error")
    assert entries["good"] == {"result": {"a": 1}}


@pytest.mark.parametrize("kind", ["plain", "coroutine", "tornado_coroutine", "later"])
def test_methods_of_every_kind_can_be_members(cluster: Cluster, kind: str) -> None:
    """What a method is does not matter to a batch."""
    entries = cluster.batch({"k": member(f"kinds.{kind}", a=1)})

    assert entries == {"k": {"result": [kind, {"a": 1}]}}


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_the_result_of_a_streaming_member_is_a_list(cluster: Cluster, kind: str) -> None:
    """A batch has no place for a stream, so its items are collected."""
    entries = cluster.batch({"k": member(f"kinds.{kind}", a=1)})

    assert entries == {"k": {"result": [kind, {"a": 1}]}}


def test_a_streaming_member_that_fails_is_an_error(cluster: Cluster) -> None:
    """Items before the error do not make half a result."""
    failing = member("streams.numbers", count=5, fail_at=3, code=4242)

    entries = cluster.batch({"k": failing, "e": member("streams.numbers", count=0)})

    assert entries == {
        "k": {"error": {"code": 4242, "value": "stopped"}},
        "e": {"result": []},
    }


def test_a_member_gets_a_proxy_that_knows_its_key(cluster: Cluster) -> None:
    """``invoke`` sees a BatchHandlerProxy with the key of its member."""
    entries = cluster.batch({"k1": member("batch_facts"), "k2": member("batch_facts")})

    assert entries == {
        "k1": {"result": {"class": "BatchHandlerProxy", "request_key": "k1"}},
        "k2": {"result": {"class": "BatchHandlerProxy", "request_key": "k2"}},
    }


def test_a_batch_has_one_request_id(cluster: Cluster) -> None:
    """All members see the id of the request they came with."""
    members = {"k1": member("handler_facts"), "k2": member("handler_facts")}

    entries = cluster.batch(members, headers={"x-request-id": "one-batch-1"})

    assert [entries[key]["result"]["request_id"] for key in ("k1", "k2")] == ["one-batch-1"] * 2


def test_with_a_method_in_the_url_a_batch_is_a_parameter(cluster: Cluster) -> None:
    """Only a request without a method in the URL is a batch."""
    response = cluster.post({"batch": {"k": member("echo")}}, "/echo")

    assert response.result == {"batch": {"k": {"method": "echo", "parameters": {}}}}


def test_a_batch_leaves_room_for_single_calls(
    make_cluster: MakeCluster, in_background: InBackground
) -> None:
    """While a batch of 4 s of work runs on two slots, single calls wait for one member at most."""
    cluster = make_cluster(workers=2)
    members = {f"k{number}": member("sleep", seconds=0.1) for number in range(40)}
    batch = in_background(cluster.batch, members)
    longest = 0.0

    for number in range(10):
        started_at = time.monotonic()
        assert cluster.call("echo", number).result == number
        longest = max(longest, time.monotonic() - started_at)
    was_running = not batch.done()

    assert was_running
    assert longest < 0.5
    assert batch.result() == {f"k{number}": {"result": 0.1} for number in range(40)}
