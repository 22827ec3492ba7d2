"""Methods that call other methods: results, errors, limits, and pools that are all taken."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toto_testkit.cluster import Cluster
from toto_testkit.fixtures import Gate, InBackground, MakeCluster
from toto_testkit.sessions import UNLIMITED
from toto_testkit.waiting import poll_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One worker with one thread: a method that waits for another one holds all there is."""
    directory = tmp_path_factory.mktemp("single")
    options = {**UNLIMITED, "threads": 1, "request_timeout": 5.0, "bson_enabled": True}
    with Cluster(directory, workers=1, options=options) as started:
        yield started


def asked(cluster: Cluster, method: str, parameters: Any = None) -> Any:
    """Have a method in a thread call another one, and return what it got."""
    response = cluster.call("calls.ask", {"method": method, "parameters": parameters})
    assert response.status == 200, response
    return response.json()["result"]


@pytest.mark.parametrize(
    ("method", "parameters", "result"),
    [
        pytest.param("echo", {"a": [1, None, "é"]}, {"a": [1, None, "é"]}, id="function"),
        pytest.param("echo", None, {}, id="no-parameters"),
        pytest.param("nothing", None, None, id="no-result"),
        pytest.param("kinds.coroutine", {}, ["coroutine", {}], id="coroutine"),
        pytest.param("kinds.later", {}, ["later", {}], id="asynchronous"),
        pytest.param("streams.numbers", {"count": 3}, [0, 1, 2], id="generator"),
        pytest.param("streams.numbers", {"count": 0}, [], id="empty-generator"),
        pytest.param("streams.numbers_async", {"count": 2}, [0, 1], id="async-generator"),
    ],
)
def test_a_method_gets_the_result_of_another_one(
    single: Cluster, method: str, parameters: Any, result: Any
) -> None:
    """Of any kind, on the only thread that there is."""
    assert asked(single, method, parameters) == {"got": result}


@pytest.mark.parametrize(
    ("method", "parameters", "code", "text"),
    [
        pytest.param("nosuch", None, 1001, "Cannot call 'nosuch'.", id="unknown"),
        pytest.param("fail", {"code": 4242, "value": "no"}, 4242, "no", id="own-error"),
        pytest.param("fail", {}, 1000, "Internal server error", id="accident"),
        pytest.param("streams.numbers", {"count": 3, "fail_at": 1, "code": 7}, 7, "", id="stream"),
        pytest.param("raw.page", None, 1000, "raw.page gives a raw response", id="raw"),
        pytest.param("session.secret", None, 1004, "Not authorized", id="not-authorized"),
        pytest.param("unserialisable", None, 1000, "cannot be encoded", id="unserialisable"),
    ],
)
def test_the_error_of_another_method_is_an_exception(
    single: Cluster, method: str, parameters: Any, code: int, text: str
) -> None:
    """A ``TotoException`` with the code and the value that a client would get."""
    got = asked(single, method, parameters)

    assert got["code"] == code
    assert text in got["value"]


def test_an_error_that_is_not_caught_is_the_caller_s_own(single: Cluster) -> None:
    """The client is told code and value of the innermost."""
    response = single.call(
        "calls.passes_on", {"method": "fail", "parameters": {"code": 77, "value": [1]}}
    )

    assert response.json() == {"error": {"code": 77, "value": [1]}}


def test_a_pool_of_one_thread_can_call_itself(single: Cluster) -> None:
    """Whoever waits lends its slot: eight levels go through one thread, and nine are refused."""
    assert single.call("calls.down", {"depth": 8}).json() == {"result": 8}

    refused = single.call("calls.down", {"depth": 9}).json()

    assert refused["error"]["code"] == 1000
    assert "more than 8 levels deep" in refused["error"]["value"]


def test_threads_and_coroutines_may_call_each_other_in_turn(single: Cluster) -> None:
    """No pattern of waiting can use up all slots."""
    assert single.call("calls.zigzag", {"depth": 7}).json() == {"result": 7}
    assert single.call("calls.zig", {"depth": 7}).json() == {"result": 7}


def test_a_coroutine_may_wait_for_many_calls_at_once(single: Cluster) -> None:
    """They share the pool with all others, and come back in the order asked for."""
    asks = [{"method": "echo", "parameters": {"n": n}} for n in range(40)]

    response = single.call("calls.ask_async", {"asks": asks})

    assert response.json() == {"result": [{"got": {"n": n}} for n in range(40)]}


