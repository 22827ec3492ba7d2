"""Calls over WebSockets: ids, formats, many at once, batches (contract, section 8)."""

from typing import Any

import pytest

from toto_testkit.cluster import Cluster, member
from toto_testkit.fixtures import Gate
from toto_testkit.formats import JSON, MSGPACK, Format
from toto_testkit.waiting import poll_until
from toto_testkit.websocket import BATCH_MAX, Socket, open_socket

pytest_plugins = ["toto_testkit.socket_clusters"]
pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_leaks")]

CALLS_MAX = 16  # the default of `socket_calls_max`
both_kinds = pytest.mark.parametrize("body_format", [JSON, MSGPACK], ids=["text", "binary"])


# -- the two forms


@both_kinds
def test_a_call_in_toto_s_form_is_answered_in_it(socket: Socket, body_format: Format) -> None:
    """Without an id the answer is the envelope that HTTP has."""
    socket.send({"method": "echo", "parameters": {"a": [1, None]}}, body_format)
    first = socket.receive()
    socket.send({"method": "fail", "parameters": {"code": 4242, "value": {"why": 1}}}, body_format)
    second = socket.receive()

    assert first == {"result": {"a": [1, None]}}
    assert second == {"error": {"code": 4242, "value": {"why": 1}}}


@both_kinds
@pytest.mark.parametrize(
    "call_id", ["a", "x" * 64, "\U0001f600" * 64, '"\\\n\x00', " ", 0, -1, 2**63 - 1, -(2**63)]
)
def test_everything_about_a_call_carries_its_id(
    socket: Socket, body_format: Format, call_id: Any
) -> None:
    """Results and errors do; text of 1 to 64 characters and integers of 64 bits are ids."""
    socket.send({"id": call_id, "method": "echo", "parameters": {"a": 1}}, body_format)
    result = socket.receive()
    socket.send({"id": call_id, "method": "no.such"}, body_format)
    error = socket.receive()

    assert result == {"id": call_id, "result": {"a": 1}}
    assert error == {"id": call_id, "error": {"code": 1001, "value": "Cannot call 'no.such'."}}
    assert type(result["id"]) is type(call_id)


@both_kinds
@pytest.mark.parametrize("call_id", ["", "x" * 65, True, 1.0, 1.5, [], [1], {}])
def test_what_is_no_id_is_refused(
    socket: Socket, body_format: Format, call_id: Any, tmp_path: Any
) -> None:
    """The method does not run, and the socket stays open."""
    if call_id == 2**64 and body_format is MSGPACK:
        call_id = b"1"  # msgpack has no such integer, but bytes
    parameters = {"path": str(tmp_path / "ran")}
    socket.send({"id": call_id, "method": "socket.mark", "parameters": parameters}, body_format)
    refusal = socket.receive()

    assert refusal["error"]["code"] == 1100
    assert isinstance(refusal["error"]["retryable"], bool)
    assert refusal["error"]["request_id"]
    assert socket.result("echo", 1) == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("call_id", [2**64, -(2**63) - 1, 10**40])
def test_longer_integers_are_no_ids(socket: Socket, call_id: int) -> None:
    """JSON can write them, msgpack could not answer with them."""
    socket.send({"id": call_id, "method": "echo"})

    assert socket.receive()["error"]["code"] == 1100
    assert socket.result("echo", 1) == 1


def test_an_id_that_is_under_way_is_refused(socket: Socket, gate: Gate) -> None:
    """The call that had it first is not harmed, and when it has ended the id is free again."""
    socket.send({"id": "a", "method": "gate", "parameters": gate.parameters()})
    pid = gate.wait_started()
    socket.send({"id": "a", "method": "echo", "parameters": 1})
    refusal = socket.receive()
    gate.open()
    answer = socket.receive()
    socket.send({"id": "a", "method": "echo", "parameters": 2})

    assert refusal["error"]["code"] == 1100
    assert refusal["id"] == "a"
    assert answer == {"id": "a", "result": pid}
    assert socket.receive() == {"id": "a", "result": 2}


def test_an_id_is_free_again_when_its_answer_has_come(socket: Socket) -> None:
    """A client may use it at once."""
    for number in range(200):
        socket.send({"id": "a", "method": "echo", "parameters": number})

        assert socket.receive() == {"id": "a", "result": number}


def test_ids_belong_to_their_socket(sockets: Cluster, socket: Socket, gate: Gate) -> None:
    """Two clients may use the same one."""
    socket.send({"id": 1, "method": "gate", "parameters": gate.parameters()})
    pid = gate.wait_started()
    with open_socket(sockets) as other:
        other.send({"id": 1, "method": "echo", "parameters": "mine"})
        answer = other.receive()
    gate.open()

    assert answer == {"id": 1, "result": "mine"}
    assert socket.receive() == {"id": 1, "result": pid}