def test_a_method_waits_for_a_hundred_calls_at_most(single: Cluster) -> None:
    """What is more is refused as an overload, and the rest goes through."""
    asks = [{"method": "kinds.coroutine"}] * 120

    got = single.call("calls.ask_async", {"asks": asks}).json()["result"]

    assert sum(each.get("code") == 1103 for each in got) == 20
    assert sum("got" in each for each in got) == 100


def test_callers_that_fill_the_pool_do_not_stop_each_other(
    single: Cluster, in_background: InBackground
) -> None:
    """Twenty clients at once, each of whose calls needs a thread twice over."""
    calls = [in_background(single.call, "calls.down", {"depth": 3}) for _ in range(20)]

    assert [call.result().json() for call in calls] == [{"result": 3}] * 20


def test_large_parameters_and_results_travel_in_pieces(single: Cluster) -> None:
    """Three megabytes there and back."""
    text = "x" * 1_500_000

    assert asked(single, "echo", {"text": text}) == {"got": {"text": text}}


def test_a_called_method_has_the_request_of_its_caller(single: Cluster) -> None:
    """Its id, client and headers, what is left of its time, and a transaction of its own."""
    response = single.call("calls.compare", {"n": 1}, headers={"X-Test": "t", "X-Request-Id": "r1"})

    own, theirs = response.json()["result"]["own"], response.json()["result"]["theirs"]
    assert theirs["request_id"] == own["request_id"] == "r1"
    assert theirs["header"] == "t"
    assert theirs["remote_ip"] == "127.0.0.1"
    assert theirs["parameters"] == {"n": 1}
    assert theirs["transaction_id"] != own["transaction_id"]
    assert 0 < theirs["seconds_left"] <= 5.0
    assert theirs["response_type"] == "application/msgpack"


def test_a_caller_s_deadline_ends_all(
    make_cluster: MakeCluster, in_background: InBackground
) -> None:
    """Caller and called end in the same moment, and each once."""
    cluster = make_cluster(workers=1, request_timeout=0.5)

    asks = [{"method": "calls.endures", "parameters": {"path": None}}] * 20
    calls = [in_background(cluster.call, "calls.ask_async", {"asks": asks}) for _ in range(5)]

    assert [call.result().json()["error"]["code"] for call in calls] == [1106] * 5
    assert calls[0].result().status == 504
    assert "Traceback" not in cluster.output()
    assert cluster.call("echo", {"n": 1}).json() == {"result": {"n": 1}}


def test_a_call_that_is_not_awaited_any_more_is_cancelled(single: Cluster, tmp_path: Path) -> None:
    """``asyncio.timeout`` around the await reaches the other method."""
    trace = tmp_path / "trace"

    response = single.call("calls.forgets", {"path": str(trace)})

    assert response.json() == {"result": "forgotten"}
    poll_until(trace.exists, 5.0, "the called method was cancelled")


def test_a_client_that_leaves_cancels_both(single: Cluster, tmp_path: Path) -> None:
    """The caller's end is the end of what it called."""
    trace, begun = tmp_path / "trace", tmp_path / "begun"
    parameters = {"path": str(trace), "begun": str(begun)}
    asks = [{"method": "calls.endures", "parameters": parameters}]
    body = json.dumps({"method": "calls.ask_async", "parameters": {"asks": asks}}).encode()
    with single.connect() as connection:
        connection.request("POST", "/", {"Content-Type": "application/json"}, body)
        poll_until(begun.exists, 5.0, "the called method runs")

    poll_until(trace.exists, 5.0, "the called method was cancelled")


def test_the_wrong_way_to_call_is_told(single: Cluster) -> None:
    """On the event loop ``call_sync`` would stop everything else."""
    response = single.call("calls.on_wrong_side", {})

    assert "await handler.call" in response.json()["result"]


def test_odd_names_are_no_methods(single: Cluster) -> None:
    """Whatever a method passes on for a name, the worker lives."""
    got = single.call("calls.odd").json()["result"]

    assert got["names"] == [1001] * 8
    assert "no running event loop" in got["no_loop"]
    assert single.call("echo", {"n": 1}).json() == {"result": {"n": 1}}