def test_an_integer_and_its_text_are_two_ids(socket: Socket, gate: Gate) -> None:
    """Both may be under way at once."""
    socket.send({"id": 1, "method": "gate", "parameters": gate.parameters("number")})
    socket.send({"id": "1", "method": "gate", "parameters": gate.parameters("text")})
    pids = {1: gate.wait_started("number"), "1": gate.wait_started("text")}
    gate.open()
    answers = [socket.receive(), socket.receive()]

    assert {answer["id"]: answer["result"] for answer in answers} == pids


# -- formats


def test_text_and_binary_stand_side_by_side(socket: Socket) -> None:
    """Each answer comes in the kind of its call, whichever came first."""
    for number in range(CALLS_MAX):
        body_format = (JSON, MSGPACK)[number % 2]
        call = {"id": number, "method": "wait", "parameters": {"seconds": 0.05}}
        socket.send(call, body_format)
    kinds = {}
    for _ in range(CALLS_MAX):
        data = socket.receive_data()
        body_format = JSON if isinstance(data, str) else MSGPACK
        answer = body_format.loads(data.encode() if isinstance(data, str) else data)
        kinds[answer["id"]] = body_format

    assert kinds == {n: (JSON, MSGPACK)[n % 2] for n in range(CALLS_MAX)}


def test_binary_values_travel_by_msgpack(socket: Socket) -> None:
    """Bytes and large integers survive both ways."""
    value = {"bytes": b"\x00\xff", "large": 2**64 - 1}

    assert socket.call("echo", value, MSGPACK) == {"result": value}


def test_without_msgpack_binary_messages_are_refused(odd_sockets: Cluster) -> None:
    """With error 1102; text goes on."""
    with open_socket(odd_sockets, "/api/live") as socket:
        socket.send({"id": 1, "method": "echo", "parameters": {}}, MSGPACK)
        refusal = socket.receive()

        assert refusal["error"]["code"] == 1102
        assert socket.result("echo", 1) == 1


# -- many at once


def test_a_slow_call_holds_up_no_quick_one(socket: Socket, gate: Gate) -> None:
    """Answers come in the order in which calls end."""
    socket.send({"id": "slow", "method": "gate", "parameters": gate.parameters()})
    gate.wait_started()

    for number in range(20):
        assert socket.result("echo", number) == number
    gate.open()

    assert socket.receive()["id"] == "slow"


def test_calls_in_toto_s_form_run_side_by_side_too(socket: Socket, gate: Gate) -> None:
    """A client that sends no ids must tell the answers apart by itself."""
    socket.send({"method": "gate", "parameters": gate.parameters()})
    pid = gate.wait_started()
    socket.send({"method": "echo", "parameters": "quick"})
    first = socket.receive()
    gate.open()

    assert first == {"result": "quick"}
    assert socket.receive() == {"result": pid}


def test_a_hundred_calls_have_each_its_own_answer(socket: Socket) -> None:
    """As many under way as may be, of different pace, and no answer goes to another call."""
    answers: dict[int, Any] = {}
    sent = 0
    while len(answers) < 100:
        while sent < 100 and sent - len(answers) < CALLS_MAX:
            method, parameters = ("echo", {"n": sent}) if sent % 2 else ("wait", {"seconds": 0.01})
            socket.send({"id": sent, "method": method, "parameters": parameters})
            sent += 1
        answer = socket.receive()
        answers[answer.pop("id")] = answer

    expected = {n: {"result": {"n": n} if n % 2 else 0.01} for n in range(100)}
    assert answers == expected


def test_one_call_more_than_allowed_is_refused_at_once(socket: Socket, gate: Gate) -> None:
    """With error 1103, which may be tried again; the others go on, and then there is room."""
    for number in range(CALLS_MAX):
        call = {"id": number, "method": "gate", "parameters": gate.parameters(str(number))}
        socket.send(call)
    socket.send({"id": "more", "method": "echo", "parameters": 1})
    refusal = socket.receive()
    for number in range(CALLS_MAX):
        gate.wait_started(str(number))
    gate.open()
    answers = [socket.receive() for _ in range(CALLS_MAX)]

    assert refusal["id"] == "more"
    assert refusal["error"]["code"] == 1103
    assert refusal["error"]["retryable"] is True
    assert refusal["error"]["request_id"]
    assert {answer["id"] for answer in answers} == set(range(CALLS_MAX))
    assert all("result" in answer for answer in answers)
    assert socket.result("echo", 1) == 1