def test_finalizers_that_call_do_not_stop_the_worker(single: Cluster) -> None:
    """They run in any thread, that of the sockets too, and mostly after the answer."""
    for _ in range(10):
        assert single.call("calls.finalizer").json() == {"result": "left"}

    told = single.call("calls.finalizer", {"tell": True}).json()["result"]

    assert len(told) == 500
    assert single.call("echo", {"n": 1}).json() == {"result": {"n": 1}}


def test_a_caller_that_leaves_keeps_its_thread_until_the_other_is_through(
    single: Cluster, gate: Gate, in_background: InBackground
) -> None:
    """The worker has one thread: the next call waits for what still runs in it."""
    body = {
        "method": "calls.ask",
        "parameters": {"method": "gate", "parameters": gate.parameters()},
    }
    with single.connect() as connection:
        connection.request(
            "POST", "/", {"Content-Type": "application/json"}, json.dumps(body).encode()
        )
        gate.wait_started()

    waiting = in_background(single.call, "echo", {"n": 1})
    with pytest.raises(TimeoutError):
        waiting.result(timeout=0.5)
    gate.open()

    assert waiting.result(timeout=5).json() == {"result": {"n": 1}}


def test_a_call_that_has_been_answered_can_call_no_more(single: Cluster) -> None:
    """There is no deadline left to inherit, and nobody to wait for it."""
    assert single.call("calls.answered").json() == {"result": "answered"}

    def told() -> Any:
        return single.call("calls.answered", {"tell": True}).json()["result"]

    poll_until(lambda: bool(told()), 5.0, "the method was told")
    assert "has been answered" in told()[0]


def asking(caller: str, method: str, parameters: Any) -> dict[str, Any]:
    """Return a member of a batch that calls a method."""
    return {"method": caller, "parameters": {"method": method, "parameters": parameters}}


def test_what_a_method_left_open_ends_with_it(single: Cluster) -> None:
    """Threads and tasks of its own that still wait for other methods do not wait for ever."""
    assert single.call("calls.leaves_open").json() == {"result": "returned"}

    def told() -> Any:
        return single.call("calls.leaves_open", {"tell": True}).json()["result"]

    poll_until(lambda: len(told()) == 2, 5.0, "both were told")
    assert told() == ["task CancelledError", "thread CallCancelled"]


def test_members_of_a_batch_may_call(single: Cluster) -> None:
    """Each gets its own result."""
    entries = single.batch(
        {
            "a": asking("calls.ask", "echo", {"n": 1}),
            "b": {"method": "calls.down", "parameters": {"depth": 2}},
            "c": asking("calls.passes_on", "fail", {"code": 5, "value": "v"}),
        }
    )

    assert entries == {
        "a": {"result": {"got": {"n": 1}}},
        "b": {"result": 2},
        "c": {"error": {"code": 5, "value": "v"}},
    }


def test_the_death_of_the_other_worker_is_an_error(make_cluster: MakeCluster) -> None:
    """The caller, whose worker lives, is told with code 1105."""
    cluster = make_cluster(workers=2)

    poll_until(lambda: cluster.output().count(" serves ") == 2, 10.0, "both workers are there")

    assert asked(cluster, "vanish", {"code": 7})["code"] == 1105

    cluster.wait_for_workers(2)
    poll_until(lambda: cluster.output().count(" serves ") == 3, 10.0, "both workers are there")
    passed = {"method": "vanish", "parameters": {"code": 7}}
    error = cluster.call("calls.passes_on", passed).json()["error"]
    assert error["code"] == 1105
    assert error["outcome"] == "unknown"
    assert error["exit_code"] == 7


def test_an_internal_method_is_there_for_methods_only(single: Cluster) -> None:
    """A client is told that there is none, alone and in a batch, and by whatever way it asks."""
    refusal = {"code": 1001, "value": "Cannot call 'calls.inner'."}

    assert asked(single, "calls.inner", {"n": 1}) == {"got": {"inner": {"n": 1}}}
    assert single.call("calls.inner").json() == {"error": refusal}
    assert single.get("/calls/inner").json() == {"error": refusal}
    entries = single.batch({"a": {"method": "calls.inner", "parameters": {}}})
    assert entries == {"a": {"error": refusal}}