def test_another_socket_has_room_of_its_own(sockets: Cluster, socket: Socket, gate: Gate) -> None:
    """The limit is one of each socket."""
    for number in range(CALLS_MAX):
        call = {"id": number, "method": "gate", "parameters": gate.parameters(str(number))}
        socket.send(call)
    for number in range(CALLS_MAX):
        gate.wait_started(str(number))
    with open_socket(sockets) as other:
        result = other.result("echo", 1)
    gate.open()

    assert result == 1


def test_refused_calls_take_no_room(socket: Socket) -> None:
    """Whatever was wrong with them, and however they ended."""
    for _ in range(CALLS_MAX + 1):
        assert socket.error("no.such")["code"] == 1001
        assert socket.error("fail")["code"] == 1000
        assert socket.items("streams.numbers", {"count": 2}) == [0, 1]
        assert socket.error("session.secret")["code"] == 1004

    assert socket.result("echo", 1) == 1


# -- methods


@both_kinds
@pytest.mark.parametrize(
    "kind", ["plain", "coroutine", "tornado_coroutine", "later", "later_at_once"]
)
def test_every_kind_of_function_answers(socket: Socket, kind: str, body_format: Format) -> None:
    """What a function is makes no difference to its result."""
    assert socket.call(f"kinds.{kind}", {"a": 1}, body_format) == {"result": [kind, {"a": 1}]}


def test_an_unexpected_error_is_the_fixed_text(socket: Socket) -> None:
    """The text of the exception stays on the server."""
    error = socket.error("fail")

    assert error["code"] == 1000
    assert error["value"].startswith("Internal server error (")


def test_a_time_limit_holds(socket: Socket) -> None:
    """A call that takes too long is answered 1106."""
    error = socket.error("limits.short", {"seconds": 20})

    assert error["code"] == 1106


def test_an_answer_can_be_large(socket: Socket) -> None:
    """Beyond what one frame's short lengths and the kernel's buffers hold."""
    count = 6_000_000

    assert socket.result("socket.large", {"size": count}) == "x" * count


# -- batches


@both_kinds
def test_a_batch_has_one_entry_for_each_key(socket: Socket, body_format: Format) -> None:
    """As over HTTP, with the id if there was one."""
    batch = {
        "good": member("echo", a=1),
        "toto": member("fail", code=4242, value="asked"),
        "unknown": member("no.such"),
        "stream": member("streams.numbers", count=2),
    }
    entries = {
        "good": {"result": {"a": 1}},
        "toto": {"error": {"code": 4242, "value": "asked"}},
        "unknown": {"error": {"code": 1001, "value": "Cannot call 'no.such'."}},
        "stream": {"result": [0, 1]},
    }

    socket.send({"id": "b", "batch": batch}, body_format)
    with_id = socket.receive()
    socket.send({"batch": batch}, body_format)
    without_id = socket.receive()

    assert with_id == {"id": "b", "batch": entries}
    assert without_id == {"batch": entries}


def test_a_batch_counts_as_one_call(socket: Socket, gate: Gate) -> None:
    """However many members it has, and until the last of them has ended."""
    members = {str(n): member("gate", **gate.parameters(str(n))) for n in range(2)}
    members |= {f"quick {n}": member("echo") for n in range(5)}
    socket.send({"id": "batch", "batch": members})
    gate.wait_started("0")
    gate.wait_started("1")
    for number in range(CALLS_MAX - 1):
        call = {"id": number, "method": "wait", "parameters": {"seconds": 20}}
        socket.send(call)
    socket.send({"id": "more", "method": "echo"})
    refusal = socket.receive()
    gate.open()
    entries = socket.receive_of("batch")["batch"]

    assert (refusal["id"], refusal["error"]["code"]) == ("more", 1103)
    assert all("result" in entry for entry in entries.values())
    assert len(entries) == 7


@pytest.mark.parametrize(
    "batch", [5, [], "x", None, {str(n): member("echo") for n in range(BATCH_MAX + 1)}]
)
def test_a_wrong_batch_is_refused_as_over_http(sockets: Cluster, batch: Any) -> None:
    """With the same error, and the socket stays open."""
    over_http = sockets.post({"batch": batch}).error
    with open_socket(sockets) as socket:
        socket.send({"id": 1, "batch": batch})
        refusal = socket.receive()

        assert refusal["id"] == 1
        assert refusal["error"]["code"] == over_http["code"]
        assert socket.result("echo", 1) == 1


def test_the_id_of_a_batch_is_taken_while_it_runs(socket: Socket, gate: Gate) -> None:
    """A call with the same id is refused."""
    socket.send({"id": "b", "batch": {"k": member("gate", **gate.parameters())}})
    gate.wait_started()
    socket.send({"id": "b", "method": "echo"})
    refusal = socket.receive()
    gate.open()
    poll_until(lambda: not socket.is_quiet(), message="the batch ends")

    assert refusal["error"]["code"] == 1100
    assert "result" in socket.receive()["batch"]["k"]
